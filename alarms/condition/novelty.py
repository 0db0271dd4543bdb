"""Range novelty: how surprising a new row is, from how far its statistics leave the range of all rows before.

A statistic is surprising by how far it leaves its own past range, relative to that range, and the less the younger it
is. Surprises of all statistics and streams of a unit are combined as the root of their summed squares, set against
the unit's own past tail, and become one alarm an excursion; each alarm raises the bar for a while.

`alarms.condition.charts` feeds it rows of series, `alarms.condition.day_charts` days of lifts. State is a fixed number
of values a stream, whatever came before. All arrays end in [streams, units].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lift.batch import Floats, Mask

_TAIL_LEAST: Final = 0.01
_EXCESS_MOST: Final = 5.0
_RATE_LEAST: Final = 1e-4
_TINY: Final = 1e-30


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How novelty judges; spans are in rows.

    `youth`: rows after which a statistic counts for one half. `fade`: part of its width by which a past range closes
    with each row, so that one outlier does not blind it for ever. `deadband`: surprise that never counts, in widths of
    a past range. `bar`: how unlikely a row must be for an alarm, as -log10 of its tail probability. `habit`: by which
    part of itself each alarm raises the bar, which fades over `memory`. `tail_memory`: over how many rows the past tail
    is forgotten. `quiet`: rows without half an alarm that end an excursion. `rate_seen`: rows without any surprise that
    a young unit is taken to have lived. Before a tail is known it is taken to fall by a factor e every `tail_start`
    widths, as if seen `tail_seen` times.
    """

    youth: float
    fade: float
    deadband: float
    bar: float
    habit: float
    memory: float
    tail_memory: float
    quiet: float
    rate_seen: float = 50.0
    tail_start: float = 0.05
    tail_seen: float = 10.0


class Novelty:
    """Past ranges of `statistics` statistics of `streams` streams of each of `units` units, and the units' tails.

    `kind` is the type of the ranges. With `one_age` all statistics of a stream are equally old.
    """

    def __init__(
        self,
        statistics: int,
        streams: int,
        units: int,
        tuning: Tuning,
        *,
        kind: type[np.float32 | np.float64] = np.float64,
        one_age: bool = False,
    ) -> None:
        shape = (statistics, streams, units)
        self._tuning = tuning
        self._far = 1e300 if kind is np.float64 else 1e30
        # What each statistic may leave its range by so that all of them together still do not count.
        self._nothing = tuning.deadband / np.sqrt(statistics * streams)
        self._low: NDArray[Any] = np.full(shape, self._far, kind)
        self._high: NDArray[Any] = np.full(shape, -self._far, kind)
        age = (1, streams, units) if one_age else shape
        self._age: NDArray[Any] = np.zeros(age, np.uint16 if one_age else np.float64)
        self._excesses: NDArray[Any] = np.zeros(units, kind)
        self._excess: NDArray[Any] = np.zeros(units, kind)
        self._rows: NDArray[Any] = np.zeros(units, kind)
        self._excursion: NDArray[Any] = np.full(units, np.inf, kind)
        self._bar: NDArray[Any] = np.zeros(units, kind)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give all that is remembered; the arrays themselves, to be saved or filled."""
        return {
            "low": self._low,
            "high": self._high,
            "age": self._age,
            "excesses": self._excesses,
            "excess": self._excess,
            "rows": self._rows,
            "excursion": self._excursion,
            "bar": self._bar,
        }

    def forget(self, streams: Mask, unit: int) -> None:
        """Begin the ranges of some streams of one unit anew."""
        self._low[:, streams, unit] = self._far
        self._high[:, streams, unit] = -self._far
        self._age[:, streams, unit] = 0

    @property
    def age(self) -> NDArray[Any]:
        """Rows that each statistic of each stream has been told."""
        return self._age

    @property
    def excursion(self) -> NDArray[Any]:
        """Rows of each unit since its newest excursion was last seen; infinite where there was none."""
        return self._excursion

    def pass_row(self, told: Mask) -> None:
        """Let one row pass for every unit, before it is judged: the units that are `told` anything grow older."""
        tuning = self._tuning
        self._rows += told
        self._bar *= 1.0 - 1.0 / tuning.memory
        kept = 1.0 - told / tuning.tail_memory
        self._excesses *= kept
        self._excess *= kept

    def nothing_new(self) -> None:
        """Say of a row that nothing was new in any unit."""
        self._excursion += 1.0

    def over(
        self, now: NDArray[Any], valid: Mask, *, least: NDArray[Any] | None = None, counts: Mask | None = None
    ) -> NDArray[Any] | None:
        """Say how far each statistic leaves its past range, in widths of it, then widen and fade the range.

        `least` is the least width that is believed; `counts` says in which streams it counts to fall below the range.
        None, as of most rows of few streams, where all of it together stays within the deadband.
        """
        low, high, age = self._low, self._high, self._age
        age += valid
        below = low - now if counts is None else np.where(counts, low - now, 0.0)
        over = np.maximum(now - high, below)
        # A range that has not begun lies the wrong way round: nothing can be said of who leaves it.
        over *= valid & (age > 1)
        width = high - low
        leaves = bool((over > self._nothing * np.abs(width)).any())
        np.maximum(high, now, out=high, where=valid)
        np.minimum(low, now, out=low, where=valid)
        closer = (self._low.dtype.type(self._tuning.fade) * valid) * (high - low)
        high -= closer
        low += closer
        if not leaves:
            return None
        # A range of no width is left by as much as can be said: its whole width, once.
        over = np.maximum(over, 0.0)
        if least is not None:
            width = np.maximum(width, least)
        relative = np.where(width > 0, over / np.maximum(np.maximum(width, 1e-3 * over), _TINY), over > 0)
        discounted: NDArray[Any] = relative * (age / (age + self._tuning.youth))
        return discounted

    def calibrate(self, surprise: NDArray[Any]) -> Floats:
        """Give -log10 of the tail probability, from how often and by how much the past left its deadband.

        Peaks over a threshold fall off exponentially in the limit (Pickands 1975, Balkema and de Haan 1974).
        """
        tuning = self._tuning
        excess = surprise - tuning.deadband
        above = excess > 0.0
        mean = (tuning.tail_start * tuning.tail_seen + self._excess) / (tuning.tail_seen + self._excesses)
        mean = np.maximum(mean, _TAIL_LEAST)
        rate = (self._excesses + 1.0) / (np.minimum(self._rows, tuning.tail_memory) + tuning.rate_seen)
        rate = np.clip(rate, _RATE_LEAST, 1.0)
        likely: Floats = np.where(above, -np.log10(rate) + excess / (mean * np.log(10.0)), 0.0)
        self._excesses += above
        self._excess += np.where(above, np.minimum(excess, _EXCESS_MOST * mean), 0.0)
        return likely

    def once_an_excursion(self, likely: Floats, *, once: bool = True) -> Floats:
        """Set against the bar; one alarm an excursion, and each raises the bar for a while.

        Gives how near each unit is to an alarm, 1 or more being one; not `once` leaves what follows within an
        excursion as it is.
        """
        tuning = self._tuning
        near = likely / (tuning.bar * (1.0 + tuning.habit * self._bar))
        within = self._excursion < tuning.quiet
        alarm = (near >= 1.0) & ~within
        self._bar += alarm
        again = alarm | (within & (near >= 0.5))  # noqa: PLR2004 - half an alarm keeps an excursion going
        self._excursion[...] = np.where(again, 0.0, self._excursion + 1.0)
        # What goes on within an excursion is seen, and stays below every alarm.
        return np.where(within, np.minimum(0.5 * near, 0.9), near) if once else near
