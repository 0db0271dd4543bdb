"""A batch: readings of many lifts as columns, the one in-memory shape from gateway to store.

Missing is NaN, never 0, so comparisons stay False and a rule stays silent without data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lift import codes as code_sets
from lift.signals import BY_NAME, Signal

Floats: TypeAlias = NDArray[np.floating[Any]]
Ints: TypeAlias = NDArray[np.int64]
Slots: TypeAlias = NDArray[np.int32]
Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings of many lifts; every array has one entry a reading and none is changed after building.

    `names[lift[i]]` is the rescue code of reading i and `at[i]` its time in µs since 1970 UTC; the two
    together identify it. `columns` holds float arrays, NaN = not reported; an absent column was reported
    by nobody. `codes` holds sets of active message codes (see `lift.codes`), None = reported by nobody.
    """

    names: Sequence[str]
    lift: Slots
    at: Ints
    columns: Mapping[Signal, Floats] = field(default_factory=dict)
    codes: Ints | None = None

    def __len__(self) -> int:
        """Count the readings."""
        return len(self.at)

    def take(self, which: Mask | Slots | Ints) -> Batch:
        """Give the readings that a mask or positions pick out, in that order."""
        return Batch(
            self.names,
            self.lift[which],
            self.at[which],
            {signal: values[which] for signal, values in self.columns.items()},
            None if self.codes is None else self.codes[which],
        )

    def column(self, signal: Signal) -> Floats:
        """Give one signal's values, all NaN where nobody reported it."""
        values = self.columns.get(signal)
        return np.full(len(self), np.nan, signal.dtype) if values is None else values

    def code_sets(self) -> Ints:
        """Give the sets of active codes, NOT_REPORTED where nobody reported them."""
        return np.full(len(self), code_sets.NOT_REPORTED, np.int64) if self.codes is None else self.codes

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give each reading as the JSON form spells it. For people and tests, not for the hot path."""
        sets = self.code_sets()
        for i in range(len(self)):
            row: dict[str, Any] = {"lift": self.names[self.lift[i]], "at": int(self.at[i])}
            for signal, values in self.columns.items():
                if not np.isnan(values[i]):
                    row[signal.name] = int(values[i]) if signal.whole else float(values[i])
            if sets[i] != code_sets.NOT_REPORTED:
                row["message_codes"] = [int(code) for code in code_sets.unpack(int(sets[i]))]
            yield row


EMPTY = Batch((), np.empty(0, np.int32), np.empty(0, np.int64))


def from_rows(rows: Sequence[Mapping[str, Any]], catalogue: Mapping[str, Signal] = BY_NAME) -> Batch:
    """Build a batch from trusted rows: `lift`, `at` (µs) and any signals of a catalogue. For people and tests.

    >>> [row for row in from_rows([{"lift": "063577", "at": 5, "passenger": 1}]).rows()]
    [{'lift': '063577', 'at': 5, 'passenger': 1}]
    """
    names = list(dict.fromkeys(row["lift"] for row in rows))
    slot = {name: position for position, name in enumerate(names)}
    reported = dict.fromkeys(chain.from_iterable(rows))
    return Batch(
        names,
        np.array([slot[row["lift"]] for row in rows], np.int32),
        np.array([row["at"] for row in rows], np.int64),
        {
            signal: np.array([_or_nan(row.get(signal.name)) for row in rows], signal.dtype)
            for signal in catalogue.values()
            if signal.name in reported
        },
        np.array([_code_set(row.get("message_codes")) for row in rows], np.int64)
        if "message_codes" in reported
        else None,
    )


def concat(batches: Sequence[Batch]) -> Batch:
    """Join batches end to end; a column that only some of them report is NaN in the others."""
    if len(batches) == 1:
        return batches[0]
    if not batches:
        return EMPTY
    names, lifts = _one_dictionary(batches)
    signals = dict.fromkeys(chain.from_iterable(batch.columns for batch in batches))
    return Batch(
        names,
        lifts,
        np.concatenate([batch.at for batch in batches]),
        {signal: np.concatenate([batch.column(signal) for batch in batches]) for signal in signals},
        None
        if all(batch.codes is None for batch in batches)
        else np.concatenate([batch.code_sets() for batch in batches]),
    )


def turns(lift: Slots, at: Ints) -> list[Ints]:
    """Split readings into turns, turn k with the k-th reading of each lift by its time; gives positions, lift by lift.

    >>> [turn.tolist() for turn in turns(np.array([1, 0, 1], np.int32), np.array([20, 5, 10]))]
    [[1, 2], [0]]
    """
    if not lift.size:
        return []
    order = np.lexsort((at, lift))
    lift = lift[order]
    starts = np.flatnonzero(np.concatenate(([True], lift[1:] != lift[:-1])))
    nth = np.arange(lift.size) - np.repeat(starts, np.diff(starts, append=lift.size))
    return np.split(order[np.argsort(nth, kind="stable")], np.cumsum(np.bincount(nth))[:-1])


def _one_dictionary(batches: Sequence[Batch]) -> tuple[Sequence[str], Slots]:
    """Renumber lifts onto one list of names; free when the batches share theirs, as they do after ingest."""
    first = batches[0].names
    if all(batch.names is first for batch in batches):
        return first, np.concatenate([batch.lift for batch in batches])
    slot: dict[str, int] = {}
    lifts = []
    for batch in batches:
        renumber = np.array([slot.setdefault(name, len(slot)) for name in batch.names], np.int32)
        lifts.append(renumber[batch.lift])
    return list(slot), np.concatenate(lifts)


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _code_set(codes: Sequence[int] | None) -> int:
    return code_sets.NOT_REPORTED if codes is None else code_sets.pack(codes)
