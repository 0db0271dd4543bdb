"""A few streets with lifts, an alarm desk, and ways to let things happen to them."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import count

from adapters.records_sql import SqlRecords
from alarms.desk import AlarmDesk
from alarms.standing import GatewayNews
from lift.alarm import Alarm, Change, Priority, Transition
from lift.incident import Incident
from lift.register import Firm, Register, Station
from tests.small_city import START, StandingClock, building, lift

SECOND = 1_000_000
MECHANIC, HELD = "mode_changed_43", "door_held"
POWER, CONTACT, DOOR, TRAPPED = "main_power_lost", "contact_lost", "door_closing_fault", "entrapment_between_landings"
PRIORITIES = {
    POWER: Priority.MEDIUM,
    CONTACT: Priority.MEDIUM,
    DOOR: Priority.MEDIUM,
    TRAPPED: Priority.EMERGENCY,
    "overspeed": Priority.HIGH,
    MECHANIC: Priority.JOURNAL,
    HELD: Priority.JOURNAL,
}


def street(
    buildings: int, lifts_each: int, *, apart_degrees: float = 0.001, gateway_lifts: int = 4, firms: int = 2
) -> Register:
    """Make buildings in a row, `apart_degrees` of latitude from each other, with lifts numbered from 000000."""
    numbers = count()
    houses = [
        building(f"b{n}", 30.0 + n * apart_degrees, name=f"House {n}", address=f"{n} Road") for n in range(buildings)
    ]
    lifts = [
        lift(f"{(n := next(numbers)):06d}", house.building_id, f"f{n % firms}", gateway=f"gw{n // gateway_lifts}")
        for house in houses
        for _ in range(lifts_each)
    ]
    owners = tuple(Firm(firm_id=f"f{n}", name=f"Firm {n}", phone="1") for n in range(firms))
    near = Station(station_id="near", name="Near", phone="2", level=2, latitude=30.0, longitude=120.0)
    return Register(buildings=tuple(houses), lifts=tuple(lifts), firms=owners, stations=(near,))


@dataclass
class Street:
    """An alarm desk over a street, with its clock in the test's hand."""

    register: Register
    url: str
    clock: StandingClock = field(default_factory=lambda: StandingClock(START))
    raised: dict[tuple[str, str], Transition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Open the records and register the street."""
        self.records = SqlRecords(self.url)
        with self.records.write() as tx:
            tx.register(self.register)
        self.desk = AlarmDesk(self.records, self.clock)

    def restart(self) -> None:
        """Go on with a desk that remembers nothing."""
        self.desk = AlarmDesk(self.records, self.clock)

    def take(self, transitions: Iterable[Transition]) -> list[Alarm]:
        """Let the engine find something."""
        with self.records.write() as tx:
            return self.desk.take(tx, transitions)

    def found(self, lift: str, rule: str, *, ago_s: float = 0.0, confidence: float = 1.0) -> Transition:
        """Make a raise with an onset so long ago, and remember it."""
        onset = self.clock.now() - round(ago_s * SECOND)
        made = Transition(
            change=Change.RAISED, lift=lift, rule=rule, code=None, priority=PRIORITIES[rule],
            latching=rule == "overspeed", onset=onset, at=self.clock.now(), confidence=confidence,
        )  # fmt: skip
        self.raised[lift, rule] = made
        return made

    def raise_(self, lift: str, rule: str, *, ago_s: float = 0.0) -> Alarm:
        """Let an alarm be raised; gives what is on record for it."""
        made = self.found(lift, rule, ago_s=ago_s)
        self.take([made])
        return self.alarm(made.key)

    def over(self, lift: str, rule: str) -> Transition:
        """Make the return of what stands."""
        return replace(self.raised.pop((lift, rule)), change=Change.RETURNED, at=self.clock.now())

    def return_(self, *lifts: str, rule: str) -> None:
        """Let alarms return."""
        self.take([self.over(lift, rule) for lift in lifts])

    def gateway(self, name: str, *, online: bool) -> None:
        """Let a gateway come or go."""
        with self.records.write() as tx:
            self.desk.hear_gateways(tx, [GatewayNews(name, online, self.clock.now())])

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.move(seconds)
        self.desk.advance()

    def alarm(self, key: str) -> Alarm:
        """Give an alarm as recorded."""
        with self.records.read() as reads:
            return reads.alarm(key)

    def in_sight(self) -> list[str]:
        """Give `lift rule` of the standing alarms that people see, in order."""
        now = self.clock.now()
        with self.records.read() as reads:
            standing = reads.alarms(standing=True, most=1000)
        return sorted(f"{alarm.lift} {alarm.rule}" for alarm in standing if alarm.hidden(now) is None)

    def incidents(self, *, is_open: bool | None = True) -> list[Incident]:
        """Give incidents, newest first."""
        with self.records.read() as reads:
            return reads.incidents(is_open=is_open, most=1000)

    def feed(self) -> list[str]:
        """Give the kinds of all events."""
        with self.records.read() as reads:
            return [event.kind for event in reads.feed(after=0, most=1000)]
