"""Call-outs: ordering the next level, taking answers, standing parties down. All inside a caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from dispatch import parties, rescue
from dispatch.log import write_down
from dispatch.policy import Policy
from lift.errors import Conflict
from lift.ports import Reads, Writes
from lift.ticket import Answer, Callout, ClockName, Stage, Ticket, check_move

PLATFORM: Final = "liftwatch"  # who acts when no person does
CALLOUTS_MAX: Final = 1000  # of one ticket that are looked at: two days of calling the last level every 3 min

_NOBODY: Final = parties.Party("", "nobody registered 无登记单位", "")


def order(tx: Writes, policy: Policy, ticket: Ticket, *, now: int, by: str = PLATFORM) -> Ticket:
    """Call the next level, and straight on through levels for which nobody is registered."""
    building = parties.building_of(tx, ticket.lift)
    while True:
        level = rescue.next_level(ticket, policy)
        found = parties.party(tx, policy, ticket, building, level)
        core = building is None or building.city_core
        ticket = rescue.ordered(ticket, level, policy, city_core=core, now=now)
        callout = Callout(
            callout_id=_next_id(tx, ticket),
            ticket_id=ticket.ticket_id,
            level=level,
            party_id=(found or _NOBODY).party_id,
            party_name=(found or _NOBODY).name,
            phone=(found or _NOBODY).phone,
            ordered_at=now,
        )
        if found is None:
            ticket = _decided(ticket, level, now=now)
        tx.save_ticket(ticket)
        tx.save_callout(callout)
        write_down(tx, ticket, "dispatched", at=now, by=by, details=_facts(callout))
        if found is not None:
            text = parties.order_text(policy, ticket, building, level)
            notify(tx, callout, "order", text, now=now)
            return ticket
        unanswered(tx, policy, ticket, callout, now=now)


def unanswered(tx: Writes, policy: Policy, ticket: Ticket, callout: Callout, *, now: int) -> None:
    """Mark a call-out that nobody answered and tell its party that others are called; it may still accept."""
    callout = replace(callout, answer=Answer.UNANSWERED)
    tx.save_callout(callout)
    write_down(tx, ticket, "callout_unanswered", at=now, by=PLATFORM, details=_facts(callout))
    if callout.party_id:
        text = parties.unanswered_text(policy, ticket, parties.building_of(tx, ticket.lift))
        notify(tx, callout, "unanswered", text, now=now)
    if callout.level >= len(policy.levels):
        write_down(tx, ticket, "unanswered", at=now, by=PLATFORM, details={"level": callout.level})


def accept(
    tx: Writes,
    policy: Policy,
    ticket: Ticket,
    callout: Callout,
    *,
    now: int,
    by: str,
    device_at: int | None = None,
    details: Mapping[str, object] | None = None,
) -> Ticket:
    """Let a party take the ticket; all others are stood down. Late is allowed while nobody else has it."""
    if callout.answer not in {Answer.WAITING, Answer.UNANSWERED}:
        raise Conflict(f"call-out {callout.callout_id} of {callout.party_name} is {callout.answer} already")
    check_move(ticket.stage, Stage.ACCEPTED)
    callout = replace(callout, answer=Answer.ACCEPTED, answered_at=now)
    tx.save_callout(callout)
    ticket = rescue.moved(ticket, Stage.ACCEPTED, now=now)
    tx.save_ticket(ticket)
    write_down(
        tx, ticket, "accepted", at=now, by=by, device_at=device_at, details={**(details or {}), **_facts(callout)}
    )
    stand_down(tx, policy, ticket, now=now, by=by, but=callout.party_id)
    return ticket


def refuse(tx: Writes, policy: Policy, ticket: Ticket, callout: Callout, *, now: int, by: str, reason: str) -> Ticket:
    """Let a party refuse, or give back what it had accepted; the next level is called at once."""
    given_back = callout.answer is Answer.ACCEPTED and ticket.stage in {Stage.ACCEPTED, Stage.EN_ROUTE}
    waiting = callout.answer is Answer.WAITING and ticket.stage is Stage.DISPATCHED
    if not (given_back or waiting):
        raise Conflict(
            f"call-out {callout.callout_id} is {callout.answer} and its ticket {ticket.stage}: "
            "it can no longer be refused"
        )
    tx.save_callout(replace(callout, answer=Answer.REFUSED, answered_at=now, reason=reason))
    write_down(tx, ticket, "callout_refused", at=now, by=by, details={**_facts(callout), "reason": reason})
    if waiting and callout.level < ticket.level:  # a higher level is being called already
        ticket = _decided(ticket, callout.level, now=now)
        tx.save_ticket(ticket)
        return ticket
    return order(tx, policy, _decided(ticket, callout.level, now=now), now=now)


def stand_down(
    tx: Writes, policy: Policy, ticket: Ticket, *, now: int, by: str, but: str = "", active: bool = False
) -> None:
    """Withdraw what still waits, with `active` also what was accepted, and tell each party but one, once."""
    callouts = tx.callouts(ticket_id=ticket.ticket_id, most=CALLOUTS_MAX)
    withdrawn = {Answer.WAITING, Answer.ACCEPTED} if active else {Answer.WAITING}
    told = {but, ""}
    for callout in callouts:
        if callout.answer not in withdrawn | {Answer.UNANSWERED}:
            continue
        if callout.answer is not Answer.UNANSWERED:
            withdraw(tx, ticket, callout, now=now, by=by)
        if callout.party_id not in told:
            told.add(callout.party_id)
            tell_not_needed(tx, policy, ticket, callout, now=now)


def withdraw(tx: Writes, ticket: Ticket, callout: Callout, *, now: int, by: str, reason: str = "") -> None:
    """Take a call-out back from its party."""
    tx.save_callout(replace(callout, answer=Answer.WITHDRAWN, reason=reason))
    write_down(tx, ticket, "callout_withdrawn", at=now, by=by, details={**_facts(callout), "reason": reason})


def tell_not_needed(tx: Writes, policy: Policy, ticket: Ticket, callout: Callout, *, now: int) -> None:
    """Tell one party that it is not needed any more."""
    text = parties.stand_down_text(policy, ticket, parties.building_of(tx, ticket.lift))
    notify(tx, callout, "stand-down", text, now=now)


def active(reads: Reads, ticket: Ticket) -> Callout | None:
    """Give the call-out whose party has the ticket in hand."""
    callouts = reads.callouts(ticket_id=ticket.ticket_id, most=CALLOUTS_MAX)
    return next((callout for callout in callouts if callout.answer is Answer.ACCEPTED), None)


def notify(tx: Writes, callout: Callout, kind: str, text: str, *, now: int) -> None:
    """Put a notice to a call-out's party in the outbox."""
    tx.enqueue(
        kind=kind,
        party_id=callout.party_id,
        phone=callout.phone,
        text=text,
        at=now,
        about=callout.callout_id,
    )


def _next_id(reads: Reads, ticket: Ticket) -> str:
    newest = reads.callouts(ticket_id=ticket.ticket_id, most=1)
    number = int(newest[0].callout_id.rpartition("-")[2]) + 1 if newest else 1
    return f"{ticket.ticket_id}-{number:03d}"


def _decided(ticket: Ticket, level: int, *, now: int) -> Ticket:
    """Stop a level's accept clock: there is nobody left who could still accept."""
    return rescue.stopped(ticket, {ClockName.ACCEPT}, now=now, level=level)


def _facts(callout: Callout) -> dict[str, object]:
    return {"callout_id": callout.callout_id, "level": callout.level, "party": callout.party_name}
