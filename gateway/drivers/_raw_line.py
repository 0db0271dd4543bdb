"""A JSON line of raw acceleration: {"lift": "063577", "at": …, "rate_hz": 256, "acceleration": [[x, y, z], …]}.

`at` is when the first sample was taken, as readings say it; x, y, z are in m/s². It is a line and never a message: the
platform is not sent raw acceleration, and its decoder of readings does not know it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from gateway.raw_block import RawBlock
from lift.batch import Floats
from lift.errors import BadFrame
from lift.wire import SHOWN_CHARACTERS_MAX, UNKNOWN_FIELDS_MAX, json, shown

# What a line of raw acceleration holds, and hardly any other.
MARK: Final = b'"acceleration"'
_FIELDS: Final = frozenset({"lift", "at", "rate_hz", "acceleration"})
_AXES: Final = 3


class RawLine(NamedTuple):
    """What was read: the block, not yet checked beyond its types, and the first fields that have no place in it."""

    block: RawBlock
    unknown_fields: list[str]


def parse(line: bytes) -> RawLine | None:
    """Read a line of raw acceleration; None when it is something else. Raises BadFrame, naming the field."""
    try:
        body = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadFrame("payload", f"not JSON: {error}") from error
    if not isinstance(body, dict) or "acceleration" not in body:
        return None
    lift, rate_hz = body.get("lift"), body.get("rate_hz")
    if not isinstance(lift, str) or not lift:
        raise BadFrame("lift", _wrong("the lift's code as text", lift))
    if not isinstance(rate_hz, int | float) or isinstance(rate_hz, bool):
        raise BadFrame("rate_hz", _wrong("samples a second as a number", rate_hz))
    try:
        at = json.parse_time(body.get("at"))
    except (ValueError, OverflowError) as error:
        raise BadFrame("at", str(error) if "at" in body else "is missing") from error
    unknown = [name[:SHOWN_CHARACTERS_MAX] for name in body if name not in _FIELDS][:UNKNOWN_FIELDS_MAX]
    return RawLine(RawBlock(lift, at, rate_hz, _samples(body["acceleration"])), unknown)


def _samples(value: object) -> Floats:
    """Make an array of a list of [x, y, z]."""
    if not isinstance(value, list):
        raise BadFrame("acceleration", _wrong("a list of [x, y, z] in m/s²", value))
    try:
        axes = np.array(value or np.empty((0, _AXES)))
    except (ValueError, OverflowError):
        axes = np.empty(0, np.object_)
    if axes.dtype.kind in "iuf" and axes.ndim == 2 and axes.shape[1] == _AXES:  # noqa: PLR2004 - samples by axes
        return axes.astype(np.float64)
    sample = next((i for i, one in enumerate(value) if not _is_sample(one)), 0)
    raise BadFrame("acceleration", f"sample {sample}: {_wrong('[x, y, z] in m/s²', value[sample])}")


def _is_sample(one: Any) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(one, list) and len(one) == _AXES and all(type(axis) in (int, float) for axis in one)


def _wrong(accepted: str, value: object) -> str:
    return "is missing" if value is None else f"must be {accepted}; got {shown(value)}"
