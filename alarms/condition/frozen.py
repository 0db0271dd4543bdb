"""A frozen baseline: how far smoothed vectors stand from where they stood while all was well, by Hotelling's T².

Adaptive charts learn a lasting fault away; this one never learns again. T² of an EWMA vector with the covariance of
that smoothed vector is the chart of Lowry, Woodall, Champ and Rigdon (Technometrics 34, 1992). With few clean rows the
correlations are shrunk towards none, as Ledoit and Wolf (J. Multivariate Analysis 88, 2004) show one must.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lift.batch import Floats

# The smoothing of the vector, and rows that smoothing makes alike.
SPAN: Final = 4.0
ALIKE_ROWS: Final = 32.0
# Of the clean rows, the part that makes mean and covariance; the rest says how far good rows stray from them.
FIT_PART: Final = 0.7
# -log10 of the tail probability that makes an alarm: the tail is drawn out far beyond the clean rows.
BAR_MANY: Final = 5.0
BAR_ONE: Final = 16.0
_TAIL: Final = 0.02
_LEAST: Final = 1e-9
CLEAN_LEAST: Final = 20


def shrunk_inverse(rows: Floats, alike: float = 1.0) -> Floats:
    """Give the inverse of the correlation matrix of standardised rows [rows, columns], shrunk towards none."""
    count = len(rows)
    correlation = rows.T @ rows / max(count, 1)
    # A column that never moved has no correlation with anything; it stands alone with its unit.
    np.fill_diagonal(correlation, 1.0)
    inverse: Floats = np.linalg.inv(shrunk(correlation, count / alike))
    return inverse


def shrunk(correlation: Floats, independent: float) -> Floats:
    """Shrink a correlation matrix [columns, columns] towards none, the more the fewer independent rows made it."""
    width = len(correlation)
    share = width / (width + max(independent, 2.0))
    return (1.0 - share) * correlation + share * np.eye(width)


@dataclass(frozen=True, slots=True)
class Frozen:
    """What clean rows looked like: centre, spread, inverse correlation, and the tail of their own distances."""

    centre: Floats
    spread: Floats
    inverse: Floats
    threshold: float
    excess: float

    @classmethod
    def of(cls, clean: Floats, *, alike: float = ALIKE_ROWS) -> Frozen:
        """Learn from clean rows [rows, columns] in time order, NaN = missing; at least 20 of them."""
        fit = clean[: max(2, int(FIT_PART * len(clean)))]
        known = np.isfinite(fit)
        rows = np.maximum(known.sum(axis=0), 1)
        centre = np.where(known, fit, 0.0).sum(axis=0) / rows
        off = np.where(known, fit - centre, 0.0)
        spread = np.sqrt((off * off).sum(axis=0) / rows)
        spread = np.where(spread > 0, spread, np.maximum(np.abs(centre) * 1e-3, _LEAST))
        inverse = shrunk_inverse(off / spread, alike)
        start = cls(centre, spread, inverse, 0.0, 1.0)
        distances = start.distance(clean)
        threshold = float(np.quantile(distances, 1.0 - _TAIL))
        excess = float(np.maximum(distances - threshold, 0.0).mean() / _TAIL)
        return cls(centre, spread, inverse, threshold, max(excess, 0.05 * threshold, _LEAST))

    def distance(self, rows: Floats) -> Floats:
        """Give the root of T² a column for each row; a missing value counts as being where it should."""
        off = np.nan_to_num((rows - self.centre) / self.spread, nan=0.0, posinf=0.0, neginf=0.0)
        squared = np.einsum("ij,jk,ik->i", off, self.inverse, off) / off.shape[1]
        root: Floats = np.sqrt(np.maximum(squared, 0.0))
        return root

    def unlikely(self, rows: Floats) -> Floats:
        """Give -log10 of the tail probability of each row's distance, 0 within what clean rows did."""
        distance = self.distance(rows)
        over = distance - self.threshold
        answer: Floats = np.where(over > 0, -np.log10(_TAIL) + over / (self.excess * np.log(10.0)), 0.0)
        return answer


def smoothed(values: Floats, span: float = SPAN) -> Floats:
    """Give the EWMA of each column [rows, columns], from its first value on; a missing value changes nothing."""
    share = 2.0 / (span + 1.0)
    out = np.empty_like(values)
    average = np.full(values.shape[1], np.nan)
    for row, now in enumerate(values):
        known = np.isfinite(now)
        started = np.where(np.isnan(average), now, average)
        average = np.where(known, started + share * (now - started), average)
        out[row] = average
    return out
