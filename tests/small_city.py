"""A city small enough to know by heart, and a clock that stands until it is told to move."""

from dataclasses import replace
from typing import Any

from lift.alarm import Change, Priority, Transition
from lift.codes import Code
from lift.register import Building, Crew, Firm, Lift, PlaceClass, Register, Station

START = 1_795_000_000_000_000  # 2026-11-18 in UTC, 19 November in China
SECOND = 1_000_000

CENTRAL, OUTSIDE, LONELY = "100245", "200300", "300400"


def building(building_id: str, latitude: float = 30.0, **known: Any) -> Building:  # noqa: ANN401 - any of its fields
    """Make a building with a name and an address after its id."""
    made = Building(
        building_id=building_id,
        name=f"{building_id} 大厦",
        address=f"{building_id} Road 1",
        district="Harbour",
        place_class=PlaceClass.HOUSING,
        latitude=latitude,
        longitude=120.0,
    )
    return replace(made, **known)


def lift(code: str, place: str = "b1", firm: str = "f1", **known: Any) -> Lift:  # noqa: ANN401 - any of its fields
    """Make a lift of which only what is given matters."""
    made = Lift(
        rescue_code=code,
        registration_code=f"3110{code}",
        use_registration="",
        factory_number="",
        building_id=place,
        firm_id=firm,
        gateway="g",
        make="make",
        model="model",
        installed="2019-05-01",
        rated_speed=1.75,
        rated_load_kg=1000.0,
        landings=18,
    )
    return replace(made, **known)


def station(name: str, level: int, latitude: float) -> Station:
    """Make a station with an id after its name."""
    return Station(station_id=name, name=name, phone=f"phone {name}", level=level, latitude=latitude, longitude=120.0)


CITY = Register(
    buildings=(building("Centre", 30.0, city_core=True), building("Hills", 30.5, city_core=False)),
    lifts=(lift(CENTRAL, "Centre", "swift"), lift(OUTSIDE, "Hills", "sure"), lift(LONELY, "Centre", "swift")),
    firms=(Firm(firm_id="swift", name="Swift", phone="phone swift"), Firm(firm_id="sure", name="Sure", phone="")),
    stations=(station("far", 2, 31.0), station("near", 2, 30.01), station("fire", 3, 30.2)),
    crews=(
        Crew(crew_id="swift-day", name="Day", phone="1", employer_id="swift"),
        Crew(crew_id="near-night", name="Night", phone="2", employer_id="near"),
    ),
)


class StandingClock:
    """A `lift.ports.Timepiece` that moves only by hand."""

    def __init__(self, at: int = START) -> None:
        self.at = at

    def now(self) -> int:
        """Give the moment it stands at."""
        return self.at

    def move(self, seconds: float) -> None:
        """Let time pass, or with a negative number set the clock back."""
        self.at += round(seconds * SECOND)


def transition(
    lift_code: str,
    onset: int,
    *,
    change: Change = Change.RAISED,
    rule: str = "entrapment_between_landings",
    code: Code | None = Code.ENTRAPMENT,
    priority: Priority = Priority.EMERGENCY,
    latching: bool = False,
) -> Transition:
    """Make what the engine says: met, or over, thirty seconds after its onset."""
    return Transition(
        change=change,
        lift=lift_code,
        rule=rule,
        code=code,
        priority=priority,
        latching=latching,
        onset=onset,
        at=onset + 30 * SECOND,
    )
