"""Sums of a day's trips, lift by lift: whole numbers, so that the order of trips cannot matter."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from alarms.condition.features import ALL, FEATURES, MAIN_LANDING
from lift import trips as t
from lift.batch import Batch, Floats
from lift.fleet import Fleet

TRIPS_LEAST: Final = 3
LANDINGS: Final = 64
# Sums are kept in whole steps.
STEP: Final = 1e-4
_EXTREME: Final = 1e5
_BELOW: Final = 8
# Below this height the error of levelling hides what ropes do.
_HIGH_M: Final = 6.0


class DaySums:
    """Sums and counts of every feature for the two days that may be open, one even and one odd, and the landings."""

    def __init__(self, fleet: Fleet) -> None:
        lifts = len(fleet)
        self._fleet = fleet
        self._sums: NDArray[np.int64] = np.zeros((2, len(ALL), lifts), np.int64)
        self._counts: NDArray[np.uint16] = np.zeros((2, len(ALL), lifts), np.uint16)
        self._heights: NDArray[np.float32] = np.zeros((lifts, LANDINGS), np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give all that is remembered; the arrays themselves, to be saved or filled."""
        return {"sums": self._sums, "counts": self._counts, "heights": self._heights}

    def add(self, trips: Batch, odd: NDArray[np.int64]) -> None:
        """Add trips, whose lifts are the fleet's slots; `odd` [trips] is 1 where a trip belongs to the odd day."""
        speed = self._fleet.rated_speed[trips.lift].astype(np.float64)
        values = [feature.of(trips, speed) for feature in FEATURES]
        values.append(self._off_height(trips))
        for parity in (0, 1):
            here = np.flatnonzero(odd == parity)
            if len(here):
                self._sum(parity, trips.lift[here], [value[here] for value in values])

    def mean(self, parity: int, number: int) -> Floats:
        """Give the mean of one feature over one of the days for each lift, NaN where there were too few trips."""
        counts = self._counts[parity, number]
        return np.where(counts >= TRIPS_LEAST, self._sums[parity, number] / np.maximum(counts, 1) * STEP, np.nan)

    def trips(self, parity: int) -> NDArray[np.uint16]:
        """Give how many trips each lift made on one of the days."""
        most: NDArray[np.uint16] = self._counts[parity].max(axis=0)
        return most

    def clear(self, parity: int) -> None:
        """Begin one of the days anew."""
        self._sums[parity] = 0
        self._counts[parity] = 0

    def forget_heights(self, lift: int) -> None:
        """Forget how high the landings of one lift are."""
        self._heights[lift] = 0.0

    def _sum(self, parity: int, lift: NDArray[np.int32], values: list[Floats]) -> None:
        lifts, at = np.unique(lift, return_inverse=True)
        sums, counts = self._sums[parity], self._counts[parity]
        for number, value in enumerate(values):
            known = np.isfinite(value)
            if not known.any():
                continue
            steps = np.rint(np.clip(np.where(known, value, 0.0), -_EXTREME, _EXTREME) / STEP)
            # Whole numbers below 2**53 add up exactly in any order.
            sums[number, lifts] += np.bincount(at, steps, minlength=len(lifts)).astype(np.int64)
            counts[number, lifts] += np.bincount(at, known, minlength=len(lifts)).astype(np.uint16)

    def _off_height(self, trips: Batch) -> Floats:
        """Give how far distances stray from the heights of the landings as first met, as a share of the height."""
        start, goal = trips.column(t.FROM_LANDING), trips.column(t.TO_LANDING)
        up = start == MAIN_LANDING
        other = np.where(up, goal, start)
        climbed = np.where(up, 1.0, -1.0) * trips.column(t.DISTANCE)
        column = other + _BELOW
        good = (up ^ (goal == MAIN_LANDING)) & (column >= 0) & (column < LANDINGS) & np.isfinite(climbed)
        rows = np.flatnonzero(good)
        off = np.full(len(trips), np.nan)
        known = self._heights.reshape(-1)
        landing = trips.lift[rows].astype(np.int64) * LANDINGS + column[rows].astype(np.int64)
        height = climbed[rows]
        # Who meets a landing first says how high it lies; everybody after is compared with that.
        _, first = np.unique(landing, return_index=True)
        first = first[known[landing[first]] == 0.0]
        known[landing[first]] = height[first]
        reference = known[landing].astype(np.float64)
        high = np.abs(reference) >= _HIGH_M
        high[first] = False
        off[rows[high]] = height[high] / reference[high] - 1.0
        return off
