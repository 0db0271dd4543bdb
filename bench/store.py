"""The embedded store at a billion data points: bytes a point at rest, and one lift's day found among them.

480 simulated lifts report every second of one day. Only the first 72 minutes of it are simulated; afterwards each
lift goes on with the series of another one, so that no lift ever repeats itself and compression gains nothing by it.
A data point is one value that one reading reports of one signal: what a lift does not report is not counted.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from adapters.telemetry_duckdb import DuckDBTelemetry
from bench.load import SEED, city_of
from lift.batch import Batch, concat
from lift.signals import CAR_HEIGHT, CAR_POSITION, CAR_SPEED, DOOR_STATE, PASSENGER, SIGNALS, Signal
from simulator.simulation import Simulation

LIFTS: Final = 480
SECONDS: Final = 4_320
REPEATS: Final = 20
APPEND_S: Final = 432
SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
# Midnight UTC of a Monday.
START: Final = 1_795_392_000 * SECOND
# Lifts whose series follow each other are so far apart that a row group holds no series twice.
STRIDE: Final = 97
ASKED: Final = 25
BAR_BYTES: Final = 1.5
BAR_MS: Final = 100

QUESTIONS: Final[dict[str, tuple[Sequence[Signal], int | None]]] = {
    "car_speed": ((CAR_SPEED,), None),
    "5 signals": ((CAR_SPEED, CAR_HEIGHT, CAR_POSITION, DOOR_STATE, PASSENGER), None),
    "all 27 signals": (SIGNALS, None),
    "all 27, a minute a step": (SIGNALS, 60 * SECOND),
}


def run(quick: bool) -> dict[str, Any]:  # noqa: FBT001
    """Fill a store in a folder of its own, tidy it, and ask it for the days of some lifts, cold and warm."""
    repeats = 1 if quick else REPEATS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = _fill(folder, repeats) | {"free_disk_gb": shutil.disk_usage(folder).free / 1e9}
        result["bytes"] = {path.name: path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}
        total = sum(result["bytes"].values())
        readings_bytes = sum(path.stat().st_size for path in folder.glob("telemetry.sealed/*"))
        result["bytes_a_point"] = total / result["points"]
        minutes = sum(path.stat().st_size for path in folder.glob("telemetry_minute.sealed/*"))
        result["bytes_a_minute"] = minutes / (LIFTS * repeats * SECONDS / 60)
        result["bytes_a_point_readings_only"] = readings_bytes / result["points"]
        result["bytes_a_reading"] = readings_bytes / result["readings"]
        result["days_ms"] = {title: _ask(folder, *question) for title, question in QUESTIONS.items()}
    _show(result)
    return result


def _fill(folder: Path, repeats: int) -> dict[str, Any]:
    """Append the day as ingest would, with tidying in between; gives counts and processor seconds."""
    store = DuckDBTelemetry(folder)
    spent = {"append": 0.0, "tidy": 0.0}
    readings = points = 0
    largest = 0
    wall = time.monotonic()
    for batch in track(_day(repeats), "filling", total=repeats * SECONDS // APPEND_S, console=Console(stderr=True)):
        points += sum(int(np.isfinite(values).sum()) for values in batch.columns.values())
        _timed(spent, "append", partial(store.append, batch))
        readings += len(batch)
        _timed(spent, "tidy", partial(_tidied, store, int(batch.at[-1])))
        largest = max(largest, (folder / "telemetry.duckdb").stat().st_size)
    # Two days on all readings are sealed, two months on their minutes.
    for days in (3, 70):
        _timed(spent, "tidy", partial(_tidied, store, START + days * DAY))
    store.close()
    return {
        "readings": readings,
        "points": points,
        "append_cpu_us_a_reading": spent["append"] / readings * 1e6,
        "tidy_cpu_us_a_reading": spent["tidy"] / readings * 1e6,
        "database_largest_bytes": largest,
        "took_s": time.monotonic() - wall,
    }


def _day(repeats: int) -> Iterator[Batch]:
    """Give the day's readings in the order in which they come."""
    city = city_of(LIFTS)
    simulation = Simulation(city, seed=SEED, start=START)
    pieces = [concat([simulation.step() for _ in range(APPEND_S)]) for _ in range(SECONDS // APPEND_S)]
    for repeat in range(repeats):
        for piece in pieces:
            lift = ((piece.lift + repeat * STRIDE) % LIFTS).astype(np.int32)
            yield Batch(piece.names, lift, piece.at + repeat * SECONDS * SECOND, piece.columns, piece.codes)


def _tidied(store: DuckDBTelemetry, now: int) -> None:
    while store.tidy(now=now, raw_before=0, long_before=0, around=lambda _start, _end: ()).more:
        pass


def _timed(spent: dict[str, float], what: str, act: Callable[[], object]) -> None:
    before = time.process_time()
    act()
    spent[what] += time.process_time() - before


def _ask(folder: Path, signals: Sequence[Signal], resolution_us: int | None) -> dict[str, Any]:
    """Ask for the days of some lifts: in a store just opened and files out of the page cache, then once more."""
    lifts = [city_of(LIFTS).codes[place] for place in range(0, LIFTS, LIFTS // ASKED)]
    cold: list[float] = []
    warm: list[float] = []
    processor: list[float] = []
    rows, dropped = 0, ""
    for lift in lifts:
        dropped = _forget(folder)
        store = DuckDBTelemetry(folder)
        for into in (cold, warm):
            before, cpu = time.perf_counter(), time.process_time()
            found = store.history(lift, signals, start=START, end=START + DAY, resolution_us=resolution_us)
            into.append((time.perf_counter() - before) * 1e3)
            processor.append((time.process_time() - cpu) * 1e3)
            rows = len(found.at)
        store.close()
    return {
        "rows": rows,
        "page_cache_dropped": dropped,
        "cold_p50": float(np.median(cold)),
        "cold_worst": max(cold),
        "cold_processor_p50": float(np.median(processor[::2])),
        "warm_processor_p50": float(np.median(processor[1::2])),
        "warm_p50": float(np.median(warm)),
        "warm_worst": max(warm),
    }


def _forget(folder: Path) -> str:
    """Put the files out of the page cache; says how."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)
    try:
        Path("/proc/sys/vm/drop_caches").write_text("1")
    except OSError:
        return "files only"
    return "all"


def _show(result: dict[str, Any]) -> None:
    table = Table("one lift's day", "rows", "cold p50 / worst, ms", "warm p50 / worst", "processor time, cold, warm")
    for title, one in result["days_ms"].items():
        table.add_row(
            title,
            f"{one['rows']:,}",
            f"{one['cold_p50']:.0f} / {one['cold_worst']:.0f}",
            f"{one['warm_p50']:.0f} / {one['warm_worst']:.0f}",
            f"{one['cold_processor_p50']:.0f}, {one['warm_processor_p50']:.0f}",
        )
    Console().print(table)
    Console().print(
        f"{result['points']:,} points in {result['readings']:,} readings: {result['bytes_a_point']:.2f} bytes a point "
        f"with minutes and all, {result['bytes_a_point_readings_only']:.2f} for the readings alone "
        f"({result['bytes_a_reading']:.1f} a reading); processor time {result['append_cpu_us_a_reading']:.2f} µs a "
        f"reading to append, {result['tidy_cpu_us_a_reading']:.2f} µs to seal and roll up later"
    )
    Console().print(f"bar: {BAR_BYTES} bytes a point, {BAR_MS} ms a day")
