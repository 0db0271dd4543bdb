"""Frequency weightings of ISO 2631-1 and ISO 8041: Wk for vertical, Wd for horizontal vibration of people who stand.

Each is a band-pass (0.4 to 100 Hz, Butterworth), a transition from acceleration to velocity, and for Wk an upward step.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from math import ceil, pi, sqrt, tan
from typing import Final, NamedTuple

import numpy as np
import scipy

from lift.batch import Floats

# The sections are bilinear images of analogue ones, which are true only far below half the rate: at 256 Hz and 80 Hz
# they would be a quarter too low. It also puts 25 samples on a wave of 80 Hz, so that peaks are met within 1 %.
WORK_RATE_HZ: Final = 2_048.0
# The band-pass begins at 0.4 Hz and needs so long to forget what was before.
_SETTLE_S: Final = 3.0


class _Curve(NamedTuple):
    """Corner frequencies in Hz and qualities, by the names of ISO 8041:2005 table 3; no step where f5 is 0."""

    f3: float
    q4: float
    f5: float = 0.0
    q5: float = 1.0
    f6: float = 1.0
    q6: float = 1.0


class Weighting(Enum):
    """A weighting curve."""

    VERTICAL = _Curve(f3=12.5, q4=0.63, f5=2.37, q5=0.91, f6=3.35, q6=0.91)  # Wk
    HORIZONTAL = _Curve(f3=2.0, q4=0.63)  # Wd


_LOW_HZ: Final = 0.4
_HIGH_HZ: Final = 100.0


@lru_cache(maxsize=64)
def sections(weighting: Weighting, rate_hz: float) -> Floats:
    """Give the weighting as second-order sections for `scipy.signal.sosfilt`, each exact at its own corner."""
    curve = weighting.value
    low, high, w3 = (2.0 * pi * f for f in (_LOW_HZ, _HIGH_HZ, curve.f3))
    analogue = [
        (low, [1.0, 0.0, 0.0], [1.0, sqrt(2.0) * low, low**2]),
        (high, [high**2], [1.0, sqrt(2.0) * high, high**2]),
        (w3, [w3, w3**2], [1.0, w3 / curve.q4, w3**2]),
    ]
    if curve.f5:
        w5, w6 = 2.0 * pi * curve.f5, 2.0 * pi * curve.f6
        analogue.append((w6, [1.0, w5 / curve.q5, w5**2], [1.0, w6 / curve.q6, w6**2]))
    rows = []
    for corner, above, below in analogue:
        zeros, poles = scipy.signal.bilinear(above, below, fs=0.5 * corner / tan(0.5 * corner / rate_hz))
        rows.append(np.concatenate([np.pad(zeros, (3 - len(zeros), 0)), poles]))
    return np.array(rows)


def weigh(values: Floats, rate_hz: float, weighting: Weighting, part: slice) -> Floats:
    """Weight a part of an axis by itself; gives it at a whole multiple of the rate, 2,048 Hz or more.

    The part is centred, cut to its outermost zero crossings, and continued on both sides by its point reflection, so
    that neither its edges nor what lies beyond them ring in it. Empty where it never crosses zero.
    """
    finer = max(1, ceil(WORK_RATE_HZ / rate_hz))
    fine = scipy.signal.resample_poly(values, finer, 1) if finer > 1 else values
    inside = fine[part.start * finer : part.stop * finer]
    inside = inside - inside.mean()
    crossings = np.flatnonzero(np.diff(inside > 0.0)) + 1
    if len(crossings) < 2:  # noqa: PLR2004 - a first and a last
        return np.empty(0)
    inside = inside[crossings[0] : crossings[-1]]
    settle = min(int(_SETTLE_S * rate_hz * finer), len(inside))
    continued = np.concatenate([-inside[settle - 1 :: -1], inside, -inside[: -settle - 1 : -1]])
    weighted: Floats = scipy.signal.sosfilt(sections(weighting, rate_hz * finer), continued)
    return weighted[settle : settle + len(inside)]
