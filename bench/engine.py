"""The anomaly engine: readings a second of one core with every rule and chart, and what its state weighs.

Its own processor time is counted, so that a busy machine changes little.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from alarms.condition.monitor import ConditionMonitor, peers_of
from alarms.engine import Engine
from alarms.rules import load as load_rules
from bench.load import SECOND, SEED, city_of
from lift.batch import Batch
from lift.fleet import Fleet
from runtime.evaluate_wear import MIDNIGHT
from simulator.city import City
from simulator.simulation import Simulation
from simulator.trips_for_months import Months, MonthsPlan

SIZES = (2_000, 20_000, 100_000)
STATE_LIFTS = 330_000
# A megacity of 330,000 lifts makes some 800 trips a second, which go to the charts.
TRIPS_A_LIFT_AND_SECOND = 800 / 330_000


def run(quick: bool) -> dict[str, Any]:  # noqa: FBT001
    """Measure batches of three sizes, neighbours together as gateways send them and mixed, then save and restore."""
    lifts, seconds = (100_000, 5) if quick else (100_000, 60)
    city = city_of(lifts)
    rules = load_rules()
    trips = next(iter(Months(city, MonthsPlan(lifts=lifts, days=1, seed=SEED, start=MIDNIGHT))))
    table = Table(
        "lifts a batch",
        "neighbours, readings/s",
        "mixed, readings/s",
        title=f"engine, {len(rules)} rules and the charts",
    )
    result: dict[str, Any] = {"rules": len(rules), "lifts": lifts, "seconds": seconds, "readings_a_second": {}}
    for size in SIZES:
        rates = [_rate(city, trips, seconds, size, mixed=mixed) for mixed in (False, True)]
        result["readings_a_second"][size] = {"neighbours": rates[0], "mixed": rates[1]}
        table.add_row(f"{size:,}", *(f"{rate:,.0f}" for rate in rates))
    result["state"] = _state(quick)
    Console().print(table)
    Console().print(
        "state of {lifts:,} lifts: {memory_bytes_a_lift:.0f} bytes a lift in memory, {saved_bytes_a_lift:.0f} saved; "
        "save {save_s:.2f} s, restore {restore_s:.2f} s".format(**result["state"])
    )
    return result


def _rate(city: City, trips: Batch, seconds: int, size: int, *, mixed: bool) -> float:
    fleet = Fleet(city.register.lifts)
    engine = Engine(fleet, load_rules())
    monitor = ConditionMonitor(fleet, peers_of(city.register.lifts))
    trips, a_second = fleet.in_slots(trips), round(TRIPS_A_LIFT_AND_SECOND * len(city))
    simulation = Simulation(city, seed=SEED, start=SECOND)
    chance = np.random.default_rng(SEED)
    count, spent = 0, 0.0
    for second in range(seconds):
        batch = fleet.in_slots(simulation.step())
        order = chance.permutation(len(batch)) if mixed else np.arange(len(batch))
        parts = [batch.take(cut) for cut in np.split(order, range(size, len(batch), size))]
        finished = trips.take(np.arange(second * a_second, (second + 1) * a_second))
        begun = time.process_time()
        for part in parts:
            engine.take(part)
        engine.advance(int(batch.at.max()))
        monitor.take(finished)
        spent += time.process_time() - begun
        count += len(batch)
    return count / spent


def _state(quick: bool) -> dict[str, Any]:  # noqa: FBT001
    """Save and restore a fleet in which every rule has something to remember of a tenth of the lifts."""
    city = city_of(10_000 if quick else STATE_LIFTS)
    fleet = Fleet(city.register.lifts)
    simulation = Simulation(city, seed=SEED, start=SECOND)
    engine = Engine(fleet, load_rules())
    for _ in range(3):
        engine.take(fleet.in_slots(simulation.step()))
    tenth = engine._phases.phase[:, ::10]  # noqa: SLF001 - the worst case takes hours to simulate
    tenth[tenth == 0] = 1
    begun = time.process_time()
    saved = engine.save()
    between = time.process_time()
    Engine(fleet, load_rules()).restore(saved)
    ended = time.process_time()
    return {
        "lifts": len(fleet),
        "memory_bytes_a_lift": engine.bytes_held() / len(fleet),
        "saved_bytes_a_lift": len(saved) / len(fleet),
        "save_s": between - begun,
        "restore_s": ended - between,
    }


if __name__ == "__main__":
    run(quick=False)
