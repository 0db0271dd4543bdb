"""The city of the API's tests, and people who are signed in to it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.unit.api.world import Client, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give a new city."""
    with closing(World(tmp_path)) as made:
        yield made


@pytest.fixture
def sign_in(world: World) -> Iterator[Callable[[str], Client]]:
    """Give a client that is signed in as the person of a name, or for "" as nobody."""
    with ExitStack() as stack:
        made: dict[str, Client] = {}

        def client(name: str) -> Client:
            if name not in made:
                token = world.token(name) if name else None
                made[name] = stack.enter_context(closing(Client(world.app, token)))
            return made[name]

        yield client


@pytest.fixture
def dispatcher(sign_in: Callable[[str], Client]) -> Client:
    """Give a client that is signed in as a dispatcher."""
    return sign_in("dispatcher")


@pytest.fixture
def nobody(sign_in: Callable[[str], Client]) -> Client:
    """Give a client that is not signed in."""
    return sign_in("")
