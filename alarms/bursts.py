"""What a lift's recent alarms say of a new one: which of a burst came first, and which of them chatter. Pure.

First-out: of alarms that begin within ten seconds the earliest is the likeliest cause and the others its
consequences. Chatter: three raises of one alarm in a short time (ISA-18.2 speaks of a minute; the delays of our
rules make the shortest cycle of one about half a minute, so five are looked at).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

SECOND_US: Final = 1_000_000
BURST_US: Final = 10 * SECOND_US
CHATTER_RAISES: Final = 3
CHATTER_WITHIN_US: Final = 300 * SECOND_US
QUIET_US: Final = 300 * SECOND_US
# An alarm is raised at its on-delay, so that of an early onset may come after that of a later one.
KEPT_US: Final = 900 * SECOND_US
_A_LIFT_MAX: Final = 100


@dataclass(slots=True)
class Recent:
    """One alarm of the last minutes; times in µs since 1970 UTC, in the readings' own time."""

    key: str
    rule: str
    onset: int
    raised_at: int
    first_out: bool = False
    journal: bool = False


class Bursts:
    """Remembers each lift's alarms of the last quarter of an hour, at most a hundred a lift."""

    def __init__(self) -> None:
        self._of_lift: dict[str, deque[Recent]] = {}
        self._newest = 0

    def add(self, lift: str, alarm: Recent) -> list[Recent]:
        """Take in a raised alarm, and mark the first of its burst; gives those whose mark has changed.

        A line of the journal is marked in no burst: what nobody is shown cannot lead anybody to a cause.
        """
        mine = self._of_lift.setdefault(lift, deque(maxlen=_A_LIFT_MAX))
        mine.append(alarm)
        self._newest = max(self._newest, alarm.raised_at)
        burst = [one for one in mine if not one.journal and abs(one.onset - alarm.onset) <= BURST_US]
        if alarm.journal or len(burst) == 1:
            return []
        first = min(burst, key=lambda one: (one.onset, one.raised_at, one.rule))
        changed = [one for one in burst if one.first_out != (one is first)]
        for one in changed:
            one.first_out = one is first
        return changed

    def put(self, lift: str, alarm: Recent) -> None:
        """Remember an alarm with the mark it has on record."""
        self._of_lift.setdefault(lift, deque(maxlen=_A_LIFT_MAX)).append(alarm)
        self._newest = max(self._newest, alarm.raised_at)

    def chatters(self, lift: str, rule: str, raised_at: int) -> bool:
        """Say whether the raise at a moment, not yet taken in, is the third of its kind in a short time."""
        since = raised_at - CHATTER_WITHIN_US
        others = [one for one in self._of_lift.get(lift, ()) if one.rule == rule and since < one.raised_at <= raised_at]
        return len(others) >= CHATTER_RAISES - 1

    def forget(self) -> None:
        """Let go of what is too old to matter."""
        until = self._newest - KEPT_US
        self._of_lift = {
            lift: kept
            for lift, mine in self._of_lift.items()
            if (kept := deque((one for one in mine if one.raised_at >= until), maxlen=_A_LIFT_MAX))
        }
