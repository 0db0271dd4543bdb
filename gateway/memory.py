"""A gateway's memory: the few small things beside readings that must outlive the process, each on disk when told."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.database import is_damage, set_aside, write_through
from lift.errors import Unavailable

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS thing (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (kind, name)
);
"""


class Memory:
    """Named values of a few kinds in one small file; raises Unavailable when the disk refuses. Any thread may call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._named_errors():
            try:
                self._open()
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._db.close()
                set_aside(path)
                self._open()

    def recall(self, kind: str) -> dict[str, Any]:
        """Give everything of a kind by name, the oldest first."""
        with self._lock, self._named_errors():
            rows = self._db.execute(
                "SELECT name, value FROM thing WHERE kind = ? ORDER BY at, name", (kind,)
            ).fetchall()
        return {name: orjson.loads(value) for name, value in rows}

    def keep(self, kind: str, things: Mapping[str, Any], *, at: int, most: int) -> None:
        """Remember values by name, all or none; beyond `most` of a kind the oldest (by `at`) are forgotten."""
        with self._lock, self._named_errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(
                    "INSERT OR REPLACE INTO thing VALUES (?, ?, ?, ?)",
                    [(kind, name, at, orjson.dumps(value)) for name, value in things.items()],
                )
                self._db.execute(
                    "DELETE FROM thing WHERE kind = ?1 AND name IN"
                    " (SELECT name FROM thing WHERE kind = ?1 ORDER BY at DESC, name DESC LIMIT -1 OFFSET ?2)",
                    (kind, most),
                )
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    def _open(self) -> None:
        self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5)
        write_through(self._db, wal_pages=100)
        self._db.executescript(_SCHEMA)
        # The file is small, and its damage should show itself now, not in three days.
        self._db.execute("SELECT TOTAL(LENGTH(value)) FROM thing").fetchone()

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise Unavailable(f"the memory {self._path}", error) from error
