"""Adaptive charts: how surprising each new row of many streams is, from what the streams did before.

Each stream is turned into a few statistics: its value, fast and slow averages and their differences, its step, the
logarithm of its variance at three spans, its distance from a profile of the time of day, how long it has not crossed
its own average, how long the last cycle was, and how long it has not changed at all. A statistic is surprising by how
far it leaves its own past range, relative to that range, and the less the younger it is. Surprises of all statistics
and streams of a unit are combined as the root of their summed squares, and calibrated by the unit's own past tail.

State is a fixed number of values a stream, whatever came before. All arrays end in [streams, units], so one row of
thousands of units costs little more than a row of one.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from lift.batch import Floats, Ints, Mask

# ---- The tuned parameters; all figures in docs/condition-monitoring.md were made with these.
# Rows after which a statistic counts for one half.
YOUTH: Final = 100.0
# Part of its width by which a past range closes with each row, so that one outlier does not blind it for ever.
FADE: Final = 1.0 / 4_000.0
# Surprise that never counts, in widths of a past range: a new record by so little happens all the time.
DEADBAND: Final = 0.05
# How unlikely a row must be for an alarm: -log10 of its tail probability.
BAR: Final = 2.8
# By which part of itself each alarm raises the bar; this fades over `MEMORY` rows.
HABIT: Final = 0.2

# ---- Fixed from the start, never tuned.
MEMORY: Final = 1_000.0
TAIL_MEMORY: Final = 2_000.0
SPANS: Final = np.array((4.0, 32.0, 256.0))
VARIANCE_SPANS: Final = np.array((8.0, 32.0, 128.0))
CELLS: Final = 48
# Rows without half an alarm that end an excursion.
QUIET: Final = 20.0
# Before the tail is known it is taken to fall by a factor e every 0.05 widths, as if seen ten times.
_TAIL_START, _TAIL_SEEN, _TAIL_LEAST = 0.05, 10.0, 0.01
_RATE_SEEN: Final = 50.0
_RATE_LEAST: Final = 1e-4
_EXCESS_MOST: Final = 5.0
_CELL_ROWS: Final = 6.0
_CELL_MEMORY: Final = 48.0
_ROBUST: Final = 4.0
_CYCLES: Final = 3
_TINY: Final = 1e-30

STATISTICS: Final = (
    "value",
    "fast average",
    "slow average",
    "fast - slow",
    "slow - slowest",
    "step",
    "log variance 32",
    "log variance 8",
    "log variance 128",
    "time of day",
    "since crossing",
    "cycle",
    "unchanged",
)
# Rows a statistic needs before its range begins.
_BEGINS: Final = np.array((1, 1, 16, 1, 32, 2, 32, 8, 128, 1, 1, 1, 1), np.float64)
_PROFILE, _SINCE, _CYCLE = (STATISTICS.index(name) for name in ("time of day", "since crossing", "cycle"))


class Charts:
    """Charts of `streams` streams of each of `units` units.

    `without` names statistics to leave out, for trials; the parameters are there for trials too.
    """

    def __init__(
        self,
        streams: int,
        units: int = 1,
        *,
        without: frozenset[str] = frozenset(),
        habit: float = HABIT,
        youth: float = YOUTH,
        calibrated: bool = True,
        once: bool = True,
        rss: bool = True,
    ) -> None:
        shape = (streams, units)
        count = len(STATISTICS)
        self._used: Mask = np.array([name not in without for name in STATISTICS])[:, None, None]
        self._habit, self._youth, self._calibrated, self._once, self._rss = habit, youth, calibrated, once, rss
        self._rows: Floats = np.zeros(shape)
        self._value: Floats = np.zeros(shape)
        self._average: Floats = np.zeros((len(SPANS), *shape))
        self._variance: Floats = np.zeros((len(VARIANCE_SPANS), *shape))
        # Of each cell of the day: mean, variance and rows.
        self._day: Floats = np.zeros((3, CELLS, *shape))
        self._since: Floats = np.zeros(shape)
        self._crossings: Floats = np.zeros(shape)
        self._above: Mask = np.zeros(shape, np.bool_)
        self._unchanged: Floats = np.zeros(shape)
        self._statistic: Floats = np.zeros((count, *shape))
        self._low: Floats = np.full((count, *shape), np.inf)
        self._high: Floats = np.full((count, *shape), -np.inf)
        self._age: Floats = np.zeros((count, *shape))
        self._excesses: Floats = np.zeros(units)
        self._excess: Floats = np.zeros(units)
        self._all_rows: Floats = np.zeros(units)
        self._excursion: Floats = np.full(units, np.inf)
        self._bar: Floats = np.zeros(units)
        self._streams: Ints = np.arange(streams)[:, None]
        self._units: Ints = np.arange(units)[None, :]

    def take(self, values: Floats, cell: Ints, *, judges_day: Mask) -> Floats:
        """Take one row of each unit and give how near it is to an alarm: 1 or more is one.

        `values` [streams, units], NaN = missing; `cell` [units] is the half hour of the day, -1 where nobody knows;
        `judges_day` [units] says where the profile of the day is old enough to be believed.
        """
        present = np.isfinite(values)
        valid = self._measure(values, present, cell, judges_day)
        surprise = self._surprise(valid)
        if self._rss:
            combined = np.sqrt(np.einsum("ijk,ijk->k", surprise, surprise))
        else:
            combined = surprise.max(axis=(0, 1))
        likely = self._calibrate(combined, np.logical_or.reduce(present)) if self._calibrated else combined * 10.0
        return self._once_an_excursion(likely)

    def _measure(self, values: Floats, present: Mask, cell: Ints, judges_day: Mask) -> Mask:
        """Bring the statistics up to date; gives [statistics, streams, units] where there is one."""
        x = np.where(present, values, self._value)
        rows = self._rows = self._rows + present
        youngest = 1.0 / np.maximum(rows, 1.0)
        average, variance, out = self._average, self._variance, self._statistic
        off = x - average[1]
        average += np.maximum((2.0 / (SPANS + 1.0))[:, None, None], youngest) * present * (x - average)
        off_squared = off * off
        variance += (
            np.maximum((2.0 / (VARIANCE_SPANS + 1.0))[:, None, None], youngest) * present * (off_squared - variance)
        )
        step = (x - self._value) * (rows > 1)
        out[0] = x
        out[1:3] = average[:2]
        out[3:5] = average[:2] - average[1:]
        out[5] = step
        least = 1e-6 * variance[2] + 1e-10 * average[2] ** 2 + _TINY
        out[6:9] = 0.5 * np.log(variance[[1, 0, 2]] + least)
        valid = present & (rows >= _BEGINS[:, None, None])
        day_known = self._time_of_day(x, present, cell)
        valid[_PROFILE] &= day_known & judges_day
        crossed = self._cycles(x, present)
        known = self._crossings > _CYCLES
        valid[_SINCE] &= known
        valid[_CYCLE] = crossed & known
        self._unchanged = np.where(present, np.where(step == 0.0, self._unchanged + 1.0, 0.0), self._unchanged)
        out[-1] = self._unchanged
        self._value = x
        return valid & self._used

    def _time_of_day(self, x: Floats, present: Mask, cell: Ints) -> Mask:
        """Measure the distance from the profile of the day, robustly, and learn it; gives where it is known."""
        at = (np.maximum(cell, 0)[None, :], self._streams, self._units)
        mean, spread, rows = self._day[0][at], self._day[1][at], self._day[2][at]
        known = (rows >= _CELL_ROWS) & (cell >= 0)
        scale = np.sqrt(spread + 0.05 * self._variance[1] + _TINY)
        off = x - mean
        distance = np.where(known, off / scale, 0.0)
        self._statistic[_PROFILE] = distance
        learned = np.where(known, np.clip(distance, -_ROBUST, _ROBUST) * scale, off)
        share = np.maximum(1.0 / _CELL_MEMORY, 1.0 / (rows + 1.0)) * (present & (cell >= 0))
        self._day[0][at] = mean + share * learned
        self._day[1][at] = spread + share * (learned * learned - spread)
        self._day[2][at] = rows + present
        return known

    def _cycles(self, x: Floats, present: Mask) -> Mask:
        """Count rows since the value last rose through its slowest average; gives where it does so now."""
        swing = 0.3 * np.sqrt(self._variance[2])
        rises = ~self._above & (x > self._average[2] + swing)
        falls = self._above & (x < self._average[2] - swing)
        self._above = (self._above | rises) & ~falls
        self._crossings += rises
        self._statistic[_CYCLE] = np.where(rises, self._since, 0.0)
        self._since = np.where(rises, 0.0, self._since + present)
        self._statistic[_SINCE] = self._since
        return rises

    def _surprise(self, valid: Mask) -> Floats:
        """Say how far each statistic leaves its past range, in widths of it, then widen and fade the range."""
        now, low, high = self._statistic, self._low, self._high
        self._age += valid
        begun = self._age > 1
        width = np.where(begun, high - low, 0.0)
        over = np.where(begun & valid, np.maximum(np.maximum(now - high, low - now), 0.0), 0.0)
        # A range of no width is left by as much as can be said: its whole width, once.
        relative = np.where(width > 0, over / np.maximum(np.maximum(width, 1e-3 * over), _TINY), over > 0)
        np.copyto(high, np.maximum(high, now), where=valid)
        np.copyto(low, np.minimum(low, now), where=valid)
        closer = FADE * np.subtract(high, low, out=np.zeros_like(high), where=valid)
        high -= closer
        low += closer
        discounted: Floats = relative * (self._age / (self._age + self._youth))
        return discounted

    def _calibrate(self, surprise: Floats, present: Mask) -> Floats:
        """Give -log10 of the tail probability, from how often and by how much the past left its deadband.

        Peaks over a threshold fall off exponentially in the limit (Pickands 1975, Balkema and de Haan 1974).
        """
        excess = surprise - DEADBAND
        above = excess > 0.0
        mean = np.maximum((_TAIL_START * _TAIL_SEEN + self._excess) / (_TAIL_SEEN + self._excesses), _TAIL_LEAST)
        rate = (self._excesses + 1.0) / (np.minimum(self._all_rows, TAIL_MEMORY) + _RATE_SEEN)
        rate = np.clip(rate, _RATE_LEAST, 1.0)
        likely: Floats = np.where(above, -np.log10(rate) + excess / (mean * np.log(10.0)), 0.0)
        kept = np.where(present, 1.0 - 1.0 / TAIL_MEMORY, 1.0)
        self._excesses = self._excesses * kept + above
        self._excess = self._excess * kept + np.where(above, np.minimum(excess, _EXCESS_MOST * mean), 0.0)
        self._all_rows = self._all_rows + present
        return likely

    def _once_an_excursion(self, likely: Floats) -> Floats:
        """Set against the bar; one alarm an excursion, and each raises the bar for a while."""
        near = likely / (BAR * (1.0 + self._habit * self._bar))
        within = self._excursion < QUIET
        alarm = (near >= 1.0) & ~within
        self._bar = self._bar * (1.0 - 1.0 / MEMORY) + alarm
        again = alarm | (within & (near >= 0.5))  # noqa: PLR2004 - half an alarm keeps an excursion going
        self._excursion = np.where(again, 0.0, self._excursion + 1.0)
        # Two thirds of the way from nothing: seen, but below every alarm.
        return np.where(within, np.minimum(near * 0.5, 0.9), near) if self._once else near
