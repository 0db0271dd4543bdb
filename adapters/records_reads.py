"""What can be asked of the records, in SQL that SQLite and PostgreSQL both speak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final

import sqlalchemy as sa

from adapters import records_schema as schema
from adapters.records_alarms import SqlAlarmReads
from adapters.records_base import R, Record, as_record, capped, columns, count_of, of_firm, select_record
from lift.alarm import Priority
from lift.errors import NotFound
from lift.incident import IncidentKind
from lift.ports import FeedEvent, OutboxItem, Quarantined, Reads, User
from lift.register import Building, Crew, Firm, Lift, Station
from lift.ticket import FINAL, Answer, Callout, Clock, Stage, Ticket, TicketEvent

# Above this many buildings that fit a search, lifts that fit are so common that walking them in order is quick.
_BUILDINGS_LISTED_MAX: Final = 1000
_AFTER_EVERY_CHARACTER: Final = "\U0010ffff"


class SqlReads(SqlAlarmReads, Reads):
    """Reads through one connection, inside the transaction that its owner has begun."""

    # ---------------------------------------------------------------------------------- the register

    def lift(self, code: str, *, firm_id: str | None = None) -> Lift:
        """Find a lift by rescue or registration code; raises NotFound."""
        for key in ("rescue_code", "registration_code"):
            query = _lift_by(key, scoped=firm_id is not None)
            found = self._all(Lift, query, code=code, firm_id=firm_id) if code else []
            if found:
                return found[0]
        raise NotFound(f"no lift has the code {code!r}")

    def building(self, building_id: str) -> Building:
        """Find a building; raises NotFound."""
        return self._find(Building, "building", building_id)

    def lifts(
        self, *, text: str = "", firm_id: str | None = None, gateway: str = "", after: str = "", most: int = 50
    ) -> list[tuple[Lift, Building]]:
        """Search lifts by code prefix or by part of an address or building name, in order of rescue code."""
        codes = self._codes(text.strip(), firm_id, gateway, after, capped(most))
        table, places = schema.lifts, schema.buildings
        found = self._all(Lift, select_record(table, Lift).where(table.c.rescue_code.in_(codes)))
        wanted = {lift.building_id for lift in found}
        buildings = self._all(Building, select_record(places, Building).where(places.c.building_id.in_(wanted)))
        by_id = {building.building_id: building for building in buildings}
        found.sort(key=lambda lift: lift.rescue_code)
        return [(lift, by_id[lift.building_id]) for lift in found]

    def _codes(self, text: str, firm_id: str | None, gateway: str, after: str, most: int) -> list[str]:
        """Give the rescue codes of a search: each way of fitting is asked alone, so that each uses its index."""
        table = schema.lifts
        query = sa.select(table.c.rescue_code).where(table.c.rescue_code > after)
        query = of_firm(query, table.c.firm_id, firm_id).order_by(table.c.rescue_code).limit(most)
        if gateway:
            query = query.where(table.c.gateway == gateway)
        if not text:
            return list(self._scalars(query))
        ways = [
            query.where(_begins(table.c.rescue_code, text)),
            query.where(_begins(table.c.registration_code, text)),
            query.where(self._in_buildings(text)),
        ]
        return sorted({code for way in ways for code in self._scalars(way)})[:most]

    def _in_buildings(self, text: str) -> sa.ColumnElement[bool]:
        places = schema.buildings
        fits = places.c.name.icontains(text, autoescape=True) | places.c.address.icontains(text, autoescape=True)
        query = sa.select(places.c.building_id).where(fits)
        listed = list(self._scalars(query.limit(_BUILDINGS_LISTED_MAX)))
        if len(listed) < _BUILDINGS_LISTED_MAX:
            return schema.lifts.c.building_id.in_(listed)
        return query.where(places.c.building_id == schema.lifts.c.building_id).exists()

    def gateways(self, *, firm_id: str | None = None) -> Mapping[str, int]:
        """Give the names of the gateways in the register, and how many lifts are behind each."""
        table = schema.lifts
        query = sa.select(table.c.gateway, sa.func.count()).group_by(table.c.gateway)
        return {str(row[0]): int(row[1]) for row in self._rows(of_firm(query, table.c.firm_id, firm_id))}

    def all_lifts(self) -> list[Lift]:
        """Give every lift in the order they were registered."""
        return self._all(Lift, select_record(schema.lifts, Lift).order_by(schema.lifts.c.position))

    def firm(self, firm_id: str) -> Firm:
        """Find a firm; raises NotFound."""
        return self._find(Firm, "firm", firm_id)

    def stations(self, *, level: int) -> list[Station]:
        """Give the stations of a response level, in order of their ids."""
        table = schema.stations
        query = select_record(table, Station).where(table.c.level == level).order_by(table.c.station_id)
        return self._all(Station, query)

    def crew(self, crew_id: str) -> Crew:
        """Find a crew; raises NotFound."""
        return self._find(Crew, "crew", crew_id)

    # --------------------------------------------------------------------------------------- tickets

    def alarm_spans(self, *, start: int, end: int) -> list[tuple[str, int, int]]:
        """Give lift, onset and raise of every alarm with onset < end and raised at start or later."""
        table = schema.alarms
        query = sa.select(table.c.lift, table.c.onset, table.c.raised_at)
        query = query.where(table.c.raised_at >= start, table.c.onset < end).order_by(table.c.raised_at)
        return [(lift, onset, raised_at) for lift, onset, raised_at in self._rows(query)]

    def ticket(self, ticket_id: str, *, firm_id: str | None = None) -> Ticket:
        """Find a ticket with its clocks; raises NotFound. A firm or station also sees those it is called to."""
        query = _by_key(Ticket, scoped=firm_id is not None)
        ticket = self._only(Ticket, query, f"there is no ticket {ticket_id!r}", key=ticket_id, firm_id=firm_id)
        return self._with_clocks([ticket])[0]

    def rescue_of(self, lift: str) -> Ticket | None:
        """Give the ticket of a rescue under way at this lift, if there is one."""
        return next(iter(self._with_clocks(self._all(Ticket, _RESCUE_OF, lift=lift))), None)

    def rescues(self, *, firm_id: str | None = None, most: int = 200) -> list[Ticket]:
        """List the rescues under way, the surest first, of equally sure ones the oldest."""
        table = schema.tickets.c
        query = _tickets(scoped=firm_id is not None).where(schema.UNDER_WAY)
        query = query.order_by(table.confidence.desc(), table.opened_at, table.ticket_id).limit(capped(most))
        return self._with_clocks(self._all(Ticket, query, firm_id=firm_id))

    def tickets(
        self,
        *,
        stages: Iterable[Stage] = (),
        lift: str = "",
        firm_id: str | None = None,
        before: int | None = None,
        most: int = 50,
    ) -> list[Ticket]:
        """List tickets, newest first. `before` is an `opened_at`; pages as in `alarms`."""
        table = schema.tickets
        query = _tickets(scoped=firm_id is not None)
        if wanted := sorted(stages):
            query = query.where(table.c.stage.in_(wanted))
        if lift:
            query = query.where(table.c.lift == lift)
        time, key = table.c.opened_at, table.c.ticket_id
        return self._with_clocks(self._page(Ticket, query, time, key, before=before, most=most, firm_id=firm_id))

    def _with_clocks(self, tickets: list[Ticket]) -> list[Ticket]:
        clocks: dict[str, list[Clock]] = {ticket.ticket_id: [] for ticket in tickets}
        for row in self._rows(_CLOCKS_OF, ids=list(clocks)) if clocks else []:
            clocks[row[0]].append(as_record(Clock, row[1:]))
        return [replace(ticket, clocks=tuple(clocks[ticket.ticket_id])) for ticket in tickets]

    def ticket_events(self, ticket_id: str) -> list[TicketEvent]:
        """Give a ticket's whole log in order."""
        table = schema.ticket_events
        query = select_record(table, TicketEvent).where(table.c.ticket_id == ticket_id).order_by(table.c.number)
        return self._all(TicketEvent, query)

    def callout(self, callout_id: str, *, firm_id: str | None = None) -> Callout:
        """Find a call-out; raises NotFound."""
        query = _by_key(Callout, scoped=firm_id is not None)
        return self._only(Callout, query, f"there is no call-out {callout_id!r}", key=callout_id, firm_id=firm_id)

    def callouts(
        self, *, ticket_id: str = "", firm_id: str | None = None, waiting: bool = False, most: int = 200
    ) -> list[Callout]:
        """List call-outs, newest first: a firm's own and those of its lifts."""
        query = _callouts(of_ticket=bool(ticket_id), waiting=waiting, scoped=firm_id is not None)
        return self._all(Callout, query, ticket_id=ticket_id, firm_id=firm_id, most=capped(most))

    def due_clocks(self, now: int, *, most: int = 200) -> list[tuple[str, Clock]]:
        """Give running clocks past due and not yet marked, with their ticket ids, longest overdue first."""
        rows = self._rows(_DUE_CLOCKS, now=now, most=capped(most))
        return [(row[0], as_record(Clock, row[1:])) for row in rows]

    # ------------------------------------------------------------------------------- feed and outbox

    def feed(self, *, after: int, most: int = 500, firm_id: str | None = None) -> list[FeedEvent]:
        """Give events with an id above `after`, ascending."""
        query = _feed(scoped=firm_id is not None)
        return self._all(FeedEvent, query, after=after, firm_id=firm_id, most=capped(most))

    def feed_start(self) -> int:
        """Give the id of the oldest event that is still there, 0 when there is none."""
        return int(self._scalar(sa.select(sa.func.min(schema.feed.c.event_id))) or 0)

    def feed_end(self) -> int:
        """Give the id of the newest event, 0 when there is none."""
        return int(self._scalar(newest(schema.feed.c.event_id)) or 0)

    def outbox_due(self, now: int, *, most: int = 100) -> list[OutboxItem]:
        """Give unsent notifications whose next attempt is due, oldest first."""
        table = schema.outbox
        query = select_record(table, OutboxItem).where(schema.UNSENT, table.c.next_at <= now)
        return self._all(OutboxItem, query.order_by(table.c.next_at, table.c.outbox_id).limit(capped(most)))

    # ------------------------------------------------------------------------------------ quarantine

    def quarantined(
        self, *, waiting: bool | None = None, before: int | None = None, most: int = 50
    ) -> list[Quarantined]:
        """List refused messages, newest first. `before` is a `quarantine_id`."""
        table = schema.quarantine
        query = select_record(table, Quarantined)
        if waiting is not None:
            query = query.where(schema.AWAITING if waiting else table.c.replayed_at.is_not(None))
        if before is not None:
            query = query.where(table.c.quarantine_id < before)
        query = query.order_by(table.c.quarantine_id.desc()).limit(capped(most))
        return [replace(item, reasons=tuple(item.reasons)) for item in self._all(Quarantined, query)]

    def quarantine_item(self, quarantine_id: int) -> Quarantined:
        """Find one refused message; raises NotFound."""
        item = self._find(Quarantined, "quarantined message", quarantine_id)
        return replace(item, reasons=tuple(item.reasons))

    # -------------------------------------------------------------------- people, counts and settings

    def user(self, name: str) -> User:
        """Find a user; raises NotFound."""
        return self._find(User, "user", name)

    def session_user(self, token_hash: str, now: int) -> User | None:
        """Give whose unexpired sign-in this is."""
        session, users = schema.sessions, schema.users
        query = select_record(users, User).join(session, session.c.user == users.c.name)
        query = query.where(session.c.token_hash == token_hash, session.c.expires_at > now)
        return next(iter(self._all(User, query)), None)

    def counts(self) -> Mapping[str, int]:
        """Count what waits for someone, and what was given up or dropped."""
        counted = {
            "alarms_standing": count_of(
                schema.alarms, (schema.alarms.c.standing == sa.true()) & (schema.alarms.c.priority > Priority.JOURNAL)
            ),
            "rescues": count_of(schema.tickets, schema.UNDER_WAY),
            "tickets_open": count_of(schema.tickets, schema.tickets.c.stage.in_(sorted(set(Stage) - FINAL))),
            # As in the figures of the alarm desk: what one lift's alarms have in common is no event of the city.
            "incidents_open": count_of(schema.incidents, schema.OPEN & (schema.incidents.c.kind != IncidentKind.LIFT)),
            "callouts_waiting": count_of(schema.callouts, schema.callouts.c.answer == Answer.WAITING),
            "quarantined": count_of(schema.quarantine, schema.AWAITING),
            "notifications_unsent": count_of(schema.outbox, schema.UNSENT),
            "notifications_given_up": count_of(schema.outbox, schema.GIVEN_UP),
        }
        found = {name: int(self._scalar(query) or 0) for name, query in counted.items()}
        return found | {"quarantine_dropped": self._counter("quarantine_dropped")}

    def oldest_waiting(self) -> int | None:
        """Give when the oldest call-out that nobody has answered was ordered."""
        table = schema.callouts
        query = sa.select(sa.func.min(table.c.ordered_at)).where(table.c.answer == Answer.WAITING)
        oldest: int | None = self._scalar(query)
        return oldest

    def setting(self, name: str) -> str | None:
        """Read a small value that the platform itself remembers."""
        table = schema.settings
        value: str | None = self._scalar(sa.select(table.c.value).where(table.c.name == name))
        return value

    # --------------------------------------------------------------------------------------- helpers

    def _counter(self, name: str) -> int:
        return int(self._scalar(_COUNTER, name=name) or 0)

    def _find(self, record: type[R], noun: str, key: object) -> R:
        return self._only(record, _by_key(record), f"there is no {noun} {key!r}", key=key)


def _begins(column: sa.Column[str], text: str) -> sa.ColumnElement[bool]:
    return (column >= text) & (column < text + _AFTER_EVERY_CHARACTER)


# Queries asked often are built once: building one costs five times as much as asking it.

_TABLES: Final[Mapping[type[Record], sa.Table]] = {
    Building: schema.buildings,
    Callout: schema.callouts,
    Crew: schema.crews,
    Firm: schema.firms,
    Quarantined: schema.quarantine,
    Ticket: schema.tickets,
    User: schema.users,
}
_RESCUE_OF: Final = select_record(schema.tickets, Ticket).where(
    schema.tickets.c.lift == sa.bindparam("lift"), schema.UNDER_WAY
)
_CLOCKS: Final = sa.select(schema.clocks.c.ticket_id, *columns(schema.clocks, Clock))
_CLOCKS_OF: Final = _CLOCKS.where(schema.clocks.c.ticket_id.in_(sa.bindparam("ids", expanding=True))).order_by(
    schema.clocks.c.position
)
_DUE_CLOCKS: Final = (
    _CLOCKS.where(schema.RUNNING, schema.clocks.c.due <= sa.bindparam("now"))
    .order_by(schema.clocks.c.due, schema.clocks.c.ticket_id, schema.clocks.c.position)
    .limit(sa.bindparam("most"))
)
_COUNTER: Final = sa.select(schema.counters.c.value).where(schema.counters.c.name == sa.bindparam("name"))


@cache
def newest(column: sa.Column[int]) -> sa.Select[Any]:
    """Select a column's largest value."""
    return sa.select(sa.func.max(column))


@cache
def _by_key(record: type[Record], *, scoped: bool = False) -> sa.Select[Any]:
    table = _TABLES[record]
    [column] = table.primary_key.columns
    query = select_record(table, record)
    if scoped:
        query = {Ticket: _tickets, Callout: _called}[record](scoped=True)
    return query.where(column == sa.bindparam("key"))


@cache
def _lift_by(key: str, *, scoped: bool) -> sa.Select[Any]:
    query = select_record(schema.lifts, Lift).where(schema.lifts.c[key] == sa.bindparam("code")).limit(1)
    return query.where(schema.lifts.c.firm_id == sa.bindparam("firm_id")) if scoped else query


@cache
def _tickets(*, scoped: bool) -> sa.Select[Any]:
    query = select_record(schema.tickets, Ticket)
    return query.where(schema.tickets.c.ticket_id.in_(_seen())) if scoped else query


@cache
def _called(*, scoped: bool) -> sa.Select[Any]:
    query = select_record(schema.callouts, Callout)
    return query.where(schema.callouts.c.ticket_id.in_(_seen())) if scoped else query


@cache
def _callouts(*, of_ticket: bool, waiting: bool, scoped: bool) -> sa.Select[Any]:
    table = schema.callouts
    query = _called(scoped=scoped)
    if of_ticket:
        query = query.where(table.c.ticket_id == sa.bindparam("ticket_id"))
    if waiting:
        query = query.where(table.c.answer == Answer.WAITING)
    newest_first = (table.c.ordered_at.desc(), table.c.level.desc(), table.c.callout_id.desc())
    return query.order_by(*newest_first).limit(sa.bindparam("most"))


def _seen() -> sa.Select[Any]:
    """Select the tickets of a firm's lifts and those that it, or a station, is called out to."""
    firm_id: sa.BindParameter[str] = sa.bindparam("firm_id")
    own = sa.select(schema.tickets.c.ticket_id).where(schema.tickets.c.firm_id == firm_id)
    called = sa.select(schema.callouts.c.ticket_id).where(schema.callouts.c.party_id == firm_id)
    return sa.select(own.union(called).subquery().c.ticket_id)


@cache
def _feed(*, scoped: bool) -> sa.Select[Any]:
    table = schema.feed
    query = select_record(table, FeedEvent).where(table.c.event_id > sa.bindparam("after"))
    if scoped:
        query = query.where(table.c.firm_id == sa.bindparam("firm_id"))
    return query.order_by(table.c.event_id).limit(sa.bindparam("most"))
