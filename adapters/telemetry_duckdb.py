"""Telemetry in DuckDB: the embedded store, columns on one machine's disk.

Measured on two cores with 25 columns a reading: 1.0 to 1.2 µs of processor time a reading and 20 to 24 bytes on disk
when 200,000 come at once, 2 µs when 20,000 do, 4 µs when 2,000 do. Readings are sorted by lift and time within each
append: that costs 0.1 µs a reading and makes one lift's history ten times quicker to read than in order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from adapters import telemetry_duckdb_sql as sql
from adapters.telemetry_columns import codes_to_arrow, signal_to_arrow
from adapters.telemetry_identity import Lifts, arrange
from adapters.telemetry_limits import check_history, check_rows, windows, within
from lift import codes as code_sets
from lift.batch import Batch, Floats, Mask, Slots
from lift.errors import Invalid, Unavailable
from lift.ports import History, Stored
from lift.signals import SIGNALS, Signal

MEMORY_LIMIT: Final = "1GB"
SPILL_LIMIT: Final = "10GB"
REPLAY_READINGS: Final = 100_000

_PART: Final = "telemetry store in DuckDB"
_SETTING: Final = "LIFTWATCH_TELEMETRY_URL"
_FILE: Final = "telemetry.duckdb"

_Columns: TypeAlias = Mapping[str, NDArray[Any]]


class DuckDBTelemetry:
    """Keeps readings in a DuckDB database inside a folder; one process at a time, any of its threads.

    A second copy of a reading is counted as a duplicate: what it reports replaces what the first said, what
    it lacks stays. Reads never wait for an append, nor an append for them. `threads` is how many processors
    DuckDB may use, `memory_limit` how much memory; beyond it large reads spill into the folder.
    """

    def __init__(self, folder: str | Path, *, threads: int = 2, memory_limit: str = MEMORY_LIMIT) -> None:
        """Open or make the database; raises Invalid when another process has it open, Unavailable when it fails."""
        self._folder = Path(folder).resolve()
        self._lifts = Lifts()
        self._named = 0  # so many of the lifts' names are in the database already
        self._writing = Lock()
        self._database = _open(self._folder, threads, memory_limit)
        self._writer = self._database.cursor()
        try:
            self._prepare()
        except duckdb.Error as error:
            self.close()
            raise Unavailable(_PART, error) from error

    def append(self, batch: Batch) -> Stored:
        """Store readings durably before returning, all or none; raises Unavailable.

        Also raises Invalid when a value cannot be kept as its signal's type, such as half a passenger.
        """
        if not len(batch):
            return Stored(0, 0)
        with self._writing:
            number = self._lifts.numbers(batch)
            once, number, order = arrange(batch, number)
            late = self._lifts.late(number, once.at)
            table = _to_arrow(once, number)
            if order is not None:
                table, late = table.take(pa.array(order)), late[order]
            stored = self._store(table, late)
            self._lifts.remember(number, once.at)
        return Stored(stored, len(batch) - stored)

    def history(
        self, lift: str, signals: Sequence[Signal], *, start: int, end: int, resolution_us: int | None = None
    ) -> History:
        """Give one lift's readings with start <= at < end; Invalid("resolution") beyond READ_ROWS_MAX rows.

        Readings and steps in which none of these signals is reported are left out.
        """
        check_history(signals, resolution_us)
        number = self._lifts.number(lift)
        first, stop = within(start, end)
        rows = self._read(sql.history(signals, resolution_us), [-1 if number is None else number, first, stop])
        check_rows(len(rows["moment"]), start=first, end=stop)
        return History(
            rows["moment"].astype(np.int64, copy=False),
            {signal: _floats(rows[signal.name], signal) for signal in signals},
        )

    def latest(self, lifts: Sequence[str], *, since: int) -> Batch:
        """Give each lift's newest known value of every signal since a moment, in the order asked."""
        names = [name for name in dict.fromkeys(lifts) if self._lifts.number(name) is not None]
        wanted = pa.table(
            {
                "lift": pa.array([self._lifts.number(name) for name in names], pa.int32()),
                "position": pa.array(range(len(names)), pa.int32()),
            }
        )
        rows = self._read(sql.LATEST, [within(since, since)[0]], wanted=wanted)
        return _batch([names[position] for position in rows["position"]], np.arange(len(rows["moment"])), rows)

    def replay(self, *, start: int, end: int) -> Iterable[Batch]:
        """Give all lifts' readings with start <= at < end in ascending time, in batches of about REPLAY_READINGS.

        One moment is never cut in two, so a batch may hold as many readings as there are lifts.
        """
        for first, stop in windows(self._count, *within(start, end), most=REPLAY_READINGS):
            rows = self._read(sql.REPLAY, [first, stop])
            yield _batch(self._lifts.names, rows["lift"], rows)

    def newest(self) -> Mapping[str, int]:
        """Give the time of each lift's newest stored reading."""
        with self._writing:
            return self._lifts.newest()

    def close(self) -> None:
        """Let go of the files; everything is stored already."""
        with suppress(duckdb.Error):
            self._writer.close()
            self._database.close()
        _OPEN.discard(self._folder)

    def _prepare(self) -> None:
        """Make what is missing in the database, and learn which lifts it knows."""
        self._writer.execute("CREATE TABLE IF NOT EXISTS lifts (lift INTEGER NOT NULL, name VARCHAR NOT NULL)")
        self._writer.execute('CREATE TABLE IF NOT EXISTS telemetry (lift INTEGER NOT NULL, "at" TIMESTAMP NOT NULL)')
        for name, kind in sql.COLUMNS.items():
            # Also how a signal that is new in the catalogue enters a database that is older.
            self._writer.execute(f"ALTER TABLE telemetry ADD COLUMN IF NOT EXISTS {name} {kind}")
        self._lifts.add(self._read("SELECT name FROM lifts ORDER BY lift")["name"].tolist())
        self._named = len(self._lifts.names)
        newest = self._read('SELECT lift, epoch_us(max("at")) AS moment FROM telemetry GROUP BY lift')
        self._lifts.remember(newest["lift"], newest["moment"])

    def _store(self, table: pa.Table, late: Mask) -> int:
        """Write readings in one transaction and say how many are new."""
        if not late.any():
            with self._transaction(incoming=table):
                self._writer.execute("INSERT INTO telemetry BY NAME SELECT * FROM incoming")
            return int(table.num_rows)
        fresh, old = table.filter(pa.array(~late)), table.filter(pa.array(late))
        known = self._read(
            sql.KNOWN, _span(old), late=old.append_column("row", pa.array(range(old.num_rows), pa.int64()))
        )
        copies = np.zeros(old.num_rows, np.bool_)
        copies[known["row"]] = True
        again = old.filter(pa.array(copies))
        new = pa.concat_tables([fresh, old.filter(pa.array(~copies))])
        with self._transaction(incoming=new, again=again):
            self._writer.execute("INSERT INTO telemetry BY NAME SELECT * FROM incoming")
            if again.num_rows and len(again.column_names) > len(sql.IDENTITY):
                self._writer.execute(sql.update(again.column_names), _span(again))
        return int(new.num_rows)

    @contextmanager
    def _transaction(self, **tables: pa.Table) -> Iterator[None]:
        """Commit what the block does to the database, with Arrow tables in sight, or undo it; raises Unavailable."""
        names = self._lifts.names[self._named :]
        numbers = range(self._named, self._named + len(names))
        tables["named"] = pa.table({"lift": pa.array(numbers, pa.int32()), "name": pa.array(names, pa.string())})
        try:
            for name, table in tables.items():
                self._writer.register(name, table)
            self._writer.begin()
            if names:
                self._writer.execute("INSERT INTO lifts SELECT lift, name FROM named")
            yield
            self._writer.commit()
        except BaseException as error:
            with suppress(duckdb.Error):
                self._writer.rollback()
            if isinstance(error, duckdb.Error):
                raise Unavailable(_PART, error) from error
            raise
        finally:
            with suppress(duckdb.Error):
                for name in tables:
                    self._writer.unregister(name)
        self._named += len(names)

    def _count(self, start: int, end: int) -> int:
        return int(self._read(sql.COUNT, [start, end])["readings"][0])

    def _read(self, question: str, parameters: Sequence[int] = (), **tables: pa.Table) -> _Columns:
        """Put a question on a connection of its own, with Arrow tables in sight; raises Unavailable."""
        try:
            with self._database.cursor() as cursor:
                for name, table in tables.items():
                    cursor.register(name, table)
                return cursor.execute(question, parameters).fetchnumpy()
        except duckdb.Error as error:
            raise Unavailable(_PART, error) from error


# Folders that this process has open: DuckDB itself keeps out only other processes.
_OPEN: Final[set[Path]] = set()


def _open(folder: Path, threads: int, memory_limit: str) -> duckdb.DuckDBPyConnection:
    if folder in _OPEN:
        raise Invalid(_SETTING, f"{folder} is open in this process already; open it once and share it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        database = duckdb.connect(
            folder / _FILE,
            config={
                "threads": threads,
                "memory_limit": memory_limit,
                "temp_directory": str(folder / "spill"),
                "max_temp_directory_size": SPILL_LIMIT,
                # An emergency desk fetches no code from the internet while it runs.
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
    except OSError as error:
        raise Invalid(_SETTING, f"{folder} cannot be a folder for telemetry: {error}") from error
    except duckdb.IOException as error:
        raise Invalid(
            _SETTING,
            f"{folder} is open in another process or cannot be read; one process at a time may use it: {error}",
        ) from error
    except duckdb.Error as error:
        raise Unavailable(_PART, error) from error
    _OPEN.add(folder)
    return database


def _span(table: pa.Table) -> list[int]:
    """Give the first and last time and the lowest and highest lift number in a table."""
    at = table["at"].cast(pa.int64()).to_numpy()
    number = table["lift"].to_numpy()
    return [int(at.min()), int(at.max()), int(number.min()), int(number.max())]


def _to_arrow(batch: Batch, number: Slots) -> pa.Table:
    """Give readings as the database's columns: NaN as null, whole numbers as its narrow integers."""
    fields = {"lift": pa.array(number, pa.int32()), "at": pa.array(batch.at).view(pa.timestamp("us"))}
    for signal, values in batch.columns.items():
        fields[signal.name] = signal_to_arrow(signal, values)
    if batch.codes is not None:
        fields[sql.CODES] = codes_to_arrow(batch.codes)
    return pa.table(fields)


def _floats(values: NDArray[Any], signal: Signal) -> Floats:
    """Turn a column of the database, masked where it is null, into floats with NaN there."""
    floats: Floats = np.ma.filled(values.astype(signal.dtype), np.nan)
    return floats


def _batch(names: Sequence[str], lift: NDArray[Any], rows: _Columns) -> Batch:
    codes = np.ma.filled(rows[sql.CODES].astype(np.int64), code_sets.NOT_REPORTED)
    columns = {signal: _floats(rows[signal.name], signal) for signal in SIGNALS}
    return Batch(
        names,
        lift.astype(np.int32),
        rows["moment"].astype(np.int64, copy=False),
        {signal: values for signal, values in columns.items() if not np.isnan(values).all()},
        None if (codes == code_sets.NOT_REPORTED).all() else codes,
    )
