"""A reading is (lift, at): tell the first copy from a second one without asking the store, where that can be.

A live reading is newer than everything stored of its lift, so one comparison shows that it is no duplicate; only
late ones need a look into the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

import numpy as np

from lift import codes as code_sets
from lift.batch import Batch, Floats, Ints, Mask, Slots
from lift.ports import Stored

Values = TypeVar("Values", Floats, Ints)

NEVER: Final = np.iinfo(np.int64).min
_NUMBERS_FIRST: Final = 1024


class Lifts:
    """Numbers lifts in order of appearance and remembers the time of each one's newest stored reading.

    Not for several threads at once; `names` only ever grows, so others may read what is there already.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._number: dict[str, int] = {}
        self._newest: Ints = np.full(_NUMBERS_FIRST, NEVER, np.int64)
        self._told: Sequence[str] = ()
        self._told_numbers: Slots = np.empty(0, np.int32)

    def number(self, name: str) -> int | None:
        """Give a lift's number, None for one that was never seen."""
        return self._number.get(name)

    def numbers(self, batch: Batch) -> Slots:
        """Give the number of each reading's lift, numbering those not seen before."""
        # After ingest every batch has the fleet's own list of names; translating it once is enough.
        if batch.names is not self._told or len(batch.names) != len(self._told_numbers):
            self._told_numbers = self.add(batch.names)
            self._told = batch.names
        return self._told_numbers[batch.lift]

    def add(self, names: Iterable[str]) -> Slots:
        """Number lifts; one that was seen before keeps its number."""
        numbers = []
        for name in names:
            number = self._number.get(name)
            if number is None:
                number = self._number[name] = len(self.names)
                self.names.append(name)
            numbers.append(number)
        while len(self._newest) < len(self.names):
            self._newest = np.concatenate([self._newest, np.full_like(self._newest, NEVER)])
        return np.array(numbers, np.int32)

    def late(self, number: Slots, at: Ints) -> Mask:
        """Say which readings are not newer than all that is stored of their lift."""
        return at <= self._newest[number]

    def remember(self, number: Slots, at: Ints) -> None:
        """Note that readings are stored now."""
        np.maximum.at(self._newest, number, at)

    def newest(self) -> Mapping[str, int]:
        """Give the time of the newest stored reading of each lift that has any."""
        times = self._newest[: len(self.names)].tolist()
        return {name: at for name, at in zip(self.names, times, strict=True) if at != NEVER}


def arrange(batch: Batch, number: Slots) -> tuple[Batch, Slots, Slots | None]:
    """Put each reading there once: the batch and its lift numbers without repeats, and their order.

    The order (None = as they stand) sorts by lift, then time: stored so, one lift's past lies close together.
    Of a reading that is repeated in the batch the last reported value of every column counts.
    """
    order = _order(number, batch.at)
    lift, at = (number, batch.at) if order is None else (number[order], batch.at[order])
    again = (lift[1:] == lift[:-1]) & (at[1:] == at[:-1])
    if again.any():
        if order is not None:
            batch = batch.take(order)
        starts = np.flatnonzero(np.concatenate([[True], ~again]))
        return merge(batch, starts), lift[starts], None
    return batch, number, order


def outcome(number: Slots, at: Ints, known_number: Slots, known_at: Ints) -> Stored:
    """Say what became of readings (lift numbers and times), given those of them that were stored before.

    The others are new where they come first.
    """
    lift, moment = np.concatenate([known_number, number]), np.concatenate([known_at, at])
    # Stable: what was stored before stands first among its copies.
    order = np.lexsort((moment, lift))
    lift, moment = lift[order], moment[order]
    again = np.zeros(len(lift), np.bool_)
    again[order[1:]] = (lift[1:] == lift[:-1]) & (moment[1:] == moment[:-1])
    again = again[len(known_number) :]
    duplicate = int(again.sum())
    return Stored(len(again) - duplicate, duplicate, again if 0 < duplicate < len(again) else None)


def newest_cells(batch: Batch) -> Batch:
    """Leave of rows that are sorted by lift and time each lift's last one, and each signal's last reported value."""
    if not len(batch):
        return batch
    starts = np.flatnonzero(np.concatenate([[True], batch.lift[1:] != batch.lift[:-1]]))
    used = np.zeros(len(batch), np.bool_)
    used[np.append(starts[1:], len(batch)) - 1] = True
    columns = {}
    for signal, values in batch.columns.items():
        last = _last_places(~np.isnan(values), starts)
        used[last] = True
        columns[signal] = np.full_like(values, np.nan)
        columns[signal][last] = values[last]
    codes = batch.codes
    if codes is not None:
        last = _last_places(codes != code_sets.NOT_REPORTED, starts)
        used[last] = True
        kept = np.full_like(codes, code_sets.NOT_REPORTED)
        kept[last] = codes[last]
        codes = kept
    return Batch(batch.names, batch.lift, batch.at, columns, codes).take(used)


def _last_places(known: Mask, starts: Ints) -> Ints:
    """Give the places of each run's last known value, without runs that have none."""
    last = np.maximum.reduceat(np.where(known, np.arange(len(known)), -1), starts)
    return last[last >= 0]


def _order(number: Slots, at: Ints) -> Slots | None:
    """Sort by lift, then time; equal ones keep their order. None when they stand in order already."""
    rises = (number[1:] > number[:-1]) | ((number[1:] == number[:-1]) & (at[1:] >= at[:-1]))
    return None if rises.all() else np.lexsort((at, number)).astype(np.int32)


def merge(batch: Batch, starts: Ints) -> Batch:
    """Make one reading of each run of copies; `starts` says where the runs begin."""
    columns = {
        signal: last_known(values, ~np.isnan(values), starts, np.nan) for signal, values in batch.columns.items()
    }
    codes = batch.codes
    if codes is not None:
        codes = last_known(codes, codes != code_sets.NOT_REPORTED, starts, code_sets.NOT_REPORTED)
    return Batch(batch.names, batch.lift[starts], batch.at[starts], columns, codes)


def last_known(values: Values, known: Mask, starts: Ints, missing: float) -> Values:
    """Give each run's last known value, `missing` where a run has none."""
    last = np.maximum.reduceat(np.where(known, np.arange(len(values)), -1), starts)
    return np.where(last >= 0, values[last], missing).astype(values.dtype)
