"""Test calls: each lift's line of help is tried at least every three days, over the very path of a real alarm.

EN 81-28 (GB/T 24475) asks for an automatic test at least every 3 days by the means of communication that a real alarm
uses. A test call is a reading in an emergency's message: to the disk at once, never dropped, sent first, and again
until a receipt says that the platform has stored it. Its age travels as the signal `test_call_age`, so that the
platform can raise an alarm by a rule like any other. What it does not try is the voice of the intercom.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from gateway.memory import Memory
from lift.batch import Batch, Floats, Ints, Mask, Slots
from lift.errors import Conflict, Invalid
from lift.signals import TEST_CALL_AGE

log = logging.getLogger(__name__)

# A call every two days leaves a day in which to mend what it finds.
EVERY_H: Final = 48.0
# So much earlier or later each lift, so that a site's calls do not all go at once.
SPREAD_H: Final = 12.0
# The first call of a lift that was never tried goes within this time.
FIRST_WITHIN_H: Final = 1.0
# EN 81-28: at least every 3 days.
OVERDUE_H: Final = 72.0
# A lift that its driver has not heard for so long is not called: the path of its alarm begins at the driver.
HEARD_WITHIN_S: Final = 60.0
# Calls under way at a time; more wait for receipts first.
UNDER_WAY_MAX: Final = 64

_KIND: Final = "test_call"
_HOUR_US: Final = 3_600_000_000
_NEVER: Final = -(2**62)


class Path(Protocol):
    """The way of a real alarm; `gateway.gateway.Gateway` is one."""

    @property
    def epoch(self) -> str:
        """The name of the numbering."""

    def urgent(self, batch: Batch) -> int:
        """Take readings of an emergency over, on the disk when it returns; gives the number of the last message."""

    def waits(self, seq: int) -> bool:
        """Whether a message still waits for its receipt."""


class CallLedger:
    """Runs the test calls of a site's lifts and remembers in a `Memory` when the last of each got through.

    A lift is known from the moment it is first in the list, and its age counts from there until a call got through.
    One thread at a time may call.
    """

    def __init__(self, lifts: Sequence[str], memory: Memory, path: Path, *, now: int) -> None:
        self._lifts = tuple(lifts)
        self._memory = memory
        self._path = path
        self._through: Ints = np.full(len(lifts), _NEVER, np.int64)
        self._known: Ints = np.full(len(lifts), now, np.int64)
        # Slots of the calls under way, with the number of the message and when it was written.
        self._under_way: dict[int, tuple[int, int]] = {}
        self._shown: Floats = np.full(len(lifts), -1.0)
        self._spread = np.arange(len(lifts)) * 0.618_034 % 1.0
        self._overdue = 0
        self._recall(now)

    def age_h(self, now: int) -> Floats:
        """Give for each lift the hours since a call got through, or since we have known the lift."""
        since = np.where(self._through > _NEVER, self._through, self._known)
        hours: Floats = np.clip((now - since) / _HOUR_US, 0.0, TEST_CALL_AGE.high)
        return hours

    def overdue(self, now: int) -> list[str]:
        """Name the lifts whose last call that got through is more than three days ago."""
        return [self._lifts[slot] for slot in np.flatnonzero(self.age_h(now) > OVERDUE_H)]

    def run(self, now: int, heard: Ints) -> None:
        """See which calls got through and make those that are due. Raises Unavailable when a disk refuses.

        `heard` is the time of each lift's newest sample (µs). A call's reading comes right behind it, so that it says
        nothing of the lift's own silence.
        """
        for slot, (seq, began) in list(self._under_way.items()):
            if not self._path.waits(seq):
                del self._under_way[slot]
                self._note(slot, through=now, seq=None, began=began, now=now)
        due = self._due(now) & (np.abs(now - heard) <= int(HEARD_WITHIN_S * 1e6))
        for slot in np.flatnonzero(due)[: max(0, UNDER_WAY_MAX - len(self._under_way))].tolist():
            self._call(slot, now, int(heard[slot]) + 1)
        late = int(np.count_nonzero(self.age_h(now) > OVERDUE_H))
        if late > self._overdue:
            log.warning("%d lifts have had no test call that got through for more than %g hours", late, OVERDUE_H)
        self._overdue = late

    def call(self, lift: str, now: int, heard: int) -> None:
        """Make a call now, with the lift's newest sample at `heard` (µs).

        Raises Invalid for a lift that is not ours, Conflict when a call is under way there or the lift is silent.
        """
        if lift not in self._lifts:
            raise Invalid("lift", f"{lift[:40]!r} is not behind this gateway")
        slot = self._lifts.index(lift)
        if slot in self._under_way:
            raise Conflict(f"a test call of lift {lift} is under way already")
        if abs(now - heard) > int(HEARD_WITHIN_S * 1e6):
            raise Conflict(f"lift {lift} is silent itself")
        self._call(slot, now, heard + 1)

    def ages_to_show(self, lift: Slots, now: int) -> Floats | None:
        """Give the ages to send along with reports of these lifts, NaN where the hour is no other; None for none."""
        hours = np.floor(self.age_h(now)[lift] * 10.0) / 10.0
        news = np.floor(hours) != np.floor(self._shown[lift])
        if not news.any():
            return None
        self._shown[lift[news]] = hours[news]
        return np.where(news, hours, np.nan)

    # --------------------------------------------------------------------------------------- inside

    def _due(self, now: int) -> Mask:
        first = (self._through == _NEVER) & (now - self._known >= self._spread * FIRST_WITHIN_H * _HOUR_US)
        every = (EVERY_H + (self._spread - 0.5) * SPREAD_H) * _HOUR_US
        # A call that got through tomorrow did so by a clock that was wrong.
        again = (self._through > _NEVER) & ((now - self._through >= every) | (now < self._through - _HOUR_US))
        due: Mask = first | again
        due[list(self._under_way)] = False
        return due

    def _call(self, slot: int, now: int, at: int) -> None:
        age = np.array([self.age_h(now)[slot]])
        batch = Batch(self._lifts, np.array([slot], np.int32), np.array([at]), {TEST_CALL_AGE: age})
        seq = self._path.urgent(batch)
        self._under_way[slot] = seq, now
        self._note(slot, through=int(self._through[slot]), seq=seq, began=now, now=now)

    def _note(self, slot: int, *, through: int, seq: int | None, began: int, now: int) -> None:
        self._through[slot] = through
        self._memory.keep(_KIND, {self._lifts[slot]: self._row(slot, seq, began)}, at=now, most=2 * len(self._lifts))

    def _row(self, slot: int, seq: int | None, began: int) -> dict[str, object]:
        through = int(self._through[slot])
        return {
            "known": int(self._known[slot]),
            "through": None if through == _NEVER else through,
            "epoch": self._path.epoch,
            "seq": seq,
            "began": began,
        }

    def _recall(self, now: int) -> None:
        kept = self._memory.recall(_KIND)
        fresh = {}
        for slot, lift in enumerate(self._lifts):
            row = kept.get(lift)
            if row is None:
                fresh[lift] = self._row(slot, None, now)
                continue
            self._known[slot] = row["known"]
            self._through[slot] = _NEVER if row["through"] is None else row["through"]
            if row["seq"] is not None and row["epoch"] == self._path.epoch:
                self._under_way[slot] = row["seq"], row["began"]
        if fresh:
            self._memory.keep(_KIND, fresh, at=now, most=2 * len(self._lifts))
