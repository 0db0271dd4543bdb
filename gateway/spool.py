"""The spool: a gateway's messages on disk, numbered, until a receipt says that the platform has stored them.

One SQLite file; an append is one transaction and is on the disk when it returns (write-ahead log,
synchronous=FULL). Size and age are bounded: the oldest messages without an emergency in them go first, and
every reading that goes is counted. accepted = receipted + dropped + pending, always.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lift.errors import Invalid, Unavailable
from lift.wire import Stamp

log = logging.getLogger(__name__)

# The log is folded into the file at this many pages (of 4 KiB) and cut back to this size afterwards.
_WAL_PAGES: Final = 2_000
_WAL_BYTES: Final = 16 * 1024 * 1024

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


@dataclass(frozen=True, slots=True)
class Spooled:
    """One message on disk, as it was encoded."""

    seq: int
    kind: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits for a receipt. `oldest_at` in µs since 1970 UTC, None when nothing waits."""

    messages: int
    readings: int
    bytes: int
    oldest_at: int | None


@dataclass(frozen=True, slots=True)
class Counts:
    """Readings since the spool was made."""

    accepted: int
    receipted: int
    dropped: int


class Spool:
    """Numbered messages in a file at `path`, at most `bytes_max` of payload, none older than `age_max_us`.

    Messages with an emergency have no age limit. `fresh_epoch` names the numbering if the file is new; it must
    differ from every name used before, so make it by chance. Any thread may call.
    """

    def __init__(self, path: Path, *, bytes_max: int, age_max_us: int, fresh_epoch: str) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._age_max_us = age_max_us
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._named_errors():
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
            self._db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
            self._db.executescript(_SCHEMA)
            self._db.execute("INSERT OR IGNORE INTO state VALUES (1, ?, 1, 0, 0, 0)", (fresh_epoch,))
            row = self._db.execute("SELECT epoch, next_seq, accepted, receipted, dropped FROM state").fetchone()
            waiting = self._db.execute("SELECT COUNT(*), TOTAL(readings), TOTAL(bytes) FROM message").fetchone()
        self.epoch: str = row[0]
        self._next_seq: int = row[1]
        self._counts = Counts(*row[2:])
        self._messages, self._readings, self._bytes = (int(value) for value in waiting)

    @property
    def last_seq(self) -> int:
        """The highest number given so far, 0 for none."""
        return self._next_seq - 1

    @property
    def pending(self) -> Pending:
        """What waits for a receipt."""
        with self._lock, self._named_errors():
            oldest = self._db.execute("SELECT at FROM message ORDER BY seq LIMIT 1").fetchone()
        return Pending(self._messages, self._readings, self._bytes, oldest[0] if oldest else None)

    @property
    def counts(self) -> Counts:
        """Readings accepted, receipted and dropped since the spool was made."""
        return self._counts

    def append(
        self, kind: str, encode: Callable[[Stamp], bytes], *, readings: int, at: int, emergency: bool = False
    ) -> Stamp:
        """Number a message, encode it with its number and write it; on the disk when this returns.

        Drops what no longer fits. Raises Invalid for a message larger than the spool, Unavailable when the
        disk refuses; then, and when `encode` raises, nothing has changed and no number is used up.
        """
        with self._lock:
            stamp = Stamp(self.epoch, self._next_seq)
            payload = encode(stamp)
            if len(payload) > self._bytes_max:
                raise Invalid("spool", f"a message of {len(payload)} bytes in a spool of {self._bytes_max}")
            with self._transaction():
                self._make_room(len(payload), at - self._age_max_us)
                self._db.execute(
                    "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (stamp.seq, kind, at, readings, len(payload), emergency, payload),
                )
                self._next_seq += 1
                self._messages += 1
                self._readings += readings
                self._bytes += len(payload)
                self._counts = replace(self._counts, accepted=self._counts.accepted + readings)
        return stamp

    def unsent(self, after_seq: int, most: int) -> list[Spooled]:
        """Give the first `most` messages numbered above `after_seq`, ascending."""
        with self._lock, self._named_errors():
            rows = self._db.execute(
                "SELECT seq, kind, payload FROM message WHERE seq > ? ORDER BY seq LIMIT ?", (after_seq, most)
            ).fetchall()
        return [Spooled(*row) for row in rows]

    def message(self, seq: int) -> Spooled | None:
        """Give one message, None when it has been receipted or dropped."""
        found = self.unsent(seq - 1, 1)
        return found[0] if found and found[0].seq == seq else None

    def receipted(self, epoch: str, ranges: Sequence[tuple[int, int]]) -> int:
        """Delete the messages that a receipt names, both ends included, and count them.

        Raises Invalid, with nothing deleted, for another epoch or numbers that were never given.
        """
        if epoch != self.epoch:
            raise Invalid("epoch", f"{epoch!r} is not this spool's, {self.epoch!r}")
        with self._lock:
            for first, last in ranges:
                if not 0 < first <= last <= self.last_seq:
                    raise Invalid("stored", f"[{first}, {last}] is not a range within 1 to {self.last_seq}")
            before = self._messages
            with self._transaction():
                for first, last in ranges:
                    readings = self._delete("seq BETWEEN ? AND ?", (first, last))
                    self._counts = replace(self._counts, receipted=self._counts.receipted + readings)
            return before - self._messages

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    # ------------------------------------------------------------------------------- lock is held

    def _make_room(self, size: int, oldest_at: int) -> None:
        dropped = self._delete("emergency = 0 AND at < ?", (oldest_at,))
        excess = self._bytes + size - self._bytes_max
        if excess > 0:
            for emergency in (0, 1):
                last = None
                for seq, held in self._db.execute(
                    "SELECT seq, bytes FROM message WHERE emergency = ? ORDER BY seq", (emergency,)
                ):
                    if excess <= 0:
                        break
                    last, excess = seq, excess - held
                if last is not None:
                    dropped += self._delete("emergency = ? AND seq <= ?", (emergency, last))
        if dropped:
            self._counts = replace(self._counts, dropped=self._counts.dropped + dropped)
            log.warning("the spool is full or its messages too old: %d readings dropped", dropped)

    def _delete(self, which: str, values: tuple[int, ...]) -> int:
        """Delete messages by a condition of ours and give the number of their readings."""
        totals = self._db.execute(
            f"SELECT COUNT(*), TOTAL(readings), TOTAL(bytes) FROM message WHERE {which}",  # noqa: S608 - no input
            values,
        ).fetchone()
        messages, readings, size = (int(value) for value in totals)
        if messages:
            self._db.execute(f"DELETE FROM message WHERE {which}", values)  # noqa: S608 - no input
            self._messages -= messages
            self._readings -= readings
            self._bytes -= size
        return readings

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Write all or nothing: to the file and to what we remember of it."""
        before = (self._next_seq, self._messages, self._readings, self._bytes, self._counts)
        try:
            with self._named_errors():
                self._db.execute("BEGIN IMMEDIATE")
                yield
                counts = self._counts
                self._db.execute(
                    "UPDATE state SET next_seq = ?, accepted = ?, receipted = ?, dropped = ?",
                    (self._next_seq, counts.accepted, counts.receipted, counts.dropped),
                )
                self._db.execute("COMMIT")
        except BaseException:
            self._next_seq, self._messages, self._readings, self._bytes, self._counts = before
            with suppress(sqlite3.Error):  # a disk that fails here has said so already
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise Unavailable(f"the spool {self._path}", error) from error
