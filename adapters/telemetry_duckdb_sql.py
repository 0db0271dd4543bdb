"""The SQL that the DuckDB telemetry store speaks, written from a kind's signals over its pieces.

Times go in and come out as µs since 1970; `at` is quoted because SQL has a word of that name.
"""
# ruff: noqa: S608 - only names of the catalogue, our own paths and whole numbers enter the text

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

import pyarrow as pa

from adapters.telemetry_duckdb_pieces import Run, Table
from adapters.telemetry_kinds import Kind
from lift.signals import Signal
from lift.wire.arrow import wire_type

CODES: Final = "message_codes"
IDENTITY: Final = ("lift", "at")
_SQL_TYPE: Final = {
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.float32(): "FLOAT",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
}


def moment(at: int) -> str:
    """Write a time."""
    return f"make_timestamp({at}::BIGINT)"


def within(start: int, end: int) -> str:
    """Write the condition start <= at < end."""
    return f'"at" >= {moment(start)} AND "at" < {moment(end)}'


def sources(pieces: Iterable[Run | Table]) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """Say where rows are read from, and the columns found there, None = all; files that are alike are read as one.

    Of copies of a row the later one is in a later place: runs of one rank hold no row twice.
    """

    def alike(piece: Run | Table) -> tuple[object, ...]:
        return (piece.name,) if isinstance(piece, Table) else (piece.rank, piece.columns)

    for _, group in groupby(pieces, key=alike):
        some = list(group)
        if isinstance(some[0], Table):
            yield some[0].name, None
        else:
            paths = ("'" + str(run.path).replace("'", "''") + "'" for run in some if isinstance(run, Run))
            yield f"read_parquet([{', '.join(paths)}])", some[0].columns


class Statements:
    """The statements of one kind's tables and files."""

    def __init__(self, kind: Kind) -> None:
        """Take the kind's columns."""
        self.arrow_types = {signal.name: wire_type(signal) for signal in kind.signals}
        if kind.codes:
            self.arrow_types[CODES] = pa.int64()
        self.columns = {name: _SQL_TYPE[sort] for name, sort in self.arrow_types.items()}
        self.newest_known = f"{kind.name}_latest"

    def create(self, table: str) -> str:
        """Make a table of rows."""
        columns = [f"{name} {sort}" for name, sort in self.columns.items()]
        identity = ["lift INTEGER NOT NULL", '"at" TIMESTAMP NOT NULL']
        return f"CREATE TABLE IF NOT EXISTS {table} ({', '.join([*identity, *columns])})"

    def widen(self, table: str, there: Iterable[str]) -> list[str]:
        """Give a table that exists the signals that are new in the catalogue."""
        missing = {name: sort for name, sort in self.columns.items() if name not in set(there)}
        return [f"ALTER TABLE {table} ADD COLUMN {name} {sort}" for name, sort in missing.items()]

    def rows(self, pieces: Iterable[Run | Table], columns: Iterable[str], where: str) -> str:
        """Put pieces together; `place` says which piece a row comes from, the later copy having the higher one."""
        columns = list(columns)
        return " UNION ALL ".join(
            f'SELECT {place} AS place, lift, "at", {self._of(there, columns)} FROM {source} WHERE {where}'
            for place, (source, there) in enumerate(sources(pieces))
        )

    def history(self, pieces: Iterable[Run | Table], signals: Sequence[Signal], where: str, tail: str) -> str:
        """Ask for rows that report one of some signals: place, moment and the signals."""
        names = ", ".join(signal.name for signal in signals)
        reported = " OR ".join(f"{signal.name} IS NOT NULL" for signal in signals)
        rows = self.rows(pieces, [signal.name for signal in signals], where)
        return f'SELECT place, epoch_us("at") AS moment, {names} FROM ({rows}) WHERE {reported} {tail}'

    def everything(self, pieces: Iterable[Run | Table], where: str, order: str) -> str:
        """Ask for rows with all their columns."""
        names = ", ".join(self.columns)
        return (
            f'SELECT lift, epoch_us("at") AS moment, {names} FROM ({self.rows(pieces, self.columns, where)}) '
            f"ORDER BY {order}, place"
        )

    def count(self, pieces: Iterable[Run | Table], where: str) -> str:
        """Count rows."""
        some = " UNION ALL ".join(f"SELECT count(*) AS n FROM {source} WHERE {where}" for source, _ in sources(pieces))
        return f"SELECT sum(n) AS readings FROM ({some})"

    def latest(self, tables: Sequence[Table], since: int) -> str:
        """Ask for the newest known values of the lifts in `wanted`, in the order of their positions."""
        known = Table(self.newest_known, 0, None)
        rows = self.rows(
            [known, *tables], self.columns, f'"at" >= {moment(since)} AND lift IN (SELECT lift FROM wanted)'
        )
        # Of copies of a reading the later one counts.
        values = ", ".join(f'arg_max({name}, epoch_us("at") * 256 + place) AS {name}' for name in self.columns)
        return (
            f'SELECT any_value(position) AS position, epoch_us(max("at")) AS moment, {values} '
            f"FROM ({rows}) JOIN wanted USING (lift) GROUP BY lift ORDER BY position"
        )

    def newest(self, tables: Sequence[Table]) -> str:
        """Ask for the time of each lift's newest row."""
        names = [self.newest_known, *(table.name for table in tables)]
        rows = " UNION ALL ".join(f'SELECT lift, "at" FROM {name}' for name in names)
        return f'SELECT lift, epoch_us(max("at")) AS moment FROM ({rows}) GROUP BY lift'

    def bounds(self, tables: Sequence[Table], lift: int) -> str:
        """Ask from when to when the tables have rows of a lift."""
        rows = " UNION ALL ".join(f'SELECT "at" FROM {table.name} WHERE lift = {lift}' for table in tables)
        return (
            f'SELECT count(*) AS readings, epoch_us(min("at")) AS lowest, epoch_us(max("at")) AS highest FROM ({rows})'
        )

    def known(self, pieces: Sequence[Run | Table], columns: Sequence[str], where: str) -> str:
        """Ask which rows of `late` are stored: whether in the last piece, and whether they say anything new."""
        told = [name for name in columns if name not in IDENTITY]
        rows = self.rows(pieces, told, where) if told else self.rows(pieces, list(self.columns)[:1], where)
        news = " OR ".join(
            f"(any_value(late.{name}) IS NOT NULL AND any_value(late.{name}) IS DISTINCT FROM "
            f"arg_max(stored.{name}, place))"
            for name in told
        )
        last = len(list(sources(pieces))) - 1
        return (
            f"SELECT late.row AS row, max(place) = {last} AS ours, ({news or 'FALSE'}) AS news "
            f'FROM ({rows}) AS stored JOIN late USING (lift, "at") GROUP BY late.row'
        )

    def update(self, table: str, columns: Sequence[str], where: str) -> str:
        """Fill a second copy's values in."""
        told = [name for name in columns if name not in IDENTITY]
        values = ", ".join(f"{name} = coalesce(again.{name}, {table}.{name})" for name in told)
        return (
            f"UPDATE {table} SET {values} FROM again "
            f'WHERE {table}.lift = again.lift AND {table}."at" = again."at" AND {where}'
        )

    def _of(self, there: tuple[str, ...] | None, columns: Sequence[str]) -> str:
        """Name columns; a file that is older than a signal has none of it."""
        if there is None:
            return ", ".join(columns)
        return ", ".join(name if name in there else f"NULL::{self.columns[name]} AS {name}" for name in columns)
