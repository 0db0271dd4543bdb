"""The alarm desk keeps each alarm once, takes people's actions where they make sense, and tells the feed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.records_sql import SqlRecords
from alarms.desk import AlarmDesk
from lift.alarm import Alarm, AlarmState, Change, Priority
from lift.errors import Conflict, Invalid, NotFound
from tests.small_city import CENTRAL, CITY, SECOND, START, StandingClock, transition


@dataclass
class City:
    """An alarm desk, its records and its clock."""

    records: SqlRecords
    clock: StandingClock
    desk: AlarmDesk

    def find(
        self,
        onset: int = START,
        *,
        change: Change = Change.RAISED,
        lift: str = CENTRAL,
        latching: bool = False,
        priority: Priority = Priority.HIGH,
    ) -> list[Alarm]:
        """Let the engine find something; gives the alarms that are new."""
        found = transition(lift, onset, change=change, latching=latching, priority=priority)
        with self.records.write() as tx:
            return self.desk.take(tx, [found])

    def alarm(self, key: str) -> Alarm:
        """Give an alarm as recorded."""
        with self.records.read() as reads:
            return reads.alarm(key)

    def feed(self) -> list[str]:
        """Give the kinds of all events."""
        with self.records.read() as reads:
            return [event.kind for event in reads.feed(after=0)]


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    """Give a small city without alarms."""
    clock = StandingClock()
    records = SqlRecords(f"sqlite:///{tmp_path}/records.db")
    with records.write() as tx:
        tx.register(CITY)
    yield City(records, clock, AlarmDesk(records, clock))
    records.close()


def test_an_alarm_is_raised_once_and_returns_once(city: City) -> None:
    """The same findings taken again, as after a crash, change nothing and say nothing."""
    [alarm] = city.find()
    for _ in range(2):
        assert city.find() == []
        assert city.find(change=Change.RETURNED) == []
    assert city.alarm(alarm.key).returned_at == START + 30 * SECOND
    assert city.feed() == ["alarm.raised", "alarm.returned"]


def test_a_return_that_was_never_raised_is_ignored(city: City) -> None:
    """Nothing is recorded for a condition that nobody had heard of."""
    assert city.find(change=Change.RETURNED) == []
    assert city.feed() == []


def test_an_earlier_alarm_ends_when_its_condition_begins_anew(city: City) -> None:
    """An engine that lost its state leaves no alarm standing for ever; a late older one ends nothing newer."""
    [first] = city.find()
    [second] = city.find(START + 900 * SECOND)
    assert city.alarm(first.key).returned_at == second.onset
    city.find(START + 100 * SECOND)
    assert city.alarm(second.key).returned_at is None


def test_events_say_whose_lift_it_is_and_what_stands(city: City) -> None:
    """A firm sees its own alarms on the feed; an alarm of an unknown lift is the city's."""
    city.find()
    city.find(lift="999999")
    with city.records.read() as reads:
        known, unknown = reads.feed(after=0)
    assert (known.lift, known.firm_id, unknown.firm_id) == (CENTRAL, "swift", "")
    assert known.data["state"] == AlarmState.UNACKNOWLEDGED
    assert known.data["priority"] == "high"


def test_an_alarm_is_acknowledged_by_one_person(city: City) -> None:
    """The second is told who was first."""
    [alarm] = city.find()
    city.clock.move(5)
    acknowledged = city.desk.acknowledge(alarm.key, by="Ann", note="seen")
    assert (acknowledged.acknowledged_by, acknowledged.acknowledged_at) == ("Ann", START + 5 * SECOND)
    assert city.alarm(alarm.key) == acknowledged
    with pytest.raises(Conflict, match="by Ann"):
        city.desk.acknowledge(alarm.key, by="Bob")
    with city.records.read() as reads:
        data = reads.feed(after=1)[0].data
    assert (data["by"], data["note"]) == ("Ann", "seen")


def test_a_shelved_alarm_comes_back_by_itself(city: City) -> None:
    """Out of sight for its minutes and no longer; it can be brought back earlier."""
    [alarm] = city.find()
    shelved = city.desk.shelve(alarm.key, by="Ann", minutes=10, reason="known sensor fault")
    assert shelved.state(city.clock.now()) is AlarmState.SHELVED
    city.desk.unshelve(alarm.key, by="Ann")
    with pytest.raises(Conflict, match="not shelved"):
        city.desk.unshelve(alarm.key, by="Ann")
    city.desk.shelve(alarm.key, by="Ann", minutes=10, reason="known sensor fault")
    city.clock.move(600)
    assert city.alarm(alarm.key).state(city.clock.now()) is AlarmState.UNACKNOWLEDGED
    assert city.feed()[1:] == ["alarm.shelved", "alarm.unshelved", "alarm.shelved"]


def test_shelving_has_limits(city: City) -> None:
    """Never an emergency, never longer than a shift, never without a reason, never what is over."""
    [emergency] = city.find(priority=Priority.EMERGENCY)
    with pytest.raises(Conflict, match="emergency"):
        city.desk.shelve(emergency.key, by="Ann", minutes=1, reason="noise")
    [alarm] = city.find(START + SECOND, lift="200300")
    for minutes, reason, field in [
        (0, "x", "minutes"),
        (481, "x", "minutes"),
        (5, " ", "reason"),
        (5, "x" * 2001, "reason"),
    ]:
        with pytest.raises(Invalid, match=field):
            city.desk.shelve(alarm.key, by="Ann", minutes=minutes, reason=reason)
    city.find(START + SECOND, lift="200300", change=Change.RETURNED)
    with pytest.raises(Conflict, match="cleared"):
        city.desk.shelve(alarm.key, by="Ann", minutes=5, reason="x")


def test_a_latched_alarm_is_reset_after_its_condition_returned(city: City) -> None:
    """Not before, not twice, and not an alarm that does not latch; the event names rule and lift for the engine."""
    [plain] = city.find(lift="200300")
    with pytest.raises(Conflict, match="does not latch"):
        city.desk.reset(plain.key, by="Ann")
    [alarm] = city.find(latching=True)
    with pytest.raises(Conflict, match="still holds"):
        city.desk.reset(alarm.key, by="Ann")
    city.find(latching=True, change=Change.RETURNED)
    assert city.alarm(alarm.key).state(city.clock.now()) is AlarmState.LATCHED_UNACKNOWLEDGED
    assert city.desk.reset(alarm.key, by="Ann").reset_at == city.clock.now()
    with pytest.raises(Conflict, match="reset already"):
        city.desk.reset(alarm.key, by="Ann")
    with city.records.read() as reads:
        last = reads.feed(after=0)[-1]
    assert (last.kind, last.lift, last.data["rule"]) == ("alarm.reset", CENTRAL, alarm.rule)


def test_another_firms_alarm_does_not_exist(city: City) -> None:
    """Every action is limited to the firm's lifts, and the refusal tells nothing."""
    [alarm] = city.find(latching=True)
    actions: tuple[Callable[[str], Alarm], ...] = (
        lambda firm: city.desk.acknowledge(alarm.key, by="x", firm_id=firm),
        lambda firm: city.desk.shelve(alarm.key, by="x", minutes=5, reason="x", firm_id=firm),
        lambda firm: city.desk.unshelve(alarm.key, by="x", firm_id=firm),
        lambda firm: city.desk.reset(alarm.key, by="x", firm_id=firm),
    )
    for act in actions:
        with pytest.raises(NotFound, match="there is no alarm"):
            act("sure")
    assert city.desk.acknowledge(alarm.key, by="x", firm_id="swift").acknowledged_by == "x"
