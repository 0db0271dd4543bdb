"""An alarm and its life cycle by ISA-18.2 (IEC 62682): derived from a few facts, never stored twice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from lift.codes import Code


class Priority(IntEnum):
    """How fast someone must act. An EMERGENCY becomes a 96333 ticket; the rest wait in the alarm list.

    What asks nobody to act is no alarm but an event (ISA-18.2): a line of the lift's JOURNAL, which nobody is shown.
    """

    JOURNAL = -1
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
    """Alarm states of ISA-18.2, figure "alarm state transition diagram", and what a line of the journal is in."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED_UNACKNOWLEDGED = "returned_unacknowledged"
    LATCHED_UNACKNOWLEDGED = "latched_unacknowledged"
    LATCHED_ACKNOWLEDGED = "latched_acknowledged"
    SHELVED = "shelved"
    SUPPRESSED = "suppressed"
    OUT_OF_SERVICE = "out_of_service"
    JOURNAL = "journal"


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

    `confirmed_at` is when a second, independent sign joined the first. `shown_at` is when people first saw it, by the
    server's clock. `incident` is the key of what it belongs to, `suppressed_by` the key of the alarm or incident whose
    consequence it is, "" for none. `first_out` marks the earliest of a burst of the lift's alarms. A chattering alarm
    stands on while its condition comes and goes: `repeats` counts how often it came back, `latest_onset` is when it
    last did, and `quiet_from` when it was last over, None while it holds.
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
    shown_at: int | None = None
    incident: str = ""
    suppressed_by: str = ""
    out_of_service_until: int | None = None
    first_out: bool = False
    chattering_since: int | None = None
    quiet_from: int | None = None
    latest_onset: int | None = None
    repeats: int = 0

    @property
    def live_key(self) -> str:
        """The key of the condition's newest coming, as the engine names it; the alarm's own unless it chatters."""
        return self.key if self.latest_onset is None else alarm_key(self.lift, self.rule, self.latest_onset)

    @property
    def standing(self) -> bool:
        """Whether the condition still holds, or is latched and not reset."""
        return self.returned_at is None or (self.latching and self.reset_at is None)

    def state(self, now: int) -> AlarmState:
        """Derive the ISA-18.2 state at a moment; a shelf or a time out of service that has run out ends by itself."""
        if self.standing:
            return self.hidden(now) or self._standing_state()
        # What was out of people's sight when it ended asks nobody for an acknowledgement.
        unseen = self.returned_at is not None and self.hidden(self.returned_at) is not None
        if unseen or self.acknowledged_at is not None:
            return AlarmState.NORMAL
        return AlarmState.RETURNED_UNACKNOWLEDGED

    def hidden(self, at: int) -> AlarmState | None:
        """Say in which way the alarm is out of people's sight at a moment, None when it is in sight."""
        if self.priority is Priority.EMERGENCY:
            return None
        if self.priority is Priority.JOURNAL:
            return AlarmState.JOURNAL
        if self.out_of_service_until is not None and at < self.out_of_service_until:
            return AlarmState.OUT_OF_SERVICE
        if self.suppressed_by:
            return AlarmState.SUPPRESSED
        if self.shelved_until is not None and at < self.shelved_until:
            return AlarmState.SHELVED
        return None

    def _standing_state(self) -> AlarmState:
        acknowledged = self.acknowledged_at is not None
        if self.returned_at is None:
            return AlarmState.ACKNOWLEDGED if acknowledged else AlarmState.UNACKNOWLEDGED
        return AlarmState.LATCHED_ACKNOWLEDGED if acknowledged else AlarmState.LATCHED_UNACKNOWLEDGED


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfService:
    """Alarms that a person has taken out of service for a time: a whole lift's, or one rule's of it.

    `rule` "" means every rule of the lift. It ends by itself at `until`, or at `ended_at` when a person ended it
    earlier. Times are µs since 1970 UTC. It never applies to an EMERGENCY.
    """

    number: int
    lift: str
    rule: str
    since: int
    until: int
    by: str
    reason: str
    ended_at: int | None = None
    ended_by: str | None = None

    def covers(self, rule: str, at: int) -> bool:
        """Say whether an alarm of this rule of the lift is out of service at a moment."""
        return self.rule in {"", rule} and self.ended_at is None and at < self.until
