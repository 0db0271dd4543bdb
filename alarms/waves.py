"""Cuts a batch into waves: in each, every lift has at most one reading, and a lift's readings come in time order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from alarms.readings import Where
from lift.batch import Batch, Slots, turns

# A cut costs as much as judging this many lifts more.
RUN_MIN: Final = 500
# A batch of at least this part of the fleet is put in order: neighbours are judged in half the time.
DENSE: Final = 4
# Two megabytes of signals: measured, smaller pieces cost more in calls than they save.
PIECE_MAX: Final = 20_000


class Waves:
    """Cuts batches for a fleet of a given size; keeps one scratch array so that the usual batch costs little."""

    def __init__(self, lifts: int) -> None:
        self._mark = np.zeros(lifts, np.int32)

    def cut(self, batch: Batch) -> Iterator[Batch]:
        """Give the batch itself when each lift is in it once, else its waves; the k-th reading of each lift."""
        if not len(batch):
            return
        once = self._each_once(batch)
        if once is not None:
            for run in _runs(once):
                yield from _pieces(run)
            return
        for turn in turns(batch.lift, batch.at):
            yield from _pieces(batch.take(turn))

    def _each_once(self, batch: Batch) -> Batch | None:
        """Give the batch, in the fleet's order if it is a large part of the fleet; None if a lift is in it twice."""
        lift = batch.lift
        if bool((lift[1:] > lift[:-1]).all()):
            return batch
        positions = np.arange(lift.size, dtype=np.int32)
        self._mark[lift] = positions
        if not bool((self._mark[lift] == positions).all()):
            return None
        if lift.size * DENSE < self._mark.size:
            return batch
        here = np.zeros(self._mark.size, np.bool_)
        here[lift] = True
        return batch.take(self._mark[here].astype(np.intp))


def _runs(batch: Batch) -> Iterator[Batch]:
    """Cut at gaps between neighbours where the pieces stay long, as in messages of several gateways put together.

    Measured: pieces of 2,000 lifts in a row take a third of the time that 100,000 lifts here and there take.
    """
    gaps = np.flatnonzero(np.diff(batch.lift) != 1) + 1
    if not 0 < gaps.size * RUN_MIN <= len(batch):
        yield batch
        return
    for first, last in zip([0, *gaps.tolist()], [*gaps.tolist(), len(batch)], strict=True):
        yield _part(batch, first, last)


def _pieces(batch: Batch) -> Iterator[Batch]:
    """Cut so that what is looked up of a piece's lifts stays in the processor's cache while all rules are asked."""
    if len(batch) <= PIECE_MAX:
        yield batch
        return
    for first in range(0, len(batch), PIECE_MAX):
        yield _part(batch, first, first + PIECE_MAX)


def _part(batch: Batch, first: int, last: int) -> Batch:
    return Batch(
        batch.names,
        batch.lift[first:last],
        batch.at[first:last],
        {signal: values[first:last] for signal, values in batch.columns.items()},
        None if batch.codes is None else batch.codes[first:last],
    )


def where(lift: Slots) -> Where:
    """Give neighbours as a slice, which numpy reads and writes in place, and any others in its own index type."""
    first, last = int(lift[0]), int(lift[-1])
    if last - first + 1 == lift.size and bool((lift[1:] > lift[:-1]).all()):
        return slice(first, last + 1)
    return lift.astype(np.intp)
