"""The simulator alone: lift-seconds a second of one core with everything switched on, and memory a lift.

Everything means traffic, faults, near misses, wear, sensors with noise, one full batch a second and the troubles of
the line. Each size runs in a fresh process, whose own processor time and memory are counted.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from simulator.city import build_city
from simulator.run import Plan, Source

SIZES = (10_000, 100_000, 330_000)
# Monday 2025-11-24, 18:30 in the city: the evening peak, the busiest hour for most lifts.
EVENING_PEAK = 1_763_980_200_000_000
SEED = 1
WARM_UP_S = 120
BAR_LIFT_SECONDS = 2_000_000
BAR_BYTES = 2_000


def run(quick: bool) -> dict[str, Any]:  # noqa: FBT001
    """Measure several sizes of city in the evening peak at life's fault rates."""
    table = Table("lifts", "lift-seconds/s, one core", "times life", "memory a lift", title="simulator, evening peak")
    result: dict[str, Any] = {"warm_up_s": WARM_UP_S, "sizes": {}}
    for lifts in SIZES[:2] if quick else SIZES:
        with multiprocessing.get_context("spawn").Pool(1) as fresh:
            one = fresh.apply(measure, (lifts, 20 if quick else 120))
        result["sizes"][lifts] = one
        rate = one["lift_seconds_a_second"]
        table.add_row(
            f"{lifts:,}",
            f"{rate:,.0f}",
            f"{rate / lifts:,.1f}",
            f"{one['bytes_a_lift']:,.0f} B, peak {one['peak_bytes_a_lift']:,.0f} B",
        )
    Console().print(table)
    Console().print(f"bar: {BAR_LIFT_SECONDS:,} lift-seconds/s at 100,000 lifts, under {BAR_BYTES:,} B a lift")
    return result


def measure(lifts: int, seconds: int) -> dict[str, float]:
    """Simulate one city; gives its pace by processor and wall time, and what it takes of memory."""
    before = _resident()
    city = build_city(lifts=lifts, seed=SEED)
    source = Source(city, Plan(lifts=lifts, seed=SEED, start=EVENING_PEAK, seconds=seconds), seed=SEED)
    for _ in range(WARM_UP_S):
        source.step()
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(seconds):
        source.step()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "lift_seconds_a_second": lifts * seconds / processor,
        "lift_seconds_a_second_by_the_wall": lifts * seconds / wall,
        "bytes_a_lift": (_resident() - before) / lifts,
        "peak_bytes_a_lift": (peak - before) / lifts,
    }


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
