"""What a ticket becomes: pure functions from a ticket and a moment to the ticket after it."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from typing import Final

from dispatch.policy import Policy
from lift.errors import Conflict
from lift.ticket import FINAL, RESCUE, Clock, ClockName, Stage, Ticket, TicketEvent, digest

_SECOND_US: Final = 1_000_000

# Which clocks a stage stops; every stage outside the rescue stops all of them.
_STOPPED_BY: Final = {
    Stage.ACCEPTED: frozenset({ClockName.ACCEPT, ClockName.ALL_LEVELS}),
    Stage.ARRIVED: frozenset({ClockName.ARRIVE}),
}


def opened(
    policy: Policy, *, ticket_id: str, lift: str, firm_id: str, source: str, summary: str, since: int, now: int
) -> Ticket:
    """Begin a ticket with the clocks that run from its opening; two hours count from `since`, the entrapment.

    Both the call and the alarm are answered by being here, so that clock is kept as met.
    """
    answer = Clock(name=ClockName.ANSWER, level=0, due=_due(policy, ClockName.ANSWER, now), stopped_at=now)
    running = (
        Clock(name=ClockName.ORDER, level=0, due=_due(policy, ClockName.ORDER, now)),
        Clock(name=ClockName.ALL_LEVELS, level=0, due=_due(policy, ClockName.ALL_LEVELS, now)),
        Clock(name=ClockName.LEGAL_ACCIDENT, level=0, due=_due(policy, ClockName.LEGAL_ACCIDENT, min(since, now))),
    )
    return Ticket(
        ticket_id=ticket_id,
        lift=lift,
        firm_id=firm_id,
        stage=Stage.RECEIVED,
        level=0,
        source=source,
        summary=summary,
        opened_at=now,
        updated_at=now,
        clocks=(answer, *running),
    )


def ordered(ticket: Ticket, level: int, policy: Policy, *, city_core: bool, now: int) -> Ticket:
    """Dispatch a ticket at a level: its accept clock starts anew, its arrive clock runs from its first order."""
    accept = Clock(name=ClockName.ACCEPT, level=level, due=_due(policy, ClockName.ACCEPT, now))
    arrive = Clock(name=ClockName.ARRIVE, level=level, due=_due(policy, ClockName.ARRIVE, now, city_core=city_core))
    others = tuple(c for c in ticket.clocks if (c.name, c.level) != (ClockName.ACCEPT, level))
    known = any((c.name, c.level) == (ClockName.ARRIVE, level) for c in others)
    clocks = (*others, accept) if known else (*others, accept, arrive)
    met = {ClockName.ORDER, ClockName.ALL_LEVELS} if level >= len(policy.levels) else {ClockName.ORDER}
    ticket = replace(ticket, stage=Stage.DISPATCHED, level=max(level, ticket.level), updated_at=now, clocks=clocks)
    return stopped(ticket, met, now=now)


def next_level(ticket: Ticket, policy: Policy) -> int:
    """Give the level to call next; the last is called again and again."""
    return max(ticket.level, min(ticket.level + 1, len(policy.levels)))


def moved(ticket: Ticket, to: Stage, *, now: int) -> Ticket:
    """Put a ticket into a stage that has been checked, and stop the clocks that it meets or makes pointless."""
    names = _STOPPED_BY.get(to, frozenset()) if to in RESCUE else frozenset(ClockName)
    closed_at = now if to in FINAL else None
    return stopped(replace(ticket, stage=to, updated_at=now, closed_at=closed_at), names, now=now)


def stopped(ticket: Ticket, names: Container[ClockName], *, now: int, level: int | None = None) -> Ticket:
    """Stop the named clocks, of one level or all, that still run, breached or not; how late is `stopped_at - due`."""
    clocks = tuple(
        replace(clock, stopped_at=now)
        if clock.name in names and clock.stopped_at is None and level in {None, clock.level}
        else clock
        for clock in ticket.clocks
    )
    return replace(ticket, updated_at=now, clocks=clocks)


def overdue(ticket: Ticket, now: int) -> list[Clock]:
    """Give the clocks that are past due and neither stopped nor marked, longest overdue first."""
    due = [c for c in ticket.clocks if c.stopped_at is None and c.breached_at is None and c.due <= now]
    return sorted(due, key=lambda clock: clock.due)


def breached(ticket: Ticket, overdue: Container[Clock], *, now: int) -> Ticket:
    """Mark clocks as breached."""
    clocks = tuple(replace(clock, breached_at=now) if clock in overdue else clock for clock in ticket.clocks)
    return replace(ticket, updated_at=now, clocks=clocks)


def check_log(ticket_id: str, log: Sequence[TicketEvent]) -> None:
    """Check a log's numbers and chain of hashes; raises Conflict naming the first event that does not fit."""
    if not log:
        raise Conflict(f"ticket {ticket_id} has no log")
    previous = ""
    for number, event in enumerate(log, 1):
        if event.number != number:
            raise Conflict(f"ticket {ticket_id}: event {number} is missing from the log")
        if event.previous != previous or event.digest != digest(event):
            raise Conflict(f"ticket {ticket_id}: event {number} ({event.kind}) is not as it was written")
        previous = event.digest


def _due(policy: Policy, name: ClockName, start: int, *, city_core: bool = True) -> int:
    return start + round(policy.clock_s(name, city_core=city_core) * _SECOND_US)
