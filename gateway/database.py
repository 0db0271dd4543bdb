"""A gateway's databases: SQLite files whose writes are on the disk when they return, and that may go bad.

A card that goes bad must not silence a site, nor take what it still holds with it.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

_CODES: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY_CODE: Final = 0xFF


def write_through(database: sqlite3.Connection, *, wal_pages: int) -> None:
    """Keep a file for this process alone, each commit on the disk; fold the log into it at so many pages of 4 KiB."""
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute(f"PRAGMA wal_autocheckpoint = {wal_pages}")


def is_damage(error: sqlite3.Error) -> bool:
    """Say whether an error means that the file is not what was written to it, and never will be again."""
    code: int = getattr(error, "sqlite_errorcode", 0) or 0
    return code & _PRIMARY_CODE in _CODES


def set_aside(path: Path) -> None:
    """Rename a database and its log to `….damaged`, for a person to look at; what was set aside earlier goes."""
    aside = path.with_name(path.name + ".damaged")
    with suppress(OSError):
        for ending in ("", "-wal"):
            Path(f"{aside}{ending}").unlink(missing_ok=True)
            if Path(f"{path}{ending}").exists():
                Path(f"{path}{ending}").rename(f"{aside}{ending}")
    log.error("%s is damaged: kept as %s, and a new one begun", path, aside.name)
