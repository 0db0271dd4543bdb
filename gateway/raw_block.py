"""A block of raw acceleration: what a sensor in one car sampled without a break, checked before anything keeps it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from gateway.ride import RATE_HZ_MIN
from lift.batch import Floats
from lift.errors import Invalid

RATE_HZ_MAX: Final = 4_096.0
# A trip lasts no longer: 600 m at 4 m/s.
BLOCK_S_MAX: Final = 180.0
# Sensors for cars end at ±16 g; what is larger is in other units, or no acceleration.
SIZE_MAX: Final = 200.0
_AXES: Final = 3


class RawBlock(NamedTuple):
    """Samples of one lift's car: `acceleration` is n × 3 in m/s², x and y horizontal, z vertical.

    The first was taken at `at_first` (µs since 1970 UTC, by the clock of the lift's readings), the others follow at
    `rate_hz`. One in which a sample is missing is two blocks.
    """

    lift: str
    at_first: int
    rate_hz: float
    acceleration: Floats


def check(block: RawBlock) -> None:
    """Raise Invalid for a rate outside 256 to 4,096 Hz, another shape, more than 180 s, or a sample over 200 m/s²."""
    lift, _, rate_hz, axes = block
    if not RATE_HZ_MIN <= rate_hz <= RATE_HZ_MAX:
        raise Invalid("rate_hz", f"{rate_hz:g} of lift {lift} is outside {RATE_HZ_MIN:g} to {RATE_HZ_MAX:g}")
    if axes.ndim != 2 or axes.shape[1] != _AXES:  # noqa: PLR2004 - samples by axes
        raise Invalid("acceleration", f"of lift {lift} has the shape {axes.shape}, not samples × {_AXES}")
    if len(axes) > BLOCK_S_MAX * rate_hz:
        raise Invalid("acceleration", f"a block of lift {lift} is longer than {BLOCK_S_MAX:g} s")
    # Also False for what is not a number.
    good = np.abs(axes) <= SIZE_MAX
    if not good.all():
        sample, axis = (int(first[0]) for first in np.nonzero(~good))
        shown = f"{float(axes[sample, axis]):g}"
        raise Invalid("acceleration", f"sample {sample} of lift {lift} has {shown}: not within ±{SIZE_MAX:g} m/s²")
