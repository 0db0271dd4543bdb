"""The live event stream: one thread follows the feed, wakes every reader, and keeps only what is newest.

A reader holds nothing but the id it has reached. Ids that the newest lines cover are served from them, older
ones from the table, so memory stays flat however slow a reader is, and no reader holds a thread while it waits.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import orjson
from starlette.concurrency import run_in_threadpool

from lift.errors import LiftError, Unavailable
from lift.ports import FeedEvent, Records
from lift.wire.json import rfc3339

log = logging.getLogger(__name__)

READERS_MAX: Final = 2000
_RECENT_MAX: Final = 1000
_PAGE: Final = 500
_HEARTBEAT_S: Final = 15.0
# How long a sign-in that has expired, or was ended by another process, may still be read with.
_SIGN_IN_CHECK_S: Final = 5.0
# How long one look for new events may take; bounds how long the thread outlives its application.
_LOOK_S: Final = 0.5
_RECONNECT_MS: Final = 1000
_MOMENTS: Final = frozenset({"at", "due", "onset"})


@dataclass(frozen=True, slots=True)
class Line:
    """One event, encoded once for all its readers."""

    event_id: int
    firm_id: str
    party_id: str
    text: bytes


def line(event: FeedEvent) -> Line:
    """Encode an event as server-sent events want it."""
    body = {
        "id": event.event_id,
        "kind": event.kind,
        "at": rfc3339(event.at),
        "lift": event.lift,
        "firm_id": event.firm_id,
        "data": _with_moments(event.data),
    }
    party = event.data.get("party_id", "")
    return Line(event.event_id, event.firm_id, str(party), _encode(event.event_id, event.kind, body))


def _with_moments(value: object, name: str = "") -> object:
    """Spell times inside an event's data as RFC 3339; parts announce them in µs, under names that say so."""
    if isinstance(value, Mapping):
        return {key: _with_moments(inner, key) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_moments(inner, name) for inner in value]
    if type(value) is int and (name in _MOMENTS or name.endswith(("_at", "_until"))):
        return rfc3339(value)
    return value


def _encode(event_id: int, kind: str, body: object) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event_id, kind.encode(), orjson.dumps(body))


@dataclass(slots=True, eq=False)
class Reader:
    """One open stream: which lines it may see, and whether its sign-in still stands."""

    token_hash: str
    sees: Callable[[Line], bool]
    signed_in: Callable[[], bool]
    over: bool = False


class Tail:
    """Follows the feed for all readers of one application. Only `close` and `end` may be called from any thread."""

    def __init__(self, records: Records) -> None:
        """Take the records; nothing runs before the first reader comes."""
        self._records = records
        self._recent: deque[Line] = deque()
        # Every event with a greater id is among the recent lines; None until the thread has found its start.
        self._complete_after: int | None = None
        self._bell = asyncio.Event()
        self._readers: set[Reader] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = threading.Event()

    @property
    def readers(self) -> int:
        """Count the open streams."""
        return len(self._readers)

    def close(self) -> None:
        """End all streams now and refuse new ones; the following thread ends by itself."""
        self._stop.set()
        self._in_loop(self._ring)

    def end(self, token_hash: str) -> None:
        """End the streams of one sign-in."""
        self._in_loop(partial(self._end, token_hash))

    async def read(self, reader: Reader, after: int | None) -> AsyncIterator[bytes]:
        """Give the stream's bytes: every event with an id above `after` once, in order; None = from now on."""
        self._admit(reader)
        try:
            async for text in self._follow(reader, after):
                yield text
        except LiftError as error:
            # The client comes back with the last id it saw and is then told what is wrong.
            log.warning("an event stream ended early: %s", error)
        finally:
            self._readers.discard(reader)

    def check_room(self) -> None:
        """Raise Unavailable when no further stream may open."""
        if self._stop.is_set():
            raise Unavailable("the event stream", "shutting down")
        if len(self._readers) >= READERS_MAX:
            raise Unavailable("the event stream", f"{READERS_MAX} readers are connected already")

    def _admit(self, reader: Reader) -> None:
        self.check_room()
        self._readers.add(reader)
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            threading.Thread(target=self._run, name="event-tail", daemon=True).start()

    async def _follow(self, reader: Reader, after: int | None) -> AsyncIterator[bytes]:
        start, end = await run_in_threadpool(self._ends_of_feed)
        yield b"retry: %d\n\n" % _RECONNECT_MS
        if after is None or after > end or after + 1 < start:
            # An id from the future is of another database, and what followed one from long ago is removed: its
            # reader must load everything anew.
            after = end
            yield _encode(end, "hello", {"id": end})
        now = asyncio.get_running_loop().time
        beat = check = now()
        told = after
        while not (self._stop.is_set() or reader.over):
            # Taken before looking, so that a ring between the look and the wait is not missed.
            bell = self._bell
            if now() >= check + _SIGN_IN_CHECK_S:
                if not await run_in_threadpool(reader.signed_in):
                    return
                check = now()
            lines = await self._after(after)
            if lines:
                after = lines[-1].event_id
            visible = [entry for entry in lines if reader.sees(entry)]
            if visible:
                yield b"".join(entry.text for entry in visible)
                told, beat = visible[-1].event_id, now()
            elif now() >= beat + _HEARTBEAT_S:
                # An id without data is remembered and not shown: it spares the next resume what others' events cost.
                yield b": heartbeat\n\n" if told == after else b": heartbeat\nid: %d\n\n" % after
                told, beat = after, now()
            if not lines:
                await _wait(bell, until_s=min(beat + _HEARTBEAT_S, check + _SIGN_IN_CHECK_S) - now())

    async def _after(self, after: int) -> Sequence[Line]:
        """Give the next lines above an id, at most a page of them."""
        if self._complete_after is None or after < self._complete_after:
            return await run_in_threadpool(self._page, after)
        fresh = []
        for entry in reversed(self._recent):
            if entry.event_id <= after:
                break
            fresh.append(entry)
        return fresh[::-1]

    def _page(self, after: int) -> list[Line]:
        with self._records.read() as tx:
            return [line(event) for event in tx.feed(after=after, most=_PAGE)]

    def _ends_of_feed(self) -> tuple[int, int]:
        with self._records.read() as tx:
            return tx.feed_start(), tx.feed_end()

    def _end_of_feed(self) -> int:
        with self._records.read() as tx:
            return tx.feed_end()

    def _run(self) -> None:
        """Follow the feed until the application ends; runs in a thread of its own."""
        after: int | None = None
        failing = False
        while not self._stop.is_set():
            try:
                if after is None:
                    after = self._end_of_feed()
                    self._in_loop(partial(self._begin, after))
                elif self._records.wait(after=after, timeout_s=_LOOK_S):
                    lines = self._page(after)
                    if lines:
                        after = lines[-1].event_id
                        self._in_loop(partial(self._add, lines))
                failing = False
            except LiftError as error:
                if not failing:
                    log.warning("the event stream waits: %s", error)
                failing = True
                self._stop.wait(_LOOK_S)

    def _in_loop(self, act: Callable[[], None]) -> None:
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(act)
        except RuntimeError:
            # The loop is closed: so are its streams.
            self._stop.set()

    def _begin(self, after: int) -> None:
        self._complete_after = after
        self._ring()

    def _add(self, lines: Sequence[Line]) -> None:
        self._recent.extend(lines)
        while len(self._recent) > _RECENT_MAX:
            self._complete_after = self._recent.popleft().event_id
        self._ring()

    def _end(self, token_hash: str) -> None:
        for reader in self._readers:
            reader.over |= reader.token_hash == token_hash
        self._ring()

    def _ring(self) -> None:
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()


async def _wait(bell: asyncio.Event, *, until_s: float) -> None:
    try:
        async with asyncio.timeout(max(until_s, 0)):
            await bell.wait()
    except TimeoutError:
        pass
