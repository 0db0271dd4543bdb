"""Condition monitoring: how well labelled series are scored, part by part, and what charts and trips cost.

The figure of merit is that of the Numenta Anomaly Benchmark, standard profile (Lavin and Ahmad, ICMLA 2015): 100 is
every anomaly found at its first row and no false alarm, 0 is a detector that never says anything.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from rich.console import Console
from rich.table import Table

from alarms.condition.charts import CELLS, Charts
from alarms.condition.monitor import ConditionMonitor, peers_of
from alarms.condition.series import ALARM_SCORE, score_series
from bench.load import SEED, city_of
from lift.batch import Batch, Floats
from lift.fleet import Fleet
from runtime.evaluate_wear import MIDNIGHT, evaluate_wear
from simulator import labelled_series
from simulator.labelled_series import Labelled
from simulator.trips_for_months import Months, MonthsPlan

STATE_LIFTS = 330_000
FALSE_COSTS = 0.11
LEARNED = 0.15
# A window lasts as long as its anomaly, and at least this part of its series.
WINDOW_PART = 0.02

VARIANTS: dict[str, dict[str, Any]] = {
    "all of it": {},
    "without tail calibration": {"calibrated": False},
    "without time of day": {"without": frozenset({"time of day"})},
    "an alarm for every row": {"once": False},
    "without habituation": {"habit": 0.0},
    "largest instead of root of squares": {"rss": False},
    "value, averages, differences and step only": {
        "without": frozenset(
            {"log variance 8", "log variance 32", "log variance 128", "since crossing", "cycle", "unchanged"}
        )
    },
}


def run(quick: bool) -> dict[str, Any]:  # noqa: FBT001
    """Measure scores, speed, state and lead times."""
    result = {"series": _series(quick), "score_us_a_row": _speed(quick), "fleet": _fleet(quick)}
    wear = evaluate_wear(lifts=200 if quick else 2_000, days=60 if quick else 150, seed=201, wear=8.0)
    result["wear"] = wear.told()
    life = evaluate_wear(lifts=200 if quick else 2_000, days=60 if quick else 150, seed=202, wear=1.0)
    result["wear_at_life's_rate"] = life.told()
    Console().print(result["score_us_a_row"], result["fleet"], result["wear"], result["wear_at_life's_rate"])
    return result


class Stopwatch:
    """CPU time and wall time since the last lap, in s."""

    def __init__(self) -> None:
        self._at = time.process_time(), time.perf_counter()

    def lap(self) -> tuple[float, float]:
        """Give both, and begin the next lap."""
        before, self._at = self._at, (time.process_time(), time.perf_counter())
        return self._at[0] - before[0], self._at[1] - before[1]


class Longest:
    """How long another thread that sleeps for a millisecond at a time was kept from going on, in s, at most."""

    def __init__(self) -> None:
        self.wait_s = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sleep, daemon=True)

    def __enter__(self) -> Self:
        """Begin to sleep."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Sleep no more."""
        self._over.set()
        self._thread.join()

    def _sleep(self) -> None:
        before = time.perf_counter()
        while not self._over.wait(0.001):
            now = time.perf_counter()
            self.wait_s, before = max(self.wait_s, now - before - 0.001), now


def _series(quick: bool) -> dict[str, Any]:  # noqa: FBT001
    seeds = range(3) if quick else range(20)
    halves = {
        "development": [labelled_series.make(maker, seed) for maker in labelled_series.DEVELOPMENT for seed in seeds],
        "held out": [labelled_series.make(maker, 100 + seed) for maker in labelled_series.HELD_OUT for seed in seeds],
    }
    table = Table(
        "variant", *(f"{half}: at 0.5 / best / false per 1,000 rows" for half in halves), title="labelled series"
    )
    figures: dict[str, Any] = {}
    scorers: dict[str, Callable[[Sequence[Labelled]], list[Floats]]] = {"moving z-score": _z_scores}
    scorers |= {name: partial(chart_scores, **options) for name, options in VARIANTS.items()}
    for name, scorer in scorers.items():
        row = []
        for half, series in halves.items():
            scores = scorer(series)
            fixed, false = merit(series, scores, ALARM_SCORE)
            best = max(merit(series, scores, float(bar))[0] for bar in np.linspace(0.1, 0.9, 33))
            figures.setdefault(name, {})[half] = {"fixed": fixed, "best": best, "false_a_thousand_rows": false}
            row.append(f"{fixed:.1f} / {best:.1f} / {false:.2f}")
        table.add_row(name, *row)
    Console().print(table)
    return figures


def chart_scores(series: Sequence[Labelled], **options: Any) -> list[Floats]:  # noqa: ANN401 - options of the charts
    """Score many series side by side, those with as many columns as units of the same charts."""
    scores: list[Floats] = [np.empty(0)] * len(series)
    for columns in {one.values.shape[1] for one in series}:
        which = [number for number, one in enumerate(series) if one.values.shape[1] == columns]
        values = np.stack([series[number].values for number in which], axis=2)
        times = np.stack([series[number].times for number in which], axis=1)
        cells = (times % 86_400 // (86_400 / CELLS)).astype(np.int64)
        near = Charts(columns, len(which), **options).take(values, cells, judges_day=times - times[0] >= 2 * 86_400)
        for unit, number in enumerate(which):
            scores[number] = near[:, unit] / (1.0 + near[:, unit])
    return scores


def _z_scores(series: Sequence[Labelled]) -> list[Floats]:
    """Score by distance from a moving mean in moving standard deviations, five an alarm: what people write first."""
    scores: list[Floats] = []
    for one in series:
        mean, variance = np.zeros(one.values.shape[1]), np.ones(one.values.shape[1])
        near = np.empty(len(one.values))
        for row, now in enumerate(one.values):
            now = np.where(np.isnan(now), mean, now)  # noqa: PLW2901 - a missing value is as expected
            share = max(1 / 200, 1 / (row + 1))
            near[row] = np.abs((now - mean) / np.sqrt(variance + 1e-12)).max() / 5.0
            off = now - mean
            mean = mean + share * off
            variance = variance + share * (off * off - variance)
        scores.append(near / (1.0 + near))
    return scores


def merit(series: Sequence[Labelled], scores: Sequence[Floats], bar: float) -> tuple[float, float]:
    """Give the benchmark's normalised figure, and false alarms per 1,000 rows."""
    total, perfect, windows, false, rows = 0.0, 0.0, 0, 0, 0
    for one, score in zip(series, scores, strict=True):
        count = len(score)
        rows += count
        alarms = np.flatnonzero(score >= bar)
        alarms = alarms[alarms >= LEARNED * count]
        outside = np.ones(len(alarms), np.bool_)
        edges = [(first, min(count, max(end, first + int(WINDOW_PART * count)))) for first, end in one.windows]
        for first, end in edges:
            inside = (alarms >= first) & (alarms < end)
            outside &= ~inside
            found = alarms[inside]
            total += _sigmoid((found[0] - end) / (end - first)) if len(found) else -1.0
            perfect += _sigmoid(-1.0)
            windows += 1
        for alarm in alarms[outside].tolist():
            past = [(first, end) for first, end in edges if end <= alarm]
            beyond = (alarm - past[-1][1]) / (past[-1][1] - past[-1][0]) if past else 9.0
            total += FALSE_COSTS * (_sigmoid(beyond) if beyond < 3 else -1.0)
            false += 1
    return 100.0 * (total + windows) / (perfect + windows), 1_000.0 * false / rows


def _sigmoid(position: float) -> float:
    return float(2.0 / (1.0 + np.exp(5.0 * position)) - 1.0)


def _speed(quick: bool) -> dict[str, float]:  # noqa: FBT001
    rows = 5_000 if quick else 100_000
    found = {}
    for maker, clock in (("latency", True), ("latency", False), ("plant", True)):
        one = labelled_series.make(maker, 1, rows=rows)
        begun = time.process_time()
        score_series(one.values, one.times if clock else None)
        spent = time.process_time() - begun
        found[f"{one.values.shape[1]} columns, {'with' if clock else 'without'} clock"] = 1e6 * spent / rows
    return found


def _fleet(quick: bool) -> dict[str, float]:  # noqa: FBT001
    """Measure trips a second in batches of 2,000, and saving and restoring the state of a megacity."""
    city = city_of(2_000)
    fleet = Fleet(city.register.lifts)
    monitor = ConditionMonitor(fleet, peers_of(city.register.lifts))
    plan = MonthsPlan(lifts=2_000, days=5 if quick else 30, seed=SEED, start=MIDNIGHT)
    count, spent = 0, 0.0
    for day in Months(city, plan):
        trips = fleet.in_slots(day)
        parts = [trips.take(np.arange(at, min(at + 2_000, len(trips)))) for at in range(0, len(trips), 2_000)]
        begun = time.process_time()
        for part in parts:
            monitor.take(part)
        spent += time.process_time() - begun
        count += len(trips)
    whole = city_of(10_000 if quick else STATE_LIFTS)
    large = Fleet(whole.register.lifts)
    first, second = ConditionMonitor(large), ConditionMonitor(large)
    some = np.arange(0, len(large), 3, dtype=np.int32)
    first.take(Batch(large.codes, some, np.full(len(some), MIDNIGHT + 1), {}))
    with tempfile.TemporaryFile(buffering=0) as file:
        # The first time, a virtual machine still has to find the memory for the file's pages.
        first.save(file)
        file.seek(0)
        watch = Stopwatch()
        first.save(file)
        saving = watch.lap()
        file.seek(0)
        second.restore(file)
        first_time = watch.lap()
        file.seek(0)
        second.restore(file)
        restoring = watch.lap()
    with Longest() as longest:
        second.advance(MIDNIGHT + 2 * 86_400_000_000)
    closing = watch.lap()
    return {
        "trips_a_second_in_batches_of_2000": count / spent,
        "memory_bytes_a_lift": first.bytes_held() / len(large),
        "save_cpu_s": saving[0],
        "save_s": saving[1],
        "restore_into_fresh_memory_cpu_s": first_time[0],
        "restore_into_fresh_memory_s": first_time[1],
        "restore_cpu_s": restoring[0],
        "restore_s": restoring[1],
        "close_a_day_cpu_s": closing[0],
        "close_a_day_s": closing[1],
        "other_threads_wait_ms_at_most": 1_000.0 * longest.wait_s,
    }
