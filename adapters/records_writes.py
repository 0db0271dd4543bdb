"""One transaction on the records, in SQL that SQLite and PostgreSQL both speak."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from adapters import records_schema as schema
from adapters.records_base import Record, names, translated
from adapters.records_reads import SqlReads, newest
from lift.alarm import Alarm, OutOfService
from lift.alarm_ports import Announcement
from lift.errors import Conflict, Invalid
from lift.incident import Incident, IncidentLift
from lift.ports import OutboxItem, User, Writes
from lift.register import Register
from lift.repair import Repair
from lift.ticket import Callout, Ticket, TicketEvent, digest

QUARANTINE_MAX: Final = 100_000
QUARANTINE_BYTES_MAX: Final = 1_000_000_000
SESSIONS_A_USER_MAX: Final = 50
DETAILS_BYTES_MAX: Final = 65_536

_ROWS_AT_ONCE: Final = 10_000


class SqlWrites(SqlReads, Writes):
    """Reads and writes through one connection; its owner begins and ends the transaction.

    Ids are counted on from the newest, which is safe because writers take turns: they have no gaps, and
    they ascend in the order of commits.
    """

    announced = 0  # id of the newest event announced in this transaction

    def __init__(self, connection: sa.Connection) -> None:
        super().__init__(connection)
        # Nobody else writes meanwhile, so what was read or written once in this transaction still holds.
        self._newest: dict[str, int] = {}
        self._last_event: dict[str, tuple[int, str]] = {}

    # ---------------------------------------------------------------------------------- the register

    def register(self, register: Register) -> None:
        """Add or update parts of the register; a lift keeps the place it was first given."""
        self._put(schema.buildings, register.buildings)
        self._put(schema.firms, register.firms)
        self._put(schema.stations, register.stations)
        self._put(schema.crews, register.crews)
        position = self._next(schema.lifts.c.position)
        rows = ({**_row(lift), "position": number} for number, lift in enumerate(register.lifts, position))
        try:
            self._put_rows(schema.lifts, rows, kept=("position",))
        except Conflict as error:
            raise Invalid("lifts", "one names a building or a firm that the register does not have") from error

    # ---------------------------------------------------------------------------------------- alarms

    def save_alarm(self, alarm: Alarm) -> None:
        """Replace an alarm's row."""
        self._replace(schema.alarms, alarm.key, _alarm_row(alarm))

    def add_alarms(self, alarms: Iterable[Alarm]) -> None:
        """Record new alarms, many at once; raises Conflict for a key that is known already."""
        rows = [_alarm_row(alarm) for alarm in alarms]
        if rows:
            self._do(_add(schema.alarms), rows)

    def change_alarms(self, changes: Iterable[tuple[Alarm, Alarm]]) -> None:
        """Bring alarms from what they were to what they shall be, many at once."""
        # Only what has changed is written: every column that is, costs the indexes it stands in.
        groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for before, after in changes:
            changed = {name: new for name in _ALARM if (new := getattr(after, name)) != getattr(before, name)}
            if changed:
                groups.setdefault(tuple(changed), []).append({**changed, "of": after.key})
        for rows in groups.values():
            self._do(_update(schema.alarms), rows)

    def leave_incidents(self, keys: Iterable[str], at: int) -> None:
        """Let all lifts that are inside these incidents leave at a moment."""
        table = schema.incident_lifts
        rows = [{"of": key, "left_at": at} for key in keys]
        if rows:
            inside = (table.c.incident == sa.bindparam("of")) & table.c.left_at.is_(None)
            self._do(table.update().where(inside).values(left_at=sa.bindparam("left_at")), rows)

    def put_incidents(self, incidents: Iterable[Incident]) -> None:
        """Add incidents or replace their rows, but for what people did about them."""
        self._put_rows(schema.incidents, map(_row, incidents), kept=("acknowledged_at", "acknowledged_by"))

    def save_incident(self, incident: Incident) -> None:
        """Replace an incident's row."""
        self._replace(schema.incidents, incident.key, _row(incident))

    def put_incident_lifts(self, lifts: Iterable[IncidentLift]) -> None:
        """Add lifts to incidents or replace their rows; when a lift first joined is kept."""
        self._put_rows(schema.incident_lifts, map(_row, lifts), kept=("joined_at",))

    def add_out_of_service(self, entry: OutOfService) -> OutOfService:
        """Record an entry; gives it with its number."""
        entry = replace(entry, number=self._next(schema.out_of_service.c.number))
        self._do(_add(schema.out_of_service), _row(entry))
        return entry

    def save_out_of_service(self, entry: OutOfService) -> None:
        """Replace an entry's row."""
        self._replace(schema.out_of_service, entry.number, _row(entry))

    def add_repair(self, repair: Repair) -> Repair:
        """Record a repair; gives it with its number. Raises Conflict when its alarm has one already."""
        before = self.repair_of(repair.alarm)
        if before is not None:
            raise Conflict(f"alarm {repair.alarm} was reported as repaired already, by {before.by}")
        repair = replace(repair, number=self._next(schema.repairs.c.number))
        self._do(_add(schema.repairs), _row(repair))
        return repair

    # --------------------------------------------------------------------------------------- tickets

    def add_ticket(self, ticket: Ticket) -> None:
        """Record a new ticket; raises Conflict when a rescue is under way at this lift."""
        if not self._rows(_add_new(self._dialect, schema.tickets), **_ticket_row(ticket)):
            under_way = self.rescue_of(ticket.lift)
            if under_way is None:
                raise Conflict(f"there is a ticket {ticket.ticket_id} already")
            raise Conflict(f"a rescue is under way at lift {ticket.lift}: ticket {under_way.ticket_id}")
        self._add_clocks(ticket)

    def save_ticket(self, ticket: Ticket) -> None:
        """Replace a ticket's projection and clocks."""
        self._replace(schema.tickets, ticket.ticket_id, _ticket_row(ticket))
        self._do(_DELETE_CLOCKS, {"of": ticket.ticket_id})
        self._add_clocks(ticket)

    def _add_clocks(self, ticket: Ticket) -> None:
        rows = [
            {**_row(clock), "ticket_id": ticket.ticket_id, "position": position}
            for position, clock in enumerate(ticket.clocks)
        ]
        if rows:
            self._do(_add(schema.clocks), rows)

    def append_event(self, event: TicketEvent) -> TicketEvent:
        """Append to a ticket's log: number, previous and digest are filled in and the whole event returned."""
        number, previous = self._end_of_log(event.ticket_id)
        event = replace(event, number=number + 1, previous=previous, details=_plain(event.details))
        with translated():
            event = replace(event, digest=digest(event))
        self._do(_add(schema.ticket_events), _row(event))
        self._last_event[event.ticket_id] = event.number, event.digest
        return event

    def _end_of_log(self, ticket_id: str) -> tuple[int, str]:
        if ticket_id not in self._last_event:
            last = self._rows(_LAST_EVENT, ticket_id=ticket_id)
            self._last_event[ticket_id] = (last[0][0], last[0][1]) if last else (0, "")
        return self._last_event[ticket_id]

    def save_callout(self, callout: Callout) -> None:
        """Add or replace a call-out."""
        self._put(schema.callouts, [callout])

    # ------------------------------------------------------------------------------- feed and outbox

    def announce(self, *, kind: str, at: int, lift: str, firm_id: str, data: Mapping[str, Any]) -> int:
        """Append to the event stream; gives the event's id."""
        event_id = self._next(schema.feed.c.event_id)
        row = {"event_id": event_id, "kind": kind, "at": at, "lift": lift, "firm_id": firm_id, "data": dict(data)}
        self._do(_add(schema.feed), row)
        self.announced = event_id
        return event_id

    def announce_all(self, lines: Sequence[Announcement]) -> None:
        """Append many lines to the event stream, in order."""
        rows = [
            {**_row(line), "event_id": self._next(schema.feed.c.event_id), "data": dict(line.data)} for line in lines
        ]
        if rows:
            self._do(_add(schema.feed), rows)
            self.announced = rows[-1]["event_id"]

    def enqueue(self, *, kind: str, party_id: str, phone: str, text: str, at: int, about: str = "") -> int:
        """Put a notification in the outbox, due at once; `about` names its call-out. Gives its id."""
        outbox_id = self._next(schema.outbox.c.outbox_id)
        item = OutboxItem(
            outbox_id=outbox_id,
            kind=kind,
            party_id=party_id,
            phone=phone,
            text=text,
            created_at=at,
            next_at=at,
            about=about,
        )
        self._do(_add(schema.outbox), _row(item))
        return outbox_id

    def save_outbox(self, item: OutboxItem) -> None:
        """Record an attempt or a delivery."""
        self._replace(schema.outbox, item.outbox_id, _row(item))

    # ------------------------------------------------------------------------------------ quarantine

    def quarantine(
        self,
        *,
        at: int,
        topic: str,
        gateway: str,
        payload: bytes,
        reasons: Sequence[str],
        readings_refused: int,
    ) -> int:
        """Keep a refused message; gives its id. The oldest make room beyond QUARANTINE_MAX and _BYTES_MAX."""
        table = schema.quarantine
        query = sa.select(table.c.quarantine_id, table.c.bytes_so_far).order_by(table.c.quarantine_id.desc())
        last = self._rows(query.limit(1))
        number, size = last[0] if last else (0, 0)
        number, size = number + 1, size + len(payload)
        row = {
            "quarantine_id": number,
            "received_at": at,
            "topic": _writable(topic),
            "gateway": _writable(gateway),
            "payload": payload,
            "reasons": list(reasons),
            "readings_refused": readings_refused,
            "bytes_so_far": size,
        }
        self._do(_add(table), row)
        oldest = (table.c.quarantine_id <= number - QUARANTINE_MAX) | (
            table.c.bytes_so_far <= size - QUARANTINE_BYTES_MAX
        )
        if dropped := self._do(table.delete().where(oldest, table.c.quarantine_id < number)):
            self._count_on("quarantine_dropped", dropped)
        return number

    def quarantine_replayed(self, quarantine_id: int, at: int) -> None:
        """Mark a refused message as replayed."""
        table = schema.quarantine
        self._do(table.update().where(table.c.quarantine_id == quarantine_id).values(replayed_at=at))

    # ---------------------------------------------------------------------------------------- trimming

    def trim_feed(self, *, before: int, most: int) -> int:
        """Remove up to `most` of the oldest events before a time; the newest stays. Gives how many are gone."""
        table = schema.feed
        oldest = sa.select(table.c.event_id, table.c.at).order_by(table.c.event_id).limit(most).subquery()
        return self._trim(table.c.event_id, sa.select(oldest.c.event_id).where(oldest.c.at < before))

    def trim_outbox(self, *, before: int, most: int) -> int:
        """Remove up to `most` notifications made before a time and sent or given up; the newest stays."""
        table = schema.outbox
        done = table.c.sent_at.is_not(None) | table.c.given_up_at.is_not(None)
        old = sa.select(table.c.outbox_id).where(done, table.c.created_at < before)
        return self._trim(table.c.outbox_id, old.order_by(table.c.outbox_id).limit(most))

    def trim_quarantine(self, *, before: int, most: int) -> int:
        """Remove up to `most` messages received before a time and replayed since; the newest stays."""
        table = schema.quarantine
        old = sa.select(table.c.quarantine_id).where(table.c.replayed_at.is_not(None), table.c.received_at < before)
        return self._trim(table.c.quarantine_id, old.order_by(table.c.quarantine_id).limit(most))

    def _trim(self, key: sa.Column[int], old: sa.Select[tuple[int]]) -> int:
        """Remove rows by their numbers, but for the newest: from it the next number follows."""
        last = self._scalar(newest(key))
        return self._do(sa.delete(key.table).where(key.in_(old), key != last)) if last is not None else 0

    # --------------------------------------------------------------------------- people and settings

    def save_user(self, user: User) -> None:
        """Add or replace a user."""
        self._put(schema.users, [user])

    def save_session(self, token_hash: str, user: str, expires_at: int) -> None:
        """Record a sign-in; each user's newest SESSIONS_A_USER_MAX are kept."""
        table = schema.sessions
        self._put_rows(table, [{"token_hash": token_hash, "user": user, "expires_at": expires_at}])
        query = sa.select(table.c.token_hash).where(table.c.user == user).order_by(table.c.expires_at.desc())
        old = list(self._scalars(query.offset(SESSIONS_A_USER_MAX).limit(SESSIONS_A_USER_MAX)))
        if old:
            self._do(table.delete().where(table.c.token_hash.in_(old), table.c.token_hash != token_hash))

    def end_session(self, token_hash: str) -> None:
        """End a sign-in."""
        self._do(schema.sessions.delete().where(schema.sessions.c.token_hash == token_hash))

    def save_setting(self, name: str, value: str) -> None:
        """Remember a small value."""
        self._put_rows(schema.settings, [{"name": name, "value": value}])

    def next_ticket_number(self, day: str) -> int:
        """Count a day's tickets: 1, 2, 3 …, never the same twice."""
        return self._count_on(f"tickets {day}", 1)

    # --------------------------------------------------------------------------------------- helpers

    def _count_on(self, name: str, by: int) -> int:
        return int(self._scalar(_count_on(self._dialect), name=name, value=by))

    def _next(self, column: sa.Column[int]) -> int:
        if column.name not in self._newest:
            self._newest[column.name] = int(self._scalar(newest(column)) or 0)
        self._newest[column.name] += 1
        return self._newest[column.name]

    @property
    def _dialect(self) -> str:
        return self._connection.dialect.name

    def _do(self, statement: sa.Executable, rows: dict[str, Any] | list[dict[str, Any]] | None = None) -> int:
        with translated():
            return int(self._connection.execute(statement, rows).rowcount)

    def _replace(self, table: sa.Table, key: object, row: dict[str, Any]) -> None:
        self._do(_update(table), {**row, "of": key})

    def _put(self, table: sa.Table, records: Iterable[Record]) -> None:
        self._put_rows(table, (_row(each) for each in records))

    def _put_rows(self, table: sa.Table, rows: Iterable[dict[str, Any]], kept: tuple[str, ...] = ()) -> None:
        """Add rows, or replace those with the same key in all but the columns that are `kept`."""
        rows = iter(rows)
        while chunk := list(itertools.islice(rows, _ROWS_AT_ONCE)):
            self._do(_upsert(self._dialect, table, kept), chunk)


_ALARM: Final = (*names(Alarm), "standing")

# Statements are built once: building one costs five times as much as running it.

_LAST_EVENT: Final = (
    sa.select(schema.ticket_events.c.number, schema.ticket_events.c.digest)
    .where(schema.ticket_events.c.ticket_id == sa.bindparam("ticket_id"))
    .order_by(schema.ticket_events.c.number.desc())
    .limit(1)
)
_DELETE_CLOCKS: Final = schema.clocks.delete().where(schema.clocks.c.ticket_id == sa.bindparam("of"))


@cache
def _add(table: sa.Table) -> sa.Insert:
    return table.insert()


@cache
def _update(table: sa.Table) -> sa.Update:
    [key] = table.primary_key.columns
    return table.update().where(key == sa.bindparam("of"))


def _insert(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


@cache
def _add_new(dialect: str, table: sa.Table) -> sa.Executable:
    """Insert a row, giving its key back, or nothing when a row or a rule of the table stands against it."""
    return _insert(dialect, table).on_conflict_do_nothing().returning(*table.primary_key.columns)


@cache
def _count_on(dialect: str) -> sa.Executable:
    table = schema.counters
    insert = _insert(dialect, table)
    added = {"value": table.c.value + insert.excluded.value}
    return insert.on_conflict_do_update(index_elements=["name"], set_=added).returning(table.c.value)


@cache
def _upsert(dialect: str, table: sa.Table, kept: tuple[str, ...]) -> sa.Executable:
    keys = {column.name for column in table.primary_key.columns}
    insert = _insert(dialect, table)
    replaced = {c.name: insert.excluded[c.name] for c in table.columns if c.name not in keys | set(kept)}
    return insert.on_conflict_do_update(index_elements=sorted(keys), set_=replaced)


def _row(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names(type(record))}


def _alarm_row(alarm: Alarm) -> dict[str, Any]:
    return {**_row(alarm), "standing": alarm.standing}


def _ticket_row(ticket: Ticket) -> dict[str, Any]:
    row = _row(ticket)
    del row["clocks"]
    return row


def _plain(details: Mapping[str, Any]) -> dict[str, Any]:
    """Give details as they will be read back, so that their hash can be checked."""
    try:
        text = json.dumps(dict(details), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Invalid("details", f"must be plain JSON: {error}") from error
    if len(text) > DETAILS_BYTES_MAX:
        raise Invalid("details", f"{len(text)} bytes of JSON is more than {DETAILS_BYTES_MAX}")
    plain: dict[str, Any] = json.loads(text)
    return plain


def _writable(text: str) -> str:
    """Replace what PostgreSQL or UTF-8 cannot hold, so that nothing can keep a bad message out of quarantine."""
    return text.replace("\0", "�").encode(errors="replace").decode()
