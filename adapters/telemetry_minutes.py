"""Roll-ups: what each lift's minutes say in one row each, and how steps of a history are made of them.

A minute's row is identified by lift and the minute's start, so stores keep it as they keep readings. Of a measured
signal it holds mean (under the signal's own name), lowest, highest and count; of a whole one the last value and
count. Minutes add up: a step's mean is the mean of its minutes', weighted by their counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from adapters.telemetry_kinds import Kind
from lift.batch import Batch, Floats, Ints
from lift.ports import History
from lift.signals import SIGNALS, Signal

MINUTE: Final = 60_000_000
# A signal is reported at most every so often that a minute's count stays far below this.
_COUNT_MAX: Final = 1_000_000


def _part(signal: Signal, what: str, low: float, high: float, *, whole: bool) -> Signal:
    return Signal(f"{signal.name}_{what}", signal.unit, low, high, signal.en, signal.zh, whole=whole)


COUNT: Final = {signal: _part(signal, "count", 0, _COUNT_MAX, whole=True) for signal in SIGNALS}
LOWEST: Final = {s: _part(s, "min", s.low, s.high, whole=False) for s in SIGNALS if not s.whole}
HIGHEST: Final = {s: _part(s, "max", s.low, s.high, whole=False) for s in SIGNALS if not s.whole}
MINUTES: Final = Kind("telemetry_minute", (*SIGNALS, *LOWEST.values(), *HIGHEST.values(), *COUNT.values()), codes=False)


@dataclass(frozen=True, slots=True)
class Steps:
    """One lift's steps in order: where each begins, every signal's value in it and how many readings that is of."""

    at: Ints
    values: Mapping[Signal, Floats]
    counts: Mapping[Signal, Floats]

    def history(self) -> History:
        """Give the steps as a history, without those in which nothing was reported."""
        known = np.zeros(len(self.at), np.bool_)
        for values in self.values.values():
            known |= ~np.isnan(values)
        return History(self.at[known], {signal: values[known] for signal, values in self.values.items()})


StepsOf: TypeAlias = Callable[[History, Sequence[Signal], int], Steps]


def roll_up(batch: Batch) -> Batch:
    """Give the minutes of readings that are sorted by lift, then time, each there once; columns of MINUTES."""
    if not len(batch):
        return Batch(batch.names, batch.lift, batch.at)
    minute = batch.at // MINUTE * MINUTE
    starts = np.flatnonzero(np.concatenate([[True], (batch.lift[1:] != batch.lift[:-1]) | (minute[1:] != minute[:-1])]))
    columns: dict[Signal, Floats] = {}
    for signal in SIGNALS:
        values = batch.columns.get(signal)
        if values is None:
            continue
        known = ~np.isnan(values)
        counts = np.add.reduceat(known, starts, dtype=np.int64)
        if not counts.any():
            continue
        columns[COUNT[signal]] = np.where(counts, counts, np.nan).astype(COUNT[signal].dtype)
        if signal.whole:
            columns[signal] = _last(values, known, starts)
        else:
            columns[signal] = _mean(values, known, starts, counts).astype(signal.dtype)
            columns[LOWEST[signal]] = np.fmin.reduceat(values, starts)
            columns[HIGHEST[signal]] = np.fmax.reduceat(values, starts)
    return Batch(batch.names, batch.lift[starts], minute[starts], columns)


def steps_of_readings(history: History, signals: Sequence[Signal], resolution_us: int) -> Steps:
    """Cut one lift's readings, in order of time, into steps."""
    ones = {signal: (~np.isnan(history.columns[signal])).astype(np.float64) for signal in signals}
    return _steps(history.at, history.columns, ones, signals, resolution_us)


def steps_of_minutes(minutes: History, signals: Sequence[Signal], resolution_us: int) -> Steps:
    """Put one lift's minutes, in order of time, together into steps; a minute belongs to the step it begins in."""
    counts = {signal: np.nan_to_num(minutes.columns[COUNT[signal]].astype(np.float64), nan=0.0) for signal in signals}
    return _steps(minutes.at, minutes.columns, counts, signals, resolution_us)


def joined(steps: Sequence[Steps], signals: Sequence[Signal]) -> Steps:
    """Put steps of times that follow each other together."""
    nothing = Steps(
        np.empty(0, np.int64), {s: np.empty(0, s.dtype) for s in signals}, {s: np.empty(0) for s in signals}
    )
    every = [nothing, *steps]
    return Steps(
        np.concatenate([one.at for one in every]),
        {s: np.concatenate([one.values[s] for one in every]) for s in signals},
        {s: np.concatenate([one.counts[s] for one in every]) for s in signals},
    )


def richer(one: Steps, other: Steps, signals: Sequence[Signal]) -> Steps:
    """Give every step and signal from whichever knows more readings of it: the first where both know as many.

    So minutes stand in where readings are gone, and readings where minutes are not made yet or do not know the latest.
    """
    at = np.union1d(one.at, other.at)
    mine, theirs = np.searchsorted(at, one.at), np.searchsorted(at, other.at)
    columns: dict[Signal, Floats] = {}
    every: dict[Signal, Floats] = {}
    for signal in signals:
        values, counts = np.full(len(at), np.nan, signal.dtype), np.zeros(len(at))
        values[mine], counts[mine] = one.values[signal], one.counts[signal]
        more = other.counts[signal] > counts[theirs]
        values[theirs[more]] = other.values[signal][more]
        counts[theirs[more]] = other.counts[signal][more]
        columns[signal], every[signal] = values, counts
    return Steps(at, columns, every)


def whole_minutes(start: int, end: int) -> tuple[int, int]:
    """Give the time within which minutes lie wholly in start <= at < end."""
    return -(-start // MINUTE) * MINUTE, end // MINUTE * MINUTE


def parts_of(signals: Sequence[Signal]) -> list[Signal]:
    """Name the columns of a minute that a history of these signals needs."""
    return [*signals, *(COUNT[signal] for signal in signals)]


def _steps(
    at: Ints,
    values: Mapping[Signal, Floats],
    weights: Mapping[Signal, Floats],
    signals: Sequence[Signal],
    resolution_us: int,
) -> Steps:
    if not len(at):
        nothing = {signal: np.empty(0, signal.dtype) for signal in signals}
        return Steps(at, nothing, {signal: np.empty(0) for signal in signals})
    step = at // resolution_us * resolution_us
    starts = np.flatnonzero(np.concatenate([[True], step[1:] != step[:-1]]))
    summary: dict[Signal, Floats] = {}
    counts: dict[Signal, Floats] = {}
    for signal in signals:
        known = ~np.isnan(values[signal])
        weight = np.where(known, weights[signal], 0.0)
        counts[signal] = np.add.reduceat(weight, starts)
        if signal.whole:
            summary[signal] = _last(values[signal], known, starts)
        else:
            totals = np.add.reduceat(np.where(known, values[signal].astype(np.float64) * weight, 0.0), starts)
            with np.errstate(invalid="ignore", divide="ignore"):
                summary[signal] = (totals / counts[signal]).astype(signal.dtype)
    return Steps(step[starts], summary, counts)


def _mean(values: Floats, known: np.typing.NDArray[np.bool_], starts: Ints, counts: Ints) -> Floats:
    totals = np.add.reduceat(np.where(known, values, 0.0), starts, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = totals / counts
    return mean


def _last(values: Floats, known: np.typing.NDArray[np.bool_], starts: Ints) -> Floats:
    last = np.maximum.reduceat(np.where(known, np.arange(len(values)), -1), starts)
    return np.where(last >= 0, values[last], np.nan).astype(values.dtype)
