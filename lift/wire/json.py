"""JSON: one reading as an object, several as an array, or numbered as {"epoch", "seq", "readings"}.

`at` is RFC 3339 text with its offset, or epoch milliseconds. Unknown fields are counted, not refused: a
vendor may send more than we use, but a misspelt name must show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any, Final

import numpy as np
import orjson

from lift import codes as code_sets
from lift.batch import Batch, Floats, Ints
from lift.errors import BadFrame
from lift.signals import BY_NAME, Signal
from lift.wire import READINGS_MAX, SHOWN_CHARACTERS_MAX, UNKNOWN_FIELDS_MAX, Frame, Refusals, Stamp, shown
from lift.wire.arrow import code_set, make_stamp

_NUMBERS: Final = frozenset({int, float, bool, type(None)})
# Rows of more layouts are no longer turned over layout by layout.
_LAYOUTS_MAX: Final = 100
_ALWAYS_KNOWN: Final = frozenset({"lift", "at", "message_codes"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AT_MS_MAX: Final = 253_402_300_800_000  # the year 10000


def encode(batch: Batch, stamp: Stamp | None = None) -> bytes:
    """Write a batch as JSON with times in RFC 3339; numbered when a stamp is given."""
    rows = [{**row, "at": rfc3339(row["at"])} for row in batch.rows()]
    return orjson.dumps(
        rows if stamp is None else {"epoch": stamp.epoch, "seq": stamp.seq, "readings": rows},
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def stamp(payload: bytes) -> Stamp | None:
    """Give a message's number without looking at its readings, None when it has none that can be read."""
    try:
        body = orjson.loads(payload)
        return make_stamp(body.get("epoch"), body.get("seq")) if isinstance(body, dict) else None
    except (orjson.JSONDecodeError, BadFrame):
        return None


def decode(payload: bytes, catalogue: Mapping[str, Signal] = BY_NAME) -> Frame:
    """Read one JSON message of a catalogue's fields; raises BadFrame when it is not JSON of one of the three shapes."""
    rows, stamp = parse(payload)
    return frame(rows, stamp, catalogue)


def parse(payload: bytes) -> tuple[list[Any], Stamp | None]:
    """Read the text and find the readings in it, not yet looking inside them; raises BadFrame."""
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise BadFrame("payload", f"not JSON: {error}") from error
    stamp = None
    if isinstance(body, dict):
        if "readings" in body:
            if "epoch" in body or "seq" in body:
                stamp = make_stamp(body.get("epoch"), body.get("seq"))
            body = body["readings"]
        else:
            body = [body]
    if not isinstance(body, list):
        raise BadFrame("payload", f"must be a reading, a list of readings or hold `readings`; got {shown(body)}")
    if len(body) > READINGS_MAX:
        raise BadFrame("payload", f"{len(body)} readings in one message, at most {READINGS_MAX} accepted")
    return body, stamp


def frame(
    rows: Sequence[Any],
    stamp: Stamp | None = None,
    catalogue: Mapping[str, Signal] = BY_NAME,
    *,
    origin: Sequence[int] | None = None,
) -> Frame:
    """Turn parsed readings into columns, refusing what is not of the catalogue's types.

    `origin[i]` is the number of the message that row i came in, where rows of several are decoded together.
    """
    refusals = Refusals(origin)
    good, at = _identified(rows, refusals)
    fields, unknown, odd = _by_field([rows[i] for i in good], catalogue)
    lifts: list[str] = fields.get("lift", [])
    slot = {name: position for position, name in enumerate(dict.fromkeys(lifts))}
    columns = {
        signal: _floats(signal, fields[signal.name], good, refusals)
        for signal in catalogue.values()
        if signal.name in fields
    }
    batch = Batch(
        list(slot),
        np.array([slot[lift] for lift in lifts], np.int32),
        np.array(at, np.int64),
        columns,
        _codes(fields["message_codes"], good, refusals) if "message_codes" in fields else None,
    )
    return Frame(
        batch=batch,
        stamp=stamp,
        refusals=tuple(refusals.told),
        unknown_fields=tuple(sorted(name[:SHOWN_CHARACTERS_MAX] for name in unknown)),
        unknown_in=frozenset(0 if origin is None else origin[good[i]] for i in odd),
        rows=np.array(good, np.int64),
        lost=len(rows) - len(good),
        more=refusals.more,
    )


def rfc3339(at: int) -> str:
    """Spell µs since 1970 UTC as RFC 3339 text.

    >>> rfc3339(1_795_000_000_000_000)
    '2026-11-18T11:06:40.000000Z'
    """
    moment = datetime.fromtimestamp(at // 1_000_000, UTC).replace(microsecond=at % 1_000_000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(value: object) -> int:
    """Read RFC 3339 text or epoch milliseconds as µs since 1970 UTC; raises ValueError."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            message = f"{shown(value)} is not RFC 3339 with an offset, like 2026-11-23T08:00:00Z"
            raise ValueError(message)
        since = moment - _EPOCH
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if type(value) in (int, float) and 0 <= value < _AT_MS_MAX:  # type: ignore[operator]
        return round(value * 1000)  # type: ignore[operator]
    message = f"{shown(value)} is neither RFC 3339 text nor epoch milliseconds"
    raise ValueError(message)


def _identified(rows: Sequence[Any], refusals: Refusals) -> tuple[list[int], list[int]]:
    """Find the readings that say which lift and when: their row numbers and times."""
    good: list[int] = []
    times: list[int] = []
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            refusals.add(i, "reading", partial(_wrong, "must be an object", row), lost=True)
            continue
        lift = row.get("lift")
        if not isinstance(lift, str) or not lift:
            refusals.add(i, "lift", partial(_wrong, "must be the lift's code as text", lift), lost=True)
            continue
        try:
            at = parse_time(row.get("at"))
        except (ValueError, OverflowError) as error:
            refusals.add(i, "at", partial(str, error if "at" in row else "is missing"), lost=True)
            continue
        good.append(i)
        times.append(at)
    return good, times


def _wrong(accepted: str, value: object) -> str:
    return "is missing" if value is None else f"{accepted}; got {shown(value)}"


def _by_field(
    rows: Sequence[dict[str, Any]], catalogue: Mapping[str, Signal]
) -> tuple[dict[str, list[Any]], list[str], list[int]]:
    """Turn rows into one list of values a field of the catalogue, None where a row lacks it.

    Terminals of one make send the same fields in the same order, and such rows turn over in one go. Fields outside
    the catalogue get no list, since rows with a name of their own each would need as many lists as there are rows:
    of those the first few names are given, and which rows have such.
    """
    known = catalogue.keys() | _ALWAYS_KNOWN
    alike: dict[tuple[str, ...], list[int]] = {}
    for i, row in enumerate(rows):
        alike.setdefault(tuple(row), []).append(i)
    unknown: dict[str, None] = {}
    odd: list[int] = []
    for names, positions in alike.items():
        if extra := [name for name in names if name not in known]:
            unknown |= dict.fromkeys(extra[: UNKNOWN_FIELDS_MAX - len(unknown)])
            odd += positions
    if len(alike) == 1:
        ((names, _),) = alike.items()
        values = zip(*map(dict.values, rows), strict=True)
        return (
            {name: list(column) for name, column in zip(names, values, strict=True) if name in known},
            [*unknown],
            odd,
        )
    reported = [name for name in dict.fromkeys(chain.from_iterable(alike)) if name in known]
    if len(alike) > _LAYOUTS_MAX:
        return {name: [row.get(name) for row in rows] for name in reported}, [*unknown], odd
    found: dict[str, list[Any]] = {name: [None] * len(rows) for name in reported}
    for names, positions in alike.items():
        turned = zip(*(rows[i].values() for i in positions), strict=True)
        for name, told in zip(names, turned, strict=True):
            if (into := found.get(name)) is not None:
                for i, value in zip(positions, told, strict=True):
                    into[i] = value
    return found, [*unknown], odd


def _floats(signal: Signal, values: list[Any], rows: list[int], refusals: Refusals) -> Floats:
    if not set(map(type, values)) <= _NUMBERS:
        for i, value in enumerate(values):
            if type(value) not in _NUMBERS:
                refusals.add(rows[i], signal.name, partial(_wrong, "must be a number", value))
                values[i] = None
    # What is too large for the narrower type becomes infinite, and is out of every signal's range.
    with np.errstate(over="ignore"):
        return np.array(values, np.float64).astype(signal.dtype)


def _codes(values: list[Any], rows: list[int], refusals: Refusals) -> Ints:
    sets = np.full(len(values), code_sets.NOT_REPORTED, np.int64)
    for i, numbers in enumerate(values):
        if isinstance(numbers, list):
            sets[i] = code_set(rows[i], numbers, refusals) if numbers else 0
        elif numbers is not None:
            refusals.add(rows[i], "message_codes", partial(_wrong, "must be a list of numbers", numbers))
    return sets
