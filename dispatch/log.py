"""Writing on a ticket: every line of its log is also an event of the city's feed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lift.ports import Writes
from lift.ticket import Ticket, TicketEvent

# Kinds of the feed that are not simply `ticket.` and the log's own kind.
_FEED_KIND: Final = {
    "clock_breached": "clock.breached",
    "callout_refused": "callout.refused",
    "callout_unanswered": "callout.unanswered",
    "callout_withdrawn": "callout.withdrawn",
}


def write_down(
    tx: Writes,
    ticket: Ticket,
    kind: str,
    *,
    at: int,
    by: str,
    device_at: int | None = None,
    details: Mapping[str, Any] | None = None,
) -> TicketEvent:
    """Append a line to the ticket's log and announce it with where the ticket stands after it."""
    event = tx.append_event(
        TicketEvent(
            ticket_id=ticket.ticket_id,
            number=0,  # the records number and chain it
            kind=kind,
            at=at,
            by=by,
            device_at=device_at,
            details=details or {},
        )
    )
    data = {
        "ticket_id": ticket.ticket_id,
        "lift": ticket.lift,
        "stage": str(ticket.stage),
        "level": ticket.level,
        "number": event.number,
        "by": by,
        "details": dict(event.details),
    }
    tx.announce(kind=_FEED_KIND.get(kind, f"ticket.{kind}"), at=at, lift=ticket.lift, firm_id=ticket.firm_id, data=data)
    return event
