"""Requests: three things may be asked of a gateway, each checked and done once; whatever asks for motion is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.memory import Memory
from gateway.requests import A_MINUTE_MAX, ANSWERS_SHOWN, Requests
from lift.errors import Conflict, Invalid, Unavailable
from tests.gateway_line import Moving

ROOT = Path(__file__).parents[3]


class Hands:
    """Does what is asked, and remembers it."""

    def __init__(self) -> None:
        self.did: list[Mapping[str, Any]] = []

    def do(self, body: Mapping[str, Any]) -> str:
        """Do it, or refuse."""
        if body.get("refuse"):
            raise Conflict("it is busy")
        self.did.append(body)
        return "done"


@pytest.fixture
def hands() -> Hands:
    """Give somebody who does things."""
    return Hands()


def requests(path: Path, hands: Hands, clock: Moving | None = None) -> Requests:
    """Take requests with two of the three kinds."""
    return Requests(Memory(path / "m.db"), clock or Moving(), {"test_call": hands.do, "report_interval": hands.do})


def ask(taker: Requests, **body: Any) -> tuple[bool, str]:  # noqa: ANN401 - any JSON
    """Ask, and give whether it was done and what was said."""
    answer = taker.take(orjson.dumps(body))
    return answer.done, answer.text


def test_a_request_is_done_once_whatever_comes_twice(tmp_path: Path, hands: Hands) -> None:
    """The broker delivers again, somebody presses twice, the box restarts in between: one id is one deed."""
    taker = requests(tmp_path, hands)
    assert ask(taker, kind="test_call", id="1", lift="063577") == (True, "done")
    assert ask(taker, kind="test_call", id="1", lift="063577") == (True, "done")
    assert ask(taker, kind="test_call", id="1", lift="100245") == (True, "done")
    taker._memory.close()
    again = requests(tmp_path, hands)
    assert ask(again, kind="test_call", id="1", lift="063577") == (True, "done")
    assert [body["lift"] for body in hands.did] == ["063577"]
    assert (taker.repeated, again.repeated) == (2, 1)
    assert ask(again, kind="test_call", id="2", lift="063577") == (True, "done")
    assert len(hands.did) == 2


def test_a_request_whose_doing_was_cut_short_is_not_done_again(tmp_path: Path) -> None:
    """The power goes while it is done: it is answered as begun, and nobody knows more."""
    script = f"""
import os
from pathlib import Path
from gateway.memory import Memory
from gateway.requests import Requests
from tests.gateway_line import Moving
taker = Requests(Memory(Path({str(tmp_path / "m.db")!r})), Moving(), {{"test_call": lambda body: os._exit(9)}})
taker.take(b'{{"kind": "test_call", "id": "1"}}')
"""
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 9
    hands = Hands()
    assert ask(requests(tmp_path, hands), kind="test_call", id="1") == (False, "begun, and not known to be done")
    assert hands.did == []


def test_what_cannot_be_done_is_answered_with_the_reason(tmp_path: Path, hands: Hands) -> None:
    """Allowed, but refused by whoever does it, or done by nobody here."""
    taker = requests(tmp_path, hands)
    assert ask(taker, kind="test_call", id="1", refuse=True) == (False, "it is busy")
    assert ask(taker, kind="comfort_message", id="2") == (
        False,
        "kind: comfort_message is refused: there is nothing here that could do it",
    )
    assert [answer.id for answer in taker.newest()] == ["1", "2"]


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "move", "id": "1", "to": 3},
        {"kind": "open_door", "id": "1"},
        {"kind": "reset", "id": "1"},
        {"kind": ["test_call"], "id": "1"},
        {"id": "1"},
        {},
        [],
        b"\xff",
    ],
    ids=str,
)
def test_whatever_else_is_asked_is_refused_by_name(tmp_path: Path, hands: Hands, body: object) -> None:
    """The gateway watches. Whatever asks for motion is done by nobody and remembered by nobody."""
    taker = requests(tmp_path, hands)
    with pytest.raises(Invalid, match=r"this gateway only watches|JSON"):
        taker.take(body if isinstance(body, bytes) else orjson.dumps(body))
    assert taker.newest() == []
    assert hands.did == []


def test_nobody_can_hand_a_gateway_something_else_to_do(tmp_path: Path) -> None:
    """Not even our own code, by mistake."""
    with pytest.raises(AssertionError, match="move"):
        Requests(Memory(tmp_path / "m.db"), Moving(), {"move": Hands().do})


@pytest.mark.parametrize("name", [None, 7, "", "x" * 65])
def test_a_request_without_an_id_of_its_own_is_refused(tmp_path: Path, hands: Hands, name: object) -> None:
    """Without it nobody could tell the second delivery from a second wish."""
    with pytest.raises(Invalid, match="id: must be a text of 1 to 64"):
        ask(requests(tmp_path, hands), kind="test_call", id=name)


def test_requests_are_bounded_a_minute_and_in_memory(
    tmp_path: Path, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood is refused, and what is remembered does not grow."""
    clock = Moving()
    taker = requests(tmp_path, hands, clock)
    for i in range(A_MINUTE_MAX):
        ask(taker, kind="test_call", id=str(i))
    with pytest.raises(Invalid, match="more than 60 requests in a minute"):
        ask(taker, kind="test_call", id="one more")
    assert len(taker.newest()) == ANSWERS_SHOWN
    clock.move(60)
    monkeypatch.setattr("gateway.requests.REMEMBERED_MAX", 50)
    ask(taker, kind="test_call", id="another")
    assert len(taker._answers) == 50 == len(taker._memory.recall("request"))


def test_a_damaged_memory_is_set_aside(tmp_path: Path) -> None:
    """A gateway without a past still watches."""
    path = tmp_path / "m.db"
    path.write_bytes(b"not a database" * 500)
    memory = Memory(path)
    memory.keep("a", {"b": 1}, at=0, most=5)
    assert memory.recall("a") == {"b": 1}
    assert (tmp_path / "m.db.damaged").exists()
    memory._db.close()
    with pytest.raises(Unavailable, match="the memory"):
        memory.recall("a")
