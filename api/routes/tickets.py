"""Tickets: rescues from the first call to the filed cause."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from api import sight
from api.guard import Guarded, SignedIn
from api.moves import MOVES, MoveIn
from api.pages import Before, Limit, OfLift, next_page
from api.parts import With
from api.routes.alarms import AlarmOut
from api.routes.callouts import CalloutOut
from api.shapes import Body, Key, Moment, Note, Shape
from lift.alarm import Alarm
from lift.errors import Conflict, Invalid, NotFound
from lift.ports import Reads
from lift.ticket import FINAL, NEXT, Clock, ClockName, Stage, Ticket, TicketEvent

router = APIRouter(prefix="/v1/tickets", tags=["tickets"], route_class=Guarded)

TicketId = Annotated[Key, Path(description="The ticket's id", examples=["20261123-0007"])]

_ALARMS_MAX = 200


class ClockOut(Shape):
    """A deadline of a rescue."""

    name: ClockName = Field(examples=["accept"])
    level: Annotated[int, Field(examples=[1])]
    due: Moment
    stopped_at: Annotated[Moment | None, Field(examples=[None])]
    breached_at: Annotated[Moment | None, Field(examples=[None])]

    @classmethod
    def of(cls, clock: Clock) -> ClockOut:
        """Shape a clock."""
        return cls(
            name=clock.name,
            level=clock.level,
            due=clock.due,
            stopped_at=clock.stopped_at,
            breached_at=clock.breached_at,
        )


class TicketOut(Shape):
    """A rescue as it stands, with its clocks; `moves` are the stages it may go to from here."""

    ticket_id: Annotated[str, Field(examples=["20261123-0007"])]
    lift: Annotated[str, Field(examples=["063577"])]
    firm_id: Annotated[str, Field(examples=["firm-007"])]
    stage: Stage = Field(examples=["dispatched"])
    moves: Annotated[list[Stage], Field(examples=[["accepted", "cancelled"]])]
    level: Annotated[int, Field(examples=[1])]
    source: Annotated[str, Field(examples=["alarm"])]
    summary: Annotated[str, Field(examples=["Entrapment 困人"])]
    opened_at: Moment
    updated_at: Moment
    closed_at: Annotated[Moment | None, Field(examples=[None])]
    confidence: Annotated[float, Field(examples=[1.0], description="How sure it is that someone needs help, 0 to 1")]
    clocks: list[ClockOut]

    @classmethod
    def of(cls, ticket: Ticket) -> TicketOut:
        """Shape a ticket."""
        return cls(
            ticket_id=ticket.ticket_id,
            lift=ticket.lift,
            firm_id=ticket.firm_id,
            stage=ticket.stage,
            moves=sorted(NEXT[ticket.stage]),
            level=ticket.level,
            source=ticket.source,
            summary=ticket.summary,
            opened_at=ticket.opened_at,
            updated_at=ticket.updated_at,
            closed_at=ticket.closed_at,
            confidence=ticket.confidence,
            clocks=[ClockOut.of(clock) for clock in ticket.clocks],
        )


class EventOut(Shape):
    """One line of a ticket's log; `digest` is the hash over it and `previous`, the hash of the line before."""

    number: Annotated[int, Field(examples=[1])]
    kind: Annotated[str, Field(examples=["received"])]
    at: Moment
    by: Annotated[str, Field(examples=["liftwatch"])]
    device_at: Annotated[Moment | None, Field(examples=[None])]
    details: Annotated[dict[str, Any], Field(examples=[{"source": "alarm"}])]
    previous: Annotated[str, Field(examples=[""])]
    digest: Annotated[str, Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])]

    @classmethod
    def of(cls, event: TicketEvent) -> EventOut:
        """Shape a line of the log; its details stay as they were hashed, with times in µs since 1970 UTC."""
        return cls(
            number=event.number,
            kind=event.kind,
            at=event.at,
            by=event.by,
            device_at=event.device_at,
            details=dict(event.details),
            previous=event.previous,
            digest=event.digest,
        )


class TicketFull(TicketOut):
    """A rescue with its call-outs, its alarms and its whole log."""

    callouts: list[CalloutOut]
    alarms: list[AlarmOut]
    events: list[EventOut]


class Tickets(Shape):
    """A page of tickets, newest first; `next` is the next page's `before`, null on the last."""

    tickets: list[TicketOut]
    next: Moment | None


class CallIn(Body):
    """A phone call: which lift, and what the caller said."""

    lift: Annotated[Key, Field(examples=["063577"])]
    summary: Annotated[Note, Field(min_length=1, examples=["Two people inside, between 3 and 4, one is unwell"])]


class Audit(Shape):
    """Whether a ticket's log is as it was written; `problem` names the first line that is not."""

    ticket_id: Annotated[str, Field(examples=["20261123-0007"])]
    intact: Annotated[bool, Field(examples=[True])]
    events: Annotated[int, Field(examples=[9])]
    problem: Annotated[str | None, Field(examples=[None])]


@router.get("")
def tickets(
    parts: With,
    who: SignedIn,
    stage: Annotated[list[Stage] | None, Query(description="Only these stages; may be given several times")] = None,
    lift: OfLift = "",
    open: Annotated[bool | None, Query(description="true: not finished; false: finished")] = None,  # noqa: A002
    before: Before = None,
    limit: Limit = 50,
) -> Tickets:
    """List tickets, newest first."""
    stages = set(stage or Stage)
    if open is not None:
        stages &= set(Stage) - FINAL if open else FINAL
    if not stages:
        raise Invalid("stage", "none of the stages asked for fits `open`")
    with parts.records.read() as tx:
        found = tx.tickets(
            stages=stages if len(stages) < len(Stage) else (),
            lift=lift,
            firm_id=who.firm_id,
            before=before,
            most=limit,
        )
    return Tickets(
        tickets=[TicketOut.of(entry) for entry in found],
        next=next_page(found, limit, lambda entry: entry.opened_at),
    )


@router.get("/urgent")
def urgent_tickets(parts: With, who: SignedIn, limit: Limit = 200) -> Tickets:
    """List the rescues under way as they should be looked at: the surest first, of equally sure ones the oldest."""
    with parts.records.read() as tx:
        found = tx.rescues(firm_id=who.firm_id, most=limit)
    return Tickets(tickets=[TicketOut.of(entry) for entry in found], next=None)


@router.get("/{ticket_id}")
def ticket(ticket_id: TicketId, parts: With, who: SignedIn) -> TicketFull:
    """Show one rescue whole: clocks, call-outs, alarms and every line of its log."""
    now = parts.clock.now()
    with parts.records.read() as tx:
        found = tx.ticket(ticket_id, firm_id=who.firm_id)
        events = tx.ticket_events(ticket_id)
        return TicketFull(
            **dict(TicketOut.of(found)),
            callouts=[CalloutOut.of(callout) for callout in tx.callouts(ticket_id=ticket_id)],
            alarms=[AlarmOut.of(alarm, now) for alarm in _alarms_named(tx, events)],
            events=[EventOut.of(event) for event in events],
        )


@router.get("/{ticket_id}/audit")
def audit_ticket(ticket_id: TicketId, parts: With, who: SignedIn) -> Audit:
    """Verify that a ticket's log is as it was written: each line carries the hash of the one before."""
    with parts.records.read() as tx:
        tx.ticket(ticket_id, firm_id=who.firm_id)
        events = len(tx.ticket_events(ticket_id))
    try:
        parts.rescue.verify(ticket_id)
    except Conflict as found:
        return Audit(ticket_id=ticket_id, intact=False, events=events, problem=str(found))
    return Audit(ticket_id=ticket_id, intact=True, events=events, problem=None)


@router.post("", status_code=201)
def report_call(body: CallIn, response: Response, parts: With, who: SignedIn) -> TicketOut:
    """Report a phone call: it joins the rescue under way at that lift, or opens a ticket."""
    with parts.records.read() as tx:
        lift = sight.lift(tx, who, body.lift)
    made = parts.rescue.report_call(lift.rescue_code, by=who.actor, summary=body.summary)
    response.headers["Location"] = f"/v1/tickets/{made.ticket_id}"
    return TicketOut.of(made)


def _alarms_named(tx: Reads, events: Sequence[TicketEvent]) -> list[Alarm]:
    """Find the alarms that a ticket's log speaks of, which a search by lift would bury under later ones."""
    keys = dict.fromkeys(str(event.details["alarm"]) for event in events if "alarm" in event.details)
    found = []
    for key in list(keys)[:_ALARMS_MAX]:
        with suppress(NotFound):
            found.append(tx.alarm(key))
    return found


def _add_move(verb: str) -> None:
    """Make the route of one stage move; its body's shape is known only from the table."""
    made = MOVES[verb]

    def move(ticket_id: TicketId, parts: With, who: SignedIn, body: MoveIn) -> TicketOut:
        with parts.records.read() as tx:
            # Whoever may not see a ticket is refused in the words used for one that does not exist.
            tx.ticket(ticket_id, firm_id=who.firm_id)
        done = parts.rescue.move(
            ticket_id, made.to, by=who.actor, note=body.note, device_at=body.device_at, details=body.details()
        )
        return TicketOut.of(done)

    move.__annotations__["body"] = made.body
    if not any(field.is_required() for field in made.body.model_fields.values()):
        # Who has nothing to say need not send a body.
        move.__defaults__ = (made.body(),)
    move.__name__ = f"{verb.replace('-', '_')}_ticket"
    move.__doc__ = made.says
    router.add_api_route(f"/{{ticket_id}}/{verb}", move, methods=["POST"], name=move.__name__)


for _verb in MOVES:
    _add_move(_verb)
