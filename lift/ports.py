"""Ports: what the inside asks of technology. Each has several adapters and one contract suite.

Every adapter raises `lift.errors.Unavailable` when its technology does not answer; a vendor's own
exceptions never leave the adapter's file. Times are µs since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from lift.alarm_ports import AlarmReads, AlarmWrites
from lift.batch import Batch, Floats, Ints, Mask
from lift.register import Building, Crew, Firm, Lift, Register, Station
from lift.signals import Signal
from lift.ticket import Callout, Clock, Stage, Ticket, TicketEvent


class Timepiece(Protocol):
    """Tells the time, so that tests and replays can say what time it is."""

    def now(self) -> int:
        """Give the wall-clock time in µs since 1970 UTC."""


# ---------------------------------------------------------------------------------------------- bus


@dataclass(frozen=True, slots=True)
class Message:
    """One message from the bus. `token` is what `Bus.done` wants back; adapters choose its meaning."""

    topic: str
    payload: bytes
    token: int = 0


class Bus(Protocol):
    """At-least-once messages with a persistent session. One object is one client of the broker."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message over at QoS 1; waits while too many are unacknowledged, raises Unavailable."""

    def receive(self, *, wait_s: float, most: int) -> list[Message]:
        """Take up to `most` messages in order of arrival, waiting at most `wait_s` for the first."""

    def done(self, messages: Sequence[Message]) -> None:
        """Acknowledge messages: whatever they were for is now safe."""

    @property
    def connected(self) -> bool:
        """Whether the broker is there at this moment."""

    def close(self) -> None:
        """Flush what can be flushed in a few seconds and leave."""


# ---------------------------------------------------------------------------------------- telemetry


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of the readings of one append: `stored` are new, `duplicate` were there already.

    `again[i]` says that reading i of the batch was there already, or earlier in the same batch. It must be given when
    some readings are new and some are not, so that the counts of each gateway add up; it is not when all are alike.
    """

    stored: int
    duplicate: int
    again: Mask | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class History:
    """One lift over time: `at` in µs ascending, one array a signal, NaN = not reported.

    With a resolution, `at` is the start of each step and values are means (whole signals: the last value). Steps of a
    minute and more are made of minutes where the readings themselves are gone.
    """

    at: Ints
    columns: Mapping[Signal, Floats]


@dataclass(frozen=True, slots=True)
class Span:
    """A lift's time, start <= at < end in µs, of which every reading is to be kept."""

    lift: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Tidied:
    """What one step of tidying did: rows removed and made, bytes given back; `more` = it has not come to its end."""

    readings: int = 0
    minutes: int = 0
    trips: int = 0
    rolled_up: int = 0
    freed_bytes: int = 0
    more: bool = False


class Telemetry(Protocol):
    """Keeps readings. A reading is (lift, at); a second copy fills in values the first lacked."""

    def append(self, batch: Batch) -> Stored:
        """Store readings durably before returning, all or none; raises Unavailable."""

    def history(
        self, lift: str, signals: Sequence[Signal], *, start: int, end: int, resolution_us: int | None = None
    ) -> History:
        """Give one lift's readings with start <= at < end; raises Invalid("resolution") when they are too many."""

    def latest(self, lifts: Sequence[str], *, since: int) -> Batch:
        """Give each lift's newest known value of every signal since a moment; one row a lift that has any."""

    def replay(self, *, start: int, end: int) -> Iterable[Batch]:
        """Give all lifts' readings with start <= at < end in ascending time, in batches."""

    def newest(self) -> Mapping[str, int]:
        """Give the time of each lift's newest stored reading."""

    def append_trips(self, batch: Batch) -> Stored:
        """Store finished trips (columns of `lift.trips.TRIP_SIGNALS`) as `append` stores readings."""

    def trips(self, lift: str, signals: Sequence[Signal], *, start: int, end: int, most: int) -> History:
        """Give one lift's newest `most` trips with start <= at < end, ascending; Invalid("most") for too many."""

    def replay_trips(self, *, start: int, end: int) -> Iterable[Batch]:
        """Give all lifts' trips with start <= at < end in ascending time, in batches."""

    def tidy(
        self, *, now: int, raw_before: int, long_before: int, around: Callable[[int, int], Sequence[Span]]
    ) -> Tidied:
        """Do one bounded step of housekeeping; called again and again by one thread, beside appends and reads.

        Rolls readings up into minutes; then removes readings before `raw_before` but for those within the spans that
        `around(start, end)` gives for a time, and minutes and trips before `long_before`.
        """

    def close(self) -> None:
        """Let go of files and connections."""


# ------------------------------------------------------------------------------------------ records


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Someone who may sign in. `scope` is the firm's id for role firm, the crew's id for role crew, else ""."""

    name: str
    role: str
    scope: str = ""
    display_name: str = ""
    password_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """One line of the city's event stream; ids ascend without reordering, so a reader can resume.

    `firm_id` says whose lift it is, so that a firm sees its own events only.
    """

    event_id: int
    kind: str
    at: int
    lift: str
    firm_id: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxItem:
    """A notification that must leave the building: written with what caused it, deleted by nobody.

    `about` is the call-out it tells of, `error` why the last attempt failed; one given up is never sent.
    """

    outbox_id: int
    kind: str
    party_id: str
    phone: str
    text: str
    created_at: int
    attempts: int = 0
    next_at: int = 0
    sent_at: int | None = None
    given_up_at: int | None = None
    error: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A message or part of one that was refused, with its bytes, until someone mends the cause."""

    quarantine_id: int
    received_at: int
    topic: str
    gateway: str
    payload: bytes
    reasons: tuple[str, ...]
    readings_refused: int
    replayed_at: int | None = None


class Reads(AlarmReads, Protocol):
    """What can be asked of the records. `firm_id` limits an answer to one firm's lifts."""

    def lift(self, code: str, *, firm_id: str | None = None) -> Lift:
        """Find a lift by rescue or registration code; raises NotFound."""

    def building(self, building_id: str) -> Building:
        """Find a building; raises NotFound."""

    def lifts(
        self, *, text: str = "", firm_id: str | None = None, gateway: str = "", after: str = "", most: int = 50
    ) -> list[tuple[Lift, Building]]:
        """Search lifts by code prefix or by part of an address or building name, in order of rescue code.

        With a gateway's name only the lifts behind it.
        """

    def gateways(self, *, firm_id: str | None = None) -> Mapping[str, int]:
        """Give the names of the gateways in the register, and how many lifts are behind each."""

    def all_lifts(self) -> list[Lift]:
        """Give every lift in the order they were registered."""

    def firm(self, firm_id: str) -> Firm:
        """Find a firm; raises NotFound."""

    def stations(self, *, level: int) -> list[Station]:
        """Give the stations of a response level."""

    def crew(self, crew_id: str) -> Crew:
        """Find a crew; raises NotFound."""

    def alarm_spans(self, *, start: int, end: int) -> list[tuple[str, int, int]]:
        """Give lift, onset and raise of every alarm with onset < end and raised at start or later."""

    def ticket(self, ticket_id: str, *, firm_id: str | None = None) -> Ticket:
        """Find a ticket with its clocks; raises NotFound."""

    def rescue_of(self, lift: str) -> Ticket | None:
        """Give the ticket of a rescue under way at this lift, if there is one."""

    def rescues(self, *, firm_id: str | None = None, most: int = 200) -> list[Ticket]:
        """List the rescues under way, the surest first, of equally sure ones the oldest."""

    def tickets(
        self,
        *,
        stages: Iterable[Stage] = (),
        lift: str = "",
        firm_id: str | None = None,
        before: int | None = None,
        most: int = 50,
    ) -> list[Ticket]:
        """List tickets, newest first."""

    def ticket_events(self, ticket_id: str) -> list[TicketEvent]:
        """Give a ticket's whole log in order."""

    def callout(self, callout_id: str, *, firm_id: str | None = None) -> Callout:
        """Find a call-out; raises NotFound."""

    def callouts(
        self, *, ticket_id: str = "", firm_id: str | None = None, waiting: bool = False, most: int = 200
    ) -> list[Callout]:
        """List call-outs, newest first."""

    def due_clocks(self, now: int, *, most: int = 200) -> list[tuple[str, Clock]]:
        """Give running clocks past due and not yet marked, with their ticket ids, longest overdue first."""

    def feed(self, *, after: int, most: int = 500, firm_id: str | None = None) -> list[FeedEvent]:
        """Give events with an id above `after`, ascending."""

    def feed_start(self) -> int:
        """Give the id of the oldest event that is still there, 0 when there is none."""

    def feed_end(self) -> int:
        """Give the id of the newest event, 0 when there is none."""

    def outbox_due(self, now: int, *, most: int = 100) -> list[OutboxItem]:
        """Give unsent notifications whose next attempt is due, oldest first."""

    def quarantined(
        self, *, waiting: bool | None = None, before: int | None = None, most: int = 50
    ) -> list[Quarantined]:
        """List refused messages, newest first."""

    def quarantine_item(self, quarantine_id: int) -> Quarantined:
        """Find one refused message; raises NotFound."""

    def user(self, name: str) -> User:
        """Find a user; raises NotFound."""

    def session_user(self, token_hash: str, now: int) -> User | None:
        """Give whose unexpired sign-in this is."""

    def counts(self) -> Mapping[str, int]:
        """Count standing alarms, rescues, unfinished tickets, waiting call-outs and quarantined messages."""

    def oldest_waiting(self) -> int | None:
        """Give when the oldest call-out that nobody has answered was ordered."""

    def setting(self, name: str) -> str | None:
        """Read a small value that the platform itself remembers."""


class Writes(Reads, AlarmWrites, Protocol):
    """One transaction: everything in it is stored together or not at all. Writers take turns."""

    def register(self, register: Register) -> None:
        """Add or update parts of the register."""

    def add_ticket(self, ticket: Ticket) -> None:
        """Record a new ticket; raises Conflict when a rescue is under way at this lift."""

    def save_ticket(self, ticket: Ticket) -> None:
        """Replace a ticket's projection and clocks."""

    def append_event(self, event: TicketEvent) -> TicketEvent:
        """Append to a ticket's log: number, previous and digest are filled in and the whole event returned."""

    def save_callout(self, callout: Callout) -> None:
        """Add or replace a call-out."""

    def announce(self, *, kind: str, at: int, lift: str, firm_id: str, data: Mapping[str, Any]) -> int:
        """Append to the event stream; gives the event's id."""

    def enqueue(self, *, kind: str, party_id: str, phone: str, text: str, at: int, about: str = "") -> int:
        """Put a notification in the outbox; `about` names its call-out. Gives its id."""

    def save_outbox(self, item: OutboxItem) -> None:
        """Record an attempt or a delivery."""

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
        """Keep a refused message; gives its id."""

    def quarantine_replayed(self, quarantine_id: int, at: int) -> None:
        """Mark a refused message as replayed."""

    def trim_feed(self, *, before: int, most: int) -> int:
        """Remove up to `most` of the oldest events before a time; the newest stays. Gives how many are gone."""

    def trim_outbox(self, *, before: int, most: int) -> int:
        """Remove up to `most` notifications made before a time and sent or given up; the newest stays."""

    def trim_quarantine(self, *, before: int, most: int) -> int:
        """Remove up to `most` messages received before a time and replayed since; the newest stays."""

    def save_user(self, user: User) -> None:
        """Add or replace a user."""

    def save_session(self, token_hash: str, user: str, expires_at: int) -> None:
        """Record a sign-in."""

    def end_session(self, token_hash: str) -> None:
        """End a sign-in."""

    def save_setting(self, name: str, value: str) -> None:
        """Remember a small value."""

    def next_ticket_number(self, day: str) -> int:
        """Count a day's tickets: 1, 2, 3 …, never the same twice."""


class Records(Protocol):
    """Lifts, alarms, tickets, users: everything that must never be lost and is not telemetry."""

    def read(self) -> AbstractContextManager[Reads]:
        """Open a consistent view for reading."""

    def write(self) -> AbstractContextManager[Writes]:
        """Open a transaction: committed durably at the end of the block, undone if the block raises."""

    def wait(self, *, after: int, timeout_s: float) -> bool:
        """Wait until the event stream has grown beyond an id; True if it has. Any thread may wait."""

    def close(self) -> None:
        """Let go of files and connections."""


# ----------------------------------------------------------------------------------------- notifier


class Notifier(Protocol):
    """Carries a notification to a person. Unavailable = try again; any other LiftError = give up on it now."""

    def send(self, item: OutboxItem) -> None:
        """Deliver one notification or raise."""
