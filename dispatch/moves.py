"""Moving a ticket from stage to stage, as a person asks. All inside a caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from dispatch import callouts, rescue
from dispatch.log import write_down
from dispatch.policy import Policy
from lift.errors import Conflict, Forbidden, Invalid, NotFound
from lift.ports import Reads, Writes
from lift.ticket import FINAL, RESCUE, Answer, Callout, Stage, Ticket, check_move

_STAMPED: Final = frozenset({Stage.EN_ROUTE, Stage.ARRIVED, Stage.RELEASED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One wish of one person. `party` is the firm or station they act for, None for the city."""

    to: Stage
    by: str
    party: str | None
    note: str = ""
    device_at: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def move(tx: Writes, policy: Policy, ticket: Ticket, wish: Move, *, now: int) -> Ticket:
    """Carry out a move that the stage table allows; raises Conflict, Forbidden or Invalid."""
    check_move(ticket.stage, wish.to)
    told = {**wish.details, "from": str(ticket.stage), "note": wish.note}
    if wish.to is Stage.ACCEPTED:
        callout = _to_accept(tx, ticket, wish.party)
        return callouts.accept(tx, policy, ticket, callout, now=now, by=wish.by, device_at=wish.device_at, details=told)
    if wish.to is Stage.DISPATCHED:
        return _call_next(tx, policy, ticket, wish, now=now)
    if wish.to is Stage.MERGED:
        _check_into(tx, ticket, wish.details.get("into"))
    if wish.to is Stage.CAUSE_FILED:
        _check_cause(ticket, wish)
    if wish.to in _STAMPED:
        _stamp(tx, ticket, wish, now=now)
    before = ticket.stage
    ticket = rescue.moved(ticket, wish.to, now=now)
    tx.save_ticket(ticket)
    write_down(tx, ticket, str(wish.to), at=now, by=wish.by, device_at=wish.device_at, details=told)
    if before in RESCUE and wish.to not in RESCUE:
        # Whoever is at the lift knows; whoever is on the way or still thinking about it must be told.
        callouts.stand_down(tx, policy, ticket, now=now, by=wish.by, active=before is not Stage.ARRIVED)
    return ticket


def _to_accept(reads: Reads, ticket: Ticket, party: str | None) -> Callout:
    """Find the call-out that an acceptance answers: the newest that waits, else the newest unanswered."""
    mine = [
        callout
        for callout in reads.callouts(ticket_id=ticket.ticket_id, most=callouts.CALLOUTS_MAX)
        if party in {None, callout.party_id}
    ]
    for answer in (Answer.WAITING, Answer.UNANSWERED):
        for callout in mine:
            if callout.answer is answer and callout.party_id:
                return callout
    raise Conflict(f"ticket {ticket.ticket_id} has no call-out that could be accepted")


def _call_next(tx: Writes, policy: Policy, ticket: Ticket, wish: Move, *, now: int) -> Ticket:
    """Call the next level on a dispatcher's word; what had been accepted is withdrawn, what waits goes on waiting."""
    callout = callouts.active(tx, ticket)
    if callout is not None:
        callouts.withdraw(tx, ticket, callout, now=now, by=wish.by, reason=wish.note)
    ticket = callouts.order(tx, policy, ticket, now=now, by=wish.by)
    if callout is not None:
        callouts.tell_not_needed(tx, policy, ticket, callout, now=now)
    return ticket


def _check_into(reads: Reads, ticket: Ticket, into: object) -> None:
    if not isinstance(into, str) or into == ticket.ticket_id:
        raise Invalid("into", "name the other ticket that this one is merged into")
    try:
        other = reads.ticket(into)
    except NotFound as error:
        raise Invalid("into", f"there is no ticket {into!r}") from error
    if other.stage in FINAL:
        raise Conflict(f"ticket {into} is {other.stage}: nobody would work on what is merged into it")


def _check_cause(ticket: Ticket, wish: Move) -> None:
    cause = wish.details.get("cause")
    if not isinstance(cause, str) or not cause.strip():
        raise Invalid("cause", "say what caused the entrapment")
    if wish.party not in {None, ticket.firm_id}:
        raise Forbidden("the cause is filed by the firm contracted for the lift")


def _stamp(tx: Writes, ticket: Ticket, wish: Move, *, now: int) -> None:
    callout = callouts.active(tx, ticket)
    if wish.party is not None and (callout is None or callout.party_id != wish.party):
        raise Conflict(f"ticket {ticket.ticket_id} is in another party's hands")
    if callout is None:
        return
    if wish.to is Stage.EN_ROUTE:
        callout = replace(callout, departed_at=now)
    elif wish.to is Stage.ARRIVED:
        callout = replace(callout, arrived_at=now)
    else:
        callout = replace(callout, released_at=now)
    tx.save_callout(callout)
