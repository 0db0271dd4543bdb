"""The spool: a gateway's messages on disk, numbered, until a receipt says that the platform has stored them.

One SQLite file; an append is one transaction and is on the disk when it returns (write-ahead log,
synchronous=FULL). Size and age are bounded. accepted = receipted + dropped + pending, always.

What gives way when there is no room:
- Ordinary messages, oldest first, for anything newer. They never fill the share that is kept for emergencies.
- Never an emergency: it may be the only word of a trapped person. When emergencies alone fill the spool, whatever
  comes then is refused and the caller told; the oldest, which tell when it began, stay.
- On a disk that others have filled, a ballast file of ours goes first, so that what the log holds can be folded in.
  Until it fits again the file does not grow: emergencies take the pages of ordinary messages, ordinary ones what
  receipts have made free, or they are refused. Receipts are still written, for the log has its room from the start.
A file that is damaged is set aside as `….damaged` for a person to look at, and a new one begun.
"""

from __future__ import annotations

import logging
import math
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gateway.database import is_damage, set_aside, write_through
from lift.errors import Invalid, Unavailable
from lift.wire import Stamp

log = logging.getLogger(__name__)

# Of the size: what ordinary messages leave free for emergencies.
EMERGENCY_SHARE: Final = 0.25
# Enough to fold a full write-ahead log into the file, with the largest message in it.
BALLAST_BYTES: Final = 16 * 1024 * 1024
# The log is folded into the file at this many pages (of 4 KiB) and cut back to this size afterwards.
_WAL_PAGES: Final = 1_000
_WAL_BYTES: Final = 8 * 1024 * 1024
_PAGES_MAX: Final = 2**30
# On a full disk an emergency displaces twice its size and this: room comes free in whole pages only.
_DISPLACED_MORE: Final = 16 * 1024
# The rate of filling is that of about the last ten minutes: longer than one busy lift, shorter than a rush hour.
_RATE_OVER_S: Final = 600.0
_RATE_FROM_S: Final = 60.0
_SAY_EVERY_US: Final = 60_000_000
_TRY_EVERY_US: Final = 10_000_000
_HOUR_S: Final = 3600.0
_HOUR_US: Final = 3_600_000_000

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS message (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    emergency INTEGER NOT NULL,
    payload BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS expendable ON message (emergency, seq, at, readings, bytes);
CREATE TABLE IF NOT EXISTS state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch TEXT NOT NULL,
    next_seq INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    receipted INTEGER NOT NULL,
    dropped INTEGER NOT NULL
);
"""
_MESSAGE: Final = "seq, kind, payload, readings, emergency"


@dataclass(frozen=True, slots=True)
class Spooled:
    """One message on disk, as it was encoded."""

    seq: int
    kind: str
    payload: bytes
    readings: int
    emergency: bool


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits for a receipt; `emergencies` counts messages. `oldest_at` in µs since 1970 UTC, None for nothing."""

    messages: int
    readings: int
    bytes: int
    emergencies: int
    emergency_bytes: int
    oldest_at: int | None


@dataclass(frozen=True, slots=True)
class Counts:
    """Readings since the spool was made."""

    accepted: int = 0
    receipted: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class _Held:
    """What the file holds and has counted, remembered so that nobody has to ask the file."""

    next_seq: int = 1
    messages: int = 0
    readings: int = 0
    bytes: int = 0
    emergencies: int = 0
    emergency_bytes: int = 0
    counts: Counts = Counts()

    def without(self, messages: int, readings: int, size: int, *, emergency: bool) -> _Held:
        """Give this less so many messages of one sort."""
        return replace(
            self,
            messages=self.messages - messages,
            readings=self.readings - readings,
            bytes=self.bytes - size,
            emergencies=self.emergencies - messages * emergency,
            emergency_bytes=self.emergency_bytes - size * emergency,
        )


class Spool:
    """Numbered messages in a file at `path`, at most `bytes_max` of payload, none older than `age_max_us`.

    Messages with an emergency have no age limit. `fresh_epoch` names the numbering if the file is new; it must
    differ from every name used before, so make it by chance. Any thread may call.
    """

    def __init__(
        self,
        path: Path,
        *,
        bytes_max: int,
        age_max_us: int,
        fresh_epoch: str,
        emergency_share: float = EMERGENCY_SHARE,
        ballast_bytes: int = BALLAST_BYTES,
    ) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._ordinary_max = bytes_max - int(bytes_max * emergency_share)
        self._age_max_us = age_max_us
        self._fresh_epoch = fresh_epoch
        self._ballast = path.with_name(path.name + ".ballast")
        self._ballast_bytes = ballast_bytes
        self._lock = threading.Lock()
        self._broken = False
        self._held = _Held()
        self.epoch: str = fresh_epoch
        # Files set aside as damaged since the start.
        self.damaged = 0
        self._fill = _Fill()
        self._said_at = -_SAY_EVERY_US
        self._tried_at = -_TRY_EVERY_US
        # Whether there is no ballast and the file may not grow.
        self._ballast_given = ballast_bytes > 0
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._named_errors():
            try:
                self._open()
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._begin_anew()
        # A ballast from before says nothing of the new log's room.
        with suppress(OSError):
            self._ballast.unlink(missing_ok=True)
            if ballast_bytes:
                self._load_ballast()

    # ------------------------------------------------------------------------------------- figures

    @property
    def disk_full(self) -> bool:
        """Whether the disk has no room but for emergencies and for what receipts make free."""
        return self._ballast_given

    @property
    def last_seq(self) -> int:
        """The highest number given so far, 0 for none."""
        return self._held.next_seq - 1

    @property
    def pending(self) -> Pending:
        """What waits for a receipt."""
        with self._lock, self._named_errors():
            self._heal()
            oldest = self._db.execute("SELECT at FROM message ORDER BY seq LIMIT 1").fetchone()
            held = self._held
        return Pending(
            held.messages,
            held.readings,
            held.bytes,
            held.emergencies,
            held.emergency_bytes,
            oldest[0] if oldest else None,
        )

    @property
    def counts(self) -> Counts:
        """Readings accepted, receipted and dropped since the spool was made."""
        return self._held.counts

    def hours_left(self, now: int) -> float:
        """Say for how many hours more messages fit at the present rate if no receipt came from now (µs) on.

        Counts from what is free at this moment, until the first ordinary message would have to go: for want of
        room, or for its age.
        """
        with self._lock, self._named_errors():
            self._heal()
            oldest = self._db.execute("SELECT at FROM message WHERE emergency = 0 ORDER BY seq LIMIT 1").fetchone()
            held, a_second = self._held, self._fill.bytes_a_second(now)
        age_us = max(0, now - oldest[0]) if oldest else 0
        by_age = max(0.0, (self._age_max_us - age_us) / _HOUR_US)
        free = min(self._ordinary_max - (held.bytes - held.emergency_bytes), self._bytes_max - held.bytes)
        return min(by_age, max(0, free) / a_second / _HOUR_S) if a_second > 0 else by_age

    # ------------------------------------------------------------------------------------ messages

    def append(
        self, kind: str, encode: Callable[[Stamp], bytes], *, readings: int, at: int, emergency: bool = False
    ) -> Stamp:
        """Number a message, encode it with its number and write it; on the disk when this returns.

        Drops ordinary messages that no longer fit. Raises Invalid for a message larger than its share of the spool,
        Unavailable when emergencies have filled it or the disk refuses; then, and when `encode` raises, nothing
        has changed and no number is used up.
        """
        with self._lock:
            self._heal()
            stamp = Stamp(self.epoch, self._held.next_seq)
            payload = encode(stamp)
            size = len(payload)
            limit = self._bytes_max if emergency else self._ordinary_max
            if size > limit:
                raise Invalid("spool", f"a message of {size} bytes in a spool of {limit}")
            if self._held.emergency_bytes + size > self._bytes_max:
                raise Unavailable(f"the spool {self._path}", "it is full of emergencies without a receipt")
            row = (stamp.seq, kind, at, readings, size, emergency, payload)
            self._try_ballast(at)
            try:
                self._insert(row, displaces=0)
            except Unavailable:
                if not emergency:
                    raise
                self._relieve()
                self._insert(row, displaces=2 * size + _DISPLACED_MORE)
            self._fill.add(size, at)
        return stamp

    def unsent(self, after_seq: int, most: int) -> list[Spooled]:
        """Give the first `most` messages numbered above `after_seq`, ascending."""
        return self._select("seq > ? ORDER BY seq LIMIT ?", (after_seq, most))

    def emergencies(self, after_seq: int, most: int) -> list[Spooled]:
        """Give the first `most` messages with an emergency numbered above `after_seq`, ascending."""
        return self._select("emergency = 1 AND seq > ? ORDER BY seq LIMIT ?", (after_seq, most))

    def message(self, seq: int) -> Spooled | None:
        """Give one message, None when it has been receipted or dropped."""
        found = self._select("seq = ?", (seq,))
        return found[0] if found else None

    def receipted(self, epoch: str, ranges: Sequence[tuple[int, int]]) -> int:
        """Delete the messages that a receipt names, both ends included, and count them.

        Raises Invalid, with nothing deleted, for another epoch or numbers that were never given.
        """
        with self._lock:
            self._heal()
            if epoch != self.epoch:
                raise Invalid("epoch", f"{epoch!r} is not this spool's, {self.epoch!r}")
            for first, last in ranges:
                if not 0 < first <= last <= self.last_seq:
                    raise Invalid("stored", f"[{first}, {last}] is not a range within 1 to {self.last_seq}")
            before = self._held.messages
            try:
                self._delete_receipted(ranges)
            except Unavailable:
                self._relieve()
                self._delete_receipted(ranges)
            return before - self._held.messages

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    # ------------------------------------------------------------------------------- lock is held

    def _select(self, which: str, values: tuple[int, ...]) -> list[Spooled]:
        with self._lock, self._named_errors():
            self._heal()
            rows = self._db.execute(f"SELECT {_MESSAGE} FROM message WHERE {which}", values).fetchall()  # noqa: S608
        return [Spooled(seq, kind, payload, held, bool(urgent)) for seq, kind, payload, held, urgent in rows]

    def _insert(self, row: tuple[int, str, int, int, int, bool, bytes], *, displaces: int) -> None:
        """Write one message, in place of ordinary ones of at least `displaces` bytes and of what does not fit."""
        seq, _, at, readings, size, emergency, _ = row
        with self._transaction():
            self._make_room(size, at - self._age_max_us, emergency=emergency, displaces=displaces)
            self._db.execute("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            held = self._held.without(-1, -readings, -size, emergency=emergency)
            counts = replace(held.counts, accepted=held.counts.accepted + readings)
            self._held = replace(held, next_seq=seq + 1, counts=counts)

    def _make_room(self, size: int, oldest_at: int, *, emergency: bool, displaces: int) -> None:
        """Drop ordinary messages, oldest first: those too old, and as many as it takes."""
        held = self._held
        excess = held.bytes + size - self._bytes_max
        if not emergency:
            excess = max(excess, held.bytes - held.emergency_bytes + size - self._ordinary_max)
        excess = max(excess, displaces)
        last, messages, readings, freed = 0, 0, 0, 0
        for seq, at, rows, held_bytes in self._db.execute(
            "SELECT seq, at, readings, bytes FROM message WHERE emergency = 0 ORDER BY seq"
        ):
            if freed >= excess and at >= oldest_at:
                break
            last, messages, readings, freed = seq, messages + 1, readings + rows, freed + held_bytes
        if messages:
            self._db.execute("DELETE FROM message WHERE emergency = 0 AND seq <= ?", (last,))
            held = held.without(messages, readings, freed, emergency=False)
            self._held = replace(held, counts=replace(held.counts, dropped=held.counts.dropped + readings))
            self._say_dropped(oldest_at)

    def _say_dropped(self, oldest_at: int) -> None:
        """Log that readings go: a full spool drops something at every append, and a line a minute says as much."""
        now = oldest_at + self._age_max_us
        if not 0 <= now - self._said_at < _SAY_EVERY_US:
            self._said_at = now
            log.warning(
                "the spool %s is full or its messages too old: %d readings dropped so far",
                self._path,
                self._held.counts.dropped,
            )

    def _delete_receipted(self, ranges: Sequence[tuple[int, int]]) -> None:
        with self._transaction():
            for span in ranges:
                found = self._db.execute(
                    "SELECT emergency, COUNT(*), SUM(readings), SUM(bytes) FROM message WHERE seq BETWEEN ? AND ?"
                    " GROUP BY emergency",
                    span,
                ).fetchall()
                for emergency, messages, readings, size in found:
                    held = self._held.without(messages, readings, size, emergency=bool(emergency))
                    counts = replace(held.counts, receipted=held.counts.receipted + readings)
                    self._held = replace(held, counts=counts)
                if found:
                    self._db.execute("DELETE FROM message WHERE seq BETWEEN ? AND ?", span)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Write all or nothing: to the file and to what we remember of it."""
        before = self._held
        try:
            with self._named_errors():
                self._db.execute("BEGIN IMMEDIATE")
                yield
                counts = self._held.counts
                self._db.execute(
                    "UPDATE state SET next_seq = ?, accepted = ?, receipted = ?, dropped = ?",
                    (self._held.next_seq, counts.accepted, counts.receipted, counts.dropped),
                )
                self._db.execute("COMMIT")
        except BaseException:
            self._held = before
            with suppress(sqlite3.Error):  # a disk that fails here has said so already
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self._broken |= is_damage(error)
            raise Unavailable(f"the spool {self._path}", error) from error

    # ------------------------------------------------------------------------- the file and the disk

    def _open(self) -> None:
        self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5)
        write_through(self._db, wal_pages=_WAL_PAGES)
        self._db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        self._db.executescript(_SCHEMA)
        fresh = f"{self._fresh_epoch}.{self.damaged}" if self.damaged else self._fresh_epoch
        self._db.execute("INSERT OR IGNORE INTO state VALUES (1, ?, 1, 0, 0, 0)", (fresh,))
        # A write, so that there is a log that can be given its room.
        self._db.execute("UPDATE state SET one = one")
        self.epoch, next_seq, *counts = self._db.execute(
            "SELECT epoch, next_seq, accepted, receipted, dropped FROM state"
        ).fetchone()
        self._held = _Held(next_seq=next_seq, counts=Counts(*counts))
        for emergency, messages, readings, size in self._db.execute(
            "SELECT emergency, COUNT(*), SUM(readings), SUM(bytes) FROM message GROUP BY emergency"
        ):
            self._held = self._held.without(-messages, -readings, -size, emergency=bool(emergency))

    def _heal(self) -> None:
        """Go on with a new file when the old one has turned out damaged; raises Unavailable."""
        if self._broken:
            with self._named_errors():
                self._begin_anew()
            self._broken = False

    def _begin_anew(self) -> None:
        """Set a damaged file aside, in place of one set aside earlier, and begin a new one with a new epoch."""
        with suppress(sqlite3.Error):
            self._db.close()
        set_aside(self._path)
        self.damaged += 1
        self._open()

    def _load_ballast(self) -> None:
        """Take up the room that is kept for a full disk; raises OSError when the disk has not got it."""
        try:
            _take_up(self._ballast, self._ballast_bytes)
            log_file = Path(f"{self._path}-wal")
            if log_file.exists():
                # Zeros behind its last frame are no frames, so the log may have its room before it needs it.
                _take_up(log_file, _WAL_PAGES * 4096)
        except OSError:
            self._ballast.unlink(missing_ok=True)
            raise
        with self._named_errors():
            self._db.execute(f"PRAGMA max_page_count = {_PAGES_MAX}")
        self._ballast_given = False

    def _try_ballast(self, now: int) -> None:
        """Look now and then whether a full disk has room again, and let the file grow if it has."""
        if self._ballast_given and not 0 <= now - self._tried_at < _TRY_EVERY_US:
            self._tried_at = now
            with suppress(OSError):
                self._load_ballast()

    def _relieve(self) -> None:
        """Give up the ballast, fold the log into the file, and let the file grow no more until the ballast fits."""
        if not self._ballast_bytes:
            return
        if not self._ballast_given:
            log.error("the disk of the spool %s is full: what is left is for emergencies", self._path)
        self._ballast_given = True
        with suppress(OSError):
            self._ballast.unlink(missing_ok=True)
        with suppress(sqlite3.Error):
            # At once, before whoever has filled the disk takes what the ballast has left.
            self._db.execute("PRAGMA wal_checkpoint(RESTART)")
            pages = self._db.execute("PRAGMA page_count").fetchone()[0]
            self._db.execute(f"PRAGMA max_page_count = {pages}")


def _take_up(file: Path, size: int) -> None:
    with file.open("ab") as opened:
        os.posix_fallocate(opened.fileno(), 0, size)


class _Fill:
    """The rate at which bytes come, as an average that forgets; right from the first minute on."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._since: int | None = None
        self._at = 0

    def add(self, size: int, at: int) -> None:
        if self._since is None:
            self._since = self._at = at
        self._decay(at)
        self._sum += size

    def bytes_a_second(self, now: int) -> float:
        if self._since is None:
            return 0.0
        self._decay(now)
        # So much of the average's memory has been filled since we began; the first minute says little.
        lasted_s = max(_RATE_FROM_S, (self._at - self._since) / 1e6)
        return self._sum / (_RATE_OVER_S * -math.expm1(-lasted_s / _RATE_OVER_S))

    def _decay(self, now: int) -> None:
        if now > self._at:
            self._sum *= math.exp((self._at - now) / 1e6 / _RATE_OVER_S)
            self._at = now
