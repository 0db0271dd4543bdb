"""The rows of one kind, readings, trips or minutes: the newest in DuckDB's own tables, the rest in sealed files.

Appends go to one table. Tidying closes it now and then and writes its rows, sorted by lift and time, into files
(`telemetry_duckdb_sealing`); a copy that comes later than that is a row of its own, merged when it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from adapters import telemetry_duckdb_pieces as pieces_of
from adapters import telemetry_duckdb_sql as sql
from adapters.telemetry_columns import codes_to_arrow, signal_to_arrow
from adapters.telemetry_duckdb_pieces import Pieces, Table
from adapters.telemetry_identity import Lifts, arrange, last_known, merge, newest_cells, outcome
from adapters.telemetry_kinds import Kind
from adapters.telemetry_limits import READ_ROWS_MAX, check_rows, windows, within
from lift import codes as code_sets
from lift.batch import Batch, Floats, Ints, Mask, Slots, concat
from lift.errors import Unavailable
from lift.ports import History, Stored
from lift.signals import Signal

PART: Final = "telemetry store in DuckDB"
REPLAY_READINGS: Final = 100_000

# A reading rarely has two copies that wait to be merged, and never so many.
_ROWS_AND_COPIES_MAX: Final = 2 * READ_ROWS_MAX + 2
_TRIES: Final = 5

_Columns: TypeAlias = Mapping[str, NDArray[Any]]


class Shelf:
    """Keeps rows that are identified by lift and time; any thread may use it.

    A second copy is counted as a duplicate: what it reports replaces what the first said, what it lacks stays.
    Reads never wait for an append, nor an append for them.
    """

    def __init__(self, database: duckdb.DuckDBPyConnection, folder: Path, kind: Kind, lifts_table: str) -> None:
        """Make what is missing in the database and learn which lifts it knows; duckdb.Error when it fails."""
        self.kind = kind
        self.folder = folder
        self.sql = sql.Statements(kind)
        self._database = database
        self._lifts_table = lifts_table
        self._lifts = Lifts()
        self._named = 0  # so many of the lifts' names are in the database already
        self._writing = Lock()
        self._writer = database.cursor()
        self.pieces = self._prepare()
        self._lifts.add(self.read(f"SELECT name FROM {lifts_table} ORDER BY lift")["name"].tolist())  # noqa: S608
        self._named = len(self._lifts.names)
        newest = self.read(self.sql.newest(self.pieces.tables))
        self._lifts.remember(newest["lift"], newest["moment"])

    @property
    def names(self) -> Sequence[str]:
        """The lifts' names by number; it only ever grows."""
        return self._lifts.names

    # ---------------------------------------------------------------------------------------- writing

    def append(self, batch: Batch) -> Stored:
        """Store rows durably before returning, all or none; raises Unavailable."""
        if not len(batch):
            return Stored(0, 0)
        with self._writing:
            every = self._lifts.numbers(batch)
            once, number, order = arrange(batch, every)
            late = self._lifts.late(number, once.at)
            table = to_arrow(once, number)
            if order is not None:
                table, late = table.take(pa.array(order)), late[order]
            known = self._store(table, late)
            self._lifts.remember(number, once.at)
        if known is None and len(once) == len(batch):
            return Stored(len(batch), 0)
        return outcome(every, batch.at, *_identity(table.slice(0, 0) if known is None else known))

    def _store(self, table: pa.Table, late: Mask) -> pa.Table | None:
        """Write rows in one transaction and give those that were there before; None = none was."""
        active = self.pieces.active.name
        if not late.any():
            with self._transaction(incoming=table):
                self._writer.execute(f"INSERT INTO {active} BY NAME SELECT * FROM incoming")  # noqa: S608
            return None
        fresh, old = table.filter(pa.array(~late)), table.filter(pa.array(late))
        first, last, lowest, highest = _span(old)
        near = f"{sql.within(first, last + 1)} AND {{}}lift BETWEEN {lowest} AND {highest}"
        pieces = self.pieces.within(first, last + 1, (lowest, highest))
        rows = pa.array(range(old.num_rows), pa.int64())
        known = self.read(
            self.sql.known(pieces, old.column_names, near.format("")), late=old.append_column("row", rows)
        )
        copies, again, amended = (np.zeros(old.num_rows, np.bool_) for _ in range(3))
        copies[known["row"]] = True
        ours = known["ours"]
        again[known["row"][known["news"] & ours]] = True
        amended[known["row"][known["news"] & ~ours]] = True
        with self._transaction(
            incoming=pa.concat_tables([fresh, old.filter(pa.array(~copies | amended))]),
            again=old.filter(pa.array(again)),
        ):
            self._writer.execute(f"INSERT INTO {active} BY NAME SELECT * FROM incoming")  # noqa: S608
            if again.any():
                nearby = near.replace('"at"', f'{active}."at"').format(f"{active}.")
                self._writer.execute(self.sql.update(active, old.column_names, nearby))
        return old.filter(pa.array(copies))

    @contextmanager
    def _transaction(self, **tables: pa.Table) -> Iterator[None]:
        """Commit what the block does to the database, with Arrow tables in sight, or undo it; raises Unavailable."""
        names = self._lifts.names[self._named :]
        numbers = range(self._named, self._named + len(names))
        tables["named"] = pa.table({"lift": pa.array(numbers, pa.int32()), "name": pa.array(names, pa.string())})
        with transaction(self._writer, tables):
            if names:
                self._writer.execute(f"INSERT INTO {self._lifts_table} SELECT lift, name FROM named")  # noqa: S608
            yield
        self._named += len(names)

    # ---------------------------------------------------------------------------------------- reading

    def history(self, lift: str, signals: Sequence[Signal], *, start: int, end: int) -> History:
        """Give one lift's rows with start <= at < end, ascending; Invalid("resolution") beyond READ_ROWS_MAX rows."""
        first, stop = within(start, end)
        rows = self._of_lift(lift, signals, first, stop, f"LIMIT {_ROWS_AND_COPIES_MAX}")
        found = _history(signals, rows)
        check_rows(len(found.at), start=first, end=stop)
        return found

    def rows_of(self, lift: str, signals: Sequence[Signal], *, start: int, end: int) -> History:
        """Give one lift's rows with start <= at < end, ascending, however many."""
        return _history(signals, self._of_lift(lift, signals, start, end, ""))

    def newest_of(self, lift: str, signals: Sequence[Signal], *, start: int, end: int, most: int) -> History:
        """Give one lift's newest `most` rows with start <= at < end, ascending."""
        first, stop = within(start, end)
        limit = most + 1
        while True:
            rows = self._of_lift(lift, signals, first, stop, f"ORDER BY moment DESC, place DESC LIMIT {limit}")
            found = _history(signals, rows)
            # The oldest of a full answer may have more copies behind the limit.
            if len(found.at) > most or len(rows["moment"]) < limit:
                return History(found.at[-most:], {s: values[-most:] for s, values in found.columns.items()})
            limit *= 2

    def windows_of(self, lift: str, *, start: int, end: int, width: int) -> Iterator[tuple[int, int]]:
        """Cut a time at multiples of a width, and give the windows that may hold rows of a lift, in order."""
        number = self._number(lift)
        bounds = self._ask(lambda pieces: self.sql.bounds(pieces.tables, number))
        spans = [(run.first, run.last) for run in self.pieces.runs if run.overlaps(start, end, (number, number))]
        if bounds["readings"][0]:
            spans.append((int(bounds["lowest"][0]), int(bounds["highest"][0])))
        clipped = [(max(first, start), min(last, end - 1)) for first, last in spans]
        used = {window for first, last in clipped for window in range(first // width, last // width + 1)}
        for window in sorted(used):
            yield max(window * width, start), min((window + 1) * width, end)

    def latest(self, lifts: Sequence[str], *, since: int) -> Batch:
        """Give each lift's newest known value of every signal since a moment, in the order asked."""
        names = [name for name in dict.fromkeys(lifts) if self._lifts.number(name) is not None]
        wanted = pa.table(
            {
                "lift": pa.array([self._lifts.number(name) for name in names], pa.int32()),
                "position": pa.array(range(len(names)), pa.int32()),
            }
        )
        rows = self._ask(lambda pieces: self.sql.latest(pieces.tables, within(since, since)[0]), wanted=wanted)
        return self.batch([names[position] for position in rows["position"]], np.arange(len(rows["moment"])), rows)

    def replay(self, *, start: int, end: int) -> Iterator[Batch]:
        """Give all lifts' rows with start <= at < end in ascending time, in batches of about REPLAY_READINGS."""
        for first, stop in windows(self.count, *within(start, end), most=REPLAY_READINGS):
            rows = self._ask(partial(self._everything, first, stop))
            yield once(self.batch(self._lifts.names, rows["lift"], rows))

    def newest(self) -> Mapping[str, int]:
        """Give the time of each lift's newest row."""
        with self._writing:
            return self._lifts.newest()

    def count(self, start: int, end: int) -> int:
        """Count the rows with start <= at < end; copies that wait to be merged count too."""
        where = sql.within(start, end)
        found = self._ask(lambda pieces: self.sql.count(pieces.within(start, end), where))
        return int(found["readings"][0])

    # --------------------------------------------------------------------------------------- tidying

    def known(self, batch: Batch) -> Mask:
        """Say which rows are stored already."""
        with self._writing:
            number = self._lifts.numbers(batch)
        known = np.zeros(len(batch), np.bool_)
        if len(batch):
            late = to_arrow(Batch(batch.names, batch.lift, batch.at), number)
            first, last, lowest, highest = _span(late)
            near = f"{sql.within(first, last + 1)} AND lift BETWEEN {lowest} AND {highest}"
            late = late.append_column("row", pa.array(range(len(batch)), pa.int64()))
            pieces = self.pieces.within(first, last + 1, (lowest, highest))
            known[self.read(self.sql.known(pieces, sql.IDENTITY, near), late=late)["row"]] = True
        return known

    def note_newest(self, batch: Batch) -> None:
        """Bring what is newest of each lift's rows, sorted and each there once, to what is known of those before.

        So that neither a start nor `latest` has to look into files.
        """
        table = self.sql.newest_known
        lifts = np.unique(batch.lift)
        rows = self.read(
            self.sql.everything([Table(table, 0, None)], f"lift BETWEEN {lifts[0]} AND {lifts[-1]}", 'lift, "at"')
        )
        before = self.batch(batch.names, rows["lift"], rows)
        together = concat([before.take(np.isin(before.lift, lifts)), batch])
        merged, _, order = arrange(together, together.lift)
        newest = newest_cells(merged if order is None else merged.take(order))
        wanted = pa.table({"lift": pa.array(lifts, pa.int32())})
        with self.cursor() as writer, transaction(writer, {"wanted": wanted, "newest": to_arrow(newest, newest.lift)}):
            writer.execute(f"DELETE FROM {table} WHERE lift IN (SELECT lift FROM wanted)")  # noqa: S608
            writer.execute(f"INSERT INTO {table} BY NAME SELECT * FROM newest")  # noqa: S608

    def keep_since(self, now: int) -> int:
        """Give since when the table that takes new rows has been in use: now, when nobody has noted it before."""
        active = self.pieces.active
        if active.since is not None:
            return active.since
        with self.cursor() as writer, transaction(writer):
            writer.execute(
                "UPDATE tables SET since = ? WHERE kind = ? AND number = ?", [now, self.kind.name, active.number]
            )
        self.reload()
        return now

    def rotate(self, now: int) -> None:
        """Close the table that takes new rows and begin the next; raises Unavailable."""
        with self._writing:
            number = self.pieces.active.number + 1
            with transaction(self._writer):
                self._writer.execute(self.sql.create(pieces_of.table_name(self.kind, number)))
                self._writer.execute("INSERT INTO tables VALUES (?, ?, ?)", [self.kind.name, number, now])
            self.reload()

    def reload(self) -> None:
        """Read the list of pieces anew, after a transaction that changed it."""
        with self.cursor() as cursor:
            self.pieces = pieces_of.load(cursor, self.kind, self.folder)

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a connection of its own; raises Unavailable when DuckDB fails."""
        try:
            with self._database.cursor() as cursor:
                yield cursor
        except duckdb.Error as error:
            raise Unavailable(PART, error) from error

    def read(self, question: str, **tables: pa.Table) -> _Columns:
        """Put a question on a connection of its own, with Arrow tables in sight; raises Unavailable."""
        with self.cursor() as cursor:
            for name, table in tables.items():
                cursor.register(name, table)
            return cursor.execute(question).fetchnumpy()

    def batch(self, names: Sequence[str], lift: NDArray[Any], rows: _Columns) -> Batch:
        """Make a batch of columns of the database."""
        columns = {signal: _floats(rows[signal.name], signal) for signal in self.kind.signals}
        codes = None
        if self.kind.codes:
            codes = np.ma.filled(rows[sql.CODES].astype(np.int64), code_sets.NOT_REPORTED)
        return Batch(
            names,
            lift.astype(np.int32),
            rows["moment"].astype(np.int64, copy=False),
            {signal: values for signal, values in columns.items() if not np.isnan(values).all()},
            None if codes is None or (codes == code_sets.NOT_REPORTED).all() else codes,
        )

    def close(self) -> None:
        """Let go of the connection; everything is stored already."""
        with suppress(duckdb.Error):
            self._writer.close()

    # --------------------------------------------------------------------------------------- helpers

    def _prepare(self) -> Pieces:
        """Make what is missing in the database and on disk, and give the list of pieces."""
        do = self._writer.execute
        pieces_of.folder_of(self.folder, self.kind).mkdir(exist_ok=True)
        do(f"CREATE TABLE IF NOT EXISTS {self._lifts_table} (lift INTEGER NOT NULL, name VARCHAR NOT NULL)")
        for statement in pieces_of.CREATE:
            do(statement)
        if not do("SELECT 1 FROM tables WHERE kind = ?", [self.kind.name]).fetchall():
            do("INSERT INTO tables VALUES (?, 1, NULL)", [self.kind.name])
        pieces = pieces_of.load(self._writer, self.kind, self.folder)
        for name in (self.sql.newest_known, *(table.name for table in pieces.tables)):
            do(self.sql.create(name))
            there = do("SELECT column_name FROM duckdb_columns() WHERE table_name = ?", [name]).fetchall()
            for statement in self.sql.widen(name, [column for [column] in there]):
                do(statement)
        pieces_of.remove_strangers(self.folder, self.kind, pieces)
        return pieces

    def _ask(self, question: Callable[[Pieces], str], **tables: pa.Table) -> _Columns:
        """Put a question about the pieces as they are; again, should tidying have replaced one meanwhile."""
        for _ in range(_TRIES):
            pieces = self.pieces
            try:
                return self.read(question(pieces), **tables)
            except Unavailable:
                # The list may have changed in the database, and not yet here.
                self.reload()
                if self.pieces == pieces:
                    raise
        return self.read(question(self.pieces), **tables)

    def _everything(self, first: int, stop: int, pieces: Pieces) -> str:
        return self.sql.everything(pieces.within(first, stop), sql.within(first, stop), '"at", lift')

    def _of_lift(self, lift: str, signals: Sequence[Signal], first: int, stop: int, tail: str) -> _Columns:
        number = self._number(lift)
        where = f"lift = {number} AND {sql.within(first, stop)}"
        return self._ask(
            lambda pieces: self.sql.history(pieces.within(first, stop, (number, number)), signals, where, tail)
        )

    def _number(self, lift: str) -> int:
        number = self._lifts.number(lift)
        return -1 if number is None else number


@contextmanager
def transaction(writer: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table] | None = None) -> Iterator[None]:
    """Commit what the block does on a connection, with Arrow tables in sight, or undo it; raises Unavailable."""
    tables = tables or {}
    try:
        for name, table in tables.items():
            writer.register(name, table)
        writer.begin()
        yield
        writer.commit()
    except BaseException as error:
        with suppress(duckdb.Error):
            writer.rollback()
        if isinstance(error, duckdb.Error):
            raise Unavailable(PART, error) from error
        raise
    finally:
        with suppress(duckdb.Error):
            for name in tables:
                writer.unregister(name)


def to_arrow(batch: Batch, number: Slots) -> pa.Table:
    """Give rows as the database's columns: NaN as null, whole numbers as its narrow integers."""
    fields = {"lift": pa.array(number, pa.int32()), "at": pa.array(batch.at).view(pa.timestamp("us"))}
    for signal, values in batch.columns.items():
        fields[signal.name] = signal_to_arrow(signal, values)
    if batch.codes is not None:
        fields[sql.CODES] = codes_to_arrow(batch.codes)
    return pa.table(fields)


def once(batch: Batch) -> Batch:
    """Merge copies of rows that follow each other, the later one last."""
    again = (batch.at[1:] == batch.at[:-1]) & (batch.lift[1:] == batch.lift[:-1])
    return merge(batch, np.flatnonzero(np.concatenate([[True], ~again]))) if again.any() else batch


def _identity(table: pa.Table) -> tuple[Slots, Ints]:
    """Give the lift numbers and times of rows."""
    return table["lift"].to_numpy(), table["at"].cast(pa.int64()).to_numpy()


def _span(table: pa.Table) -> list[int]:
    """Give the first and last time and the lowest and highest lift number in a table."""
    at = table["at"].cast(pa.int64()).to_numpy()
    number = table["lift"].to_numpy()
    return [int(at.min()), int(at.max()), int(number.min()), int(number.max())]


def _history(signals: Sequence[Signal], rows: _Columns) -> History:
    """Make a history of one lift's rows in any order, copies of a row merged into one."""
    at, place = rows["moment"].astype(np.int64, copy=False), rows["place"]
    columns = {signal: _floats(rows[signal.name], signal) for signal in signals}
    # Files are sorted, and follow each other in time more often than not: mostly there is nothing to sort.
    if not ((at[1:] > at[:-1]) | ((at[1:] == at[:-1]) & (place[1:] > place[:-1]))).all():
        order = np.lexsort((place, at))
        at = at[order]
        columns = {signal: values[order] for signal, values in columns.items()}
    again = at[1:] == at[:-1]
    if again.any():
        starts = np.flatnonzero(np.concatenate([[True], ~again]))
        columns = {s: last_known(values, ~np.isnan(values), starts, np.nan) for s, values in columns.items()}
        at = at[starts]
    return History(at, columns)


def _floats(values: NDArray[Any], signal: Signal) -> Floats:
    """Turn a column of the database, masked where it is null, into floats with NaN there."""
    floats: Floats = np.ma.filled(values.astype(signal.dtype), np.nan)
    return floats
