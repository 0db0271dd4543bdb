"""Scores of trips from raw acceleration: how far each trip, and the run of trips, strays from the healthy ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from alarms.condition.frozen import shrunk_inverse
from alarms.condition.recordings import TripFeatures
from lift.batch import Floats
from lift.errors import Invalid

HEALTHY_SHARE: Final = 0.3
HEALTHY_LEAST: Final = 5
# -log10 of the tail probability that makes an alarm.
BAR: Final = 3.0
# Trips of a run that count together: wear stays, chance does not.
RUN_SPAN: Final = 5.0
# No healthy lift repeats itself better than this, in logarithms: 5 %.
_SPREAD_LEAST: Final = 0.05
_PRIOR_TRIPS: Final = 4.0
_ODD: Final = 3.0
_FAR: Final = 5.0
_EXCESS_LEAST: Final = 0.15


def score_trips(trips: Sequence[TripFeatures], healthy: float = HEALTHY_SHARE) -> Floats:
    """Score trips of one lift in time order, each in [0, 1] from itself and the trips before; 0.5 is an alarm.

    The first trips are declared healthy: `healthy` is a share below 1, or a number of trips; at least 5 are taken.
    Raises Invalid.
    """
    if not 0.0 < healthy <= max(1.0, len(trips)):
        raise Invalid("healthy", f"{healthy:g} is neither a share of the trips nor a number of the {len(trips)}")
    wanted = int(np.ceil(healthy * len(trips))) if healthy < 1.0 else int(healthy)
    count = max(HEALTHY_LEAST, wanted)
    if count > len(trips):
        raise Invalid("healthy", f"{len(trips)} trips; the baseline alone needs {HEALTHY_LEAST}")
    standard = _standardised(trips, count)
    share = 2.0 / (RUN_SPAN + 1.0)
    # What smoothing takes off independent trips, and what not knowing the healthy mean exactly adds again.
    gain = (2.0 - share) / share
    gain = np.sqrt(gain / (1.0 + gain / count))
    run = np.zeros(standard.shape[1])
    runs = np.empty_like(standard)
    for number, row in enumerate(standard):
        # Winsorised, so that one odd trip is one odd trip and no run.
        run = run + share * (np.clip(row, -_ODD, _ODD) - run)
        runs[number] = run * gain
    singly, together = _distances(standard, standard, count), _distances(runs, standard, count)
    unlikely = np.maximum(_unlikely(singly, singly, count), _unlikely(together, singly, count))
    near = unlikely / BAR
    score: Floats = near / (1.0 + near)
    return score


def _standardised(trips: Sequence[TripFeatures], count: int) -> Floats:
    """Take off what direction and length explain, and divide by the healthy spread.

    A healthy trip is judged by the other healthy ones, so that its distance is as honest as that of a later trip.
    """
    table = np.stack([trip.features for trip in trips])
    drivers = _drivers(trips)
    base = np.arange(count)
    standard = np.empty_like(table)
    residuals = np.empty((count, table.shape[1]))
    for one in range(count):
        others = base != one
        fitted = _fit(drivers[:count][others], table[:count][others])
        residuals[one] = table[one] - drivers[one] @ fitted
    fitted = _fit(drivers[:count], table[:count])
    spread = np.sqrt(((residuals**2).sum(axis=0) + _PRIOR_TRIPS * _SPREAD_LEAST**2) / (count + _PRIOR_TRIPS))
    spread = np.maximum(spread, _SPREAD_LEAST)
    standard[:count] = residuals / spread
    standard[count:] = (table[count:] - drivers[count:] @ fitted) / spread
    # What is far is far: no single feature may speak for all of them.
    bounded: Floats = standard / np.sqrt(1.0 + (standard / _FAR) ** 2)
    return bounded


def _drivers(trips: Sequence[TripFeatures]) -> Floats:
    """Give what a trip's features may follow without any fault: a constant, its direction, its length."""
    length = np.log([trip.duration for trip in trips])
    direction = [float(trip.direction) for trip in trips]
    return np.stack([np.ones(len(trips)), np.array(direction), length - length[0]], axis=1)


def _fit(drivers: Floats, table: Floats) -> Floats:
    """Fit by ridge regression; only the constant is free."""
    penalty = np.diag([1e-6, 0.3, 0.3])
    answer: Floats = np.linalg.solve(drivers.T @ drivers + penalty, drivers.T @ table)
    return answer


def _distances(rows: Floats, standard: Floats, count: int) -> Floats:
    """Give the root of T² a feature; a healthy trip's by the correlations of the other healthy ones."""
    width = standard.shape[1]
    inverse = shrunk_inverse(standard[:count])
    squared = np.einsum("ij,jk,ik->i", rows, inverse, rows)
    for one in range(count):
        others = shrunk_inverse(np.delete(standard[:count], one, axis=0))
        squared[one] = rows[one] @ others @ rows[one]
    root: Floats = np.sqrt(squared / width)
    return root


def _unlikely(distance: Floats, healthy: Floats, count: int) -> Floats:
    """Give -log10 of the tail probability: the tail beyond the healthy median falls exponentially."""
    healthy = healthy[:count]
    middle = float(np.median(healthy))
    excess = 2.0 * float(np.maximum(healthy - middle, 0.0).mean())
    # Few healthy trips know little of their own tail.
    excess = max(excess, _EXCESS_LEAST * middle) * (1.0 + 2.0 / count) + 1e-9
    answer: Floats = np.maximum(distance - middle, 0.0) / (excess * np.log(10.0))
    return answer
