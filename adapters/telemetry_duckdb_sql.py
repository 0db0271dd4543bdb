"""The SQL that the DuckDB telemetry store speaks, written from the signal catalogue.

Times go in and come out as µs since 1970; `at` is quoted because SQL has a word of that name.
"""
# ruff: noqa: S608 - only names of the catalogue and our own constants enter the text; values are parameters

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from adapters.telemetry_limits import READ_ROWS_MAX
from lift.signals import SIGNALS, Signal
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
COLUMNS: Final = {signal.name: _SQL_TYPE[wire_type(signal)] for signal in SIGNALS} | {CODES: "BIGINT"}

_WITHIN: Final = '"at" >= make_timestamp(?::BIGINT) AND "at" < make_timestamp(?::BIGINT)'
COUNT: Final = f"SELECT count(*) AS readings FROM telemetry WHERE {_WITHIN}"
REPLAY: Final = (
    f'SELECT lift, epoch_us("at") AS moment, {", ".join(COLUMNS)} FROM telemetry WHERE {_WITHIN} ORDER BY "at", lift'
)
LATEST: Final = (
    'SELECT any_value(position) AS position, epoch_us(max("at")) AS moment, '
    + ", ".join(f'arg_max({name}, "at") AS {name}' for name in COLUMNS)
    + ' FROM telemetry JOIN wanted USING (lift) WHERE "at" >= make_timestamp(?::BIGINT) GROUP BY lift ORDER BY position'
)
# A late reading lies in a known span of time and of lifts, outside which DuckDB need not look.
_NEAR: Final = (
    'telemetry."at" BETWEEN make_timestamp(?::BIGINT) AND make_timestamp(?::BIGINT) AND telemetry.lift BETWEEN ? AND ?'
)
KNOWN: Final = f'SELECT late.row AS row FROM telemetry JOIN late USING (lift, "at") WHERE {_NEAR}'


def history(signals: Sequence[Signal], resolution_us: int | None) -> str:
    """Ask for one lift's past: parameters lift, start, end."""
    names = [signal.name for signal in signals]
    where = f"lift = ? AND {_WITHIN} AND ({' OR '.join(f'{name} IS NOT NULL' for name in names)})"
    limit = f"ORDER BY moment LIMIT {READ_ROWS_MAX + 1}"
    if resolution_us is None:
        return f'SELECT epoch_us("at") AS moment, {", ".join(names)} FROM telemetry WHERE {where} {limit}'
    step = f'epoch_us("at") // {resolution_us} * {resolution_us}'
    values = [
        f'arg_max({signal.name}, "at") AS {signal.name}' if signal.whole else f"avg({signal.name}) AS {signal.name}"
        for signal in signals
    ]
    return f"SELECT {step} AS moment, {', '.join(values)} FROM telemetry WHERE {where} GROUP BY moment {limit}"


def update(columns: Sequence[str]) -> str:
    """Fill a second copy's values in; DuckDB itself leaves alone what they do not change."""
    values = ", ".join(f"{name} = coalesce(again.{name}, telemetry.{name})" for name in columns if name not in IDENTITY)
    return (
        f"UPDATE telemetry SET {values} FROM again "
        f'WHERE telemetry.lift = again.lift AND telemetry."at" = again."at" AND {_NEAR}'
    )
