"""History on its way out: what was asked for, read from text, and columns written as JSON."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson

from lift.batch import Floats, Ints
from lift.errors import Invalid
from lift.ports import History
from lift.signals import BY_NAME, Signal

MEDIA_TYPE: Final = "application/json"
CSV_TYPE: Final = "text/csv"
# Values in one answer; about 10 MB of JSON.
VALUES_MAX: Final = 1_000_000

# How the API's document describes a history.
COLUMNS: Final[dict[str, Any]] = {
    "lift": {"type": "string"},
    "at": {"type": "array", "items": {"type": "string", "format": "date-time"}},
    "signals": {
        "type": "object",
        "additionalProperties": {"type": "array", "items": {"type": ["number", "null"]}},
    },
}

_RESOLUTION: Final = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d)")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RESOLUTION_S_MAX: Final = 31 * 86400


def parse_signals(text: str, catalogue: Mapping[str, Signal] = BY_NAME) -> list[Signal]:
    """Read names of signals separated by commas; raises Invalid naming one that is not in the catalogue."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise Invalid("signals", "name at least one signal; /v1/catalogue lists them")
    for name in names:
        if name not in catalogue:
            raise Invalid("signals", f"{name[:40]!r} is no signal; /v1/catalogue lists them")
    return [catalogue[name] for name in names]


def parse_resolution(text: str | None) -> int | None:
    """Read the length of a step as µs; raises Invalid.

    >>> parse_resolution("5m"), parse_resolution(None)
    (300000000, None)
    """
    if text is None:
        return None
    found = _RESOLUTION.fullmatch(text)
    step_s = int(found[1]) * _UNIT_S[found[2]] if found else 0
    if not 1 <= step_s <= _RESOLUTION_S_MAX:
        raise Invalid("resolution", f"{text!r} is not a number with s, m, h or d, like 10s, 5m or 1h; at most 31d")
    return step_s * 1_000_000


def wants_csv(chosen: str | None, accept: str | None) -> bool:
    """Say from the query and the Accept header whether the answer is to be CSV; the query counts.

    >>> wants_csv(None, "text/csv, */*;q=0.1"), wants_csv("json", "text/csv"), wants_csv(None, None)
    (True, False, False)
    """
    if chosen is not None:
        return chosen == "csv"
    kinds = [part.partition(";")[0].strip() for part in (accept or "").split(",")]
    return CSV_TYPE in kinds and MEDIA_TYPE not in kinds[: kinds.index(CSV_TYPE)]


def to_csv(lift: str, signals: Sequence[Signal], history: History) -> bytes:
    r"""Write a history as CSV (RFC 4180): a heading, a row a time, an empty field for what was not reported.

    >>> to_csv("063577", [], History(np.array([0], np.int64), {}))
    b'lift,at\r\n063577,1970-01-01T00:00:00.000000Z\r\n'
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["lift", "at", *(signal.name for signal in signals)])
    columns = [_texts(signal, history.columns[signal]) for signal in signals]
    writer.writerows([lift, at, *row] for at, *row in zip(moments(history.at), *columns, strict=True))
    return text.getvalue().encode()


def encode(lift: str, signals: Sequence[Signal], history: History, **more: object) -> bytes:
    """Write a history as JSON, with further members; raises Invalid when it holds more values than one answer may."""
    rows = len(history.at)
    if rows * len(signals) > VALUES_MAX:
        raise Invalid(
            "resolution",
            f"{rows} times and {len(signals)} signals are more than {VALUES_MAX} values; ask for a coarser "
            "resolution, fewer signals or a shorter time",
        )
    columns = {signal.name: _column(signal, history.columns.get(signal), rows) for signal in signals}
    return orjson.dumps(
        {"lift": lift, "at": moments(history.at), "signals": columns, **more}, option=orjson.OPT_SERIALIZE_NUMPY
    )


def moments(at: Ints) -> list[str]:
    """Spell times in µs since 1970 UTC as RFC 3339.

    >>> moments(np.array([0], np.int64))
    ['1970-01-01T00:00:00.000000Z']
    """
    text: list[str] = np.datetime_as_string(at.astype("datetime64[us]"), unit="us").tolist()
    return [f"{moment}Z" for moment in text]


def _texts(signal: Signal, values: Floats) -> list[str]:
    # Through a 32-bit number's own text, so that 0.1 is 0.1 and not 0.10000000149.
    texts = [str(int(value)) if signal.whole else str(value) for value in np.nan_to_num(values)]
    return ["" if missing else text for missing, text in zip(np.isnan(values).tolist(), texts, strict=True)]


def _column(signal: Signal, values: Floats | None, rows: int) -> Floats | list[int | None]:
    """Give a column as JSON knows it: NaN becomes null, and flags and counts are whole numbers."""
    if values is None:
        return np.full(rows, np.nan)
    if signal.whole:
        return [None if value != value else int(value) for value in values.tolist()]  # noqa: PLR0124 - NaN
    return np.ascontiguousarray(values)
