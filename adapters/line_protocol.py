"""InfluxDB's line protocol, written column by column: a hundred times as fast as one object a point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from adapters.telemetry_columns import codes_to_arrow, signal_to_arrow
from lift.batch import Batch
from lift.errors import Invalid
from lift.signals import Signal

CODES: Final = "message_codes"
# Says that there is a reading at all: a point needs a field, and one that every reading has is quick to count.
READING: Final = "reading"

_ESCAPED: Final = r"([,= ])"
# What line protocol has no way to write in a tag, or reads as something else.
_FORBIDDEN: Final = r"[\\\x00-\x1f\x7f]"


def requests(measurement: str, batch: Batch, *, lines: int) -> Iterator[bytes]:
    """Write a batch as texts of at most `lines` lines of a measurement, a reading a line, times in µs.

    Floats are written so that they read back the same; whole signals and sets of codes are integer fields; what is
    missing is left out. Raises Invalid, before the first text, when a lift's name or a value cannot be written.
    """
    parts = [_heads(measurement, batch)]
    parts += [_field(signal.name, _text(signal, batch)) for signal in batch.columns]
    if batch.codes is not None:
        parts.append(_field(CODES, _whole(codes_to_arrow(batch.codes))))
    moments = pc.binary_join_element_wise(" ", pa.array(batch.at).cast(pa.string()), "\n", "")
    for first in range(0, len(batch), lines):
        some = [part.slice(first, lines) for part in (*parts, moments)]
        yield _bytes(pc.binary_join_element_wise(*some, "", null_handling="replace", null_replacement=""))


def _heads(measurement: str, batch: Batch) -> pa.Array:
    """Write each reading's measurement, lift and first field."""
    used, which = np.unique(batch.lift, return_inverse=True)
    names = pa.array([batch.names[slot] for slot in used], pa.string())
    bad = pc.or_(pc.match_substring_regex(names, _FORBIDDEN), pc.equal(names, ""))
    if pc.any(bad).as_py():
        raise Invalid("lift", f"{names.filter(bad)[0].as_py()!r} is empty or has characters that InfluxDB cannot keep")
    tags = pc.replace_substring_regex(names, _ESCAPED, r"\\\1")
    heads = pc.binary_join_element_wise(f"{measurement},lift=", tags, f" {READING}=t", "")
    return heads.take(pa.array(which))


def _text(signal: Signal, batch: Batch) -> pa.Array:
    values = signal_to_arrow(signal, batch.columns[signal])
    if signal.whole:
        return _whole(values)
    if pc.any(pc.is_inf(values)).as_py():
        raise Invalid(signal.name, "is infinite in a reading")
    return values.cast(pa.string())


def _whole(values: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(values.cast(pa.string()), "i", "")


def _field(name: str, text: pa.Array) -> pa.Array:
    """Put a field's name before its values; null stays null, and is then left out of the line."""
    return pc.binary_join_element_wise(f",{name}=", text, "")


def _bytes(lines: pa.Array) -> bytes:
    """Give the lines' text as it lies in memory, one after the other."""
    # Arrow's string array is its offsets (int32) and then all characters in one piece.
    _, offsets, characters = lines.buffers()
    ends = np.frombuffer(offsets, np.int32)[lines.offset : lines.offset + len(lines) + 1]
    text: bytes = characters.slice(int(ends[0]), int(ends[-1] - ends[0])).to_pybytes()
    return text
