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

from dataclasses import replace
from typing import Final

import numpy as np
import scipy

from alarms.condition.novelty import Novelty, Tuning
from lift.batch import Floats, Ints, Mask

# The tuned parameters, of which the first five were tuned and the rest fixed from the start; all figures in
# docs/condition-monitoring.md were made with these.
ROWS: Final = Tuning(
    youth=100.0,
    fade=1.0 / 4_000.0,
    deadband=0.05,
    bar=2.8,
    habit=0.2,
    memory=1_000.0,
    tail_memory=2_000.0,
    quiet=20.0,
)

# ---- Fixed from the start, never tuned.
SPANS: Final = np.array((4.0, 32.0, 256.0))
VARIANCE_SPANS: Final = np.array((8.0, 32.0, 128.0))
CELLS: Final = 48
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

    `without` names statistics to leave out, for trials; the other parameters are there for trials too.
    """

    def __init__(
        self,
        streams: int,
        units: int = 1,
        *,
        without: frozenset[str] = frozenset(),
        habit: float = ROWS.habit,
        calibrated: bool = True,
        once: bool = True,
        rss: bool = True,
    ) -> None:
        shape = (streams, units)
        count = len(STATISTICS)
        self._used: Mask = np.array([name not in without for name in STATISTICS])[:, None, None]
        self._calibrated, self._once, self._rss = calibrated, once, rss
        self._novelty = Novelty(count, streams, units, replace(ROWS, habit=habit))
        self._rows: Floats = np.zeros(shape)
        self._lives: Floats = np.zeros(shape)
        self._slow: Floats = np.zeros(shape)
        self._value: Floats = np.zeros(shape)
        self._average: Floats = np.zeros((len(SPANS), *shape))
        self._variance: Floats = np.zeros((len(VARIANCE_SPANS), *shape))
        # Of each cell of the day: mean, variance and rows.
        self._day: Floats = np.zeros((3, CELLS, *shape))
        self._since: Floats = np.zeros(shape)
        self._crossings: Floats = np.zeros(shape)
        self._above: Mask = np.zeros(shape, np.bool_)
        self._unchanged: Floats = np.zeros(shape)
        self._streams: Ints = np.arange(streams)[:, None]
        self._units: Ints = np.arange(units)[None, :]

    def take(self, values: Floats, cells: Ints, *, judges_day: Mask) -> Floats:
        """Take rows of each unit in order of time and give how near each is to an alarm: 1 or more is one.

        `values` [rows, streams, units], NaN = missing; `cells` [rows, units] is the half hour of the day, -1 where
        nobody knows; `judges_day` [rows, units] says where the profile of the day is old enough to be believed.
        However rows are cut into calls, the answers are the same.
        """
        present: Mask = np.isfinite(values)
        statistics, valid = self._measure(values, present, cells, judges_day)
        told: Mask = np.logical_or.reduce(present, axis=1)
        near = np.zeros((len(values), values.shape[2]))
        for row in range(len(values)):
            over = self._novelty.over(statistics[row], valid[row])
            self._novelty.pass_row(told[row])
            if over is None:
                self._novelty.nothing_new()
                continue
            combined = np.sqrt(np.einsum("ijk,ijk->k", over, over)) if self._rss else over.max(axis=(0, 1))
            likely = self._novelty.calibrate(combined) if self._calibrated else combined * 10.0
            near[row] = self._novelty.once_an_excursion(likely, once=self._once)
        return near

    def _measure(self, values: Floats, present: Mask, cells: Ints, judges_day: Mask) -> tuple[Floats, Mask]:
        """Bring the statistics up to date; gives [rows, statistics, streams, units] and where there is one."""
        x = _held(values, present, self._value)
        told = np.cumsum(present, axis=0, dtype=np.int64)
        rows = self._rows + told
        # Before its first value a stream has no averages; then they begin as if that value had always been.
        lives = self._lives + np.cumsum(rows > 0, axis=0)
        average = self._averages(self._average, 2.0 / (SPANS + 1.0), x, lives)
        before = np.concatenate([self._slow[None], average[:-1, 1]])
        off = np.where(lives > 1, x - before, 0.0)
        variance = self._averages(self._variance, 2.0 / (VARIANCE_SPANS + 1.0), off * off, lives)
        step = np.where(rows > 1, np.diff(x, axis=0, prepend=self._value[None]), 0.0)
        out = np.empty((len(x), len(STATISTICS), *x.shape[1:]))
        out[:, 0] = x
        out[:, 1:3] = average[:, :2]
        out[:, 3:5] = average[:, :2] - average[:, 1:]
        out[:, 5] = step
        least = 1e-6 * variance[:, 2:] + 1e-10 * average[:, 2:] ** 2 + _TINY
        out[:, 6:9] = 0.5 * np.log(variance[:, [1, 0, 2]] + least)
        valid: Mask = (present & (rows >= _BEGINS[:, None, None, None])).swapaxes(0, 1)
        valid[:, _PROFILE] &= self._time_of_day(x, present, cells, variance[:, 1], out[:, _PROFILE])
        valid[:, _PROFILE] &= judges_day[:, None]
        crossed, known = self._cycles(x, average[:, 2], variance[:, 2], told, out)
        valid[:, _SINCE] &= known
        valid[:, _CYCLE] = crossed & known
        changed = present & (step != 0.0)
        out[:, -1] = _since(changed, told, self._unchanged)
        self._unchanged = out[-1, -1].copy()
        self._value, self._rows, self._lives, self._slow = x[-1], rows[-1], lives[-1], average[-1, 1]
        return out, valid & self._used

    @staticmethod
    def _averages(state: Floats, shares: Floats, values: Floats, lives: Floats) -> Floats:
        """Give EWMAs of values [rows, spans, streams, units], free of where they began (Kingma and Ba, 2015)."""
        out = np.empty((len(values), *state.shape))
        live = np.where(lives > 0, values, 0.0)
        for number, share in enumerate(shares.tolist()):
            kept = 1.0 - share
            filtered, last = scipy.signal.lfilter([share], [1.0, -kept], live, axis=0, zi=state[number][None] * kept)
            state[number] = last[0] / kept
            out[:, number] = filtered / np.maximum(1.0 - kept**lives, share)
        return out

    def _time_of_day(self, x: Floats, present: Mask, cells: Ints, variance: Floats, out: Floats) -> Mask:
        """Measure the distance from the profile of the day, robustly, and learn it; gives where it is known."""
        out[:] = 0.0
        known = np.zeros(x.shape, np.bool_)
        clocked = present & (cells >= 0)[:, None]
        floor = 0.05 * variance + _TINY
        mean, spread, rows = self._day
        for row in np.flatnonzero(clocked.any(axis=(1, 2))).tolist():
            # One unit's cell is a plain index, which is far quicker.
            at = int(cells[row, 0]) if cells.shape[1] == 1 else (cells[row][None, :], self._streams, self._units)
            seen, middle = rows[at], mean[at]
            wide = spread[at]
            known[row] = (seen >= _CELL_ROWS) & clocked[row]
            scale = np.sqrt(wide + floor[row])
            off = x[row] - middle
            out[row] = np.where(known[row], off / scale, 0.0)
            bound = _ROBUST * scale
            learned = np.where(known[row], np.minimum(np.maximum(off, -bound), bound), off)
            share = np.maximum(1.0 / _CELL_MEMORY, 1.0 / (seen + 1.0)) * clocked[row]
            mean[at] = middle + share * learned
            spread[at] = wide + share * (learned * learned - wide)
            rows[at] = seen + clocked[row]
        return known

    def _cycles(self, x: Floats, slowest: Floats, variance: Floats, told: Ints, out: Floats) -> tuple[Mask, Mask]:
        """Count rows since the value last rose through its slowest average; gives where it does so and is known."""
        swing = 0.3 * np.sqrt(variance)
        side = np.where(x > slowest + swing, 1, np.where(x < slowest - swing, -1, 0))
        rows = np.arange(len(x))[:, None, None]
        newest = np.maximum.accumulate(np.where(side != 0, rows, -1), axis=0)
        above = np.where(newest >= 0, np.take_along_axis(side, np.maximum(newest, 0), axis=0) > 0, self._above)
        rises: Mask = above & ~np.concatenate([self._above[None], above[:-1]])
        since = _since(rises, told, self._since)
        out[:, _CYCLE] = np.where(rises, np.concatenate([self._since[None], since[:-1]]), 0.0)
        out[:, _SINCE] = since
        crossings = self._crossings + np.cumsum(rises, axis=0)
        self._above, self._since, self._crossings = above[-1], since[-1], crossings[-1]
        return rises, crossings > _CYCLES


def _held(values: Floats, present: Mask, before: Floats) -> Floats:
    """Give each row's values, or where they are missing the newest before."""
    rows = np.arange(len(values))[:, None, None]
    newest = np.maximum.accumulate(np.where(present, rows, -1), axis=0)
    found = np.take_along_axis(values, np.maximum(newest, 0), axis=0)
    held: Floats = np.where(newest >= 0, found, before)
    return held


def _since(happens: Mask, told: Ints, before: Floats) -> Floats:
    """Give how many rows were told since something last happened; `before` is that count before the first row."""
    last = np.maximum.accumulate(np.where(happens, told, -1), axis=0)
    since: Floats = np.where(last >= 0, told - last, told + before)
    return since
