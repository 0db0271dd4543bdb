"""Telemetry in memory: for tests, trials and throw-away demos. The plain statement of what a store does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from adapters.telemetry_kinds import READINGS, TRIPS, Kind
from adapters.telemetry_limits import check_history, check_most, check_rows
from adapters.telemetry_minutes import (
    MINUTE,
    MINUTES,
    parts_of,
    richer,
    roll_up,
    steps_of_minutes,
    steps_of_readings,
    whole_minutes,
)
from lift import codes as code_sets
from lift.batch import Batch, Mask, concat
from lift.errors import Unavailable
from lift.ports import History, Span, Stored, Tidied
from lift.signals import Signal

READINGS_MAX: Final = 1_000_000
REPLAY_READINGS: Final = 100_000

# What one reading says: its signals, and under None its set of message codes. What is missing has no entry.
_Reading: TypeAlias = dict[Signal | None, float]
_Row: TypeAlias = tuple[int, list[float]]


class MemoryTelemetry:
    """Keeps readings and trips in dictionaries until the process ends; safe to use from many threads.

    A second copy is counted as a duplicate: what it reports replaces what the first said, what it lacks stays.
    Refuses more than `readings_max` of each rather than forget one.
    """

    def __init__(self, *, readings_max: int = READINGS_MAX) -> None:
        self._readings = _Shelf(READINGS, readings_max)
        self._trips = _Shelf(TRIPS, readings_max)
        self._minutes = _Shelf(MINUTES, readings_max)

    def append(self, batch: Batch) -> Stored:
        """Keep readings; raises Unavailable, having kept none, when there is no room left for all of them."""
        return self._readings.append(batch)

    def history(
        self, lift: str, signals: Sequence[Signal], *, start: int, end: int, resolution_us: int | None = None
    ) -> History:
        """Give one lift's readings with start <= at < end; Invalid("resolution") beyond READ_ROWS_MAX rows.

        Readings and steps in which none of these signals is reported are left out.
        """
        check_history(signals, resolution_us)
        rows = self._readings.rows(lift, signals, start, end)
        if resolution_us is None:
            found = _history(signals, rows)
        else:
            found = self._stepped(lift, signals, (start, end, resolution_us), _history(signals, rows))
        check_rows(len(found.at), start=start, end=end)
        return found

    def _stepped(self, lift: str, signals: Sequence[Signal], asked: tuple[int, int, int], readings: History) -> History:
        start, end, resolution_us = asked
        told = steps_of_readings(readings, signals, resolution_us)
        if resolution_us < MINUTE:
            return told.history()
        columns = parts_of(signals)
        kept = _history(columns, self._minutes.rows(lift, columns, *whole_minutes(start, end)))
        return richer(steps_of_minutes(kept, signals, resolution_us), told, signals).history()

    def latest(self, lifts: Sequence[str], *, since: int) -> Batch:
        """Give each lift's newest known value of every signal since a moment, in the order asked."""
        return self._readings.latest(lifts, since)

    def replay(self, *, start: int, end: int) -> Iterable[Batch]:
        """Give all lifts' readings with start <= at < end in ascending time, in batches."""
        return self._readings.replay(start, end)

    def newest(self) -> Mapping[str, int]:
        """Give the time of each lift's newest stored reading."""
        return self._readings.newest()

    def append_trips(self, batch: Batch) -> Stored:
        """Keep finished trips as `append` keeps readings."""
        return self._trips.append(batch)

    def trips(self, lift: str, signals: Sequence[Signal], *, start: int, end: int, most: int) -> History:
        """Give one lift's newest `most` trips with start <= at < end, ascending."""
        check_history(signals, None)
        check_most(most)
        return _history(signals, self._trips.rows(lift, signals, start, end)[-most:])

    def replay_trips(self, *, start: int, end: int) -> Iterable[Batch]:
        """Give all lifts' trips with start <= at < end in ascending time, in batches."""
        return self._trips.replay(start, end)

    def tidy(
        self, *, now: int, raw_before: int, long_before: int, around: Callable[[int, int], Sequence[Span]]
    ) -> Tidied:
        """Roll everything up, then remove what is old; all in one step, for there is little."""
        del now
        minutes = concat([roll_up(batch) for batch in self._readings.by_lift()])
        old = minutes.take(minutes.at < raw_before)
        kept = minutes.take(minutes.at >= raw_before)
        # Where readings may be gone already, what was made of all of them must not be replaced by what is left.
        made = concat([kept, old.take(~self._minutes.known(old))])
        self._minutes.append(made)
        return Tidied(
            readings=self._readings.remove(raw_before, around(0, raw_before)),
            minutes=self._minutes.remove(long_before, ()),
            trips=self._trips.remove(long_before, ()),
            rolled_up=len(made),
        )

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""


class _Shelf:
    """The rows of one kind."""

    def __init__(self, kind: Kind, rows_max: int) -> None:
        self._kind = kind
        self._rows_max = rows_max
        self._rows = 0
        self._of: dict[str, dict[int, _Reading]] = {}
        self._lock = Lock()

    def append(self, batch: Batch) -> Stored:
        """Keep rows, all or none."""
        told = list(_told(batch))
        with self._lock:
            if self._rows + len(told) > self._rows_max:
                raise Unavailable("telemetry store in memory", f"it holds at most {self._rows_max} readings")
            again = np.zeros(len(told), np.bool_)
            for i, (lift, at, reading) in enumerate(told):
                of_lift = self._of.setdefault(lift, {})
                again[i] = at in of_lift
                of_lift.setdefault(at, {}).update(reading)
            duplicate = int(again.sum())
            self._rows += len(told) - duplicate
        return Stored(len(told) - duplicate, duplicate, again)

    def rows(self, lift: str, signals: Sequence[Signal], start: int, end: int) -> list[_Row]:
        """Give one lift's rows in order of time, without those that report none of these signals."""
        with self._lock:
            of_lift = self._of.get(lift, {})
            return [
                (at, [of_lift[at].get(signal, np.nan) for signal in signals])
                for at in sorted(of_lift)
                if start <= at < end and any(signal in of_lift[at] for signal in signals)
            ]

    def latest(self, lifts: Sequence[str], since: int) -> Batch:
        """Merge each lift's rows since a moment into its newest known values."""
        newest: list[tuple[str, int, _Reading]] = []
        with self._lock:
            for lift in dict.fromkeys(lifts):
                of_lift = self._of.get(lift, {})
                times = sorted(at for at in of_lift if at >= since)
                if times:
                    merged: _Reading = {}
                    for at in times:
                        merged |= of_lift[at]
                    newest.append((lift, times[-1], merged))
        return _batch(self._kind, newest)

    def replay(self, start: int, end: int) -> Iterator[Batch]:
        """Give all rows of a time in its order."""
        with self._lock:
            rows = [
                (lift, at, dict(reading))
                for lift, of_lift in self._of.items()
                for at, reading in of_lift.items()
                if start <= at < end
            ]
        rows.sort(key=lambda row: row[1])
        for first in range(0, len(rows), REPLAY_READINGS):
            yield _batch(self._kind, rows[first : first + REPLAY_READINGS])

    def newest(self) -> Mapping[str, int]:
        """Give the time of each lift's newest row."""
        with self._lock:
            return {lift: max(of_lift) for lift, of_lift in self._of.items() if of_lift}

    def by_lift(self) -> list[Batch]:
        """Give each lift's rows in order of time."""
        with self._lock:
            return [
                _batch(self._kind, [(lift, at, of_lift[at]) for at in sorted(of_lift)])
                for lift, of_lift in self._of.items()
            ]

    def known(self, batch: Batch) -> Mask:
        """Say which rows are kept already."""
        pairs = zip(batch.lift.tolist(), batch.at.tolist(), strict=True)
        with self._lock:
            return np.array([at in self._of.get(batch.names[lift], {}) for lift, at in pairs], np.bool_)

    def remove(self, before: int, spans: Sequence[Span]) -> int:
        """Forget rows before a moment that lie in none of the spans; gives their number."""
        with self._lock:
            gone = [
                (lift, at)
                for lift, of_lift in self._of.items()
                for at in of_lift
                if at < before and not any(one.lift == lift and one.start <= at < one.end for one in spans)
            ]
            for lift, at in gone:
                del self._of[lift][at]
            self._rows -= len(gone)
        return len(gone)


def _told(batch: Batch) -> Iterator[tuple[str, int, _Reading]]:
    """Take a batch apart into its readings, each with only what it reports."""
    columns: dict[Signal | None, NDArray[Any]] = {
        signal: values.astype(signal.dtype, copy=False) for signal, values in batch.columns.items()
    }
    reported = {signal: ~np.isnan(values) for signal, values in columns.items()}
    columns[None] = batch.code_sets()
    reported[None] = columns[None] != code_sets.NOT_REPORTED
    for i in range(len(batch)):
        reading = {what: values[i].item() for what, values in columns.items() if reported[what][i]}
        yield batch.names[batch.lift[i]], int(batch.at[i]), reading


def _history(signals: Sequence[Signal], rows: Sequence[_Row]) -> History:
    return History(
        np.array([at for at, _ in rows], np.int64),
        {signal: np.array([row[i] for _, row in rows], signal.dtype) for i, signal in enumerate(signals)},
    )


def _batch(kind: Kind, rows: Sequence[tuple[str, int, _Reading]]) -> Batch:
    names = list(dict.fromkeys(lift for lift, _, _ in rows))
    slot = {name: position for position, name in enumerate(names)}
    sets = [int(reading.get(None, code_sets.NOT_REPORTED)) for _, _, reading in rows]
    return Batch(
        names,
        np.array([slot[lift] for lift, _, _ in rows], np.int32),
        np.array([at for _, at, _ in rows], np.int64),
        {
            signal: np.array([reading.get(signal, np.nan) for _, _, reading in rows], signal.dtype)
            for signal in kind.signals
            if any(signal in reading for _, _, reading in rows)
        },
        None if all(codes == code_sets.NOT_REPORTED for codes in sets) else np.array(sets, np.int64),
    )
