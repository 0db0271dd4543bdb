"""A batch's columns as stores keep them: NaN becomes null, whole signals become integers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from lift import codes as code_sets
from lift.batch import Floats, Ints
from lift.errors import Invalid
from lift.signals import Signal
from lift.wire.arrow import wire_type


def signal_to_arrow(signal: Signal, values: Floats) -> pa.Array:
    """Give a signal's values in its narrowest exact type; raises Invalid for what it cannot hold, like half a door."""
    missing = np.isnan(values)
    some_missing = bool(missing.any())
    kept = np.where(missing, 0, values) if some_missing else values
    with np.errstate(invalid="ignore", over="ignore"):
        narrow = kept.astype(wire_type(signal).to_pandas_dtype(), copy=False)
    if signal.whole and not np.array_equal(narrow, kept):
        wrong = kept[narrow != kept][0]
        raise Invalid(signal.name, f"{wrong:g} is not a whole number from {signal.low:g} to {signal.high:g}")
    return pa.array(narrow, mask=missing if some_missing else None)


def codes_to_arrow(sets: Ints) -> pa.Array:
    """Give sets of message codes, null where they are not reported."""
    return pa.array(sets, mask=sets == code_sets.NOT_REPORTED)
