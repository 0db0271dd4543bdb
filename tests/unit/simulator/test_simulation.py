"""The simulation: physics and people hold at every second, and the same seed lives the same life."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lift import signals as s
from lift.errors import Invalid
from lift.signals import DoorState
from simulator import scenario
from simulator.city import City, build_city
from simulator.network import Cadence
from simulator.places import PLACES
from simulator.simulation import Simulation
from simulator.state import Phase

# A Monday, 18:00 in the city.
EVENING = 1_763_978_400_000_000
CITY = build_city(lifts=120, seed=2)
DEMO = scenario.load("demo")


def living(seed: int, *, fault_rate: float = 0.0, city: City = CITY) -> Simulation:
    """Give a city in the evening."""
    return Simulation(city, seed=seed, start=EVENING, fault_rate=fault_rate)


@settings(max_examples=6)
@given(seed=st.integers(0, 2**32))
def test_readings_are_within_the_catalogue(seed: int) -> None:
    """Even with everything going wrong, a reading is one that ingest accepts: in range, whole where it must be."""
    simulation = Simulation(CITY, seed=seed, start=EVENING, fault_rate=20.0, scenario=DEMO)
    for _ in range(240):
        batch = simulation.step()
        assert set(batch.columns) == set(s.SIGNALS)
        for signal, values in batch.columns.items():
            known = values[~np.isnan(values)]
            assert values.dtype == signal.dtype, signal.name
            assert len(values) == len(CITY)
            assert ((known >= signal.low) & (known <= signal.high)).all(), signal.name
            if signal.whole:
                assert (known == np.rint(known)).all(), signal.name


@settings(max_examples=6)
@given(seed=st.integers(0, 2**32))
def test_people_are_counted_one_by_one(seed: int) -> None:
    """Whoever boards gets out: the people in a car are those who want to alight somewhere, and calls match people."""
    simulation = Simulation(CITY, seed=seed, start=EVENING, fault_rate=20.0, scenario=DEMO)
    state, offset = simulation.state, simulation.state.offset
    for _ in range(300):
        simulation.live()
        assert (np.add.reduceat(state.riders.astype(int), offset) == state.people).all()
        assert (state.people <= CITY.plant.people_max).all()
        for waiting, calls in ((state.up_wait, state.up_calls), (state.down_wait, state.down_calls)):
            landings = np.add.reduceat((waiting > 0).astype(int), offset)
            assert (np.bitwise_count(calls) == landings).all()


def test_a_healthy_city_keeps_the_rules_of_lifts() -> None:
    """No car moves with an open door, none stands away from a landing, none goes faster than rated."""
    simulation = living(3)
    plant, every = CITY.plant, np.arange(len(CITY))
    served = 0
    for _ in range(900):
        batch = simulation.step()
        columns = batch.columns
        moving = columns[s.CAR_STATUS] == 1
        assert (columns[s.DOOR_CLOSED][moving] == 1).all()
        assert (np.abs(columns[s.CAR_SPEED]) <= plant.speed * 1.03).all()
        height = columns[s.CAR_HEIGHT][~moving]
        landing = plant.nearest(every[~moving], height)
        assert (np.abs(height - plant.height(every[~moving], landing)) < 0.03).all()
        assert (columns[s.DOOR_ZONE][~moving] == 1).all()
        assert (batch.code_sets() <= 0).all()
        served = int(simulation.state.served.sum())
    assert served > 300
    assert not simulation.take_truth()


def test_nobody_waits_for_ever() -> None:
    """In a healthy city every call is answered within minutes, in the busiest hour."""
    simulation = living(4)
    waited = np.zeros(len(simulation.state.up_wait))
    for _ in range(1_200):
        simulation.live()
        waiting = (simulation.state.up_wait > 0) | (simulation.state.down_wait > 0)
        waited = np.where(waiting, waited + 1, 0)
        assert waited.max() < 900


def test_the_same_seed_lives_the_same_life() -> None:
    """Readings and truth repeat exactly; another seed differs."""

    def life(seed: int) -> tuple[list[bytes], list[str]]:
        simulation = Simulation(CITY, seed=seed, start=EVENING, scenario=DEMO)
        columns = []
        for _ in range(200):
            batch = simulation.step()
            columns.append(b"".join(values.tobytes() for values in batch.columns.values()))
        return columns, [record.to_json() for record in simulation.take_truth() + simulation.standing_truth()]

    assert life(7) == life(7)
    assert life(7) != life(8)


def test_a_batch_is_not_changed_by_the_next_step() -> None:
    """What was handed out stays as it was."""
    simulation = living(5)
    for _ in range(60):
        simulation.step()
    batch = simulation.step()
    before = {signal: values.copy() for signal, values in batch.columns.items()}
    for _ in range(60):
        simulation.step()
    for signal, values in batch.columns.items():
        assert np.array_equal(values, before[signal], equal_nan=True), signal.name


def test_traffic_follows_the_hours() -> None:
    """Before dawn hardly anybody rides; in the evening many do, at home more than in offices."""
    city = build_city(lifts=1_500, seed=8)
    rides = {}
    for hour in (3, 19):
        simulation = Simulation(city, seed=1, start=EVENING + (hour - 18) * 3_600_000_000, fault_rate=0.0)
        for _ in range(900):
            simulation.live()
        home = city.plant.place == PLACES.index(PLACES[0])
        rides[hour] = simulation.state.served[home].sum() / city.plant.riders[home].sum() * 96
    assert rides[3] < 0.3
    assert 1.6 < rides[19] < 2.6


def test_retrofit_terminals_lack_what_only_a_controller_knows() -> None:
    """Missing is NaN, and no code set is reported either."""
    batch = living(6).step()
    retrofit = CITY.plant.retrofit
    assert np.isnan(batch.columns[s.LOAD][retrofit]).all()
    assert not np.isnan(batch.columns[s.LOAD][~retrofit]).any()
    assert (batch.code_sets()[retrofit] == -1).all()


def test_doors_go_through_their_states_in_order() -> None:
    """Closed, opening, open, closing, and back or closed again: never a jump."""
    simulation = living(9)
    state = simulation.state
    following = {
        DoorState.CLOSED: {DoorState.CLOSED, DoorState.OPENING, DoorState.OPEN},
        DoorState.OPENING: {DoorState.OPENING, DoorState.OPEN},
        DoorState.OPEN: {DoorState.OPEN, DoorState.CLOSING},
        DoorState.CLOSING: {DoorState.CLOSING, DoorState.CLOSED, DoorState.OPENING},
    }
    before = state.door.copy()
    for _ in range(600):
        simulation.live()
        for was, now in set(zip(before.tolist(), state.door.tolist(), strict=True)):
            assert DoorState(int(now)) in following[DoorState(int(was))]
        before = state.door.copy()
    assert (state.phase != Phase.HELD).all()


def test_terminals_may_report_idle_lifts_seldom() -> None:
    """A tenth of the words at night, but every change is reported in its second."""
    simulation = Simulation(CITY, seed=3, start=EVENING + 8 * 3_600_000_000, scenario=DEMO)
    cadence, sent = Cadence(), 0
    latest: dict[int, float] = {}
    for _ in range(300):
        batch = simulation.step()
        picked = cadence.pick(batch)
        sent += len(picked)
        latest |= dict(zip(picked.lift.tolist(), picked.columns[s.DOOR_STATE].tolist(), strict=True))
        assert [latest[slot] for slot in range(len(CITY))] == batch.columns[s.DOOR_STATE].tolist()
    assert sent < 300 * len(CITY)


def test_a_negative_fault_rate_is_refused() -> None:
    """The error names the setting."""
    with pytest.raises(Invalid, match="fault_rate"):
        living(1, fault_rate=-1.0)
