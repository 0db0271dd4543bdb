"""Measure this machine: `make bench`, or `python -m bench CASE…` for some of it.

Writes bench/results/<case>.json. Figures of a shared machine wander; the ratios within one run say more.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from bench import condition, engine, flood, gateway, latency, path, ride, simulate, store

RESULTS = Path(__file__).parent / "results"
BAR_READINGS_A_SECOND = 330_000


def run_path(quick: bool) -> dict[str, Any]:  # noqa: FBT001
    """Compare the whole path with the two plain subscribers, in one run."""
    lifts, seconds = (20_000, 10) if quick else (330_000, 30)
    json_lifts, json_seconds = (2_000, 5) if quick else (20_000, 10)
    result = {
        "arrow": path.ours("arrow", lifts, seconds),
        "json": path.ours("json", json_lifts, json_seconds),
        "bare": path.theirs("bare", json_lifts, json_seconds),
        "plain": path.theirs("plain", 200 if quick else 500, 10),
    }
    table = Table(
        "path", "readings/s", "to bare", "to plain loop", "CPU µs/reading", title="broker → ingest → rules → store"
    )
    for name, title in (
        ("arrow", "Arrow, 2,000 lifts a message"),
        ("json", "JSON, one reading a message"),
        ("bare", "bare paho subscriber, does nothing"),
        ("plain", "plain loop: json, one rule, one insert"),
    ):
        one = result[name]
        rate = one["readings_a_second"]
        table.add_row(
            title,
            f"{rate:,.0f}",
            f"{rate / result['bare']['readings_a_second']:.2f}",
            f"{rate / result['plain']['readings_a_second']:.1f}",
            f"{one.get('server_cpu_us_a_reading', one.get('cpu_us_a_message')):.1f}",
        )
    Console().print(table)
    Console().print(
        f"bar: {BAR_READINGS_A_SECOND:,} readings/s on Arrow, 0.8 of bare on JSON; memory MB by tenths: "
        f"{result['arrow']['memory_mb']}"
    )
    return result


def run_latency(quick: bool) -> dict[str, Any]:  # noqa: FBT001
    """Measure the time from publish to a dispatcher's event stream."""
    result = latency.measure(*((10_000, 25) if quick else (100_000, 45)))
    Console().print(
        f"sensor to event at {result['lifts']:,} lifts: p50 {result['p50_ms']:.0f} ms, p99 {result['p99_ms']:.0f} ms, "
        f"worst {result['worst_ms']:.0f} ms beyond the rule's delay; {result['seen']} of {result['alarms']} alarms seen"
    )
    return result


CASES: dict[str, Callable[[bool], dict[str, Any]]] = {
    "path": run_path,
    "latency": run_latency,
    "engine": engine.run,
    "flood": flood.run,
    "simulate": simulate.run,
    "condition": condition.run,
    "gateway": gateway.run,
    "ride": ride.run,
    "store": store.run,
}


# Sizes are keys of some results, and numbers.
_JSON = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS


def main() -> None:
    """Run the cases asked for and keep what they found."""
    parser = argparse.ArgumentParser(prog="liftwatch bench", description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"some of: {', '.join(CASES)}; all when none is named")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run at all?")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    arguments = parser.parse_args()
    if unknown := set(arguments.cases) - set(CASES):
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    RESULTS.mkdir(exist_ok=True)
    for name in arguments.cases or CASES:
        result = {"measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": machine()}
        result |= CASES[name](arguments.quick)
        if not arguments.quick:
            (RESULTS / f"{name}.json").write_bytes(orjson.dumps(result, option=_JSON) + b"\n")
        if arguments.json:
            sys.stdout.write(orjson.dumps({name: result}, option=_JSON).decode() + "\n")


def machine() -> dict[str, Any]:
    """Say what the figures were measured on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "",
    )
    return {"cores": os.cpu_count(), "processor": model, "python": platform.python_version()}


if __name__ == "__main__":
    main()
