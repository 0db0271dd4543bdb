"""A small city behind a real server, and a real browser to look at it."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from api.parts import HealthCheck
from api.server import Server
from dispatch.actor import Actor
from lift.alarm import Alarm
from tests.browser.chromium import Chromium, Page, chromium
from tests.unit.api.world import PASSWORD, PEOPLE, World


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """Give the session's browser."""
    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


class Desk:
    """The city, its server, and ways to make things happen there and to look at them."""

    def __init__(self, folder: Path, browser: Chromium) -> None:
        """Start serving."""
        self.world = World(folder)
        self.browser = browser
        self.pages: list[Page] = []
        self._server = Server(self.world.app, host="127.0.0.1", port=0)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()

    def open(self, name: str, at: str = "", **view: object) -> Page:
        """Sign somebody in, as they would themselves, and show them a screen."""
        page = self.browser.page(**view)  # type: ignore[arg-type]
        self.pages.append(page)
        self.enter(page, name, at)
        page.until("!document.getElementById('top')?.hidden && document.querySelector('#tabs a')")
        return page

    def enter(self, page: Page, name: str, at: str = "") -> None:
        """Sign somebody in on a page."""
        page.go(f"http://127.0.0.1:{self._server.port}/console#/{at}")
        page.until("document.activeElement?.name === 'name'")
        page.write(name)
        page.run("document.querySelector('input[name=password]').focus()")
        page.write(PASSWORD)
        page.press("Enter")

    def alarm(self, key: str) -> Alarm:
        """Give an alarm as it is recorded."""
        with self.world.records.read() as tx:
            return tx.alarm(key)

    def actor(self, name: str) -> Actor:
        """Give somebody as the rescue desk knows them."""
        role, scope = PEOPLE[name]
        return Actor(name, role, scope)

    def fails(self, part: str, detail: str) -> None:
        """Let a part of the platform fail."""
        self.world.parts_health[part] = HealthCheck(ok=False, detail=detail)

    def stop(self) -> None:
        """End the server, as a crash would."""
        self._server.should_exit = True
        self._thread.join(10)

    def close(self) -> None:
        """End everything."""
        self.stop()
        self.world.close()


@pytest.fixture
def desk(tmp_path: Path, browser: Chromium) -> Iterator[Desk]:
    """Give a desk; afterwards no page may have complained."""
    with closing(Desk(tmp_path, browser)) as made:
        yield made
        assert [complaint for page in made.pages for complaint in page.complaints()] == []
