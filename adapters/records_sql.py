"""Records in SQL: one file of SQLite on one machine, or PostgreSQL.

Durable: a transaction is on disk when its block ends. Writers take turns, so the ids of the event stream
ascend in the order of commits and a reader that follows them misses none.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from adapters import records_schema as schema
from adapters.records_base import PART, translated
from adapters.records_reads import SqlReads
from adapters.records_writes import SqlWrites
from lift.errors import Invalid, Unavailable
from lift.ports import Reads, Records, Writes

ACCEPTED: Final = "sqlite:///<file> or postgresql+psycopg://<user>@<host>/<database>"

_WAIT_S: Final = 10.0  # for another writer's turn, a connection or an answer of the server
_POLL_S: Final = 0.5  # how late another process's events may be seen
_CONNECTIONS_MAX: Final = 30
_ADVISORY_LOCK: Final = 96333  # any number, the same for all of us; one transaction at a time may hold it
_CLOSED: Final = "they have been closed"
_WRITING: Final = "liftwatch_writing"


class SqlRecords(Records):
    """Opens the database of a URL, and makes its tables if they are not there. Any thread may use it.

    `sqlite:///var/liftwatch.db` is a file in a folder, which is made if need be;
    `postgresql+psycopg://user@host/database` a database that exists. Raises Invalid for any other URL or a
    newer schema, Unavailable when the database does not answer.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._turn = threading.Lock()
        self._grown = threading.Condition()
        self._end = 0
        self._poll_at = 0.0
        self._closed = threading.Event()
        try:
            with self._transaction() as connection:
                schema.prepare(connection)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def read(self) -> Iterator[Reads]:
        """Open a consistent view for reading."""
        with self._connection() as connection:
            if connection.dialect.name == "postgresql":
                with translated():
                    connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield SqlReads(connection)

    @contextmanager
    def write(self) -> Iterator[Writes]:
        """Open a transaction: committed durably at the end of the block, undone if the block raises."""
        with self._transaction() as connection:
            writes = SqlWrites(connection)
            yield writes
        if writes.announced:
            self._grow(writes.announced)

    def wait(self, *, after: int, timeout_s: float) -> bool:
        """Wait until the event stream has grown beyond an id; True if it has. Any thread may wait.

        Events of this process are seen at once, those of another within half a second.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            with self._grown:
                if self._closed.is_set():
                    raise Unavailable(PART, _CLOSED)
                if self._end > after:
                    return True
                now = time.monotonic()
                mine = now >= self._poll_at  # one waiting thread asks for all
                if mine:
                    self._poll_at = now + _POLL_S
                elif now >= deadline:
                    return False
                else:
                    self._grown.wait(min(deadline, self._poll_at) - now)
            if mine:
                with self.read() as reads:
                    end = reads.feed_end()
                self._grow(end)

    def close(self) -> None:
        """Let go of files and connections; whoever waits is told by Unavailable."""
        with self._grown:
            self._closed.set()
            self._grown.notify_all()
        self._engine.pool.dispose()

    def _grow(self, end: int) -> None:
        with self._grown:
            if end > self._end:
                self._end = end
                self._grown.notify_all()

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        """Lend a connection; what was not committed is undone when it comes back."""
        if self._closed.is_set():
            raise Unavailable(PART, _CLOSED)
        with translated():
            connection = self._engine.connect()
        try:
            yield connection
        finally:
            with translated():
                connection.close()
            if self._closed.is_set():  # meanwhile, so nobody else will close what has just come back
                self._engine.pool.dispose()

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """Begin with the writer's turn in hand: here a lock, across processes the database's own."""
        if not self._turn.acquire(timeout=_WAIT_S):
            raise Unavailable(PART, f"another write has been going on for {_WAIT_S:.0f} s")
        try:
            with self._connection() as connection:
                with translated():
                    connection.execution_options(**{_WRITING: True})
                    connection.begin()
                    if connection.dialect.name == "postgresql":
                        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
                yield connection
                with translated():
                    connection.commit()
        finally:
            self._turn.release()


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise Invalid("records_url", f"is not a database address; accepted are {ACCEPTED}") from error
    if parsed.drivername == "postgresql+psycopg":
        return _postgresql(parsed)
    if parsed.drivername != "sqlite":
        raise Invalid("records_url", f"unknown scheme {parsed.drivername!r}; accepted are {ACCEPTED}")
    if not parsed.database or parsed.database == ":memory:":
        raise Invalid("records_url", "names no file, and records must outlive the process; accepted: sqlite:///<file>")
    return _sqlite(parsed)


def _sqlite(url: sa.URL) -> sa.Engine:
    try:
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(PART, error) from error
    engine = sa.create_engine(
        url,
        connect_args={"timeout": _WAIT_S},
        pool_size=_CONNECTIONS_MAX // 3,
        max_overflow=_CONNECTIONS_MAX - _CONNECTIONS_MAX // 3,
        pool_timeout=_WAIT_S,
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - sqlite3's connection
        connection.isolation_level = None  # transactions begin where we say, below
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        writing = connection.get_execution_options().get(_WRITING, False)
        # A writer that began as a reader could be refused at its first write, with no way to wait.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _postgresql(url: sa.URL) -> sa.Engine:
    wait_ms = int(_WAIT_S * 1000)
    return sa.create_engine(
        url,
        connect_args={
            "connect_timeout": int(_WAIT_S),
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": wait_ms,
            "options": f"-c lock_timeout={wait_ms} -c statement_timeout={3 * wait_ms}"
            f" -c idle_in_transaction_session_timeout={6 * wait_ms}",
        },
        pool_size=_CONNECTIONS_MAX // 3,
        max_overflow=_CONNECTIONS_MAX - _CONNECTIONS_MAX // 3,
        pool_timeout=_WAIT_S,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED",  # a writer must see what the writer before it stored
    )
