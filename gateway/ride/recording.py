"""A raw recording: what is accepted, and the vertical acceleration without gravity."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np

from lift.batch import Floats
from lift.errors import Invalid

# Half of it must lie above the 80 Hz to which ISO 8041 specifies the weightings, with room for a real filter.
RATE_HZ_MIN: Final = 256.0
# Beyond this a rate is a mistake of units; it also bounds the work for one trip.
RATE_HZ_MAX: Final = 16_384.0
# The shortest trip of a lift, one low storey, takes about 4 s.
SECONDS_MIN: Final = 3.0
G: Final = 9.80665
# A calibrated sensor is off by far less, and nothing but gravity is larger on average over a trip from rest to rest.
_BIAS_MAX: Final = 0.5
_AXES: Final = 3


class Gravity(StrEnum):
    """What the mean of z says: gravity was taken out by the sensor, is in the signal, or is in it upside down."""

    REMOVED = "removed"
    INCLUDED = "included"
    UPSIDE_DOWN = "upside down"


class Recording(NamedTuple):
    """Accepted acceleration in m/s²: `axes` is n × 3, its z up positive and without gravity, each axis' mean taken out.

    A trip leads from rest to rest, so the mean of z over it is the sensor's bias and nothing else.
    """

    axes: Floats
    rate_hz: float
    gravity: Gravity


def accept(acceleration: Floats, rate_hz: float) -> Recording:
    """Check a recording (n × 3, m/s²; x and y horizontal, z vertical) and take gravity and bias out.

    Raises Invalid for a rate under 256 Hz, another shape, too few samples, missing values, or a z that
    averages neither 0 nor one g, as when it is recorded in g.
    """
    if not RATE_HZ_MIN <= rate_hz <= RATE_HZ_MAX:
        raise Invalid("rate_hz", f"{rate_hz:g} is outside {RATE_HZ_MIN:g} to {RATE_HZ_MAX:g}")
    if acceleration.ndim != 2 or acceleration.shape[1] != _AXES:  # noqa: PLR2004 - samples by axes
        raise Invalid("acceleration", f"has the shape {acceleration.shape}, not samples × {_AXES} (x, y, z)")
    if len(acceleration) < SECONDS_MIN * rate_hz:
        lasts_s = len(acceleration) / rate_hz
        raise Invalid("acceleration", f"lasts {lasts_s:.2f} s; a trip needs {SECONDS_MIN:g} s or more")
    axes = np.asarray(acceleration, np.float64)
    if not np.isfinite(axes).all():
        first = int(np.flatnonzero(~np.isfinite(axes).all(axis=1))[0])
        raise Invalid("acceleration", f"sample {first} is not a number")
    level = axes.mean(axis=0)
    gravity = _gravity(float(level[2]))
    axes = axes - level
    if gravity is Gravity.UPSIDE_DOWN:
        axes[:, 2] *= -1.0
    return Recording(axes, rate_hz, gravity)


def _gravity(mean_z: float) -> Gravity:
    for gravity, expected in ((Gravity.REMOVED, 0.0), (Gravity.INCLUDED, G), (Gravity.UPSIDE_DOWN, -G)):
        if abs(mean_z - expected) <= _BIAS_MAX:
            return gravity
    raise Invalid(
        "acceleration", f"z averages {mean_z:.2f}, neither 0 nor ±{G:.2f} m/s²: other units, or a tilted axis?"
    )
