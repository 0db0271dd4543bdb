"""A year at life's rates in minutes: every fault is lived through second by second, the quiet between is not.

A lift forgets its traffic within minutes, so each fault gets a window of its own: the same lift at the same moment,
warmed up, with everything that the full simulation has. Windows of many moments run side by side in one set of arrays.
Wear, near misses and the line are left out; trips are counted on one full day of a part of the city.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from lift.errors import Invalid
from simulator import record
from simulator.city import City, build_city
from simulator.motion import profile
from simulator.planned import Planned
from simulator.rates import LIFE, Pace
from simulator.run import DAY_S, HOUR_S, Progress, share
from simulator.schedule import Schedule
from simulator.simulation import CITY_ZONE_S, SECOND_US, Simulation
from simulator.traffic import demand
from simulator.truth import Truth

DAYS: Final = 365
# Long enough for cars and people to be where they would be anyway.
WARM_UP_S: Final = 600
# A fault that is not over by then stays open on record: a power cut lasts 6 h at most.
WINDOW_MAX_S: Final = 8 * 3_600
# What found no run to strike by then would have come hours later: a few in a thousand, left out.
STRIKES_WITHIN_S: Final = 2 * 3_600
WINDOWS_TOGETHER: Final = 4_000
USAGE_LIFTS: Final = 3_000
_USAGE_PIECE: Final = 1_500
# Flights are compared with the closed form in this hour of the sample day.
_FLIGHTS_HOUR: Final = 9
_GROUPS: Final = frozenset({Pace.ENTRAPMENTS, Pace.FAULTS, Pace.POWER})
_PATIENCE_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class YearPlan:
    """Which year: `start` is a local midnight in µs since 1970 UTC; trips are counted on one day of `sample` lifts."""

    lifts: int
    seed: int
    start: int
    days: int = DAYS
    sample: int = USAGE_LIFTS

    def __post_init__(self) -> None:
        """Refuse what is no year; raises Invalid."""
        if not 1 <= self.days <= 10 * DAYS:
            raise Invalid("days", f"{self.days} is outside 1 to {10 * DAYS}")


def simulate_year(out: Path, plan: YearPlan, *, workers: int = 1, progress: Progress = lambda _part: None) -> int:
    """Write truth, usage.parquet, flights.parquet and plan.json to a new or empty folder; gives the records written."""
    if out.exists() and any(out.iterdir()):
        raise Invalid("out", f"{out} is not empty; choose a new folder")
    out.mkdir(parents=True, exist_ok=True)
    city = build_city(lifts=plan.lifts, seed=plan.seed)
    # Windows of one kind last about as long, so few wait for others to end.
    planned = sorted(_year(city, plan), key=lambda one: (one.kind, one.at, one.slot))
    cuts = range(0, len(planned), WINDOWS_TOGETHER)
    pieces = [_Piece(plan, number, planned[cut : cut + WINDOWS_TOGETHER]) for number, cut in enumerate(cuts)]
    sampled = min(plan.lifts, plan.sample)
    total = len(planned) + 2.0 * sampled
    told = 0.0

    def tell(part: float) -> None:
        progress(min(1.0, (told + part) / total))

    lived = share(_live_windows, pieces, workers=workers, progress=tell)
    told = float(len(planned))
    days = [_Day(plan, first, min(first + _USAGE_PIECE, sampled)) for first in range(0, sampled, _USAGE_PIECE)]
    used = share(_live_day, days, workers=workers, progress=tell)
    record.write_columns(out / "usage.parquet", [usage for usage, _ in used])
    record.write_columns(out / "flights.parquet", [flights for _, flights in used])
    count = record.write_truth(out, [truth for part in lived for truth in part])
    shape = {"year": True, "seconds": plan.days * DAY_S, "scenario": "life", "fault_rate": 1.0}
    facts = {"lifts": plan.lifts, "seed": plan.seed, "start": plan.start, **shape}
    (out / "plan.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    return count


def _year(city: City, plan: YearPlan) -> list[Planned]:
    """Draw everything that happens in the year, hour by hour."""
    chance = np.random.default_rng(np.random.SeedSequence(plan.seed, spawn_key=(4,)))
    rates = tuple(rate for rate in LIFE if rate.pace in _GROUPS)
    schedule = Schedule(city.plant, bad_batch=city.bad_batch, chance=chance, rates=rates)
    demands = [demand(city.plant, np.full(len(city), hour + 0.5)) for hour in range(24)]
    planned: list[Planned] = []
    for hour in range(plan.days * 24):
        schedule.set_hour(float(hour % 24), demands[hour % 24])
        planned += schedule.draw(float(hour * HOUR_S), float(HOUR_S))
    return planned


@dataclass(frozen=True, slots=True)
class _Piece:
    plan: YearPlan
    number: int
    planned: list[Planned]


def _live_windows(piece: _Piece, advance: Progress) -> list[Truth]:
    """Live through some faults side by side, each in its own moment of the year."""
    plan, planned = piece.plan, piece.planned
    city = build_city(lifts=plan.lifts, seed=plan.seed).pick(np.array([one.slot for one in planned]))
    begins = np.array([int(one.at) - WARM_UP_S for one in planned])
    simulation = Simulation(
        city,
        seed=int(np.random.SeedSequence([plan.seed, 5, piece.number]).generate_state(1)[0]),
        start=plan.start,
        fault_rate=0.0,
        delays_s=begins,
    )
    for window, one in enumerate(planned):
        # Groups keep their number, so that one power cut stays one event.
        simulation.faults.prepare(replace(one, slot=window, at=one.at - float(begins[window])))
    over = len(planned)
    while simulation.seconds < WINDOW_MAX_S:
        simulation.live()
        if simulation.seconds % _PATIENCE_S == 0 and simulation.seconds > WARM_UP_S:
            waiting = simulation.seconds < STRIKES_WITHIN_S and bool(simulation.state.armed.any())
            if not waiting and not simulation.standing_truth():
                break
    advance(float(over))
    apart = (piece.number + 1) * 1_000_000
    return [replace(one, event=one.event + apart) for one in simulation.take_truth() + simulation.standing_truth()]


@dataclass(frozen=True, slots=True)
class _Day:
    plan: YearPlan
    first: int
    end: int


def _live_day(day: _Day, advance: Progress) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Live one full day of some lifts; gives how each was used, and a sample of flights beside the closed form."""
    plan = day.plan
    whole = build_city(lifts=plan.lifts, seed=plan.seed)
    # No group is cut: the end moves to the end of its group.
    first, end = _group_start(whole, day.first), _group_start(whole, day.end)
    city = whole.section(first, end)
    seed = int(np.random.SeedSequence([plan.seed, 6, day.first]).generate_state(1)[0])
    simulation = Simulation(city, seed=seed, start=plan.start, fault_rate=1.0)
    state, flights = simulation.state, simulation.trips.take()
    before = state.run_count.copy(), state.door_cycles.copy()
    for second in range(DAY_S):
        hour = second // HOUR_S
        simulation.trips.wanted = hour == _FLIGHTS_HOUR
        simulation.live()
        if second % HOUR_S == HOUR_S - 1:
            advance(2.0 * len(city) / 24)
            if hour == _FLIGHTS_HOUR:
                flights = simulation.trips.take()
    usage = {
        "lift": np.array(city.codes[:-1]),
        "place": city.plant.place,
        "seconds": np.full(len(city), DAY_S, np.int32),
        "trips": state.run_count - before[0],
        "door_cycles": state.door_cycles - before[1],
        "people": state.served,
    }
    lift = flights["lift"].astype(np.intp)
    plant = city.plant
    closed_form = profile(
        np.abs(flights["distance"]), plant.speed[lift], plant.acceleration[lift], plant.jerk[lift]
    ).duration
    return usage, {
        "speed": plant.speed[lift],
        "distance": flights["distance"],
        "flight_s": flights["ended"] - flights["started"],
        "closed_form_s": closed_form,
    }


def _group_start(city: City, slot: int) -> int:
    return len(city) if slot >= len(city) else int(city.plant.group_first[slot])


def local_midnight(now: int) -> int:
    """Give the last local midnight before a moment, both in µs since 1970 UTC."""
    local = now // SECOND_US + CITY_ZONE_S
    return (local - local % DAY_S - CITY_ZONE_S) * SECOND_US
