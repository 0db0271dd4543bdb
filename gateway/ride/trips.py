"""Cuts a long recording into trips: pushes of acceleration that together bring the car from rest to rest."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

# Its parts are loaded where they are first used: they take longer than most commands do.
import scipy

from gateway.ride.recording import RATE_HZ_MAX, RATE_HZ_MIN
from lift.batch import Floats
from lift.errors import Invalid

# Below it lies the lift's own motion, above it what shakes it.
_MOTION_HZ: Final = 1.0
# A push exceeds the first at its height, and lasts while it exceeds the second, in m/s²; re-levelling stays under it.
_PUSH, _PUSH_ENDS = 0.12, 0.03
# The car stands again when what is left of its speed is less than so many m/s, or this part of its greatest speed.
_LEFT_M_S, _LEFT_PART = 0.08, 0.12
# What was not over by then was misread (a push is missing): begin anew with the next one. 600 m at 4 m/s.
TRIP_S_MAX: Final = 180.0
# So much of the standing car is left on both sides of a trip, as far as there is.
MARGIN_S: Final = 1.5
# A temperature's drift of the bias is slower than this, and trips push up as long as down.
_BIAS_S: Final = 120.0


def trips(acceleration: Floats, rate_hz: float) -> list[slice]:
    """Give the samples of each whole trip in a recording (n × 3, m/s², z vertical) that begins with the car at rest.

    Each slice carries some of the standing car on both sides, and is what `assess` takes. A trip that has not ended is
    left out. Raises Invalid for rates outside 256 to 16,384 Hz and for other shapes.
    """
    if not RATE_HZ_MIN <= rate_hz <= RATE_HZ_MAX:
        raise Invalid("rate_hz", f"{rate_hz:g} is outside {RATE_HZ_MIN:g} to {RATE_HZ_MAX:g}")
    if acceleration.ndim != 2 or acceleration.shape[1] != 3:  # noqa: PLR2004 - samples by axes
        raise Invalid("acceleration", f"has the shape {acceleration.shape}, not samples × 3 (x, y, z)")
    if len(acceleration) < rate_hz:
        return []
    z = np.asarray(acceleration[:, 2], np.float64)
    smooth = scipy.signal.sosfiltfilt(scipy.signal.butter(2, _MOTION_HZ, fs=rate_hz, output="sos"), z - np.median(z))
    smooth -= _bias(smooth, rate_hz)
    spans = _whole_trips(smooth, rate_hz)
    margin = int(MARGIN_S * rate_hz)
    # Neighbours share the standing car between them.
    middles = [0, *((left[1] + right[0]) // 2 for left, right in pairwise(spans)), len(z)]
    return [
        slice(max(first - margin, middles[i]), min(last + margin, middles[i + 1]))
        for i, (first, last) in enumerate(spans)
    ]


def _bias(smooth: Floats, rate_hz: float) -> Floats:
    """Follow the slow drift of the sensor by the medians of two minutes each."""
    count = max(1, round(len(smooth) / (_BIAS_S * rate_hz)))
    parts = np.array_split(smooth, count)
    ends = np.cumsum([len(part) for part in parts])
    middles = ends - 0.5 * np.array([len(part) for part in parts])
    line: Floats = np.interp(np.arange(len(smooth)), middles, [np.median(part) for part in parts])
    return line


def _whole_trips(smooth: Floats, rate_hz: float) -> list[tuple[int, int]]:
    """Add up pushes until the car stands again; there are a few pushes a trip, so they are taken one by one."""
    found: list[tuple[int, int]] = []
    speed = top = 0.0
    begun: int | None = None
    for first, last in _pushes(smooth):
        if begun is not None and last - begun > TRIP_S_MAX * rate_hz:
            begun = None
        if begun is None:
            begun, speed, top = first, 0.0, 0.0
        speed += float(smooth[first:last].sum()) / rate_hz
        top = max(top, abs(speed))
        if abs(speed) <= max(_LEFT_M_S, _LEFT_PART * top) and top > _LEFT_M_S:
            found.append((begun, last))
            begun = None
    return found


def _pushes(smooth: Floats) -> list[tuple[int, int]]:
    """Give the stretches in which the car is pushed one way."""
    pushed = np.where(np.abs(smooth) > _PUSH_ENDS, np.sign(smooth), 0.0)
    cuts = np.flatnonzero(np.diff(pushed, prepend=0.0, append=0.0))
    spans = list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))
    return [(first, last) for first, last in spans if np.abs(smooth[first:last]).max() > _PUSH]
