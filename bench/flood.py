"""A city that falls silent: every lift loses contact within half a minute, and speaks again.

Engine, grouping and records on SQLite; no bus and no store. Its own processor time is counted, so that a busy machine
changes little.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from adapters.records_sql import SqlRecords
from alarms.desk import AlarmDesk
from alarms.engine import Engine
from alarms.rules import load as load_rules
from bench.load import SECOND, SEED, city_of
from dispatch.desk import RescueDesk
from dispatch.policy import Policy
from lift.batch import Batch
from lift.fleet import Fleet
from lift.signals import CAR_STATUS, SERVICE_MODE
from runtime.alarm_path import AlarmPath
from tests.small_city import StandingClock

_START = 1_795_000_000 * SECOND
_STEP = SECOND // 4
_SECONDS_MAX = 600


def run(quick: bool) -> dict[str, Any]:  # noqa: FBT001
    """Measure how long a silence takes to be written down, how it shows, and how long its end takes.

    One lift of the city is alone behind its gateway: its alarm is its own and stays in sight.
    """
    lifts = 10_000 if quick else 100_000
    clock = StandingClock(_START)
    with tempfile.TemporaryDirectory() as folder:
        records = SqlRecords(f"sqlite:///{Path(folder)}/records.db")
        city = city_of(lifts)
        with records.write() as tx:
            tx.register(city.register)
        fleet = Fleet(city.register.lifts)
        path = AlarmPath(
            fleet=fleet,
            engine=Engine(fleet, load_rules()),
            alarms=AlarmDesk(records, clock),
            rescue=RescueDesk(records, clock, Policy()),
            records=records,
            clock=clock,
        )
        _report(path, fleet, clock.at)
        # Lost contact is due 180 s after a lift's newest reading, and the newest of all are ten seconds apart.
        clock.at += 169 * SECOND
        path.advance()
        silence = _timed(path, clock, records, until=lambda suppressed: suppressed >= lifts)
        with records.read() as reads:
            shown, stock = reads.feed_end(), reads.alarm_stock(clock.at)
            incidents = len(reads.incidents(is_open=True, most=1000))
        clock.at += 11 * SECOND
        begun = time.process_time()
        _report(path, fleet, clock.at)
        speech = time.process_time() - begun
        speech += _timed(path, clock, records, until=lambda suppressed: suppressed == 0)
        records.close()
    result = {
        "lifts": lifts,
        "silence_cpu_s": silence,
        "speech_cpu_s": speech,
        "incidents": incidents,
        "in_sight": stock.in_sight,
        "lines_of_the_feed": shown,
    }
    Console().print(
        f"{lifts:,} lifts fall silent: written in {silence:.1f} s of CPU, {silence / lifts * 1e6:.0f} µs each, "
        f"{incidents} incidents, {stock.in_sight} alarms in sight, {shown:,} lines; over again in {speech:.1f} s"
    )
    return result


def _report(path: AlarmPath, fleet: Fleet, now: int) -> None:
    at = now - np.random.default_rng(SEED).integers(0, 10 * SECOND, len(fleet))
    columns = {SERVICE_MODE: np.ones(len(fleet), np.float32), CAR_STATUS: np.zeros(len(fleet), np.float32)}
    path.take(Batch(fleet.codes, np.arange(len(fleet), dtype=np.int32), at, columns, None))


def _timed(path: AlarmPath, clock: StandingClock, records: SqlRecords, *, until: Callable[[int], bool]) -> float:
    """Let time pass until so many alarms are suppressed; gives the processor time it took, in seconds."""
    spent = 0.0
    for _ in range(_SECONDS_MAX):
        begun = time.process_time()
        for _ in range(4):
            clock.at += _STEP
            path.advance()
        spent += time.process_time() - begun
        with records.read() as reads:
            if until(reads.alarm_stock(clock.at).suppressed):
                return spent
    raise TimeoutError(f"not over after {_SECONDS_MAX} s of the city's time")
