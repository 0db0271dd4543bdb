"""Peak-to-peak levels by zero crossings, their maximum and A95 (ISO 18738-1:2012 annex A)."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from lift.batch import Floats

PART: Final = 95.0
# Two whole half-waves have three crossings.
_CROSSINGS_MIN: Final = 3


class Levels(NamedTuple):
    """The largest peak-to-peak level, and the one that 95 % of them do not exceed; NaN where there are none."""

    largest: float
    a95: float


def peak_to_peak(values: Floats) -> Floats:
    """Give |peak| + |next peak| for each two neighbouring half-waves; a half-wave cut off at an end does not count.

    >>> peak_to_peak(np.array([0.5, -1, 2, 1, -3, -1, 4, -0.5])).tolist()
    [3.0, 5.0, 7.0]
    """
    above = values > 0.0
    crossings = np.flatnonzero(above[1:] != above[:-1]) + 1
    if len(crossings) < _CROSSINGS_MIN:
        return np.empty(0)
    # The last stretch has no crossing behind it.
    peaks = np.maximum.reduceat(np.abs(values), crossings)[:-1]
    both: Floats = peaks[:-1] + peaks[1:]
    return both


def levels(values: Floats) -> Levels:
    """Give the maximum and A95 of the peak-to-peak levels, never a percentile of the samples themselves.

    A95 is one of the levels found: the least that 95 % of them do not exceed.
    """
    found = peak_to_peak(values)
    if not len(found):
        return Levels(np.nan, np.nan)
    return Levels(float(found.max()), a95(found))


def a95(values: Floats) -> float:
    """Give the least of the values that 95 % of them do not exceed; NaN for none."""
    return float(np.percentile(values, PART, method="inverted_cdf")) if len(values) else np.nan
