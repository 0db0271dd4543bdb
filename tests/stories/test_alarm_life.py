"""What people at the desk may count on when many alarms come at once, told as conversations."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from dispatch.desk import RescueDesk
from dispatch.policy import Policy
from lift.alarm import Alarm, AlarmState, Change, Priority, Transition
from lift.errors import Conflict
from lift.incident import IncidentKind
from lift.ticket import Stage, Ticket
from tests.unit.alarms.city import CONTACT, DOOR, HELD, MECHANIC, POWER, TRAPPED, Street, street

MINUTE = 60.0


class Desk(Street):
    """A street with forty lifts and both desks, which hear the same things in one transaction."""

    def open_desk(self) -> None:
        """Open the rescue desk on the same records."""
        self.rescue = RescueDesk(self.records, self.clock, Policy())

    def take(self, transitions: list[Transition]) -> list[Alarm]:  # type: ignore[override]
        """Let the engine's findings reach both desks."""
        with self.records.write() as tx:
            raised = self.desk.take(tx, transitions)
            self.rescue.take(tx, raised)
            for incident in self.desk.mass_events:
                self.rescue.call_together(tx, incident)
            self.rescue.confirmed(tx, [t for t in transitions if t.change is Change.CONFIRMED])
            return raised

    @property
    def tickets(self) -> list[Ticket]:
        """Give all tickets, oldest first."""
        with self.records.read() as reads:
            return reads.tickets()[::-1]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Give a street of ten houses with four lifts each, ten behind a gateway."""
    made = Desk(street(10, 4, gateway_lifts=10), f"sqlite:///{tmp_path}/records.db")
    made.open_desk()
    yield made
    made.records.close()


def test_a_street_without_power_is_one_incident_and_three_rescues(desk: Desk) -> None:
    """Forty lifts stop, people are in three: one line on the desk, three tickets, and two levels called at once."""
    lifts = [lift.rescue_code for lift in desk.register.lifts]
    for start in range(0, 40, 4):
        desk.take([desk.found(lift, POWER, ago_s=5) for lift in lifts[start : start + 4]])
        desk.later(1)
    for lift in ("000003", "000017", "000030"):
        desk.later(10)
        desk.raise_(lift, TRAPPED, ago_s=30)
    for lift in lifts[:20]:
        desk.raise_(lift, DOOR)
    [cut] = desk.incidents()
    assert (cut.kind, cut.lifts, cut.rescues) == (IncidentKind.POWER_CUT, 40, 3)
    assert desk.in_sight() == [f"{lift} {TRAPPED}" for lift in ("000003", "000017", "000030")]
    assert [ticket.lift for ticket in desk.tickets] == ["000003", "000017", "000030"]
    assert {(ticket.stage, ticket.level) for ticket in desk.tickets} == {(Stage.DISPATCHED, 2)}
    with desk.records.read() as reads:
        assert [ticket.lift for ticket in reads.tickets_of(cut.key)] == ["000003", "000017", "000030"]

    desk.take([desk.over(lift, DOOR) for lift in lifts[:19]])
    desk.take([desk.over(lift, POWER) for lift in lifts])
    assert [incident.kind for incident in desk.incidents()] == []
    desk.later(2 * MINUTE + 1)
    assert f"000019 {DOOR}" in desk.in_sight()  # what the cut did not take with it is a fault of its own


def test_a_dead_gateway_is_one_alarm(desk: Desk) -> None:
    """Ten lifts fall silent behind it; the desk sees one incident, and afterwards the one lift that stays silent."""
    desk.gateway("gw1", online=False)
    desk.later(MINUTE + 1)
    silent = [f"{number:06d}" for number in range(10, 20)]
    for lift in silent:
        desk.raise_(lift, CONTACT, ago_s=180)
    assert desk.in_sight() == []
    assert [(one.kind, one.lifts) for one in desk.incidents()] == [(IncidentKind.GATEWAY_OFFLINE, 10)]
    desk.gateway("gw1", online=True)
    desk.take([desk.over(lift, CONTACT) for lift in silent[1:]])
    desk.later(3 * MINUTE + 1)
    assert desk.in_sight() == [f"000010 {CONTACT}"]
    assert desk.incidents() == []


def test_a_door_contact_that_chatters_is_one_standing_alarm(desk: Desk) -> None:
    """It comes twenty times in ten minutes and is told three times; five quiet minutes end it."""
    for _ in range(20):
        desk.take([desk.found("000000", DOOR)])
        desk.later(15)
        desk.take([desk.over("000000", DOOR)])
        desk.later(15)
    assert desk.feed().count("alarm.raised") == 3
    assert desk.in_sight() == [f"000000 {DOOR}"]
    desk.later(5 * MINUTE)
    assert desk.in_sight() == []


def test_a_shelved_alarm_comes_back_and_is_told(desk: Desk) -> None:
    """After its time, by itself, across a restart; and an entrapment cannot be shelved at all."""
    alarm = desk.raise_("000000", DOOR)
    desk.desk.shelve(alarm.key, by="Ann", minutes=30, reason="known sensor fault")
    desk.later(29 * MINUTE)
    desk.restart()
    assert desk.in_sight() == []
    desk.later(MINUTE)
    assert desk.in_sight() == [f"000000 {DOOR}"]
    assert desk.feed() == ["alarm.raised", "alarm.shelved", "alarm.unshelved"]
    trapped = desk.raise_("000001", TRAPPED)
    with pytest.raises(Conflict, match="people may be in danger"):
        desk.desk.shelve(trapped.key, by="Ann", minutes=1, reason="noise")


def test_a_line_of_the_journal_asks_nobody(desk: Desk) -> None:
    """A mechanic at work is on record and nothing more: in nobody's sight, no incident, no cause, no figure."""
    line = desk.raise_("000000", MECHANIC, ago_s=9)
    fault = desk.raise_("000000", DOOR, ago_s=1)
    desk.restart()
    desk.take([desk.found(f"00000{n}", POWER, ago_s=5) for n in range(1, 4)])
    desk.raise_("000000", POWER, ago_s=5)
    for refused in (desk.desk.acknowledge, partial(desk.desk.shelve, minutes=9, reason="noise")):
        with pytest.raises(Conflict, match="asks nobody"):
            refused(line.key, by="Ann")
    entry = desk.desk.take_out_of_service("000000", by="Ann", minutes=60, reason="being rebuilt")
    later = desk.raise_("000000", HELD)
    assert desk.alarm(line.key) == line
    desk.later(61 * MINUTE)
    assert desk.alarm(line.key) == line
    assert desk.alarm(later.key) == later
    assert line.state(desk.clock.now()) is AlarmState.JOURNAL
    assert not fault.first_out
    assert (line.shown_at, entry.lift) == (None, "000000")
    assert desk.alarm(fault.key).incident == desk.incidents()[0].key
    desk.raise_("000039", DOOR)
    desk.raise_("000039", CONTACT)
    assert desk.raise_("000039", MECHANIC).incident == ""
    desk.take([desk.over("000000", MECHANIC)])
    assert desk.alarm(line.key).state(desk.clock.now()) is AlarmState.NORMAL
    assert [kind for kind in desk.feed() if kind.startswith("journal")] == [
        "journal.raised", "journal.raised", "journal.raised", "journal.returned",
    ]  # fmt: skip
    with desk.records.read() as reads:
        assert Priority.JOURNAL not in reads.alarm_rates(0, desk.clock.now(), step_us=600_000_000).by_priority


def test_out_of_service_ends_by_itself_and_never_hides_people(desk: Desk) -> None:
    """While a lift is being rebuilt its faults are out of sight, but whoever is shut in there is found."""
    entry = desk.desk.take_out_of_service("000000", by="Ann", minutes=60, reason="being rebuilt")
    fault = desk.raise_("000000", DOOR)
    assert fault.state(desk.clock.now()) is AlarmState.OUT_OF_SERVICE
    desk.raise_("000000", TRAPPED, ago_s=30)
    assert desk.in_sight() == [f"000000 {TRAPPED}"]
    assert [ticket.lift for ticket in desk.tickets] == ["000000"]
    desk.later(60 * MINUTE)
    assert desk.in_sight() == [f"000000 {DOOR}", f"000000 {TRAPPED}"]
    assert desk.feed()[-2:] == ["lift.in_service", "alarm.in_service"]
    with pytest.raises(Conflict, match="over already"):
        desk.desk.return_to_service(entry.number, by="Ann")


def test_a_suspicion_that_is_confirmed_is_written_on_its_ticket(desk: Desk) -> None:
    """The order says suspected; the second sign is a line of the log, and the ticket is sure."""
    suspected = replace(desk.found("000000", TRAPPED, ago_s=30, confidence=0.6), evidence=("no_motion",))
    desk.take([suspected])
    confirmed = replace(suspected, change=Change.CONFIRMED, confidence=0.95, evidence=("no_motion", "alarm_button"))
    for _ in range(2):
        desk.take([confirmed])
    [ticket] = desk.tickets
    assert ("suspected 疑似, 60%" in ticket.summary, ticket.confidence) == (True, 0.95)
    with desk.records.read() as reads:
        log = reads.ticket_events(ticket.ticket_id)
        alarm = reads.alarm(suspected.key)
    assert [event.kind for event in log] == ["received", "dispatched", "confirmed"]
    assert log[-1].details["evidence"] == ["no_motion", "alarm_button"]
    assert (alarm.confirmed_at, alarm.confidence) == (confirmed.at, 0.95)
    assert desk.feed().count("alarm.confirmed") == 1
