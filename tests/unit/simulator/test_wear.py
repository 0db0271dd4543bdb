"""Wear: each kind shows in its own signal, grows, and ends as a fault that is mended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lift import signals as s
from lift.errors import Invalid
from simulator.acceleration import RATE_HZ, record_second, record_trip
from simulator.city import build_city
from simulator.motion import profile
from simulator.planned import Planned
from simulator.simulation import Simulation
from simulator.state import Phase
from simulator.truth import WEAR, Kind
from simulator.wear import ENDS_AS, RAIL_M

# A Monday, 18:00 in the city.
EVENING = 1_763_978_400_000_000
CITY = build_city(lifts=80, seed=6)
BUSY = np.flatnonzero(~CITY.plant.retrofit & (CITY.plant.landings >= 8))[:20]

Symptom = Callable[[dict[s.Signal, np.ndarray], np.ndarray], list[float]]


def evening(kind: Kind | None) -> dict[str, float]:
    """Live half an hour with one kind of wear near its end in many lifts; gives the mean of each symptom."""
    simulation = Simulation(CITY, seed=3, start=EVENING, fault_rate=0.0)
    if kind is not None:
        for slot in BUSY.tolist():
            simulation.faults.prepare(Planned(at=-90_000.0, slot=slot, kind=kind, cause="test", lasts_s=100_000.0))
    seen: dict[str, list[float]] = {}
    closing = np.zeros(len(CITY))
    for _ in range(1_800):
        columns = simulation.step().columns
        run = BUSY[columns[s.CAR_STATUS][BUSY] == 1]
        seen.setdefault("current", []).extend(columns[s.MOTOR_CURRENT][run].tolist())
        knock = columns[s.VIBRATION_X][run]
        seen.setdefault("vibration", []).extend(knock.tolist())
        seen.setdefault("levelling", []).extend(np.abs(columns[s.LEVELLING_ERROR][BUSY]).tolist())
        stands = BUSY[(columns[s.CAR_STATUS][BUSY] == 0) & (columns[s.CAR_HEIGHT][BUSY] > 10.0)]
        landing = CITY.plant.height(stands, CITY.plant.nearest(stands, columns[s.CAR_HEIGHT][stands]))
        seen.setdefault("encoder", []).extend(np.abs(columns[s.CAR_HEIGHT][stands] - landing).tolist())
        closing += columns[s.DOOR_STATE] == 1
    cycles = simulation.state.door_cycles - Simulation(CITY, seed=3, start=EVENING, fault_rate=0.0).state.door_cycles
    means = {name: float(np.mean(values)) for name, values in seen.items()}
    # A joint knocks now and then; the mean would hide it.
    means["vibration"] = float(np.quantile(seen["vibration"], 0.97))
    return means | {"closing": float(closing[BUSY].sum() / cycles[BUSY].sum())}


HEALTHY = evening(None)


@pytest.mark.parametrize(
    ("kind", "symptom", "factor"),
    [
        (Kind.DOOR_BELT_WEAR, "closing", 1.4),
        (Kind.BRAKE_WEAR, "levelling", 2.0),
        (Kind.RAIL_JOINT_WEAR, "vibration", 1.5),
        (Kind.BEARING_WEAR, "current", 1.2),
        (Kind.ROPE_SLIP, "encoder", 3.0),
    ],
)
def test_wear_shows_in_its_own_signal(kind: Kind, symptom: str, factor: float) -> None:
    """The symptom grows well beyond a healthy lift's, and no other symptom does."""
    worn = evening(kind)
    assert worn[symptom] > factor * HEALTHY[symptom]
    # Bad levelling moves the encoder with the car, and a worn bearing hums as well.
    shared = {Kind.BRAKE_WEAR: {"encoder"}, Kind.BEARING_WEAR: {"vibration"}}
    others = set(HEALTHY) - {symptom} - shared.get(kind, set())
    for other in others:
        assert worn[other] < 1.25 * HEALTHY[other], other


@pytest.mark.parametrize("kind", sorted(WEAR))
def test_wear_ends_as_a_fault_and_is_mended(kind: Kind) -> None:
    """The record says when it began, when it could be seen and when it was over; the fault has its own."""
    city = build_city(lifts=6, seed=3)
    simulation = Simulation(city, seed=5, start=EVENING, fault_rate=0.0)
    slot = int(np.argmax(city.plant.riders))
    simulation.faults.prepare(Planned(at=5.0, slot=slot, kind=kind, cause="test", lasts_s=300.0))
    for _ in range(300):
        simulation.live()
    assert simulation.wear.level(slot, kind) > 0.5
    for _ in range(60):
        simulation.live()
    record = next(one for one in simulation.take_truth() if one.kind is kind)
    assert record.onset == EVENING + 5_000_000
    assert record.observable_at == record.onset + 90_000_000
    assert record.end == record.onset + 330_000_000
    assert simulation.wear.level(slot, kind) == 0
    fault = simulation.hands.at_work.get(slot)
    assert fault is None or fault.planned.kind is ENDS_AS[kind]


def test_a_raw_recording_is_the_trip_itself() -> None:
    """Integrated twice, the vertical acceleration gives the distance; its sampling rate is as asked for."""
    plant, slot = CITY.plant, int(BUSY[0])
    recording = record_trip(plant, slot, origin=0, goal=6, chance=np.random.default_rng(1), rate_hz=512)
    assert recording.axes.shape == (len(recording.time), 3)
    assert np.diff(recording.time) == pytest.approx(1 / 512)
    speed = np.cumsum(recording.axes[:, 2]) / 512
    distance = plant.height(np.array([slot]), np.array([6]))[0]
    assert np.sum(speed) / 512 == pytest.approx(distance, rel=0.05)
    one = slice(slot, slot + 1)
    plan = profile(np.array([distance]), plant.speed[one], plant.acceleration[one], plant.jerk[one])
    assert recording.time[-1] == pytest.approx(plan.duration[0], abs=0.01)


def test_second_by_second_a_raw_stream_follows_the_car() -> None:
    """Added up, the vertical acceleration is the car's speed at the end of each second, trip after trip."""
    simulation = Simulation(CITY, seed=3, start=EVENING, fault_rate=0.0)
    slots, chance = BUSY[:3].tolist(), np.random.default_rng(1)
    speed, gained = np.zeros((2, 300, len(slots)))
    for second in range(300):
        moving, speeds, _ = simulation.live()
        now = dict(zip(moving.tolist(), speeds.tolist(), strict=True))
        speed[second] = [now.get(slot, 0.0) for slot in slots]
        gained[second] = [record_second(simulation, slot, chance)[:, 2].sum() / RATE_HZ for slot in slots]
    assert (np.abs(speed).max(axis=0) > 0.9).all()
    assert np.abs(np.cumsum(gained, axis=0) - speed).max() < 0.06


def test_a_car_that_is_stopped_under_way_is_recorded_as_standing() -> None:
    """What it had still to go is not recorded, although the run was planned to last longer."""
    simulation = Simulation(CITY, seed=3, start=EVENING, fault_rate=0.0)
    slot, chance = int(BUSY[0]), np.random.default_rng(1)
    simulation.faults.prepare(Planned(at=1.0, slot=slot, kind=Kind.STUCK_EMPTY, cause="test", lasts_s=300.0))
    while simulation.state.phase[slot] != Phase.HELD:
        simulation.live()
    for _ in range(60):
        assert np.abs(record_second(simulation, slot, chance)).max() < 0.05
        simulation.live()


def test_a_worn_joint_rings_at_its_height() -> None:
    """Side-to-side vibration is strongest where the joint is."""
    plant, slot = CITY.plant, int(BUSY[0])
    worn = 2 * RAIL_M
    recording = record_trip(
        plant, slot, origin=0, goal=6, chance=np.random.default_rng(1), joint_height=worn, joint_level=0.5
    )
    loudest = recording.height[np.argmax(np.abs(recording.axes[:, 0]))]
    assert loudest == pytest.approx(worn, abs=0.6)


@pytest.mark.parametrize(("goal", "rate"), [(0, 256), (99, 256), (3, 1)])
def test_a_trip_to_nowhere_is_refused(goal: int, rate: int) -> None:
    """No trip without a distance, beyond the hoistway, or sampled too slowly."""
    with pytest.raises(Invalid):
        record_trip(CITY.plant, int(BUSY[0]), origin=0, goal=goal, chance=np.random.default_rng(1), rate_hz=rate)
