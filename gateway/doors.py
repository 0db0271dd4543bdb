"""Door times by what the door operator says: how long the last closing took, reversals, and the first opening."""

from __future__ import annotations

import numpy as np

from lift.batch import Floats, Ints, Slots
from lift.signals import DoorState


class Doors:
    """The doors of many lifts; NaN in all its arrays is what was not seen. Times in s, resolved as readings come."""

    def __init__(self, count: int) -> None:
        self.state: Floats = np.full(count, np.nan)
        self.closing_s: Floats = np.full(count, np.nan)
        self.reversals: Floats = np.full(count, np.nan)
        self._closing_since: Floats = np.full(count, np.nan)
        self._opening_since: Floats = np.full(count, np.nan)

    def forget(self, lifts: Slots) -> None:
        """A gap: whatever moves was not watched."""
        self.state[lifts] = np.nan

    def departed(self, lifts: Slots) -> None:
        """Begin to count for the next departure."""
        self.closing_s[lifts] = np.nan
        self.reversals[lifts] = np.where(np.isnan(self.state[lifts]), np.nan, 0.0)

    def take(self, lifts: Slots, at: Ints, states: Floats) -> tuple[Slots, Floats]:
        """Take a state (0 or NaN: unknown) of each of some lifts; gives whose door has opened now, and in what time."""
        told = states > DoorState.UNKNOWN
        before = self.state[lifts]
        changed = np.flatnonzero(told & ~(states == before))
        if not len(changed):
            return np.empty(0, np.int32), np.empty(0)
        lifts, now_s, new, old = lifts[changed], at[changed] / 1e6, states[changed], before[changed]
        self.state[lifts] = new
        self.reversals[lifts] = np.where(np.isnan(self.reversals[lifts]), 0.0, self.reversals[lifts])
        seen = ~np.isnan(old)
        shut = (new == DoorState.CLOSED) | (new == DoorState.LOCKED)
        was_closing = old == DoorState.CLOSING
        self.reversals[lifts[was_closing & ~shut]] += 1.0
        # A door that was never seen closing is shut for an unknown time.
        closed = shut & seen & ~((old == DoorState.CLOSED) | (old == DoorState.LOCKED))
        self.closing_s[lifts[closed]] = np.where(was_closing, now_s - self._closing_since[lifts], np.nan)[closed]
        for state, since in ((DoorState.CLOSING, self._closing_since), (DoorState.OPENING, self._opening_since)):
            begins = new == state
            since[lifts[begins]] = np.where(seen, now_s, np.nan)[begins]
        opened = (new == DoorState.OPEN) & (old == DoorState.OPENING)
        return lifts[opened], (now_s - self._opening_since[lifts])[opened]
