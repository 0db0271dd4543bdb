"""Faults: every kind strikes, shows in the readings as it should, ends by itself, and is on record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from lift import codes
from lift import signals as s
from lift.batch import Batch
from lift.codes import Code
from lift.errors import Invalid
from lift.signals import ServiceMode
from simulator import scenario
from simulator.city import build_city
from simulator.hands import LOCAL_EVERY
from simulator.planned import Planned
from simulator.rates import LIFE
from simulator.simulation import Simulation
from simulator.truth import CODE, ENTRAPMENTS, LINE, NEAR_MISSES, WEAR, Kind, Truth

# A Monday, 18:00 in the city.
EVENING = 1_763_978_400_000_000
WHOLE = build_city(lifts=60, seed=13)
PLANT = WHOLE.plant
# A lift whose controller reports everything, tall enough for anything to happen on the way, and the only busy one.
SLOT = int(
    np.flatnonzero((PLANT.code_level == 2) & (PLANT.landings > 12) & (PLANT.main == 0) & ~PLANT.rescue_device)[0]
)
ALONE = np.where(np.arange(60) == SLOT, 1_000.0, 1.0)
UNGROUPED = replace(PLANT, riders=ALONE, group_size=np.ones_like(PLANT.group_size), group_first=np.arange(60))
CITY = replace(WHOLE, plant=UNGROUPED)
STRIKING = sorted(set(Kind) - WEAR - LINE - {Kind.ALARM_CALL, Kind.OVERSPEED})
Second = tuple[Batch, list[Truth]]


def happening(
    kind: Kind, *, seconds: int, loaded: bool | None = None, lasts_s: float | None = 400.0
) -> Iterator[Second]:
    """Let one thing happen to one busy lift of a healthy city; gives each second's batch and open records."""
    simulation = Simulation(CITY, seed=12, start=EVENING, fault_rate=0.0)
    simulation.faults.prepare(Planned(at=30.0, slot=SLOT, kind=kind, cause="test", loaded=loaded, lasts_s=lasts_s))
    for _ in range(seconds):
        yield simulation.step(), [*simulation.take_truth(), *simulation.standing_truth()]


def value(batch: Batch, signal: s.Signal) -> float:
    """Give what the lift reports."""
    return float(batch.columns[signal][SLOT])


@pytest.mark.parametrize("kind", STRIKING)
def test_everything_happens_is_recorded_and_ends(kind: Kind) -> None:
    """The record names the lift and the code, and its times are in order; the lift serves people again."""
    simulation = Simulation(CITY, seed=12, start=EVENING, fault_rate=0.0)
    simulation.faults.prepare(Planned(at=30.0, slot=SLOT, kind=kind, cause="test", loaded=None, lasts_s=100.0))
    records: list[Truth] = []
    for _ in range(7_200):
        simulation.live()
        records += simulation.take_truth()
        if any(record.kind is kind for record in records) and not simulation.hands.at_work:
            break
    record = next(record for record in records if record.kind is kind)
    assert record.lift == CITY.codes[SLOT]
    assert record.code == (int(CODE[kind]) if kind in CODE else None)
    assert record.near_miss == (kind in NEAR_MISSES)
    assert record.end is not None
    assert record.observable_at is not None
    assert EVENING + 30_000_000 <= record.onset <= record.observable_at <= record.end
    served = simulation.state.served[SLOT]
    for _ in range(900):
        simulation.live()
    assert simulation.state.served[SLOT] > served
    assert int(simulation.state.codes[SLOT]) == 0


@pytest.mark.parametrize(
    ("kind", "loaded", "seen"),
    [
        (Kind.SAFETY_CHAIN_OPEN, True, False),
        (Kind.DOOR_OPENING_FAULT, False, False),
        (Kind.DOOR_OPENING_FAULT, True, True),
    ],
)
def test_what_a_retrofit_terminal_cannot_see_is_on_record_as_such(kind: Kind, *, loaded: bool, seen: bool) -> None:
    """It sees neither the safety chain nor that an empty car wants to open; that somebody is shut in it does see."""
    blind = replace(
        UNGROUPED, retrofit=np.ones_like(PLANT.retrofit), code_level=np.zeros_like(PLANT.code_level)
    )  # fmt: skip
    simulation = Simulation(replace(WHOLE, plant=blind), seed=12, start=EVENING, fault_rate=0.0)
    simulation.faults.prepare(Planned(at=30.0, slot=SLOT, kind=kind, cause="test", loaded=loaded, lasts_s=100.0))
    found: list[Truth] = []
    while not found:
        simulation.live()
        found = [record for record in simulation.standing_truth() if record.kind is kind]
    assert [record.observable_at is not None for record in found] == [seen]


def test_trapped_between_landings_looks_like_it() -> None:
    """Standing outside the door zone, closed, somebody inside, until the end: whoever watches can know."""
    seen = 0
    for batch, open_records in happening(Kind.ENTRAPMENT_BETWEEN_LANDINGS, seconds=700, lasts_s=200.0):
        trapped = [r for r in open_records if r.kind is Kind.ENTRAPMENT_BETWEEN_LANDINGS and r.end is None]
        if trapped and int(batch.at[0]) > trapped[0].onset:
            seen += 1
            assert value(batch, s.CAR_STATUS) == 0
            assert value(batch, s.CAR_SPEED) == 0
            assert value(batch, s.DOOR_ZONE) == 0
            assert value(batch, s.DOOR_CLOSED) == 1
            assert value(batch, s.PASSENGER) == 1
            assert {codes.Code.ENTRAPMENT, codes.Code.STOPPED_OUTSIDE_DOOR_ZONE} <= set(
                codes.unpack(int(batch.code_sets()[SLOT]))
            )
    assert seen >= 199


def test_shut_in_at_a_landing_looks_like_it() -> None:
    """As between landings, but in the door zone."""
    seen = 0
    for batch, open_records in happening(Kind.DOOR_OPENING_FAULT, seconds=700, loaded=True, lasts_s=200.0):
        if any(r.kind is Kind.ENTRAPMENT_AT_LANDING and r.end is None for r in open_records):
            seen += 1
            assert (value(batch, s.DOOR_ZONE), value(batch, s.DOOR_CLOSED), value(batch, s.PASSENGER)) == (1, 1, 1)
    assert seen >= 199


def test_an_entrapment_says_who_and_how_long() -> None:
    """People are those in the car; the time is from onset to end; both records of one event share its number."""
    records = [
        record
        for _, open_records in happening(Kind.SAFETY_CHAIN_OPEN, seconds=1_200, loaded=True)
        for record in open_records
        if record.end is not None
    ]
    chain = next(record for record in records if record.kind is Kind.SAFETY_CHAIN_OPEN)
    trapped = next(record for record in records if record.kind in ENTRAPMENTS)
    assert trapped.event == chain.event
    assert trapped.people >= 1
    assert trapped.end is not None
    assert trapped.trapped_s == pytest.approx((trapped.end - trapped.onset) / 1e6, abs=1e-3)
    assert trapped.trapped_s == pytest.approx(400.0)


def test_a_stuck_empty_lift_traps_nobody() -> None:
    """The nearest near miss: the same standstill with nobody inside."""
    for batch, open_records in happening(Kind.STUCK_EMPTY, seconds=900):
        assert not [record for record in open_records if record.kind in ENTRAPMENTS]
        if any(record.kind is Kind.STUCK_EMPTY and record.end is None for record in open_records):
            assert (value(batch, s.DOOR_ZONE), value(batch, s.PASSENGER)) == (0, 0)


def test_unintended_movement_leaves_the_zone_with_an_open_door() -> None:
    """The car moves with its door open, leaves the door zone, and is caught within 1.20 m of the landing."""
    start, reached, out = None, 0.0, False
    for batch, open_records in happening(Kind.UNINTENDED_MOVEMENT, seconds=900):
        if any(record.end is None for record in open_records):
            height = value(batch, s.CAR_HEIGHT)
            start = height if start is None else start
            reached = max(reached, abs(height - start))
            moving = value(batch, s.CAR_STATUS) == 1
            out |= moving and value(batch, s.DOOR_ZONE) == 0 and value(batch, s.DOOR_CLOSED) == 0
    assert out
    assert 0.2 < reached < 1.6


def test_overspeed_is_seen_before_the_governor_trips() -> None:
    """Six readings and more above 115 % of rated speed, then a standstill with the safety chain open."""
    city = build_city(lifts=400, seed=4)
    speed, plant = city.plant.speed, city.plant
    slot = int(np.argmax((plant.landings - 1) * plant.floor_m / speed * (plant.riders > 400) * ~plant.retrofit))
    simulation = Simulation(city, seed=2, start=EVENING, fault_rate=0.0)
    simulation.faults.prepare(Planned(at=5.0, slot=slot, kind=Kind.OVERSPEED, cause="test"))
    fast = 0
    batch = simulation.step()
    while simulation.state.chain[slot] and simulation.seconds < 7_200:
        batch = simulation.step()
        fast += abs(float(batch.columns[s.CAR_SPEED][slot])) >= 1.15 * speed[slot]
    assert fast >= 6
    assert batch.columns[s.SAFETY_CHAIN][slot] == 0


def test_a_power_cut_is_one_event_for_many_lifts() -> None:
    """Every lift of the area loses its mains; each has its record, all with one number."""
    simulation = Simulation(CITY, seed=3, start=EVENING, fault_rate=0.0)
    for slot in range(20):
        simulation.faults.prepare(
            Planned(at=600.0, slot=slot, kind=Kind.MAIN_POWER_LOST, cause="test", lasts_s=300.0, group=1)
        )
    for _ in range(659):
        simulation.live()
    batch = simulation.step()
    assert (batch.columns[s.MAIN_POWER][:20] == 0).all()
    assert (batch.columns[s.MAIN_POWER][20:] == 1).all()
    assert (batch.columns[s.BATTERY][:20] < 1).all()
    open_records = simulation.standing_truth()
    assert len({record.event for record in open_records}) == 1
    assert {record.lift for record in open_records} == set(CITY.codes[:20])
    for _ in range(600):
        simulation.live()
    assert (simulation.step().columns[s.MAIN_POWER] == 1).all()
    assert not simulation.standing_truth()


def test_a_fire_drill_brings_cars_down_and_holds_them_open() -> None:
    """In fire return every car ends at its main landing with the door open and empty."""
    *_, (batch, _) = happening(Kind.FIRE_DRILL, seconds=300, lasts_s=600.0)
    assert value(batch, s.SERVICE_MODE) == ServiceMode.FIRE_RETURN
    assert (value(batch, s.CAR_POSITION), value(batch, s.DOOR_CLOSED), value(batch, s.PASSENGER)) == (1, 0, 0)


def test_a_playful_press_happens_at_an_open_door() -> None:
    """The alarm button rings only while the door is open at a landing."""
    pressed = 0
    for batch, _ in happening(Kind.PLAYFUL_ALARM, seconds=600):
        if value(batch, s.ALARM_BUTTON) == 1:
            pressed += 1
            assert (value(batch, s.DOOR_CLOSED), value(batch, s.DOOR_ZONE)) == (0, 1)
    assert pressed >= 1


def test_a_liar_changes_no_truth() -> None:
    """A speed sensor with an offset says that a standing car moves; the car status knows better."""
    offset = [
        value(batch, s.CAR_SPEED)
        for batch, _ in happening(Kind.SPEED_OFFSET, seconds=300)
        if value(batch, s.CAR_STATUS) == 0 and value(batch, s.CAR_SPEED) != 0
    ]
    assert offset
    assert max(offset) == min(offset) <= 0.12


@pytest.mark.parametrize(("lifts", "seed"), [(300, 1), (300, 2), (300, 3), (40, 4), (5, 5), (1, 6)])
def test_the_demo_traps_somebody_within_twenty_seconds(lifts: int, seed: int) -> None:
    """Whoever starts the demo does not wait for the first ticket, in a city of any size."""
    city = build_city(lifts=lifts, seed=seed)
    simulation = Simulation(city, seed=seed, start=EVENING, scenario=scenario.load("demo"))
    for _ in range(20):
        simulation.live()
    assert [record for record in simulation.standing_truth() if record.kind in ENTRAPMENTS]


def test_the_demo_goes_on_with_a_steady_trickle() -> None:
    """About one entrapment in two minutes at 300 lifts, and near misses between them."""
    city = build_city(lifts=300, seed=1)
    simulation = Simulation(city, seed=1, start=EVENING, scenario=scenario.load("demo"))
    for _ in range(3_600):
        simulation.live()
    records = simulation.take_truth() + simulation.standing_truth()
    trapped = {record.event for record in records if record.kind in ENTRAPMENTS}
    assert 15 <= len(trapped) <= 45
    assert sum(record.near_miss for record in records) >= 30


def test_every_code_can_happen_in_life() -> None:
    """The rates leave out none of codes 01-11, 41-47 and 90; 40 and 91-93 follow from them."""
    can_happen = {rate.kind for rate in LIFE} | {Kind.ALARM_CALL}
    shown = {int(CODE[kind]) for kind in can_happen if kind in CODE}
    assert {*range(1, 12), *range(41, 48), 90} <= shown


@pytest.mark.parametrize(
    ("kind", "usual", "local"),
    [
        (Kind.OVERTRAVEL_TOP, Code.OVERTRAVEL_TOP, Code.OVERTRAVEL_TOP_LOCAL),
        (Kind.OVERTRAVEL_BOTTOM, Code.OVERTRAVEL_BOTTOM, Code.OVERTRAVEL_BOTTOM_LOCAL),
        (Kind.ENTRAPMENT_AT_LANDING, Code.ENTRAPMENT, Code.ENTRAPMENT_AT_LANDING_LOCAL),
        (Kind.ENTRAPMENT_BETWEEN_LANDINGS, Code.ENTRAPMENT, Code.ENTRAPMENT),
    ],
)
def test_controllers_of_one_extension_number_three_things_anew(kind: Kind, usual: Code, local: Code) -> None:
    """The same fault is reported under the standard's number in one building, under the local one in another."""
    for building, code in ((1, usual), (LOCAL_EVERY, local)):
        plant = replace(UNGROUPED, building=np.full(60, building, np.int32))
        simulation = Simulation(replace(CITY, plant=plant), seed=12, start=EVENING, fault_rate=0.0)
        simulation.faults.prepare(Planned(at=30.0, slot=SLOT, kind=kind, cause="test", loaded=None, lasts_s=100.0))
        shown = 0
        for _ in range(1_500):
            simulation.live()
            shown |= int(simulation.state.codes[SLOT])
        assert code in codes.unpack(shown)
        assert {usual, local} & set(codes.unpack(shown)) == {code}


def test_an_unknown_scenario_is_refused_with_the_known_ones() -> None:
    """The error lists what there is."""
    with pytest.raises(Invalid, match="demo"):
        scenario.load("nonesuch")


@pytest.mark.parametrize("name", scenario.names())
def test_every_scenario_runs(name: str) -> None:
    """Each named scenario lives through two minutes in a small city."""
    simulation = Simulation(CITY, seed=1, start=EVENING, scenario=scenario.load(name))
    for _ in range(120):
        simulation.step()
