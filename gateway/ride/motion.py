"""The motion in a recording: speed by integration, the boundaries 0 to 3 of the trip, acceleration and jerk."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import scipy

from gateway.ride.recording import Recording
from lift.batch import Floats, Mask
from lift.errors import Invalid

# ISO 18738-1: acceleration and jerk are taken from z below 10 Hz, jerk as the slope over half a second.
MOTION_HZ: Final = 10.0
JERK_S: Final = 0.5
# ISO 18738-1: A95 of acceleration and deceleration are taken between 5 % and 95 % of the greatest speed.
PART_LOW, PART_HIGH = 0.05, 0.95
# A car that jerks on with 1 m/s³ needs 0.4 s to 5 % of 1.75 m/s; the boundaries 0 and 3 lie half a second further out.
OUTSIDE_S: Final = 1.0
# Slower than any trip, faster than what is left of the sensor's drift.
SPEED_MIN: Final = 0.1
# Constant speed: it changes by no more than so many m/s in a second, for a second at least.
STEADY_M_S: Final = 0.05
STEADY_S: Final = 1.0


class Motion(NamedTuple):
    """A trip's motion along its way, one entry a sample from boundary 0 to 3.

    `first` is boundary 0 and `cruise` is boundary 1 to 2, in samples of the recording; None where no second passes at
    constant speed. `way` is 1 up, -1 down; `speed` and `acceleration` (m/s, m/s²) are positive onward; `slope` is jerk.
    """

    first: int
    cruise: slice | None
    way: int
    speed: Floats
    acceleration: Floats
    slope: Floats


def motion(recording: Recording) -> Motion:
    """Find the trip; raises Invalid where nothing moves."""
    z, rate_hz = recording.axes[:, 2], recording.rate_hz
    rough = _integral(z, rate_hz)
    top = float(np.abs(rough).max())
    if top < SPEED_MIN:
        raise Invalid("acceleration", f"there is no trip in it: the speed stays under {SPEED_MIN:g} m/s")
    moving = np.flatnonzero(np.abs(rough) > PART_LOW * top)
    outside = int(OUTSIDE_S * rate_hz)
    first, last = max(0, int(moving[0]) - outside), min(len(z), int(moving[-1]) + 1 + outside)
    smooth = scipy.signal.sosfilt(_low_pass(rate_hz), z - _rest_line(z, first, last))[first:last]
    speed = _integral((z - _rest_line(z, first, last))[first:last], rate_hz)
    # The car stands at both ends: what speed is left there has drifted in.
    speed -= np.linspace(speed[0], speed[-1], len(speed))
    way = 1 if speed[np.argmax(np.abs(speed))] > 0.0 else -1
    cruise = _steady(way * speed, rate_hz)
    return Motion(
        first=first,
        cruise=None if cruise is None else slice(first + cruise.start, first + cruise.stop),
        way=way,
        speed=way * speed,
        acceleration=way * smooth,
        slope=_slope(smooth, rate_hz),
    )


def between(speed: Floats) -> tuple[Mask, Mask]:
    """Say which samples lie between 5 % and 95 % of the greatest speed, on the way there and on the way back."""
    top = int(np.argmax(speed))
    part = (speed > PART_LOW * speed[top]) & (speed < PART_HIGH * speed[top])
    before = np.arange(len(speed)) < top
    return part & before, part & ~before


def _integral(values: Floats, rate_hz: float) -> Floats:
    sums: Floats = scipy.integrate.cumulative_trapezoid(values, dx=1.0 / rate_hz, initial=0.0)
    return sums


def _rest_line(z: Floats, first: int, last: int) -> Floats | float:
    """Give the sensor's drift, a straight line through what it says at rest before and after the trip."""
    before, after = z[:first], z[last:]
    if not len(before) or not len(after):
        return 0.0
    # People step in and out meanwhile, which a median forgives.
    level, end = float(np.median(before)), float(np.median(after))
    times = (0.5 * first, 0.5 * (last + len(z)))
    line: Floats = level + (end - level) / (times[1] - times[0]) * (np.arange(len(z)) - times[0])
    return line


def _steady(speed: Floats, rate_hz: float) -> slice | None:
    """Find the longest stretch of constant speed."""
    second = int(STEADY_S * rate_hz)
    if len(speed) <= second:
        return None
    steady = np.zeros(len(speed), np.bool_)
    middle = slice(second // 2, second // 2 + len(speed) - second)
    steady[middle] = np.abs(speed[second:] - speed[:-second]) <= STEADY_M_S
    steady &= speed >= PART_HIGH * speed.max()
    edges = np.flatnonzero(np.diff(steady, prepend=False, append=False))
    if not len(edges):
        return None
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    found = slice(int(starts[longest]), int(ends[longest]))
    return found if found.stop - found.start >= second else None


def _slope(values: Floats, rate_hz: float) -> Floats:
    """Give the slope of the straight line fitted to each half second, in units a second."""
    window = int(JERK_S * rate_hz) // 2 * 2 + 1
    slopes: Floats = scipy.signal.oaconvolve(values, _fit(window) * rate_hz, mode="valid")
    return slopes


@lru_cache(maxsize=16)
def _fit(window: int) -> Floats:
    """Give the weights of a least-squares slope, in the order of a convolution."""
    fit: Floats = scipy.signal.savgol_coeffs(window, polyorder=1, deriv=1, use="conv")
    return fit


@lru_cache(maxsize=16)
def _low_pass(rate_hz: float) -> Floats:
    sections: Floats = scipy.signal.butter(2, MOTION_HZ, fs=rate_hz, output="sos")
    return sections
