"""What can be asked about alarms and incidents, in SQL that SQLite and PostgreSQL both speak."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import sqlalchemy as sa

from adapters import records_schema as schema
from adapters.records_base import Connected, capped, select_record
from lift.alarm import Alarm, OutOfService, Priority
from lift.alarm_ports import AlarmFilter, AlarmRates, AlarmReads, AlarmStock, LiftPlace
from lift.incident import Incident, IncidentKind, IncidentLift
from lift.repair import Repair
from lift.ticket import Ticket

STALE_US: Final = 24 * 3600 * 1_000_000  # ISA-18.2: an alarm that has been standing for a day

_ANY: Final = AlarmFilter()


class SqlAlarmReads(Connected, AlarmReads):
    """The part of the reads that the alarm life cycle needs."""

    def alarm(self, key: str, *, firm_id: str | None = None) -> Alarm:
        """Find an alarm; raises NotFound."""
        query = _alarms(scoped=firm_id is not None).where(schema.alarms.c.key == sa.bindparam("key"))
        return self._only(Alarm, query, f"there is no alarm {key!r}", key=key, firm_id=firm_id)

    def alarms(
        self,
        *,
        lift: str = "",
        standing: bool | None = None,
        which: AlarmFilter | None = None,
        firm_id: str | None = None,
        before: int | None = None,
        most: int = 50,
    ) -> list[Alarm]:
        """List alarms, newest raised first; `standing` = the condition still holds or the alarm is latched.

        `before` is a `raised_at`. Alarms of one moment are not split between pages, so a page may hold
        more than `most`. `which` asks for more than `lift` and `standing`, which it then replaces.
        """
        table = schema.alarms
        wanted = which or AlarmFilter(lift=lift, standing=standing)
        query = _alarms(scoped=firm_id is not None).where(*_fits(wanted))
        return self._page(Alarm, query, table.c.raised_at, table.c.key, before=before, most=most, firm_id=firm_id)

    def alarms_by_key(self, keys: Iterable[str]) -> dict[str, Alarm]:
        """Give those of these alarms that are on record, by key."""
        return {alarm.key: alarm for alarm in self._in_parts(Alarm, _BY_KEYS, keys)}

    def holding_alarms(self, *, after: str = "", most: int = 5000) -> list[Alarm]:
        """Give alarms whose condition holds, in order of their keys, beginning after one."""
        return self._all(Alarm, _HOLDING, after=after, most=most)

    def alarms_ending(self, now: int, *, quiet_us: int) -> list[Alarm]:
        """Give standing alarms whose shelf or time out of service is over, or that chattered and have been quiet."""
        return self._all(Alarm, _ENDING, now=now, quiet=now - quiet_us)

    def places(self, lifts: Iterable[str]) -> dict[str, LiftPlace]:
        """Give where these lifts are, by rescue code; those that the register lacks are left out."""
        return {place.lift: place for place in self._in_parts(LiftPlace, _PLACES, lifts)}

    def lifts_behind(self, gateway: str) -> list[str]:
        """Give the rescue codes of the lifts behind a gateway, ascending."""
        return list(self._scalars(_BEHIND, gateway=gateway))

    # ------------------------------------------------------------------------------------- incidents

    def incident(self, key: str, *, firm_id: str | None = None) -> Incident:
        """Find an incident; raises NotFound. A firm finds those that hold a lift of its own."""
        query = _incidents(scoped=firm_id is not None).where(schema.incidents.c.key == sa.bindparam("key"))
        return self._only(Incident, query, f"there is no incident {key!r}", key=key, firm_id=firm_id)

    def incidents(
        self,
        *,
        is_open: bool | None = None,
        kind: str = "",
        firm_id: str | None = None,
        before: int | None = None,
        most: int = 50,
    ) -> list[Incident]:
        """List incidents, newest opened first. `before` is an `opened_at`; pages as in `alarms`."""
        table = schema.incidents
        query = _incidents(scoped=firm_id is not None)
        if is_open is not None:
            query = query.where(schema.OPEN if is_open else table.c.closed_at.is_not(None))
        if kind:
            query = query.where(table.c.kind == IncidentKind(kind))
        return self._page(Incident, query, table.c.opened_at, table.c.key, before=before, most=most, firm_id=firm_id)

    def incident_lifts(self, keys: Iterable[str], *, firm_id: str | None = None) -> list[IncidentLift]:
        """Give the lifts that are or were inside these incidents, in order of incident and rescue code."""
        table = schema.incident_lifts
        query = select_record(table, IncidentLift).where(table.c.incident.in_(sa.bindparam("keys", expanding=True)))
        if firm_id is not None:
            query = query.where(table.c.firm_id == firm_id)
        found = self._in_parts(IncidentLift, query, keys)
        return sorted(found, key=lambda one: (one.incident, one.lift))

    def tickets_of(self, incident: str, *, firm_id: str | None = None) -> list[Ticket]:
        """Give the tickets that alarms of an incident have opened or joined, oldest first; without their clocks."""
        tickets, alarms = schema.tickets, schema.alarms
        inside = sa.select(alarms.c.ticket_id).where(alarms.c.incident == incident, schema.INSIDE)
        query = select_record(tickets, Ticket).where(tickets.c.ticket_id.in_(inside))
        if firm_id is not None:
            query = query.where(tickets.c.firm_id == firm_id)
        return self._all(Ticket, query.order_by(tickets.c.opened_at, tickets.c.ticket_id))

    # -------------------------------------------------------------------------------- out of service

    def out_of_service(
        self, *, at: int | None = None, lift: str = "", firm_id: str | None = None, most: int | None = None
    ) -> list[OutOfService]:
        """List what was taken out of service, newest first; with `at` only what is so at that moment."""
        table = schema.out_of_service
        query = _out_of_service(scoped=firm_id is not None).order_by(table.c.number.desc()).limit(most)
        if at is not None:
            query = query.where(schema.UNENDED, table.c.until > at)
        if lift:
            query = query.where(table.c.lift == lift)
        return self._all(OutOfService, query, firm_id=firm_id)

    def out_of_service_over(self, now: int) -> list[OutOfService]:
        """Give the entries whose time is over and that nobody has ended yet."""
        table = schema.out_of_service
        query = _out_of_service(scoped=False).where(schema.UNENDED, table.c.until <= now)
        return self._all(OutOfService, query.order_by(table.c.number))

    def out_of_service_item(self, number: int, *, firm_id: str | None = None) -> OutOfService:
        """Find one entry; raises NotFound."""
        query = _out_of_service(scoped=firm_id is not None).where(schema.out_of_service.c.number == number)
        return self._only(OutOfService, query, f"there is no entry {number} out of service", firm_id=firm_id)

    # --------------------------------------------------------------------------------------- repairs

    def repair_of(self, alarm: str) -> Repair | None:
        """Give what was told to be mended after an alarm, None where nothing was."""
        query = select_record(schema.repairs, Repair).where(schema.repairs.c.alarm == alarm)
        return next(iter(self._all(Repair, query)), None)

    def repairs(self, *, after: int, most: int = 500) -> list[Repair]:
        """Give repairs with a number above `after`, ascending."""
        table = schema.repairs
        query = select_record(table, Repair).where(table.c.number > after).order_by(table.c.number)
        return self._all(Repair, query.limit(capped(most)))

    # --------------------------------------------------------------------------------------- figures

    def alarm_rates(self, start: int, end: int, *, step_us: int, sources: int = 10) -> AlarmRates:
        """Count what was shown to people with start <= time < end."""
        table = schema.alarms
        within = (table.c.shown_at >= start) & (table.c.shown_at < end)
        shown: dict[int, int] = {}
        for step, count in self._rows(_steps(table.c.shown_at, within, start, step_us)):
            shown[start + step * step_us] = count
        area = schema.incidents.c
        opened = (area.opened_at >= start) & (area.opened_at < end) & (area.kind != IncidentKind.LIFT)
        for step, count in self._rows(_steps(area.opened_at, opened, start, step_us)):
            shown[start + step * step_us] = shown.get(start + step * step_us, 0) + count
        number = sa.func.count()
        by_priority = sa.select(table.c.priority, number).where(within).group_by(table.c.priority)
        top = sa.select(table.c.lift, table.c.rule, number).where(within).group_by(table.c.lift, table.c.rule)
        top = top.order_by(number.desc(), table.c.lift, table.c.rule).limit(sources)
        wait = sa.func.avg(sa.cast(table.c.acknowledged_at - table.c.shown_at, sa.Double))
        answered = sa.select(number, wait).where(within, table.c.acknowledged_at.is_not(None))
        acknowledged, mean = self._rows(answered)[0]
        return AlarmRates(
            shown=shown,
            by_priority={row[0]: row[1] for row in self._rows(by_priority)},
            sources=[(lift, rule, count) for lift, rule, count in self._rows(top)],
            acknowledged=acknowledged,
            acknowledge_us=None if mean is None else float(mean),
        )

    def alarm_stock(self, now: int) -> AlarmStock:
        """Count the alarms that stand."""
        table = schema.alarms
        emergency = table.c.priority == Priority.EMERGENCY
        out = ~emergency & sa.func.coalesce(table.c.out_of_service_until > now, sa.false())
        suppressed = ~emergency & ~out & (table.c.suppressed_by != "")
        shelved = (
            ~emergency
            & ~out
            & (table.c.suppressed_by == "")
            & sa.func.coalesce(table.c.shelved_until > now, sa.false())
        )
        conditions = {
            "standing": sa.true(),
            "in_sight": ~(out | suppressed | shelved),
            "stale": table.c.raised_at <= now - STALE_US,
            "chattering": table.c.chattering_since.is_not(None),
            "shelved": shelved,
            "suppressed": suppressed,
            "out_of_service": out,
        }
        counts = [sa.func.sum(sa.case((condition, 1), else_=0)) for condition in conditions.values()]
        alarms = (table.c.standing == sa.true()) & (table.c.priority > Priority.JOURNAL)
        [row] = self._rows(sa.select(*counts).where(alarms))
        return AlarmStock(**{name: int(count or 0) for name, count in zip(conditions, row, strict=True)})

    def signed_in(self, role: str, now: int) -> int:
        """Count the people of a role who are signed in."""
        session, users = schema.sessions, schema.users
        query = sa.select(sa.func.count(sa.distinct(users.c.name))).join(session, session.c.user == users.c.name)
        return int(self._scalar(query.where(users.c.role == role, session.c.expires_at > now)) or 0)


def _fits(wanted: AlarmFilter) -> list[sa.ColumnElement[bool]]:
    table = schema.alarms
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.lift:
        conditions.append(table.c.lift == wanted.lift)
    if wanted.standing is not None:
        conditions.append(table.c.standing == wanted.standing)
    if wanted.chattering is not None:
        # Over is over: what chattered once is not what chatters.
        chatters = table.c.chattering_since.is_not(None) & (table.c.standing == sa.true())
        conditions.append(chatters if wanted.chattering else ~chatters)
    if wanted.stale_at is not None:
        conditions += [table.c.standing == sa.true(), table.c.raised_at <= wanted.stale_at - STALE_US]
    if wanted.incident:
        conditions.append(table.c.incident == wanted.incident)
    if wanted.priority is not None:
        conditions.append(table.c.priority == wanted.priority)
    if not wanted.journal:
        conditions.append(table.c.priority > Priority.JOURNAL)
    if wanted.raised_since is not None:
        conditions.append(table.c.raised_at >= wanted.raised_since)
    return conditions


def _steps(time: sa.Column[int], within: sa.ColumnElement[bool], start: int, step_us: int) -> sa.Executable:
    step = ((time - start) // step_us).label("step")
    return sa.select(step, sa.func.count()).where(within).group_by(step)


# Queries asked often are built once: building one costs five times as much as asking it.

_BY_KEYS: Final = select_record(schema.alarms, Alarm).where(
    schema.alarms.c.key.in_(sa.bindparam("keys", expanding=True))
)
_HOLDING: Final = (
    select_record(schema.alarms, Alarm)
    .where(schema.HOLDING, schema.alarms.c.key > sa.bindparam("after"))
    .order_by(schema.alarms.c.key)
    .limit(sa.bindparam("most"))
)
_ENDING: Final = (
    select_record(schema.alarms, Alarm)
    .where(
        schema.ENDING,
        (schema.alarms.c.shelved_until <= sa.bindparam("now"))
        | (schema.alarms.c.out_of_service_until <= sa.bindparam("now"))
        | (schema.alarms.c.quiet_from <= sa.bindparam("quiet")),
    )
    .order_by(schema.alarms.c.key)
)
_PLACES: Final = (
    sa.select(
        schema.lifts.c.rescue_code,
        schema.lifts.c.firm_id,
        schema.lifts.c.gateway,
        schema.lifts.c.building_id,
        schema.buildings.c.latitude,
        schema.buildings.c.longitude,
    )
    .join(schema.buildings, schema.buildings.c.building_id == schema.lifts.c.building_id)
    .where(schema.lifts.c.rescue_code.in_(sa.bindparam("keys", expanding=True)))
)
_BEHIND: Final = (
    sa.select(schema.lifts.c.rescue_code)
    .where(schema.lifts.c.gateway == sa.bindparam("gateway"))
    .order_by(schema.lifts.c.rescue_code)
)


@cache
def _alarms(*, scoped: bool) -> sa.Select[Any]:
    query = select_record(schema.alarms, Alarm)
    if not scoped:
        return query
    lifts = schema.lifts
    joined = query.join(lifts, lifts.c.rescue_code == schema.alarms.c.lift)
    return joined.where(lifts.c.firm_id == sa.bindparam("firm_id"))


@cache
def _incidents(*, scoped: bool) -> sa.Select[Any]:
    query = select_record(schema.incidents, Incident)
    if not scoped:
        return query
    inside = schema.incident_lifts
    mine = sa.select(inside.c.incident).where(inside.c.firm_id == sa.bindparam("firm_id"))
    return query.where(schema.incidents.c.key.in_(mine))


@cache
def _out_of_service(*, scoped: bool) -> sa.Select[Any]:
    table, lifts = schema.out_of_service, schema.lifts
    query = select_record(table, OutOfService)
    if not scoped:
        return query
    joined = query.join(lifts, lifts.c.rescue_code == table.c.lift)
    return joined.where(lifts.c.firm_id == sa.bindparam("firm_id"))
