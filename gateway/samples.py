"""Samples: what a driver reads, at least once a second of every lift; known here by the site's own numbering."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lift.batch import Batch, turns


class Samples:
    """Numbers a site's lifts once and cuts batches so that each part has at most one sample of a lift."""

    def __init__(self, lifts: Sequence[str]) -> None:
        self.lifts: tuple[str, ...] = tuple(lifts)
        self._slot = {name: slot for slot, name in enumerate(self.lifts)}

    def numbered(self, batch: Batch) -> tuple[Batch, Batch]:
        """Give the samples of our lifts, `batch.lift` being our slots, and those of lifts nobody has told us of."""
        if batch.names is self.lifts:
            return batch, batch.take(np.zeros(len(batch), np.bool_))
        slots = np.array([self._slot.get(name, -1) for name in batch.names], np.int32)
        lift = slots[batch.lift] if len(batch) else batch.lift
        ours = lift >= 0
        renumbered = Batch(self.lifts, lift, batch.at, batch.columns, batch.codes)
        return (renumbered, batch.take(~ours)) if ours.all() else (renumbered.take(ours), batch.take(~ours))


def one_each(batch: Batch) -> Iterator[Batch]:
    """Cut a batch so that each part has at most one sample of a lift, and a lift's samples come in time order."""
    parts = turns(batch.lift, batch.at)
    if len(parts) == 1:
        yield batch
        return
    for part in parts:
        yield batch.take(np.sort(part))
