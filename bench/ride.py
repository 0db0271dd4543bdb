"""The edge's features: processor time for raw acceleration and for ride quality; readings a second cut into trips."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.load import SECOND, SEED, city_of
from gateway import ride
from gateway.drivers import jsonlines
from gateway.trips import Segmenter
from lift.batch import Floats
from simulator.simulation import Simulation

SIZES = (8, 200, 2_000)
RATES_HZ = (256, 1_024)
TRIP_S = 60.0


def run(quick: bool) -> dict[str, Any]:  # noqa: FBT001
    """Assess a trip of a minute, then cut a simulated quarter of an hour into trips."""
    result: dict[str, Any] = {"trip_s": TRIP_S, "raw_line_cpu_us": _raw_line_us(), "assess_cpu_ms": {}, "segmenter": {}}
    for rate_hz in RATES_HZ:
        result["assess_cpu_ms"][rate_hz] = _assess_ms(rate_hz, times=5 if quick else 50)
    table = Table("lifts a batch", "readings/s of one core", "µs a batch", "trips", title="segmenter, 1 Hz")
    for lifts in SIZES:
        found = _segment(lifts, seconds=60 if quick else 900)
        result["segmenter"][lifts] = found
        rate, batch_us = found["readings_a_second"], found["cpu_us_a_batch"]
        table.add_row(f"{lifts:,}", f"{rate:,.0f}", f"{batch_us:,.0f}", f"{found['trips']:,}")
    Console().print(table)
    Console().print(
        "ride quality of a 60 s trip: "
        + ", ".join(f"{spent:.1f} ms of processor time at {rate} Hz" for rate, spent in result["assess_cpu_ms"].items())
    )
    Console().print(f"a line with a second of raw acceleration: {result['raw_line_cpu_us']:,.0f} µs of processor time")
    return result


def _raw_line_us() -> float:
    """Read a minute of raw acceleration at 256 Hz as JSON lines of a second each, into the trips."""
    axes = _trip(RATES_HZ[0]).round(5).reshape(-1, RATES_HZ[0], 3)
    lines = [
        b'{"lift":"063577","at":%d,"rate_hz":256,"acceleration":%s}\n'
        % (1000 * second, json.dumps(block.tolist()).encode())
        for second, block in enumerate(axes)
    ]
    begun = time.process_time()
    for _ in jsonlines.batches(lines, take_raw=Segmenter(["063577"]).take_raw):
        pass
    return (time.process_time() - begun) / len(lines) * 1e6


def _assess_ms(rate_hz: int, *, times: int) -> float:
    axes = _trip(rate_hz)
    ride.assess(axes, rate_hz)
    begun = time.process_time()
    for _ in range(times):
        ride.assess(axes, rate_hz)
    return (time.process_time() - begun) / times * 1000


def _trip(rate_hz: int) -> Floats:
    """Make a minute with a trip of 2.5 m/s in it, and noise on all axes."""
    seconds = np.arange(int(TRIP_S * rate_hz)) / rate_hz
    push = np.interp(seconds, [2, 3, 4.5, 5.5, 54.5, 55.5, 57, 58], [0, 1, 1, 0, 0, -1, -1, 0])
    axes = np.random.default_rng(SEED).normal(0.0, 0.02, (len(seconds), 3))
    axes[:, 2] += push
    return axes


def _segment(lifts: int, *, seconds: int) -> dict[str, float]:
    city = city_of(lifts)
    simulation = Simulation(city, seed=SEED, start=SECOND)
    segmenter = Segmenter(city.codes)
    spent, trips = 0.0, 0
    for _ in range(seconds):
        batch = simulation.step()
        begun = time.process_time()
        trips += len(segmenter.take(batch))
        spent += time.process_time() - begun
    return {
        "readings_a_second": lifts * seconds / spent,
        "cpu_us_a_batch": spent / seconds * 1e6,
        "trips": trips,
    }
