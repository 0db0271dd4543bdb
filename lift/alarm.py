"""An alarm and its life cycle by ISA-18.2 (IEC 62682): derived from a few facts, never stored twice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from lift.codes import Code


class Priority(IntEnum):
    """How fast someone must act. An EMERGENCY becomes a 96333 ticket; the rest wait in the alarm list."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2
    EMERGENCY = 3


class Change(StrEnum):
    """What the engine says happened to a condition."""

    RAISED = "raised"
    # What was suspected has a second, independent sign now.
    CONFIRMED = "confirmed"
    RETURNED = "returned"


class AlarmState(StrEnum):
    """Alarm states of ISA-18.2, figure "alarm state transition diagram"."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED_UNACKNOWLEDGED = "returned_unacknowledged"
    LATCHED_UNACKNOWLEDGED = "latched_unacknowledged"
    LATCHED_ACKNOWLEDGED = "latched_acknowledged"
    SHELVED = "shelved"


def alarm_key(lift: str, rule: str, onset: int) -> str:
    """Spell an alarm's identity as one string, the same after every restart and replay.

    >>> alarm_key("063577", "contact_lost", 5)
    '063577:contact_lost:5'
    """
    return f"{lift}:{rule}:{onset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A condition was raised or has returned to normal; (lift, rule, onset) is the alarm's identity.

    Times are µs since 1970 UTC in the readings' own time. `onset` is when the condition began to hold,
    `at` when its on-delay (or off-delay) had passed. `evidence` names the independent signs that speak for it and
    `confidence` says how far to believe them, 0 to 1.
    """

    change: Change
    lift: str
    rule: str
    code: Code | None
    priority: Priority
    latching: bool
    onset: int
    at: int
    confidence: float = 1.0
    evidence: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The alarm's identity as one string."""
        return alarm_key(self.lift, self.rule, self.onset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm as recorded. Times are µs since 1970 UTC; None = has not happened.

    `confirmed_at` is when a second, independent sign joined the first.
    """

    key: str
    lift: str
    rule: str
    code: Code | None
    priority: Priority
    latching: bool
    onset: int
    raised_at: int
    returned_at: int | None = None
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None
    reset_at: int | None = None
    shelved_until: int | None = None
    ticket_id: str | None = None
    confirmed_at: int | None = None
    confidence: float = 1.0
    evidence: tuple[str, ...] = ()

    def state(self, now: int) -> AlarmState:
        """Derive the ISA-18.2 state at a moment; a shelf that has run out ends by itself."""
        acknowledged = self.acknowledged_at is not None
        if self.shelved_until is not None and now < self.shelved_until:
            return AlarmState.SHELVED
        if self.returned_at is None:
            return AlarmState.ACKNOWLEDGED if acknowledged else AlarmState.UNACKNOWLEDGED
        if self.latching and self.reset_at is None:
            return AlarmState.LATCHED_ACKNOWLEDGED if acknowledged else AlarmState.LATCHED_UNACKNOWLEDGED
        return AlarmState.NORMAL if acknowledged else AlarmState.RETURNED_UNACKNOWLEDGED
