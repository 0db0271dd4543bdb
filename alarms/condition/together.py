"""Many small changes at once: T² of the vector of a lift's charts, where no single one of them shows.

T² of an EWMA vector with the covariance of that smoothed vector is the chart of Lowry, Woodall, Champ and Rigdon
(Technometrics 34, 1992). The correlations are pooled over the lifts of a make and model in their first days after the
baseline, shrunk towards the fleet's and those towards none (Ledoit and Wolf, J. Multivariate Analysis 88, 2004), and
what chance does is told by the distances of those same days. Nothing is learned of a lift afterwards: a lasting
change stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from alarms.condition.frozen import shrunk
from lift.batch import Floats, Ints, Mask

# ---- Tuned.
# In medians of the distances of clean days.
LIMIT: Final = 2.75

# Days after the baseline that say what is usual.
CLEAN_DAYS: Final = 14
# Days that the smoothing makes alike.
_ALIKE_DAYS: Final = 6.0
# How many days of a lift the fleet's correlations weigh in a group of peers.
_FLEET_WEIGHS: Final = 300.0
# A day beyond this many standard errors in any feature is not clean.
_CLEAN: Final = 4.0
_FARTHEST: Final = 30.0
_BINS, _BIN = 128, 0.05
# Before anything is known the median is 1, as if seen so often.
_SEEN: Final = 100


class Together:
    """One chart a lift over all of its features; `groups` are the slots of each group of peers."""

    def __init__(self, features: int, lifts: int, groups: Sequence[Ints]) -> None:
        self._groups = groups
        self._products: Floats = np.zeros((len(groups), features, features))
        self._days: Floats = np.zeros(len(groups))
        self._clean: NDArray[np.uint8] = np.zeros(lifts, np.uint8)
        self._distances: NDArray[np.int64] = np.zeros(_BINS, np.int64)
        self._distances[round(1.0 / _BIN)] = _SEEN

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give all that is remembered; the arrays themselves, to be saved or filled."""
        return {
            "products": self._products,
            "days": self._days,
            "clean": self._clean,
            "distances": self._distances,
        }

    def take(self, errors: NDArray[np.float32], told: Mask) -> Mask:
        """Take a day and give the lifts that are too far from where they were while all was well.

        `errors` [features, lifts] are the charts in standard errors, 0 where they are not known; `told` [lifts] says
        of which lifts any of them was told today.
        """
        np.clip(errors, -_FARTHEST, _FARTHEST, out=errors)
        distance = self._distance(errors)
        too_far: Mask = told & (distance > LIMIT * self._usual())
        self._learn(errors, distance, told)
        return too_far

    def _distance(self, errors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the root of T² a feature for each lift."""
        distance = np.zeros(errors.shape[1], np.float32)
        for group, inverse in zip(self._groups, self._inverses(), strict=True):
            vectors = errors[:, group]
            squared = (inverse @ vectors * vectors).sum(axis=0) / np.float32(len(errors))
            distance[group] = np.sqrt(np.maximum(squared, np.float32(0.0)))
        return distance

    def _inverses(self) -> NDArray[np.float32]:
        everybody = float(self._days.sum())
        fleet = shrunk(_correlation(self._products.sum(axis=0)), everybody / _ALIKE_DAYS)
        own = _correlation(self._products)
        weight = (self._days / (self._days + _FLEET_WEIGHS))[:, None, None]
        # Of two correlation matrices any mixture is one.
        inverses: NDArray[np.float32] = np.linalg.inv(weight * own + (1.0 - weight) * fleet).astype(np.float32)
        return inverses

    def _usual(self) -> float:
        cumulated = np.cumsum(self._distances)
        return float((np.searchsorted(cumulated, cumulated[-1] / 2) + 0.5) * _BIN)

    def _learn(self, errors: NDArray[np.float32], distance: NDArray[np.float32], told: Mask) -> None:
        """Learn from the lifts that are in their first days."""
        first = told & (self._clean < CLEAN_DAYS)
        if not first.any():
            return
        self._clean += first
        bins = np.minimum((distance[first] / _BIN).astype(np.int64), _BINS - 1)
        self._distances += np.bincount(bins, minlength=_BINS)
        sound = first & (np.abs(errors).max(axis=0) < _CLEAN)
        for number, group in enumerate(self._groups):
            vectors = errors[:, group[sound[group]]].astype(np.float64)
            self._products[number] += vectors @ vectors.T
            self._days[number] += vectors.shape[1]


def _correlation(products: Floats) -> Floats:
    """Give correlation matrices of sums of products [..., features, features]; what never moved stands alone."""
    own = np.sqrt(np.diagonal(products, axis1=-2, axis2=-1))
    own = np.where(own > 0, own, 1.0)
    correlation: Floats = products / (own[..., :, None] * own[..., None, :])
    diagonal = np.arange(products.shape[-1])
    correlation[..., diagonal, diagonal] = 1.0
    return correlation
