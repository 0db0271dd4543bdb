"""What happens when a clock runs out. All inside a caller's transaction."""

from __future__ import annotations

from dispatch import callouts, rescue
from dispatch.log import write_down
from dispatch.policy import Policy
from lift.ports import Writes
from lift.ticket import Answer, Clock, ClockName, Stage, Ticket


def settle(tx: Writes, policy: Policy, ticket: Ticket, *, now: int) -> tuple[Ticket, int]:
    """Mark every breach of a ticket once and act on it; gives the ticket after it and the number of breaches.

    Whoever changes a ticket settles it first, so that it reads the same whether the tick came in time or late.
    """
    overdue = rescue.overdue(ticket, now)
    if not overdue:
        return ticket, 0
    # All are marked before any is acted on: what one leads to may stop another, which was late all the same.
    ticket = rescue.breached(ticket, overdue, now=now)
    tx.save_ticket(ticket)
    for clock in overdue:
        facts = {"clock": str(clock.name), "level": clock.level, "due": clock.due}
        write_down(tx, ticket, "clock_breached", at=now, by=callouts.PLATFORM, details=facts)
    for clock in overdue:
        if ticket.stage is Stage.DISPATCHED:
            ticket = _push_on(tx, policy, ticket, clock, now=now)
    return ticket, len(overdue)


def _push_on(tx: Writes, policy: Policy, ticket: Ticket, clock: Clock, *, now: int) -> Ticket:
    if clock.name is ClockName.ACCEPT:
        for callout in tx.callouts(ticket_id=ticket.ticket_id, most=callouts.CALLOUTS_MAX):
            if callout.level == clock.level and callout.answer is Answer.WAITING:
                callouts.unanswered(tx, policy, ticket, callout, now=now)
        if clock.level == ticket.level:
            return callouts.order(tx, policy, ticket, now=now)
    if clock.name is ClockName.ALL_LEVELS:
        # The duty is to have called every level by now, so whatever is left is called at once.
        while ticket.level < len(policy.levels):
            ticket = callouts.order(tx, policy, ticket, now=now)
    return ticket
