"""The SQL that the DuckDB telemetry store speaks, written from the signal catalogue.

Times go in and come out as µs since 1970; `at` is quoted because SQL has a word of that name.
"""
# ruff: noqa: S608 - only names of the catalogue and our own constants enter the text; values are parameters

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from adapters.telemetry_kinds import Kind
from adapters.telemetry_limits import READ_ROWS_MAX
from lift.signals import Signal
from lift.wire.arrow import wire_type

CODES: Final = "message_codes"
_SQL_TYPE: Final = {
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
}
IDENTITY: Final = ("lift", "at")
_WITHIN: Final = '"at" >= make_timestamp(?::BIGINT) AND "at" < make_timestamp(?::BIGINT)'


class Statements:
    """The statements of one kind's table."""

    def __init__(self, kind: Kind) -> None:
        """Write those that are the same every time."""
        self._table = table = kind.name
        self.columns = {signal.name: _SQL_TYPE[wire_type(signal)] for signal in kind.signals}
        if kind.codes:
            self.columns |= {CODES: "BIGINT"}
        self.create = f'CREATE TABLE IF NOT EXISTS {table} (lift INTEGER NOT NULL, "at" TIMESTAMP NOT NULL)'
        # Also how a signal that is new in the catalogue enters a database that is older.
        self.widen = [
            f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {name} {sort}" for name, sort in self.columns.items()
        ]
        self.insert = f"INSERT INTO {table} BY NAME SELECT * FROM incoming"
        self.newest = f'SELECT lift, epoch_us(max("at")) AS moment FROM {table} GROUP BY lift'
        self.count = f"SELECT count(*) AS readings FROM {table} WHERE {_WITHIN}"
        everything = ", ".join(self.columns)
        self.replay = (
            f'SELECT lift, epoch_us("at") AS moment, {everything} FROM {table} WHERE {_WITHIN} ORDER BY "at", lift'
        )
        self.latest = (
            'SELECT any_value(position) AS position, epoch_us(max("at")) AS moment, '
            + ", ".join(f'arg_max({name}, "at") AS {name}' for name in self.columns)
            + f' FROM {table} JOIN wanted USING (lift) WHERE "at" >= make_timestamp(?::BIGINT) '
            "GROUP BY lift ORDER BY position"
        )
        # A late reading lies in a known span of time and of lifts, outside which DuckDB need not look.
        self._near = (
            f'{table}."at" BETWEEN make_timestamp(?::BIGINT) AND make_timestamp(?::BIGINT) '
            f"AND {table}.lift BETWEEN ? AND ?"
        )
        self.known = f'SELECT late.row AS row FROM {table} JOIN late USING (lift, "at") WHERE {self._near}'

    def history(self, signals: Sequence[Signal], resolution_us: int | None) -> str:
        """Ask for one lift's past: parameters lift, start, end."""
        where = self._of_lift(signals)
        limit = f"ORDER BY moment LIMIT {READ_ROWS_MAX + 1}"
        if resolution_us is None:
            return f'SELECT epoch_us("at") AS moment, {_names(signals)} FROM {self._table} WHERE {where} {limit}'
        step = f'epoch_us("at") // {resolution_us} * {resolution_us}'
        values = [
            f'arg_max({signal.name}, "at") AS {signal.name}' if signal.whole else f"avg({signal.name}) AS {signal.name}"
            for signal in signals
        ]
        return f"SELECT {step} AS moment, {', '.join(values)} FROM {self._table} WHERE {where} GROUP BY moment {limit}"

    def newest_of(self, signals: Sequence[Signal]) -> str:
        """Ask for one lift's newest rows, newest first: parameters lift, start, end, most."""
        return (
            f'SELECT epoch_us("at") AS moment, {_names(signals)} FROM {self._table} WHERE {self._of_lift(signals)} '
            "ORDER BY moment DESC LIMIT ?"
        )

    def update(self, columns: Sequence[str]) -> str:
        """Fill a second copy's values in; DuckDB itself leaves alone what they do not change."""
        table = self._table
        values = ", ".join(
            f"{name} = coalesce(again.{name}, {table}.{name})" for name in columns if name not in IDENTITY
        )
        return (
            f"UPDATE {table} SET {values} FROM again "
            f'WHERE {table}.lift = again.lift AND {table}."at" = again."at" AND {self._near}'
        )

    def _of_lift(self, signals: Sequence[Signal]) -> str:
        return f"lift = ? AND {_WITHIN} AND ({' OR '.join(f'{signal.name} IS NOT NULL' for signal in signals)})"


def _names(signals: Sequence[Signal]) -> str:
    return ", ".join(signal.name for signal in signals)
