"""The timers of every rule and lift: normal, pending, wavering, raised, leaving, latched.

    NORMAL --holds--> PENDING --on-delay--> RAISED --clears--> LEAVING --off-delay--> NORMAL, or LATCHED
              PENDING --over--> WAVERING --break too long--> NORMAL; both go back when the condition does

Deadlines are computed from the readings' own times and fire at those times, so what comes out depends on a
lift's readings alone and not on when anybody looked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from alarms.readings import Where, pick
from alarms.rule import Rule
from lift.alarm import Change, Priority
from lift.batch import Ints, Mask, Slots

# The lowest bit says that the condition is being met, the next that an alarm stands: both are read by mask.
NORMAL: Final = 0
PENDING: Final = 1
LEAVING: Final = 2
RAISED: Final = 3
LATCHED: Final = 4
WAVERING: Final = 8
STANDS: Final = 2

NEVER: Final = -(2**62)
FOREVER: Final = 2**62

US_A_SECOND: Final = 1_000_000

_Small = NDArray[np.uint8]
_Positions = NDArray[np.intp]


@dataclass(slots=True)
class Crossing:
    """One deadline that fired: rule and lift by number, times in µs since 1970 UTC; what speaks for it."""

    at: int
    lift: int
    rule: int
    change: Change
    onset: int
    confidence: float = 1.0
    evidence: tuple[str, ...] = ()


class Phases:
    """The phase of every rule for every lift, with its onset and its timers, and the deadlines that follow.

    Arrays are [rules x lifts]; times are µs since 1970 UTC. `turned` is when the condition last began or ended,
    inside the onset's alarm. `due` is, for each lift, no later than its next
    deadline; it may be earlier, which costs a look and nothing else.
    """

    def __init__(self, rules: Sequence[Rule], lifts: int) -> None:
        shape = (len(rules), lifts)
        self.phase: _Small = np.zeros(shape, np.uint8)
        # Zeros, not NEVER: the machine gives such pages only when they are first written to.
        self.onset: Ints = np.zeros(shape, np.int64)
        self.turned: Ints = np.zeros(shape, np.int64)
        self.due: Ints = np.full(lifts, FOREVER, np.int64)
        self.on_delay: Ints = np.array([delay_us(rule.on_delay_s) for rule in rules], np.int64)
        off_delay: Ints = np.array([delay_us(rule.off_delay_s) for rule in rules], np.int64)
        self.bridged: Ints = np.array([delay_us(rule.bridges_s) for rule in rules], np.int64)
        # How long before the end of its on-delay a lift must have been heard.
        self._heard: Ints = np.array(
            [FOREVER if rule.priority is Priority.EMERGENCY else delay_us(rule.heard_s) for rule in rules], np.int64
        )
        self._after: _Small = np.array([LATCHED if rule.latching else NORMAL for rule in rules], np.uint8)
        # By phase: which comes next when the condition turns, and how long it lasts when nothing does.
        self._turns: _Small = np.zeros((len(rules), WAVERING + 1), np.uint8)
        self._turns[:, [NORMAL, RAISED, LEAVING, LATCHED, WAVERING]] = PENDING, LEAVING, RAISED, LATCHED, PENDING
        self._turns[:, PENDING] = np.where(self.bridged > 0, WAVERING, NORMAL)
        self._waits: Ints = np.full((len(rules), WAVERING + 1), FOREVER, np.int64)
        self._waits[:, [PENDING, LEAVING, WAVERING]] = np.stack([self.on_delay, off_delay, self.bridged], axis=1)
        # How many lifts are in another phase than NORMAL, a rule: most rules are at rest for most batches.
        self.active: list[int] = [0] * len(rules)

    def see(self, rule: int, where: Where, lifts: Slots | _Positions, at: Ints, on: Mask) -> None:
        """Take in for which of these lifts a rule's condition is met at these times."""
        phase = pick(self.phase[rule], where)
        changed = np.flatnonzero(on != (phase & 1).view(np.bool_))
        if changed.size:
            self._change(rule, lifts[changed], at[changed], phase[changed])

    def _change(self, rule: int, lifts: Slots | _Positions, at: Ints, phase: _Small) -> None:
        """Move lifts whose condition has begun or ended; a latched one stays as it is until it is reset."""
        begins = phase == NORMAL
        after = self._turns[rule].take(phase)
        self.phase[rule][lifts] = after
        self.onset[rule][lifts[begins]] = at[begins]
        self.turned[rule][lifts] = at
        deadline = at + self._waits[rule].take(after)
        if self.bridged[rule]:
            # A break does not start the on-delay again.
            resumed = phase == WAVERING
            since = self.onset[rule][lifts[resumed]]
            deadline[resumed] = np.maximum(since + self.on_delay[rule], at[resumed])
        self.due[lifts] = np.minimum(self.due[lifts], deadline)
        self.active[rule] += int(np.count_nonzero(begins)) - int(np.count_nonzero(after == NORMAL))

    def wavers(self, rule: int, where: Where) -> Mask:
        """Say which of these lifts are in a bridged break."""
        wavering: Mask = pick(self.phase[rule], where) == WAVERING
        return wavering

    def settle(self, rule: int, over: Slots | _Positions) -> None:
        """End the bridged breaks of lifts for which the matter is over."""
        self.phase[rule, over] = NORMAL
        self.active[rule] -= over.size

    def _deadlines(self, lifts: Slots | _Positions) -> Ints:
        """Work out when each rule of these lifts is next due [rules x lifts]; FOREVER where it waits for readings."""
        phase, turned = self.phase[:, lifts], self.turned[:, lifts]
        pending = np.maximum(self.onset[:, lifts] + self.on_delay[:, None], turned)
        return np.where(
            phase == PENDING, pending, turned + np.take_along_axis(self._waits, phase.astype(np.intp), axis=1)
        )

    def fire(self, lifts: Slots | _Positions, before: Ints | int, newest: Ints, *, speak: bool) -> list[Crossing]:
        """Let every deadline of these lifts fire that lies before a moment (one for all, or one a lift).

        `newest` [lifts] is when each was heard last before that. What was to be raised in a silence waits for its end;
        `speak` says that this is it.
        """
        deadline = self._deadlines(lifts)
        rule, column = np.nonzero(deadline < before)
        found: list[Crossing] = []
        if rule.size:
            waiting = self.phase[rule, lifts[column]] == PENDING
            unheard = waiting & (newest[column] < deadline[rule, column] - self._heard[rule])
            if speak:
                self.phase[rule[unheard], lifts[column[unheard]]] = WAVERING
            else:
                rule, column = rule[~unheard], column[~unheard]
            found = self._cross(rule, lifts[column], deadline[rule, column])
            deadline[rule, column] = FOREVER
        self.due[lifts] = deadline.min(axis=0, initial=FOREVER)
        return found

    def _cross(self, rule: _Positions, lift: Slots | _Positions, deadline: Ints) -> list[Crossing]:
        phase, onset = self.phase[rule, lift], self.onset[rule, lift]
        raised = phase == PENDING
        # Readings that arrive late may end a condition before the moment at which it was raised already.
        at = np.where(raised, deadline, np.maximum(deadline, onset + self.on_delay[rule]))
        after = np.where(raised, RAISED, np.where(phase == LEAVING, self._after[rule], NORMAL))
        self.phase[rule, lift] = after
        for number in rule[after == NORMAL].tolist():
            self.active[number] -= 1
        return [
            Crossing(when, slot, number, Change.RAISED if was == PENDING else Change.RETURNED, began)
            for when, slot, number, was, began in zip(
                at.tolist(), lift.tolist(), rule.tolist(), phase.tolist(), onset.tolist(), strict=True
            )
            if was != WAVERING
        ]

    def raise_silent(self, rule: int, lifts: Slots | _Positions, since: Ints) -> list[Crossing]:
        """Raise a rule that measures silence for lifts that have been silent since these times for its delay."""
        calm = self.phase[rule, lifts] == NORMAL
        lifts, since = lifts[calm], since[calm]
        self.phase[rule, lifts] = RAISED
        self.onset[rule, lifts] = since
        self.active[rule] += lifts.size
        delay = int(self.on_delay[rule])
        return [
            Crossing(began + delay, slot, rule, Change.RAISED, began)
            for slot, began in zip(lifts.tolist(), since.tolist(), strict=True)
        ]

    def rearm(self, rule: int, lift: int) -> bool:
        """End a latch; True if there was one."""
        if self.phase[rule, lift] != LATCHED:
            return False
        self.phase[rule, lift] = NORMAL
        self.active[rule] -= 1
        return True

    def entries(self) -> tuple[Ints, _Small, Ints, Ints]:
        """Give what is not normal as `put` takes it: position, phase, onset and last turn, 0 = of no meaning."""
        flat = np.flatnonzero(self.phase)
        phase = self.phase.ravel()[flat]
        onset = np.where(phase == LATCHED, 0, self.onset.ravel()[flat])
        turned = np.where((phase == LATCHED) | (phase == RAISED), 0, self.turned.ravel()[flat])
        return flat.astype(np.int64, copy=False), phase, onset, turned

    def put(self, flat: Ints, phase: _Small, onset: Ints, turned: Ints) -> None:
        """Start again from saved entries, named by their position in a flattened [rules x lifts] array."""
        # As at the start: pages that nobody has written to are not written to here either.
        self.phase, self.onset, self.turned = (
            np.zeros(kept.shape, kept.dtype) for kept in (self.phase, self.onset, self.turned)
        )
        self.due[:] = FOREVER
        self.phase.ravel()[flat], self.onset.ravel()[flat], self.turned.ravel()[flat] = phase, onset, turned
        self.active = [int(np.count_nonzero(row)) for row in self.phase]
        lifts = np.flatnonzero(self.phase.any(axis=0))
        # Nothing lies before NEVER: this only works the deadlines out.
        self.fire(lifts, NEVER, np.full(lifts.size, NEVER, np.int64), speak=False)


def delay_us(seconds: float) -> int:
    """Give a rule's delay as the engine keeps it, in whole µs."""
    return round(seconds * US_A_SECOND)
