"""The live event stream, over real HTTP."""

import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
import pytest
from fastapi import FastAPI

from api import stream
from api.server import Server
from api.stream import Tail
from lift.errors import Invalid
from tests.unit.api.world import EAST, HOUR, WEST, Client, World


@dataclass(frozen=True)
class Event:
    """One event as a browser's EventSource would hand it over."""

    event_id: str
    kind: str
    data: str


@contextmanager
def serving(app: FastAPI) -> Iterator[tuple[Server, str]]:
    """Serve an application on a free port; gives the server and its address."""
    server = Server(app, host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield server, f"http://127.0.0.1:{server.port}"
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def address(world: World) -> Iterator[str]:
    """Give the address of the city's server."""
    with serving(world.app) as (_server, address):
        yield address


@contextmanager
def listening(address: str, token: str, last: str = "") -> Iterator[Iterator[Event]]:
    """Open the event stream."""
    headers = {"Authorization": f"Bearer {token}"} | ({"Last-Event-ID": last} if last else {})
    timeout = httpx2.Timeout(20)
    with (
        httpx2.Client(base_url=address, timeout=timeout) as client,
        client.stream("GET", "/v1/events", headers=headers) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        yield events_in(answer.iter_lines())


def events_in(lines: Iterator[str]) -> Iterator[Event]:
    """Read server-sent events as the HTML standard says: a block without data is no event."""
    fields = {"id": "", "event": "", "data": ""}
    for line in lines:
        name, _, value = line.partition(": ")
        if line and name in fields:
            fields[name] = value
        elif not line:
            if fields["data"]:
                yield Event(fields["id"], fields["event"], fields["data"])
            fields |= {"event": "", "data": ""}


def test_drops_lose_and_repeat_nothing(world: World, address: str) -> None:
    """A client that is cut off again and again at any point sees each event exactly once, in order."""
    chance = random.Random(96333)
    token = world.token("dispatcher")
    wanted: list[int] = []
    done = threading.Event()

    def write() -> None:
        for number in range(400):
            wanted.append(world.announce(number=number))
            if number % 20 == 0:
                time.sleep(0.01)
        done.set()

    with listening(address, token) as events:
        last = next(events).event_id
    writer = threading.Thread(target=write)
    writer.start()
    seen: list[int] = []
    while not done.is_set() or seen[-1:] != wanted[-1:]:
        with listening(address, token, last) as events:
            for event in events:
                last = event.event_id
                seen.append(int(last))
                if chance.random() < 0.05 or (done.is_set() and seen[-1] == wanted[-1]):
                    break
    writer.join()
    assert seen == wanted


def test_many_readers_see_the_same(world: World, address: str) -> None:
    """Every reader gets every event, however many there are."""
    token = world.token("dispatcher")
    begun = threading.Barrier(21)
    seen: list[list[int]] = [[] for _ in range(20)]

    def read(mine: list[int]) -> None:
        with listening(address, token) as events:
            next(events)
            begun.wait(20)
            mine.extend(int(next(events).event_id) for _ in range(50))

    readers = [threading.Thread(target=read, args=(mine,)) for mine in seen]
    for reader in readers:
        reader.start()
    begun.wait(20)
    wanted = [world.announce() for _ in range(50)]
    for reader in readers:
        reader.join(20)
    assert seen == [wanted] * 20


def test_stream_begins_with_hello_whose_id_resumes(world: World, address: str) -> None:
    """A client cut off before its first event still knows where to go on."""
    token = world.token("dispatcher")
    before = world.announce()
    with listening(address, token) as events:
        hello = next(events)
    assert (hello.kind, hello.event_id) == ("hello", str(before))
    missed = world.announce()
    with listening(address, token, hello.event_id) as events:
        assert next(events).event_id == str(missed)


def test_id_from_before_a_trim_begins_anew(world: World, address: str) -> None:
    """When events after an id are removed, the client is told so instead of being left with a gap."""
    token = world.token("dispatcher")
    first, *_, last = [world.announce() for _ in range(5)]
    with world.records.write() as tx:
        tx.trim_feed(before=world.clock.now() + 1, most=3)
    with listening(address, token, str(first)) as events:
        assert next(events).kind == "hello"
    # The oldest one left is what follows, so nothing is missing.
    with listening(address, token, str(last - 2)) as events:
        assert next(events).event_id == str(last - 1)


def test_id_of_another_database_begins_anew(world: World, address: str) -> None:
    """An id beyond the newest event cannot be resumed from: the client is told to load everything anew."""
    with listening(address, world.token("dispatcher"), "99999999999999999999999") as events:
        assert next(events).kind == "hello"


def test_event_says_what_and_when(world: World, address: str) -> None:
    """Data are JSON with times in RFC 3339."""
    with listening(address, world.token("dispatcher")) as events:
        next(events)
        world.announce(onset=world.clock.now(), clocks=[{"due": world.clock.now()}], level=2)
        body = json.loads(next(events).data)
    assert body["at"] == "2026-11-23T08:00:00.000000Z"
    assert body["lift"] == EAST
    assert body["data"] == {"onset": body["at"], "clocks": [{"due": body["at"]}], "level": 2}


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("dispatcher", ["east", "west", "called", "end"]),
        ("inspector", ["east", "west", "called", "end"]),
        ("admin", ["east", "west", "called", "end"]),
        ("east", ["east", "end"]),
        ("east-crew", ["east", "end"]),
        ("station-crew", ["called", "end"]),
    ],
)
def test_everyone_sees_their_own(world: World, address: str, name: str, seen: list[str]) -> None:
    """A firm and its crews see their lifts, a station's crew what it is called to, the others everything."""
    with listening(address, world.token(name)) as events:
        next(events)
        world.announce(EAST, firm_id="firm-east", is_="east")
        world.announce(WEST, firm_id="firm-west", is_="west")
        world.announce(WEST, firm_id="firm-west", party_id="station", is_="called")
        mine = {"east": "firm-east", "east-crew": "firm-east", "station-crew": "station"}.get(name, "")
        world.announce(EAST, firm_id=mine, is_="end")
        got: list[str] = []
        while got[-1:] != ["end"]:
            got.append(json.loads(next(events).data)["data"]["is_"])
    assert got == seen


def test_own_events_far_behind_others_are_found(world: World, address: str) -> None:
    """A firm that comes back after thousands of others' events still gets its own next one."""
    with world.records.write() as tx:
        for _ in range(2500):
            tx.announce(kind="test", at=0, lift=WEST, firm_id="firm-west", data={})
    mine = world.announce(EAST)
    with listening(address, world.token("east"), "1") as events:
        assert next(events).event_id == str(mine)


def test_stream_ends_with_the_sign_in(world: World, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who signs out, hears no more, at once."""
    monkeypatch.setattr(stream, "_SIGN_IN_CHECK_S", 1000.0)
    with listening(address, world.token("east")) as events:
        next(events)
        headers = {"Authorization": "Bearer token-of-east"}
        assert httpx2.delete(f"{address}/v1/session", headers=headers).status_code == 204
        assert list(events) == []


def test_stream_ends_when_the_sign_in_expires(world: World, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign-in that runs out takes its stream with it."""
    monkeypatch.setattr(stream, "_SIGN_IN_CHECK_S", 0.05)
    with listening(address, world.token("east")) as events:
        next(events)
        world.clock.at += 13 * HOUR
        assert list(events) == []


def test_quiet_line_shows_life(world: World, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Now and then a comment says that the line is alive, with the id that others' events have reached."""
    monkeypatch.setattr(stream, "_HEARTBEAT_S", 0.05)
    headers = {"Authorization": f"Bearer {world.token('east')}"}
    with httpx2.stream("GET", f"{address}/v1/events", headers=headers, timeout=20) as answer:
        lines = answer.iter_lines()
        assert ": heartbeat" in lines
        theirs = world.announce(WEST, firm_id="firm-west")
        assert f"id: {theirs}" in lines


def test_server_stops_with_open_streams(world: World) -> None:
    """Ctrl-C does not wait for readers: those that listen are let go, one that takes no bytes is cut off."""
    token = world.token("dispatcher")
    request = f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    with socket.socket() as deaf, serving(world.app) as (server, address):
        server.config.timeout_graceful_shutdown = 1
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", server.port))
        with listening(address, token) as events:
            next(events)
            deaf.sendall(request.encode())
            while world.app.state.parts.tail.readers < 2:
                time.sleep(0.01)
            for _ in range(50):
                world.announce(text="x" * 200_000)
                next(events)
            server.should_exit = True
            assert list(events) == []


def test_port_in_use_is_named(world: World) -> None:
    """Whoever starts a second one learns at once which port is taken."""
    with serving(world.app) as (server, _address), pytest.raises(Invalid, match=str(server.port)):
        Server(world.make_app(), host="127.0.0.1", port=server.port)


@pytest.mark.parametrize("after", ["-1", "1.5", "x", "１"])
def test_wrong_id_is_named(dispatcher: Client, after: str) -> None:
    """What is no id is refused, saying which field."""
    answer = dispatcher.get("/v1/events", after=after)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "after"


def test_number_of_readers_is_bounded(world: World, dispatcher: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a reader is told to come again later."""
    monkeypatch.setattr(stream, "READERS_MAX", 0)
    answer = dispatcher.get("/v1/events")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


def test_memory_for_newest_lines_is_bounded(world: World) -> None:
    """The tail keeps the newest lines only, and knows from where on they are complete."""
    tail = Tail(world.records)
    lines = [stream.Line(number, "", "", b"") for number in range(1, 3001)]
    tail._begin(0)
    tail._add(lines)
    assert len(tail._recent) == 1000
    assert tail._complete_after == 2000
