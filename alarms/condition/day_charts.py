"""Adaptive charts of a fleet's days: what a lift has never done since its baseline, above all what is gone again.

Of each feature the day's mean, less baseline and peers, its fast average and the difference of fast and slow average
go to `alarms.condition.novelty`, like rows of a series; a day's mean has no time of day, so there is no profile. Days
are few, so a past range is never believed to be narrower than what is worth a visit, nor than eight times the spread
of the baseline, and a day of few trips counts for less.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from alarms.condition.charts import SPANS
from alarms.condition.features import ALL
from alarms.condition.novelty import Novelty, Tuning
from lift.batch import Mask

# Tuned, in days.
DAYS: Final = Tuning(
    youth=20.0, fade=1.0 / 400.0, deadband=0.1, bar=3.5, habit=0.2, memory=100.0, tail_memory=200.0, quiet=5.0
)
SPREADS: Final = 8.0
# Days over which the usual number of trips is known.
_USUAL_DAYS: Final = 20.0
# How often a door meets somebody is people's doing on a day, and the door's only in the long run.
_PEOPLE: Final = np.array([feature.rule == "door_reversals_rising" for feature in ALL])
_BOTH: Final = np.array([feature.sides > 1 for feature in ALL])[None, :, None]
_LEAST: Final = np.array([feature.least for feature in ALL], np.float32)[:, None]
_FAST, _SLOW = (np.float32(2.0 / (span + 1.0)) for span in SPANS[:2].tolist())
_STATISTICS: Final = 3
# Of the largest share in an alarm, the part that makes a feature worth naming.
_NAMED: Final = 0.4


class DayCharts:
    """Adaptive charts of some lifts."""

    def __init__(self, lifts: int) -> None:
        shape = (len(ALL), lifts)
        self._novelty = Novelty(_STATISTICS, *shape, DAYS, kind=np.float32, one_age=True)
        self._fast: NDArray[np.float32] = np.zeros(shape, np.float32)
        self._slow: NDArray[np.float32] = np.zeros(shape, np.float32)
        self._usual: NDArray[np.float32] = np.zeros(lifts, np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give all that is remembered; the arrays themselves, to be saved or filled."""
        return {"fast": self._fast, "slow": self._slow, "usual": self._usual, **self._novelty.arrays()}

    def take(
        self, strays: NDArray[np.float32], spread: NDArray[np.float32], trips: NDArray[np.uint16]
    ) -> dict[int, list[int]]:
        """Take a day and give the lifts that are in alarm anew, each with its newest features, most surprising first.

        `strays` [features, lifts] is the day's mean less baseline and peers, NaN where it is not known; `spread`
        [features, lifts] is the usual standard deviation of such days; `trips` [lifts] says how many the day had.
        """
        told: Mask = np.isfinite(strays)
        told[_PEOPLE] = False
        statistics = self._statistics(np.where(told, strays * self._weight(trips), np.float32(0.0)), told)
        least = np.maximum(_LEAST, np.float32(SPREADS) * spread)[None]
        over = self._novelty.over(statistics, told[None], least=least, counts=_BOTH)
        self._novelty.pass_row(np.logical_or.reduce(told, axis=0))
        if over is None:
            self._novelty.nothing_new()
            return {}
        combined = np.sqrt((over * over).sum(axis=(0, 1)))
        near = self._novelty.once_an_excursion(self._novelty.calibrate(combined))
        return {lift: worth_naming(over[:, :, lift].max(axis=0)) for lift in np.flatnonzero(near >= 1.0).tolist()}

    def over_at(self, quiet: float = DAYS.quiet) -> Mask:
        """Say where an excursion is over."""
        over: Mask = self._novelty.excursion >= quiet
        return over

    def forget(self, features: Mask, lift: int) -> None:
        """Begin some features of one lift anew."""
        self._fast[features, lift] = 0.0
        self._slow[features, lift] = 0.0
        self._novelty.forget(features, lift)

    def _weight(self, trips: NDArray[np.uint16]) -> NDArray[np.float32]:
        """Say how much a day of so many trips counts: the mean of fewer strays further."""
        count = trips.astype(np.float32)
        started = np.where(self._usual > 0, self._usual, count)
        self._usual[...] = np.where(count > 0, started + (count - started) / np.float32(_USUAL_DAYS), started)
        weight: NDArray[np.float32] = np.sqrt(np.minimum(count / np.maximum(self._usual, np.float32(1.0)), 1.0))
        return weight

    def _statistics(self, strays: NDArray[np.float32], told: Mask) -> NDArray[np.float32]:
        """Bring the averages on by a day; gives [statistics, features, lifts]."""
        age = self._novelty.age + told
        out = np.empty((_STATISTICS, *strays.shape), np.float32)
        out[0] = strays
        for number, (average, share) in enumerate(((self._fast, _FAST), (self._slow, _SLOW)), 1):
            np.add(average, np.where(told, share * (strays - average), np.float32(0.0)), out=average)
            # Free of where it began (Kingma and Ba, 2015).
            out[number] = average / np.maximum(1.0 - (1.0 - float(share)) ** age, share)
        out[2] = out[1] - out[2]
        return out


def worth_naming(share: NDArray[Any]) -> list[int]:
    """Give the features [features] that have the largest shares in an alarm, the first first."""
    order = np.argsort(-share, kind="stable")
    return [number for number in order.tolist() if share[number] >= _NAMED * share[order[0]]]
