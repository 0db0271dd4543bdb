"""What the alarm life cycle asks of the records: a part of the port `lift.ports.Records`.

`firm_id` limits an answer to one firm's lifts. Times are µs since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lift.alarm import Alarm, OutOfService, Priority
from lift.incident import Incident, IncidentLift
from lift.repair import Repair
from lift.ticket import Ticket


@dataclass(frozen=True, slots=True)
class LiftPlace:
    """Whose a lift is, how it reports and where it stands (WGS 84 degrees)."""

    lift: str
    firm_id: str
    gateway: str
    building_id: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmFilter:
    """Which alarms a list holds; None or "" leaves a question open.

    `stale_at` asks for those that have been standing for a day at that moment, `incident` for those inside one,
    `journal` whether to list lines of lifts' journals too.
    """

    lift: str = ""
    standing: bool | None = None
    chattering: bool | None = None
    stale_at: int | None = None
    incident: str = ""
    priority: Priority | None = None
    raised_since: int | None = None
    journal: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRates:
    """What was shown to people in a time: alarms, and incidents of an area, which are shown instead of theirs.

    `shown` counts by the start of each step in which there were any; `sources` are the (lift, rule) pairs with the
    most, most first. `acknowledged` counts those that somebody acknowledged, `acknowledge_us` the mean time to it.
    """

    shown: Mapping[int, int]
    by_priority: Mapping[Priority, int]
    sources: Sequence[tuple[str, str, int]]
    acknowledged: int
    acknowledge_us: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmStock:
    """How many alarms stand at a moment, without lines of the journal, and how many of them are in which condition."""

    standing: int
    in_sight: int
    stale: int
    chattering: int
    shelved: int
    suppressed: int
    out_of_service: int


@dataclass(frozen=True, slots=True)
class Announcement:
    """One line for the feed, before it has an id."""

    kind: str
    at: int
    lift: str
    firm_id: str
    data: Mapping[str, Any]


class AlarmReads(Protocol):
    """What can be asked about alarms and incidents."""

    def alarm(self, key: str, *, firm_id: str | None = None) -> Alarm:
        """Find an alarm; raises NotFound."""

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

        `which` asks for more than `lift` and `standing`, which it then replaces.
        """

    def alarms_by_key(self, keys: Iterable[str]) -> dict[str, Alarm]:
        """Give those of these alarms that are on record, by key."""

    def holding_alarms(self, *, after: str = "", most: int = 5000) -> list[Alarm]:
        """Give alarms whose condition holds, in order of their keys, beginning after one."""

    def alarms_ending(self, now: int, *, quiet_us: int) -> list[Alarm]:
        """Give standing alarms whose shelf or time out of service is over, or that chattered and have been quiet."""

    def places(self, lifts: Iterable[str]) -> dict[str, LiftPlace]:
        """Give where these lifts are, by rescue code; those that the register lacks are left out."""

    def lifts_behind(self, gateway: str) -> list[str]:
        """Give the rescue codes of the lifts behind a gateway, ascending."""

    def incident(self, key: str, *, firm_id: str | None = None) -> Incident:
        """Find an incident; raises NotFound. A firm finds those that hold a lift of its own."""

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

    def incident_lifts(self, keys: Iterable[str], *, firm_id: str | None = None) -> list[IncidentLift]:
        """Give the lifts that are or were inside these incidents, in order of incident and rescue code."""

    def tickets_of(self, incident: str, *, firm_id: str | None = None) -> list[Ticket]:
        """Give the tickets that alarms of an incident have opened or joined, oldest first."""

    def out_of_service(
        self, *, at: int | None = None, lift: str = "", firm_id: str | None = None, most: int | None = None
    ) -> list[OutOfService]:
        """List what was taken out of service, newest first; with `at` only what is so at that moment."""

    def out_of_service_over(self, now: int) -> list[OutOfService]:
        """Give the entries whose time is over and that nobody has ended yet."""

    def out_of_service_item(self, number: int, *, firm_id: str | None = None) -> OutOfService:
        """Find one entry; raises NotFound."""

    def repair_of(self, alarm: str) -> Repair | None:
        """Give what was told to be mended after an alarm, None where nothing was."""

    def repairs(self, *, after: int, most: int = 500) -> list[Repair]:
        """Give repairs with a number above `after`, ascending."""

    def alarm_rates(self, start: int, end: int, *, step_us: int, sources: int = 10) -> AlarmRates:
        """Count what was shown to people with start <= time < end."""

    def alarm_stock(self, now: int) -> AlarmStock:
        """Count the alarms that stand."""

    def signed_in(self, role: str, now: int) -> int:
        """Count the people of a role who are signed in."""


class AlarmWrites(AlarmReads, Protocol):
    """What one transaction can do to alarms and incidents."""

    def save_alarm(self, alarm: Alarm) -> None:
        """Replace an alarm's row."""

    def add_alarms(self, alarms: Iterable[Alarm]) -> None:
        """Record new alarms, many at once; raises Conflict for a key that is known already."""

    def change_alarms(self, changes: Iterable[tuple[Alarm, Alarm]]) -> None:
        """Bring alarms from what they were to what they shall be, many at once."""

    def put_incidents(self, incidents: Iterable[Incident]) -> None:
        """Add incidents or replace their rows, but for what people did about them."""

    def save_incident(self, incident: Incident) -> None:
        """Replace an incident's row."""

    def leave_incidents(self, keys: Iterable[str], at: int) -> None:
        """Let all lifts that are inside these incidents leave at a moment."""

    def put_incident_lifts(self, lifts: Iterable[IncidentLift]) -> None:
        """Add lifts to incidents or replace their rows; when a lift first joined is kept."""

    def add_out_of_service(self, entry: OutOfService) -> OutOfService:
        """Record an entry; gives it with its number."""

    def save_out_of_service(self, entry: OutOfService) -> None:
        """Replace an entry's row."""

    def add_repair(self, repair: Repair) -> Repair:
        """Record a repair; gives it with its number. Raises Conflict when its alarm has one already."""

    def announce_all(self, lines: Sequence[Announcement]) -> None:
        """Append many lines to the event stream, in order."""
