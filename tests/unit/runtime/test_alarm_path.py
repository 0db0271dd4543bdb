"""The alarm path neither loses an emergency nor calls anyone out for one that is long over."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.records_sql import SqlRecords
from adapters.telemetry_memory import MemoryTelemetry
from alarms.desk import AlarmDesk
from alarms.engine import Engine
from alarms.rules import load
from dispatch.desk import RescueDesk
from dispatch.policy import Policy
from lift.alarm import Alarm, Change, Priority, Transition
from lift.batch import Batch, from_rows
from lift.errors import Unavailable
from lift.fleet import Fleet
from lift.ports import Writes
from lift.register import Firm, Register
from runtime.alarm_path import AlarmPath
from tests.small_city import StandingClock, building, lift

SECOND = 1_000_000
START = 1_795_000_000 * SECOND
TRAPPED = {"service_mode": 1, "car_status": 0, "car_speed": 0, "door_zone": 0, "door_closed": 1, "passenger": 1}
FREE = {**TRAPPED, "door_zone": 1, "door_closed": 0, "passenger": 0}
PARKED = {**FREE, "door_closed": 1}
CREEPING = {**FREE, "car_status": 1, "car_speed": 0.5, "door_zone": 0}
CODES = ("000001", "000002")
REGISTER = Register(
    buildings=(building("b"),),
    lifts=tuple(lift(code, "b", "f", gateway="a", landings=20) for code in CODES),
    firms=(Firm(firm_id="f", name="F", phone="1"),),
)


class Shaky(SqlRecords):
    """The real records, which a test can take down."""

    down = False

    @contextmanager
    def write(self) -> Iterator[Writes]:
        """Open a transaction, unless the records are down."""
        if self.down:
            raise Unavailable("records", "pulled the plug")
        with super().write() as tx:
            yield tx


class Choosy(AlarmDesk):
    """The real desk, with a fault that one lift's alarms meet."""

    def take(self, tx: Writes, transitions: Sequence[Transition]) -> list[Alarm]:  # type: ignore[override]
        """Choke on one lift."""
        if any(one.lift == "000001" for one in transitions):
            message = "a fault of ours"
            raise ValueError(message)
        return super().take(tx, transitions)


class City:
    """Two lifts with everything that stands between a reading and a ticket."""

    def __init__(self, folder: Path, desk: type[AlarmDesk] = AlarmDesk) -> None:
        """Open the records in a folder and start an engine that knows nothing."""
        self.clock = StandingClock(START)
        self.state = folder / "engine.state"
        self.records = Shaky(f"sqlite:///{folder / 'records.db'}")
        with self.records.write() as tx:
            tx.register(REGISTER)
        self.store = MemoryTelemetry()
        self.desk = desk(self.records, self.clock)
        self.path = self.fresh()

    def fresh(self) -> AlarmPath:
        """Make an alarm path as a new process would."""
        self.fleet = Fleet(REGISTER.lifts)
        return AlarmPath(
            fleet=self.fleet,
            engine=Engine(self.fleet, load()),
            alarms=self.desk,
            rescue=RescueDesk(self.records, self.clock, Policy()),
            records=self.records,
            clock=self.clock,
        )

    def report(self, state: Mapping[str, float], *, at: int, lift: str = "000001") -> None:
        """Let one reading arrive, at a time of its own."""
        batch = self.fleet.in_slots(from_rows([{"lift": lift, "at": at, **state}]))
        self.path.take(batch)
        self.store.append(batch)

    def live(self, state: Mapping[str, float], seconds: int, lift: str = "000001") -> None:
        """Let a lift report the same for some seconds, as it happens."""
        for _ in range(seconds):
            self.clock.at += SECOND
            self.report(state, at=self.clock.at, lift=lift)
            self.path.advance()

    def crash(self) -> None:
        """Lose the memory and start again from what is kept."""
        self.path = self.fresh()
        self.path.recover(self.store, self.state)

    @property
    def tickets(self) -> list[str]:
        """The lifts with tickets, newest first."""
        with self.records.read() as tx:
            return [ticket.lift for ticket in tx.tickets()]

    def alarms(self, *, standing: bool | None = None) -> list[str]:
        """Give the rules of the alarms on record, without the maintenance alarm that goes with being stuck."""
        with self.records.read() as tx:
            rules = [alarm.rule for alarm in tx.alarms(standing=standing)]
        return [rule for rule in rules if rule != "stopped_outside_door_zone"]


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    """Set up the two lifts."""
    there = City(tmp_path)
    yield there
    there.records.close()


def test_a_trapped_passenger_gets_one_ticket(city: City) -> None:
    """Half a minute between landings is a ticket; going on for minutes is still one."""
    city.live(TRAPPED, 29)
    assert city.tickets == []
    city.live(TRAPPED, 120)
    assert city.tickets == ["000001"]


def test_a_backlog_of_what_is_over_calls_nobody(city: City) -> None:
    """A gateway that comes back tells of an entrapment of an hour ago and its end: on record, and no call-out."""
    city.clock.at += 3600 * SECOND
    for second in range(60):
        city.report(TRAPPED, at=START + second * SECOND)
    city.report(FREE, at=START + 61 * SECOND)
    city.path.advance()
    city.live(PARKED, 20)
    assert city.tickets == []
    assert "entrapment_between_landings" in city.alarms()
    assert city.alarms(standing=True) == []


def test_a_backlog_that_ends_in_an_entrapment_calls_after_a_moment(city: City) -> None:
    """Late is not over: what still holds when the backlog has run dry is ordered ten seconds later."""
    city.clock.at += 3600 * SECOND
    for second in range(60):
        city.report(TRAPPED, at=START + second * SECOND)
    city.path.advance()
    assert city.tickets == []
    city.clock.at += 11 * SECOND
    city.path.advance()
    assert city.tickets == ["000001"]


def test_records_that_are_down_delay_a_ticket_and_do_not_lose_it(city: City) -> None:
    """The change waits, is shown, keeps the state from being saved, and is recorded once when records are back."""
    city.records.down = True
    city.live(TRAPPED, 40)
    assert city.path.failing
    assert not city.path.save(city.state)
    city.records.down = False
    city.live(TRAPPED, 1)
    assert city.tickets == ["000001"]
    assert not city.path.failing
    assert city.path.save(city.state)


def test_a_crash_while_records_are_down_loses_no_ticket(city: City) -> None:
    """What only memory knew is found again in the stored readings."""
    city.records.down = True
    city.live(TRAPPED, 40)
    city.records.down = False
    city.crash()
    city.live(TRAPPED, 15)
    assert city.tickets == ["000001"]


@pytest.mark.parametrize("saved", [True, False], ids=["with saved state", "without"])
def test_a_crash_raises_nothing_twice(city: City, *, saved: bool) -> None:
    """Replaying the stored minutes meets the same alarm under the same key, and still sees its end."""
    city.live(TRAPPED, 40)
    if saved:
        assert city.path.save(city.state)
    city.crash()
    city.live(TRAPPED, 40)
    assert (city.tickets, city.alarms()) == (["000001"], ["entrapment_between_landings"])
    city.live(FREE, 20)
    assert city.alarms(standing=True) == []


def test_alarms_that_ended_unseen_do_not_stand_for_ever(city: City) -> None:
    """After the state is lost and the readings with it, the record is closed instead of standing for years."""
    city.live(TRAPPED, 40)
    city.store = MemoryTelemetry()
    city.crash()
    assert city.alarms(standing=True) == []
    assert city.tickets == ["000001"]


def test_a_damaged_state_file_is_replaced_by_a_replay(city: City) -> None:
    """A file cut short by a power cut costs a longer replay, not a start."""
    city.live(TRAPPED, 40)
    city.path.save(city.state)
    city.state.write_bytes(city.state.read_bytes()[:100])
    city.crash()
    city.live(TRAPPED, 20)
    assert (city.tickets, city.alarms()) == (["000001"], ["entrapment_between_landings"])


def test_a_restart_does_not_cry_lost_contact(city: City) -> None:
    """Silence counts from when we listen again, not from when we stopped."""
    city.live(PARKED, 5)
    city.path.save(city.state)
    city.clock.at += 3600 * SECOND
    city.crash()
    city.path.advance()
    assert city.alarms() == []
    city.clock.at += 200 * SECOND
    city.path.advance()
    assert city.alarms() == ["contact_lost"]


def test_one_alarm_that_cannot_be_recorded_does_not_stop_the_others(tmp_path: Path) -> None:
    """A fault of ours over one lift is set aside and shown; the lift beside it gets its ticket."""
    city = City(tmp_path, Choosy)
    for _ in range(40):
        city.clock.at += SECOND
        both = [{"lift": code, "at": city.clock.at, **TRAPPED} for code in CODES]
        batch: Batch = city.fleet.in_slots(from_rows(both))
        city.path.take(batch)
    assert city.tickets == ["000002"]
    assert city.path.set_aside == 1
    assert "000001" in (city.path.failing or "")
    city.records.close()


def test_an_emergency_is_recorded_before_a_flood(city: City) -> None:
    """When a thousand changes wait, the trapped passenger's comes first, and a flood goes on record bit by bit."""
    flood = [
        Transition(
            change=Change.RAISED,
            lift="000002",
            rule="contact_lost",
            code=None,
            priority=Priority.LOW,
            latching=False,
            onset=START + number,
            at=START + number,
        )
        for number in range(1000)
    ]
    urgent = replace(flood[0], lift="000001", rule="alarm_button", priority=Priority.EMERGENCY)
    city.path._note([*flood, urgent])
    city.path.on_gateway("a", online=False, at=START)
    city.path.record(within_s=0)
    assert city.tickets == ["000001"]
    with city.records.read() as tx:
        assert tx.counts()["alarms_standing"] < 200
    for _ in range(20):
        city.path.record(within_s=0)
    assert city.path.save(city.state)


def test_a_reset_at_the_desk_re_arms_the_rule(city: City) -> None:
    """A latched alarm rings again only after a person has reset it, and the engine hears that over the feed."""
    moving_open = {**CREEPING, "door_state": 4, "door_lock": 0}
    city.live({**FREE, "door_state": 4, "door_lock": 0}, 3)
    city.live(moving_open, 5)
    city.live({**FREE, "door_state": 4, "door_lock": 0}, 30)
    with city.records.read() as tx:
        first = next(alarm for alarm in tx.alarms() if alarm.rule == "unintended_car_movement")
    assert first.returned_at is not None
    city.live(moving_open, 5)
    city.live({**FREE, "door_state": 4, "door_lock": 0}, 30)
    assert city.alarms().count("unintended_car_movement") == 1
    city.desk.reset(first.key, by="inspector")
    city.live(FREE, 2)
    city.live(moving_open, 5)
    assert city.alarms().count("unintended_car_movement") == 2


def silence(city: City, seconds: int) -> None:
    """Let time pass in which nobody reports."""
    for _ in range(seconds):
        city.clock.at += SECOND
        city.path.advance()


def kinds(city: City) -> list[str]:
    """Give the kinds of the open incidents."""
    with city.records.read() as tx:
        return [str(incident.kind) for incident in tx.incidents(is_open=True)]


def in_sight(city: City) -> int:
    """Count the standing alarms that people see."""
    with city.records.read() as tx:
        return tx.alarm_stock(city.clock.at).in_sight


def test_lifts_that_fall_silent_together_are_a_dead_gateway(city: City) -> None:
    """Nothing comes through it any more, so it is the gateway, also when no last will says so; also across a crash."""
    for _ in range(5):
        city.live(PARKED, 1)
        city.live(PARKED, 1, lift="000002")
    silence(city, 185)
    assert (kinds(city), in_sight(city), len(city.alarms())) == (["gateway_offline"], 0, 2)
    assert city.path.save(city.state)
    city.crash()
    silence(city, 2)
    assert (kinds(city), in_sight(city), len(city.alarms())) == (["gateway_offline"], 0, 2)
    city.live(PARKED, 180)
    assert in_sight(city) == 0
    city.live(PARKED, 2)
    assert (kinds(city), in_sight(city)) == ([], 1)


def test_one_silent_lift_is_its_own(city: City) -> None:
    """The other behind the same gateway goes on reporting."""
    city.live(PARKED, 1)
    city.live(PARKED, 200, lift="000002")
    assert (kinds(city), city.alarms(standing=True), in_sight(city)) == ([], ["contact_lost"], 1)


def test_a_gateway_that_says_it_is_gone_is_an_incident_after_a_minute(city: City) -> None:
    """And not any more when it is back; one that the register does not know is none."""
    city.path.on_gateway("a", online=False, at=city.clock.at)
    city.path.on_gateway("stranger", online=False, at=city.clock.at)
    silence(city, 55)
    assert kinds(city) == []
    silence(city, 10)
    assert kinds(city) == ["gateway_offline"]
    city.path.on_gateway("a", online=True, at=city.clock.at)
    silence(city, 1)
    assert kinds(city) == []


def test_news_of_a_gateway_waits_for_the_records(city: City) -> None:
    """While they are down it is kept, and an emergency that comes meanwhile is written first."""
    city.records.down = True
    city.path.on_gateway("a", online=False, at=city.clock.at)
    city.live(TRAPPED, 35)
    assert not city.path.save(city.state)
    city.records.down = False
    city.live(TRAPPED, 70)
    assert city.tickets == ["000001"]
    assert "gateway_offline" in kinds(city)


def test_a_confirmation_waits_with_the_late_alarm_it_confirms(city: City) -> None:
    """Both are recorded, in order, when the late alarm is believed."""
    late = Transition(
        change=Change.RAISED, lift="000001", rule="alarm_button", code=None, priority=Priority.EMERGENCY,
        latching=False, onset=START - 600 * SECOND, at=START - 590 * SECOND, confidence=0.5,
    )  # fmt: skip
    city.path._note([late, replace(late, change=Change.CONFIRMED, at=START - 580 * SECOND, confidence=0.9)])
    silence(city, 5)
    assert city.tickets == []
    silence(city, 6)
    with city.records.read() as tx:
        [ticket] = tx.tickets()
        assert (ticket.confidence, tx.alarm(late.key).confirmed_at) == (0.9, START - 580 * SECOND)


def test_a_shelf_ends_by_itself_across_a_crash(city: City) -> None:
    """Nobody needs to remember it: the path lets time pass at the desk, too."""
    city.live(PARKED, 1)
    city.live(PARKED, 200, lift="000002")
    with city.records.read() as tx:
        [alarm] = tx.alarms(standing=True)
    city.desk.shelve(alarm.key, by="Ann", minutes=1, reason="known")
    assert in_sight(city) == 0
    city.path.save(city.state)
    city.crash()
    city.live(PARKED, 62, lift="000002")
    assert in_sight(city) == 1
    with city.records.read() as tx:
        assert "alarm.unshelved" in [event.kind for event in tx.feed(after=0)]
