"""A 96333 rescue ticket: its stages as one table, its append-only event log, its call-outs and clocks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from lift.errors import Conflict


class Stage(StrEnum):
    """Where a ticket stands."""

    RECEIVED = "received"
    DISPATCHED = "dispatched"
    ACCEPTED = "accepted"
    EN_ROUTE = "en_route"
    ARRIVED = "arrived"
    RELEASED = "released"
    SELF_RELEASED = "self_released"
    FALSE_ALARM = "false_alarm"
    CALLED_BACK = "called_back"
    CAUSE_FILED = "cause_filed"
    CLOSED = "closed"
    MERGED = "merged"
    CANCELLED = "cancelled"


# Ways out of the rescue that need no crew at the lift: they may happen at any moment before the release.
_ENDS: Final = frozenset({Stage.SELF_RELEASED, Stage.FALSE_ALARM, Stage.MERGED, Stage.CANCELLED})

# The rule, the documentation and the oracle of the tests at once. A call-out that is refused, unanswered or
# given back sends the ticket to DISPATCHED again, one level up.
NEXT: Final[Mapping[Stage, frozenset[Stage]]] = {
    Stage.RECEIVED: _ENDS | {Stage.DISPATCHED},
    Stage.DISPATCHED: _ENDS | {Stage.DISPATCHED, Stage.ACCEPTED},
    Stage.ACCEPTED: _ENDS | {Stage.DISPATCHED, Stage.EN_ROUTE, Stage.ARRIVED},
    Stage.EN_ROUTE: _ENDS | {Stage.DISPATCHED, Stage.ARRIVED},
    Stage.ARRIVED: frozenset({Stage.RELEASED, Stage.SELF_RELEASED, Stage.FALSE_ALARM}),
    Stage.RELEASED: frozenset({Stage.CALLED_BACK}),
    Stage.SELF_RELEASED: frozenset({Stage.CALLED_BACK}),
    Stage.FALSE_ALARM: frozenset({Stage.CALLED_BACK, Stage.CAUSE_FILED}),
    Stage.CALLED_BACK: frozenset({Stage.CAUSE_FILED}),
    Stage.CAUSE_FILED: frozenset({Stage.CLOSED}),
    Stage.CLOSED: frozenset(),
    Stage.MERGED: frozenset(),
    Stage.CANCELLED: frozenset(),
}
FINAL: Final = frozenset(stage for stage, following in NEXT.items() if not following)

# People may still be inside: the lift's next alarm joins this ticket instead of opening another.
RESCUE: Final = frozenset({Stage.RECEIVED, Stage.DISPATCHED, Stage.ACCEPTED, Stage.EN_ROUTE, Stage.ARRIVED})


def check_move(now: Stage, to: Stage) -> None:
    """Refuse a stage move that the table does not allow; raises Conflict saying what is allowed."""
    if to not in NEXT[now]:
        allowed = ", ".join(sorted(NEXT[now])) or "nothing: this stage is final"
        raise Conflict(f"a ticket that is {now} cannot become {to}; allowed from here: {allowed}")


class Answer(StrEnum):
    """What became of one call-out."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    WITHDRAWN = "withdrawn"


class ClockName(StrEnum):
    """The clocks a rescue runs against; how long each runs is city configuration."""

    ANSWER = "answer"
    ORDER = "order"
    ACCEPT = "accept"
    ALL_LEVELS = "all_levels"
    ARRIVE = "arrive"
    LEGAL_ACCIDENT = "legal_accident"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A stored deadline, so that it survives a restart. Times are µs since 1970 UTC."""

    name: ClockName
    level: int
    due: int
    stopped_at: int | None = None
    breached_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Callout:
    """One order to one party at one level, with its own stamps (µs since 1970 UTC)."""

    callout_id: str
    ticket_id: str
    level: int
    party_id: str
    party_name: str
    phone: str
    answer: Answer = Answer.WAITING
    ordered_at: int
    answered_at: int | None = None
    departed_at: int | None = None
    arrived_at: int | None = None
    released_at: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """The present state of one rescue: a projection of its event log. Times are µs since 1970 UTC.

    `confidence` says how sure it is that someone needs help, 0 to 1: below 1 while only one sign speaks for it.
    """

    ticket_id: str
    lift: str
    firm_id: str
    stage: Stage
    level: int
    source: str
    summary: str
    opened_at: int
    updated_at: int
    closed_at: int | None = None
    confidence: float = 1.0
    clocks: tuple[Clock, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketEvent:
    """One line of a ticket's append-only log; `digest` chains it to the line before."""

    ticket_id: str
    number: int
    kind: str
    at: int
    by: str
    device_at: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    previous: str = ""
    digest: str = ""


def digest(event: TicketEvent) -> str:
    """Hash an event together with the hash of the one before (SHA-256 over canonical JSON)."""
    text = json.dumps(
        [
            event.ticket_id,
            event.number,
            event.kind,
            event.at,
            event.by,
            event.device_at,
            dict(event.details),
            event.previous,
        ],
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return hashlib.sha256(text.encode()).hexdigest()
