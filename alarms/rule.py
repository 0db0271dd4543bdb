"""What a rule is: a condition over many lifts, and the delays the engine keeps for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from alarms.readings import Readings
from lift.alarm import Priority
from lift.batch import Floats, Mask
from lift.codes import Code
from lift.signals import ServiceMode

# A trained person controls the car. Power loss, fire return, earthquake and a stopped lift are no such modes:
# there a passenger may be inside, and an entrapment must still be found.
ATTENDED: Final = frozenset({ServiceMode.INSPECTION, ServiceMode.FIREFIGHTER})

# A lift at rest reports every 30 s at least; what has been silent for longer than that is told by `contact_lost`.
HEARD_S: Final = 35.0
# A car in motion reports every second; a few may be lost.
HEARD_IN_MOTION_S: Final = 4.0

# No rule waits longer than this: a delay beyond an hour is a slip of the pen.
DELAY_S_MAX: Final = 3600.0


class Rule:
    """A condition over the newest known values of many lifts at once; it holds no state of its own.

    An alarm is raised when `holds` has been true for `on_delay_s` without a break, and returns when `clears` has been
    true for `off_delay_s` without a break. Breaks of up to `bridges_s` do not start the on-delay again, but nothing is
    raised in one, and `settled` ends it at once. A lift in a mode of `inhibited_in` never holds, so an alarm that
    stands when such a mode begins returns. A latching rule raises no second alarm until someone resets it.
    Silence shows nothing: where a lift has not been heard within `heard_s` before the end of the on-delay, nothing is
    raised until it speaks again, and then the delay begins anew. An EMERGENCY is raised whatever has fallen silent.
    A rule that measures silence is never asked `holds`: it counts the seconds since a lift's newest reading.
    """

    code: Code | None = None
    priority: Priority
    on_delay_s: float
    off_delay_s: float = 0.0
    bridges_s: float = 0.0
    heard_s: float = HEARD_S
    latching: bool = False
    inhibited_in: frozenset[ServiceMode] = frozenset()
    measures_silence: bool = False

    def holds(self, now: Readings) -> Mask:
        """Say for which lifts the condition is met."""
        raise NotImplementedError

    def clears(self, now: Readings) -> Mask:
        """Say for which lifts a raised condition is over; override it for hysteresis."""
        return ~self.holds(now)

    def settled(self, now: Readings) -> Mask:
        """Say for which lifts a bridged break is the end; override it where something shows that the matter is over."""
        return now.none()

    def signs(self, now: Readings) -> Mapping[str, Floats]:
        """Name the independent signs that speak for an alarm, and how far to believe each, 0 (not there) to 1.

        A rule that gives any says with each alarm how sure it is (1 less the product of the doubts), and its alarm is
        confirmed once when two of them are there.
        """
        del now
        return {}

    @property
    def has_signs(self) -> bool:
        """Whether its alarms are suspicions that further signs confirm."""
        return type(self).signs is not Rule.signs

    @property
    def asks(self) -> tuple[Callable[[Readings], object], ...]:
        """Give everything the rule looks at readings with."""
        return () if self.measures_silence else (self.holds, self.clears, self.settled, self.signs)

    @property
    def has_hysteresis(self) -> bool:
        """Whether clearing is a condition of its own."""
        return type(self).clears is not Rule.clears

    @classmethod
    def variants(cls, slug: str) -> Mapping[str, Rule]:
        """Give the rules that this class stands for, by slug; a family overrides this."""
        return {slug: cls()}
