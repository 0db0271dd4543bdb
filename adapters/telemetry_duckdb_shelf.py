"""The rows of one kind, readings or trips, in a DuckDB database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any, Final, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from adapters import telemetry_duckdb_sql as sql
from adapters.telemetry_columns import codes_to_arrow, signal_to_arrow
from adapters.telemetry_identity import Lifts, arrange
from adapters.telemetry_kinds import Kind
from adapters.telemetry_limits import check_history, check_most, check_rows, windows, within
from lift import codes as code_sets
from lift.batch import Batch, Floats, Mask, Slots
from lift.errors import Unavailable
from lift.ports import History, Stored
from lift.signals import Signal

PART: Final = "telemetry store in DuckDB"
REPLAY_READINGS: Final = 100_000

_Columns: TypeAlias = Mapping[str, NDArray[Any]]


class Shelf:
    """Keeps rows that are identified by lift and time; any thread may use it.

    A second copy is counted as a duplicate: what it reports replaces what the first said, what it lacks stays.
    Reads never wait for an append, nor an append for them.
    """

    def __init__(self, database: duckdb.DuckDBPyConnection, kind: Kind, lifts_table: str) -> None:
        """Make what is missing in the database and learn which lifts it knows; duckdb.Error when it fails."""
        self._database = database
        self._kind = kind
        self._sql = sql.Statements(kind)
        self._lifts_table = lifts_table
        self._lifts = Lifts()
        self._named = 0  # so many of the lifts' names are in the database already
        self._writing = Lock()
        self._writer = database.cursor()
        self._writer.execute(f"CREATE TABLE IF NOT EXISTS {lifts_table} (lift INTEGER NOT NULL, name VARCHAR NOT NULL)")
        for statement in (self._sql.create, *self._sql.widen):
            self._writer.execute(statement)
        self._lifts.add(self._read(f"SELECT name FROM {lifts_table} ORDER BY lift")["name"].tolist())  # noqa: S608
        self._named = len(self._lifts.names)
        newest = self._read(self._sql.newest)
        self._lifts.remember(newest["lift"], newest["moment"])

    def append(self, batch: Batch) -> Stored:
        """Store rows durably before returning, all or none; raises Unavailable."""
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
        """Give one lift's rows with start <= at < end; Invalid("resolution") beyond READ_ROWS_MAX rows."""
        check_history(signals, resolution_us)
        first, stop = within(start, end)
        rows = self._read(self._sql.history(signals, resolution_us), [self._number(lift), first, stop])
        check_rows(len(rows["moment"]), start=first, end=stop)
        return _history(signals, rows)

    def newest_of(self, lift: str, signals: Sequence[Signal], *, start: int, end: int, most: int) -> History:
        """Give one lift's newest `most` rows with start <= at < end, ascending."""
        check_history(signals, None)
        check_most(most)
        rows = self._read(self._sql.newest_of(signals), [self._number(lift), *within(start, end), most])
        return _history(signals, {name: values[::-1] for name, values in rows.items()})

    def latest(self, lifts: Sequence[str], *, since: int) -> Batch:
        """Give each lift's newest known value of every signal since a moment, in the order asked."""
        names = [name for name in dict.fromkeys(lifts) if self._lifts.number(name) is not None]
        wanted = pa.table(
            {
                "lift": pa.array([self._lifts.number(name) for name in names], pa.int32()),
                "position": pa.array(range(len(names)), pa.int32()),
            }
        )
        rows = self._read(self._sql.latest, [within(since, since)[0]], wanted=wanted)
        return self._batch([names[position] for position in rows["position"]], np.arange(len(rows["moment"])), rows)

    def replay(self, *, start: int, end: int) -> Iterator[Batch]:
        """Give all lifts' rows with start <= at < end in ascending time, in batches of about REPLAY_READINGS."""
        for first, stop in windows(self._count, *within(start, end), most=REPLAY_READINGS):
            rows = self._read(self._sql.replay, [first, stop])
            yield self._batch(self._lifts.names, rows["lift"], rows)

    def newest(self) -> Mapping[str, int]:
        """Give the time of each lift's newest row."""
        with self._writing:
            return self._lifts.newest()

    def close(self) -> None:
        """Let go of the connection; everything is stored already."""
        with suppress(duckdb.Error):
            self._writer.close()

    def _number(self, lift: str) -> int:
        number = self._lifts.number(lift)
        return -1 if number is None else number

    def _store(self, table: pa.Table, late: Mask) -> int:
        """Write rows in one transaction and say how many are new."""
        if not late.any():
            with self._transaction(incoming=table):
                self._writer.execute(self._sql.insert)
            return int(table.num_rows)
        fresh, old = table.filter(pa.array(~late)), table.filter(pa.array(late))
        known = self._read(
            self._sql.known, _span(old), late=old.append_column("row", pa.array(range(old.num_rows), pa.int64()))
        )
        copies = np.zeros(old.num_rows, np.bool_)
        copies[known["row"]] = True
        again = old.filter(pa.array(copies))
        new = pa.concat_tables([fresh, old.filter(pa.array(~copies))])
        with self._transaction(incoming=new, again=again):
            self._writer.execute(self._sql.insert)
            if again.num_rows and len(again.column_names) > len(sql.IDENTITY):
                self._writer.execute(self._sql.update(again.column_names), _span(again))
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
                self._writer.execute(f"INSERT INTO {self._lifts_table} SELECT lift, name FROM named")  # noqa: S608
            yield
            self._writer.commit()
        except BaseException as error:
            with suppress(duckdb.Error):
                self._writer.rollback()
            if isinstance(error, duckdb.Error):
                raise Unavailable(PART, error) from error
            raise
        finally:
            with suppress(duckdb.Error):
                for name in tables:
                    self._writer.unregister(name)
        self._named += len(names)

    def _count(self, start: int, end: int) -> int:
        return int(self._read(self._sql.count, [start, end])["readings"][0])

    def _read(self, question: str, parameters: Sequence[int] = (), **tables: pa.Table) -> _Columns:
        """Put a question on a connection of its own, with Arrow tables in sight; raises Unavailable."""
        try:
            with self._database.cursor() as cursor:
                for name, table in tables.items():
                    cursor.register(name, table)
                return cursor.execute(question, parameters).fetchnumpy()
        except duckdb.Error as error:
            raise Unavailable(PART, error) from error

    def _batch(self, names: Sequence[str], lift: NDArray[Any], rows: _Columns) -> Batch:
        columns = {signal: _floats(rows[signal.name], signal) for signal in self._kind.signals}
        codes = None
        if self._kind.codes:
            codes = np.ma.filled(rows[sql.CODES].astype(np.int64), code_sets.NOT_REPORTED)
        return Batch(
            names,
            lift.astype(np.int32),
            rows["moment"].astype(np.int64, copy=False),
            {signal: values for signal, values in columns.items() if not np.isnan(values).all()},
            None if codes is None or (codes == code_sets.NOT_REPORTED).all() else codes,
        )


def _span(table: pa.Table) -> list[int]:
    """Give the first and last time and the lowest and highest lift number in a table."""
    at = table["at"].cast(pa.int64()).to_numpy()
    number = table["lift"].to_numpy()
    return [int(at.min()), int(at.max()), int(number.min()), int(number.max())]


def _to_arrow(batch: Batch, number: Slots) -> pa.Table:
    """Give rows as the database's columns: NaN as null, whole numbers as its narrow integers."""
    fields = {"lift": pa.array(number, pa.int32()), "at": pa.array(batch.at).view(pa.timestamp("us"))}
    for signal, values in batch.columns.items():
        fields[signal.name] = signal_to_arrow(signal, values)
    if batch.codes is not None:
        fields[sql.CODES] = codes_to_arrow(batch.codes)
    return pa.table(fields)


def _history(signals: Sequence[Signal], rows: _Columns) -> History:
    return History(
        rows["moment"].astype(np.int64, copy=False),
        {signal: _floats(rows[signal.name], signal) for signal in signals},
    )


def _floats(values: NDArray[Any], signal: Signal) -> Floats:
    """Turn a column of the database, masked where it is null, into floats with NaN there."""
    floats: Floats = np.ma.filled(values.astype(signal.dtype), np.nan)
    return floats
