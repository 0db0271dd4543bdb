"""Frozen charts, one a feature: a lift's days against its own first two weeks and against its peers' same day.

The first days make a baseline of mean and variance (Welford, Technometrics 4, 1962), which is then left as it is, so
that wear is never learned away. What a day strays from it, less what the median of the peers strays, goes into an EWMA.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from alarms.condition.features import ALL
from lift.batch import Floats, Ints, Mask

# ---- The tuned parameters; figures in docs/condition-monitoring.md.
# Days that make the baseline, the smoothing of the chart in days, and the alarm limit in standard errors.
BASELINE_DAYS: Final = 14
SMOOTHING: Final = 0.3
LIMIT: Final = 6.0
# Days in a row beyond the limit.
DAYS_BEYOND: Final = 2

PEERS_LEAST: Final = 8
# Of a large group so many are asked for their median.
_ASKED: Final = 2_048
# The own spread of a day counts like 14 days, the peers' like five.
_PEERS_COUNT: Final = 5.0
# A change must come down to this part of what is worth a visit before the alarm returns.
RETURNS_AT: Final = 0.5
_BEYOND_MOST: Final = 250


@dataclass(frozen=True, slots=True)
class Followed:
    """What one feature did on a day, for each lift.

    `strays`: the day's mean less baseline and peers, NaN where it is not known. `spread`: the usual standard deviation
    of such days. `errors`: the chart in standard errors, 0 without a baseline. `worth`: the chart in the smallest
    changes worth a visit, at least 0. `well`: whether an alarm may return. `told`: whether the day was told at all.
    """

    strays: NDArray[np.float32]
    spread: NDArray[np.float32]
    errors: NDArray[np.float32]
    worth: NDArray[np.float32]
    well: Mask
    told: Mask


class Baselines:
    """Baseline and chart of every feature of every lift; `groups` are the slots of each group of peers."""

    def __init__(self, lifts: int, groups: Sequence[Ints]) -> None:
        shape = (len(ALL), lifts)
        self._groups = groups
        self._state: dict[str, NDArray[Any]] = {
            "days": np.zeros(shape, np.uint8),
            "mean": np.zeros(shape, np.float32),
            "squares": np.zeros(shape, np.float32),
            "average": np.zeros(shape, np.float32),
            "weight": np.zeros(shape, np.float32),
            "beyond": np.zeros(shape, np.uint8),
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give all that is remembered; the arrays themselves, to be saved or filled."""
        return self._state

    @property
    def beyond(self) -> NDArray[np.uint8]:
        """Days in a row that each feature [features, lifts] was beyond its limit."""
        return self._state["beyond"]

    def forget(self, features: Mask, lift: int) -> None:
        """Begin some features of one lift anew."""
        for array in self._state.values():
            array[features, lift] = 0

    def follow(self, number: int, value: Floats) -> Followed:
        """Bring one feature's charts on by a day; `value` [lifts] is the day's mean, NaN where it is not known."""
        state = {name: array[number] for name, array in self._state.items()}
        enough = np.isfinite(value)
        days, mean, squares = state["days"], state["mean"], state["squares"]
        mature = days >= BASELINE_DAYS
        strays = np.where(mature, value - mean, np.nan)
        own = np.where(mature, squares / np.maximum(days - 1.0, 1.0), np.nan)
        common, usual = self._of_peers(strays, own)
        learns = enough & ~mature
        off = np.where(learns, value - mean, 0.0)
        days += learns
        mean += off / np.maximum(days, 1)
        squares += off * np.where(learns, value - mean, 0.0)
        told = enough & mature
        self._chart(state, np.where(told, strays - common, 0.0), told)
        spread = (own * BASELINE_DAYS + usual * _PEERS_COUNT) / (BASELINE_DAYS + _PEERS_COUNT)
        average, weight, beyond = state["average"], state["weight"], state["beyond"]
        # Not knowing the baseline exactly counts as well.
        error = np.sqrt(spread * (weight + 1.0 / BASELINE_DAYS))
        with np.errstate(invalid="ignore", divide="ignore"):
            errors = average / error
            # Whatever inflates the charts of all lifts alike, such as weekly rhythm, is no sign of wear in one.
            inflated = max(1.4826 * self._median(np.abs(errors)), 1.0)
            errors /= inflated
        strength = np.abs(average) if ALL[number].sides > 1 else average
        least = ALL[number].least
        sick = told & (strength > np.maximum(LIMIT * inflated * error, least))
        beyond[:] = np.where(told, np.where(sick, np.minimum(beyond + 1, _BEYOND_MOST), 0), beyond)
        return Followed(
            strays=np.where(told, strays - common, np.nan).astype(np.float32),
            spread=np.sqrt(np.where(mature, spread, 0.0)).astype(np.float32),
            errors=np.where(mature & np.isfinite(errors), errors, 0.0).astype(np.float32),
            worth=np.maximum(strength, 0.0) / np.float32(least),
            well=~(strength > RETURNS_AT * least),
            told=told,
        )

    def _of_peers(self, strays: Floats, own: Floats) -> tuple[Floats, Floats]:
        """Give what the peers of each lift stray by today, and their usual spread.

        Both are medians, so that a few sick lifts do not count.
        """
        common, usual = np.empty_like(strays), np.empty_like(own)
        everybody = self._median(strays), self._median(own)
        for group in self._groups:
            theirs = strays[group]
            few = np.count_nonzero(np.isfinite(theirs)) < PEERS_LEAST
            common[group] = everybody[0] if few else self._median(theirs)
            usual[group] = everybody[1] if few else self._median(own[group])
        return common, usual

    @staticmethod
    def _median(values: Floats) -> float:
        """Give the median of what is known; 0 where nothing is.

        Of many lifts every so-manieth is asked, which is exact enough and far quicker.
        """
        known = values[np.isfinite(values)]
        known = known[:: max(1, len(known) // _ASKED)]
        return float(np.median(known)) if len(known) else 0.0

    @staticmethod
    def _chart(state: Mapping[str, NDArray[Any]], off: Floats, told: Mask) -> None:
        """Move the EWMA of each lift; `weight` is the sum of its squared shares, which says how much it knows."""
        average, weight = state["average"], state["weight"]
        keep = np.where(told, np.float32(1.0 - SMOOTHING), np.float32(1.0))
        average *= keep
        average += SMOOTHING * off
        weight *= keep * keep
        weight += told * np.float32(SMOOTHING * SMOOTHING)
