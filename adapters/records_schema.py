"""The tables of the records, the same in SQLite and PostgreSQL; columns are named as the fields they hold."""

from __future__ import annotations

import json
from enum import IntEnum, StrEnum
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from lift.alarm import Priority
from lift.codes import Code
from lift.errors import Invalid
from lift.incident import IncidentKind
from lift.register import PlaceClass
from lift.ticket import RESCUE, Answer, ClockName, Stage

VERSION: Final = 2

E = TypeVar("E", bound=StrEnum)
N = TypeVar("N", bound=IntEnum)


class Word(sa.types.TypeDecorator[E]):
    """Holds a value of a named set as its text."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, values: type[E]) -> None:
        super().__init__()
        self.values = values

    def process_bind_param(self, value: E | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        """Write the text."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> E | None:  # noqa: ARG002
        """Read the text."""
        return None if value is None else self.values(value)


class Number(sa.types.TypeDecorator[N]):
    """Holds a value of a numbered set as its number."""

    impl = sa.Integer
    cache_ok = True

    def __init__(self, values: type[N]) -> None:
        super().__init__()
        self.values = values

    def process_bind_param(self, value: N | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002
        """Write the number."""
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> N | None:  # noqa: ARG002
        """Read the number."""
        return None if value is None else self.values(value)


class Json(sa.types.TypeDecorator[Any]):
    """Holds a JSON value as text, in ASCII, so that no odd character of a payload can make it unwritable."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: object, dialect: sa.Dialect) -> str:  # noqa: ARG002
        """Write the value as JSON."""
        return json.dumps(value, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:  # noqa: ANN401, ARG002 - JSON
        """Read the value from JSON."""
        return None if value is None else json.loads(value)


class Words(Json):
    """Holds a tuple of texts as JSON."""

    cache_ok = True

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:  # noqa: ANN401, ARG002 - as Json
        """Read the texts."""
        return None if value is None else tuple(json.loads(value))


# Keys sort and compare by their bytes on both databases, so that a prefix is a range of the index.
KEY: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# SQLite makes only a column called INTEGER the row's own address; elsewhere that name has 32 bits.
WHOLE: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

TABLES: Final = sa.MetaData()


def _column(name: str, kind: Any, *, key: bool = False, null: bool = False) -> sa.Column[Any]:  # noqa: ANN401
    return sa.Column(name, kind, primary_key=key, nullable=null, autoincrement=False)


schema_version = sa.Table("schema_version", TABLES, _column("version", sa.Integer, key=True))

firms = sa.Table(
    "firms", TABLES, _column("firm_id", KEY, key=True), _column("name", sa.Text), _column("phone", sa.Text)
)

stations = sa.Table(
    "stations", TABLES,
    _column("station_id", KEY, key=True),
    _column("name", sa.Text),
    _column("phone", sa.Text),
    _column("level", sa.Integer),
    _column("latitude", sa.Double),
    _column("longitude", sa.Double),
)  # fmt: skip

crews = sa.Table(
    "crews", TABLES,
    _column("crew_id", KEY, key=True),
    _column("name", sa.Text),
    _column("phone", sa.Text),
    _column("employer_id", KEY),
)  # fmt: skip

buildings = sa.Table(
    "buildings", TABLES,
    _column("building_id", KEY, key=True),
    _column("name", sa.Text),
    _column("address", sa.Text),
    _column("district", sa.Text),
    _column("place_class", Word(PlaceClass)),
    _column("latitude", sa.Double),
    _column("longitude", sa.Double),
    _column("city_core", sa.Boolean),
)  # fmt: skip

lifts = sa.Table(
    "lifts", TABLES,
    _column("rescue_code", KEY, key=True),
    _column("registration_code", KEY),
    _column("use_registration", sa.Text),
    _column("factory_number", sa.Text),
    sa.Column("building_id", KEY, sa.ForeignKey("buildings.building_id"), nullable=False),
    sa.Column("firm_id", KEY, sa.ForeignKey("firms.firm_id"), nullable=False),
    _column("gateway", KEY),
    _column("make", sa.Text),
    _column("model", sa.Text),
    _column("installed", sa.Text),
    _column("rated_speed", sa.Double),
    _column("rated_load_kg", sa.Double),
    _column("landings", sa.Integer),
    _column("batch", sa.Text),
    _column("position", WHOLE),
    sa.Index("lifts_by_registration_code", "registration_code", "rescue_code"),
    sa.Index("lifts_by_building", "building_id", "rescue_code"),
    sa.Index("lifts_by_firm", "firm_id", "rescue_code"),
    sa.Index("lifts_by_gateway", "gateway", "rescue_code"),
    sa.Index("lifts_by_position", "position"),
)  # fmt: skip

alarms = sa.Table(
    "alarms", TABLES,
    _column("key", KEY, key=True),
    _column("lift", KEY),
    _column("rule", KEY),
    _column("code", Number(Code), null=True),
    _column("priority", Number(Priority)),
    _column("latching", sa.Boolean),
    _column("onset", WHOLE),
    _column("raised_at", WHOLE),
    _column("returned_at", WHOLE, null=True),
    _column("acknowledged_at", WHOLE, null=True),
    _column("acknowledged_by", sa.Text, null=True),
    _column("reset_at", WHOLE, null=True),
    _column("shelved_until", WHOLE, null=True),
    _column("ticket_id", KEY, null=True),
    _column("confirmed_at", WHOLE, null=True),
    _column("confidence", sa.Double),
    _column("evidence", Words),
    _column("shown_at", WHOLE, null=True),
    _column("incident", KEY),
    _column("suppressed_by", KEY),
    _column("out_of_service_until", WHOLE, null=True),
    _column("first_out", sa.Boolean),
    _column("chattering_since", WHOLE, null=True),
    _column("quiet_from", WHOLE, null=True),
    _column("latest_onset", WHOLE, null=True),
    _column("repeats", sa.Integer),
    # Follows from the columns above; kept because the alarms that stand must be found among all that ever were.
    _column("standing", sa.Boolean),
    sa.Index("alarms_by_time", "raised_at"),
    sa.Index("alarms_standing", "standing", "raised_at"),
    sa.Index("alarms_of_lift", "lift", "raised_at"),
    sa.Index("alarms_shown", "shown_at"),
)  # fmt: skip
HOLDING: Final = sa.text("returned_at IS NULL")
sa.Index("alarms_holding", alarms.c.key, sqlite_where=HOLDING, postgresql_where=HOLDING)
# Few alarms at a time are in these ways out of the ordinary, so their indexes stay small.
INSIDE: Final = sa.text("incident <> ''")
sa.Index("alarms_inside", alarms.c.incident, alarms.c.raised_at, sqlite_where=INSIDE, postgresql_where=INSIDE)
ENDING: Final = sa.text(
    "standing AND (shelved_until IS NOT NULL OR out_of_service_until IS NOT NULL OR quiet_from IS NOT NULL)"
)
sa.Index("alarms_ending", alarms.c.key, sqlite_where=ENDING, postgresql_where=ENDING)

incidents = sa.Table(
    "incidents", TABLES,
    _column("key", KEY, key=True),
    _column("kind", Word(IncidentKind)),
    _column("anchor", KEY),
    _column("onset", WHOLE),
    _column("opened_at", WHOLE),
    _column("closed_at", WHOLE, null=True),
    _column("ending_at", WHOLE, null=True),
    _column("merged_into", KEY),
    _column("lifts", sa.Integer),
    _column("rescues", sa.Integer),
    _column("mass_event_at", WHOLE, null=True),
    _column("acknowledged_at", WHOLE, null=True),
    _column("acknowledged_by", sa.Text, null=True),
    sa.Index("incidents_by_time", "opened_at"),
)  # fmt: skip
OPEN: Final = sa.text("closed_at IS NULL")
sa.Index("incidents_open", incidents.c.opened_at, sqlite_where=OPEN, postgresql_where=OPEN)

# No foreign key: a lift that the register lacks may be inside all the same.
incident_lifts = sa.Table(
    "incident_lifts", TABLES,
    _column("incident", KEY, key=True),
    _column("lift", KEY, key=True),
    _column("firm_id", KEY),
    _column("joined_at", WHOLE),
    _column("left_at", WHOLE, null=True),
    sa.Index("incident_lifts_of_firm", "firm_id", "incident"),
)  # fmt: skip

out_of_service = sa.Table(
    "out_of_service", TABLES,
    _column("number", WHOLE, key=True),
    _column("lift", KEY),
    _column("rule", KEY),
    _column("since", WHOLE),
    _column("until", WHOLE),
    _column("by", sa.Text),
    _column("reason", sa.Text),
    _column("ended_at", WHOLE, null=True),
    _column("ended_by", sa.Text, null=True),
    sa.Index("out_of_service_of_lift", "lift", "number"),
)  # fmt: skip
UNENDED: Final = sa.text("ended_at IS NULL")
sa.Index("out_of_service_now", out_of_service.c.until, sqlite_where=UNENDED, postgresql_where=UNENDED)

repairs = sa.Table(
    "repairs", TABLES,
    _column("number", WHOLE, key=True),
    _column("alarm", KEY),
    _column("lift", KEY),
    _column("rule", KEY),
    _column("onset", WHOLE),
    _column("evidence", Words),
    _column("at", WHOLE),
    _column("by", sa.Text),
    _column("reason", sa.Text),
    sa.Index("repairs_of_alarm", "alarm", unique=True),
)  # fmt: skip

tickets = sa.Table(
    "tickets", TABLES,
    _column("ticket_id", KEY, key=True),
    _column("lift", KEY),
    _column("firm_id", KEY),
    _column("stage", Word(Stage)),
    _column("level", sa.Integer),
    _column("source", sa.Text),
    _column("summary", sa.Text),
    _column("opened_at", WHOLE),
    _column("updated_at", WHOLE),
    _column("closed_at", WHOLE, null=True),
    _column("confidence", sa.Double),
    sa.Index("tickets_by_time", "opened_at"),
    sa.Index("tickets_of_lift", "lift", "opened_at"),
    sa.Index("tickets_of_firm", "firm_id", "opened_at"),
    sa.Index("tickets_by_stage", "stage", "opened_at"),
)  # fmt: skip

# In words that both databases keep as they stand, so that each recognises its index in a query.
UNDER_WAY: Final = sa.text("stage IN ({})".format(", ".join(f"'{stage}'" for stage in sorted(RESCUE))))
sa.Index("one_rescue_a_lift", tickets.c.lift, unique=True, sqlite_where=UNDER_WAY, postgresql_where=UNDER_WAY)

clocks = sa.Table(
    "clocks", TABLES,
    sa.Column("ticket_id", KEY, sa.ForeignKey("tickets.ticket_id"), primary_key=True),
    _column("name", Word(ClockName), key=True),
    _column("level", sa.Integer, key=True),
    _column("position", sa.Integer),
    _column("due", WHOLE),
    _column("stopped_at", WHOLE, null=True),
    _column("breached_at", WHOLE, null=True),
)  # fmt: skip
RUNNING: Final = sa.text("stopped_at IS NULL AND breached_at IS NULL")
sa.Index("clocks_running", clocks.c.due, sqlite_where=RUNNING, postgresql_where=RUNNING)

ticket_events = sa.Table(
    "ticket_events", TABLES,
    sa.Column("ticket_id", KEY, sa.ForeignKey("tickets.ticket_id"), primary_key=True),
    _column("number", sa.Integer, key=True),
    _column("kind", sa.Text),
    _column("at", WHOLE),
    _column("by", sa.Text),
    _column("device_at", WHOLE, null=True),
    _column("details", Json),
    _column("previous", sa.Text),
    _column("digest", sa.Text),
)  # fmt: skip

callouts = sa.Table(
    "callouts", TABLES,
    _column("callout_id", KEY, key=True),
    sa.Column("ticket_id", KEY, sa.ForeignKey("tickets.ticket_id"), nullable=False),
    _column("level", sa.Integer),
    _column("party_id", KEY),
    _column("party_name", sa.Text),
    _column("phone", sa.Text),
    _column("answer", Word(Answer)),
    _column("ordered_at", WHOLE),
    _column("answered_at", WHOLE, null=True),
    _column("departed_at", WHOLE, null=True),
    _column("arrived_at", WHOLE, null=True),
    _column("released_at", WHOLE, null=True),
    _column("reason", sa.Text),
    sa.Index("callouts_of_ticket", "ticket_id", "ordered_at"),
    sa.Index("callouts_of_party", "party_id", "ticket_id"),
    sa.Index("callouts_by_time", "ordered_at"),
    sa.Index("callouts_by_answer", "answer", "ordered_at"),
)  # fmt: skip

feed = sa.Table(
    "feed", TABLES,
    _column("event_id", WHOLE, key=True),
    _column("kind", sa.Text),
    _column("at", WHOLE),
    _column("lift", KEY),
    _column("firm_id", KEY),
    _column("data", Json),
    sa.Index("feed_of_firm", "firm_id", "event_id"),
)  # fmt: skip

outbox = sa.Table(
    "outbox", TABLES,
    _column("outbox_id", WHOLE, key=True),
    _column("kind", sa.Text),
    _column("party_id", KEY),
    _column("phone", sa.Text),
    _column("text", sa.Text),
    _column("created_at", WHOLE),
    _column("attempts", sa.Integer),
    _column("next_at", WHOLE),
    _column("sent_at", WHOLE, null=True),
    _column("given_up_at", WHOLE, null=True),
    _column("error", sa.Text),
    _column("about", KEY),
)  # fmt: skip
UNSENT: Final = sa.text("sent_at IS NULL AND given_up_at IS NULL")
sa.Index("outbox_unsent", outbox.c.next_at, sqlite_where=UNSENT, postgresql_where=UNSENT)
GIVEN_UP: Final = sa.text("given_up_at IS NOT NULL")
sa.Index("outbox_given_up", outbox.c.given_up_at, sqlite_where=GIVEN_UP, postgresql_where=GIVEN_UP)

quarantine = sa.Table(
    "quarantine", TABLES,
    _column("quarantine_id", WHOLE, key=True),
    _column("received_at", WHOLE),
    _column("topic", sa.Text),
    _column("gateway", KEY),
    _column("payload", sa.LargeBinary),
    _column("reasons", Json),
    _column("readings_refused", sa.Integer),
    _column("replayed_at", WHOLE, null=True),
    # All bytes ever quarantined up to and with this message, so that the oldest beyond a size are one range.
    _column("bytes_so_far", WHOLE),
    sa.Index("quarantine_by_size", "bytes_so_far"),
)  # fmt: skip
AWAITING: Final = sa.text("replayed_at IS NULL")
sa.Index("quarantine_waiting", quarantine.c.quarantine_id, sqlite_where=AWAITING, postgresql_where=AWAITING)

users = sa.Table(
    "users", TABLES,
    _column("name", KEY, key=True),
    _column("role", sa.Text),
    _column("scope", KEY),
    _column("display_name", sa.Text),
    _column("password_hash", sa.Text),
)  # fmt: skip

sessions = sa.Table(
    "sessions", TABLES,
    _column("token_hash", KEY, key=True),
    sa.Column("user", KEY, sa.ForeignKey("users.name"), nullable=False),
    _column("expires_at", WHOLE),
    sa.Index("sessions_of_user", "user", "expires_at"),
)  # fmt: skip

settings = sa.Table("settings", TABLES, _column("name", KEY, key=True), _column("value", sa.Text))

counters = sa.Table("counters", TABLES, _column("name", KEY, key=True), _column("value", WHOLE))


# What brings a database to each version from the one before, beside tables that are new.
_STEPS: Final[dict[int, tuple[str, ...]]] = {2: ("ALTER TABLE lifts ADD COLUMN batch TEXT NOT NULL DEFAULT ''",)}


def prepare(connection: sa.Connection) -> None:
    """Make the tables in a new database, or bring those of an older version up to date, in the caller's transaction.

    Raises Invalid for a newer schema.
    """
    if sa.inspect(connection).has_table(schema_version.name):
        found = connection.execute(sa.select(schema_version.c.version)).scalar_one()
        if found > VERSION:
            raise Invalid(
                "records_url",
                f"the database has schema version {found}, made by a newer Liftwatch; this one knows up to {VERSION}",
            )
        for version in range(found + 1, VERSION + 1):
            for step in _STEPS[version]:
                connection.execute(sa.text(step))
        if found < VERSION:
            TABLES.create_all(connection)
            connection.execute(schema_version.update(), {"version": VERSION})
        return
    TABLES.create_all(connection)
    connection.execute(schema_version.insert(), {"version": VERSION})
