"""Trips out of readings: when a car left and came to a stand, how far, how fast, how its doors and its motor did.

`Segmenter` watches many lifts at once and reports each finished trip as a row of `lift.trips.TRIP_SIGNALS`. What it
resolves at one reading a second and at ten is measured in docs/ride-quality.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from gateway.raw_block import RawBlock
from gateway.raw_trips import RawTrips
from gateway.trip_watch import USED, Finished, TripWatch
from lift.batch import EMPTY, Batch, Floats, Ints, Slots, turns
from lift.errors import Invalid
from lift.trips import TRIP_SIGNALS

# After it has come to a stand a trip waits so long for its door, for re-levelling and for late raw acceleration.
HOLD_S: Final = 30.0
_COLUMN: Final = {signal: number for number, signal in enumerate(TRIP_SIGNALS)}


class Segmenter:
    """Cuts the readings of some lifts into trips. State is a few hundred numbers a lift, and nothing grows.

    A trip is reported once, when the next one has ended or `hold_s` after its stand by the lift's own readings. One
    that was not seen from its start to its stand (a restart, a gap of more than 5 s) is left out. Readings of other
    lifts, and those not newer than the newest of their lift, are ignored.
    """

    def __init__(self, lifts: Sequence[str], *, hold_s: float = HOLD_S) -> None:
        self.lifts: Sequence[str] = tuple(lifts)
        self._slot = {lift: slot for slot, lift in enumerate(self.lifts)}
        self._watch = TripWatch(len(self.lifts), hold_s=hold_s)
        self._raw = RawTrips()
        self._names: Sequence[str] = ()
        self._slots: Slots = np.empty(0, np.int32)

    def take(self, batch: Batch) -> Batch:
        """Take readings in any order; give the trips that are finished, an empty batch when there is none.

        A row's time is when the car came to a stand.
        """
        finished = [trips for wave in self._waves(batch) for trips in self._watch.step(*wave)]
        return self._rows(finished)

    def take_raw(self, block: RawBlock) -> None:
        """Take a block of raw acceleration, before or up to `hold_s` after the stand of its trip.

        A trip that blocks cover whole gets the ride columns. Raises Invalid as `RawTrips.take` does, and for other
        lifts.
        """
        if block.lift not in self._slot:
            raise Invalid("lift", f"{block.lift} is not one of the {len(self.lifts)} lifts here")
        self._raw.take(block)

    def flush(self) -> Batch:
        """Give the finished trips that still wait; for the end of a gateway's run."""
        return self._rows([self._watch.flush()])

    def _waves(self, batch: Batch) -> Iterator[tuple[Slots, Ints, Floats]]:
        """Split a batch so that each part has at most one reading a lift, the earlier ones first."""
        if batch.names is not self._names:
            self._slots = np.array([self._slot.get(name, -1) for name in batch.names], np.int32)
            self._names = batch.names
        lifts = self._slots[batch.lift] if len(batch) else batch.lift
        ours = np.flatnonzero(lifts >= 0)
        if not len(ours):
            return
        values = np.stack([batch.column(signal) for signal in USED]).astype(np.float64, copy=False)
        each_once = np.bincount(lifts[ours]).max() == 1  # the usual case, spared the sorting
        for part in [ours] if each_once else [ours[turn] for turn in turns(lifts[ours], batch.at[ours])]:
            yield lifts[part], batch.at[part], values[:, part]

    def _rows(self, parts: Sequence[Finished]) -> Batch:
        if not sum(len(part.lifts) for part in parts):
            return EMPTY
        lifts, start, at, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        if len(self._raw):
            for row, slot in enumerate(lifts.tolist()):
                # A raw trip takes milliseconds, so the few lifts that have one are taken one by one.
                for signal, value in self._raw.assess(self.lifts[slot], int(start[row]), int(at[row])).items():
                    values[row, _COLUMN[signal]] = value
        columns = {signal: values[:, number].astype(signal.dtype) for signal, number in _COLUMN.items()}
        return Batch(self.lifts, lifts.astype(np.int32), at, columns)
