"""Runs a simulation to files, section by section: the same bytes for the same seed, on any number of processes."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from lift.batch import Batch
from lift.errors import Invalid
from simulator import record, scenario
from simulator.city import City, build_city
from simulator.network import Cadence, Network
from simulator.rates import Pace
from simulator.simulation import Simulation
from simulator.truth import Truth

Progress = Callable[[float], None]
Work = TypeVar("Work")
Done = TypeVar("Done")

# A city is cut into sections of about so many lifts, each with its own chance; this size decides the bytes.
SECTION_LIFTS: Final = 10_000
DAY_S: Final = 86_400
HOUR_S: Final = 3_600
DAYS_MAX: Final = 3_660
# What a lift's controller, light and fan take while it stands (ISO 25745-2: standby is more than half of all).
STANDBY_KW: Final = 0.09
# Events are numbered within a section; this keeps the numbers of different sections apart.
_EVENTS_A_SECTION: Final = 1_000_000_000
_POLL_S: Final = 0.5


class Reports(StrEnum):
    """How often terminals report: every second, or as GB/T 24476 terminals do: idle lifts every 20 s."""

    SECOND = "second"
    TERMINAL = "terminal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to simulate. `start` is µs since 1970 UTC; everything that decides the bytes is in here."""

    lifts: int
    seed: int
    start: int
    seconds: int
    scenario: str = "life"
    fault_rate: float = 1.0
    # Near misses, and troubles of the line, at a rate of their own where it is not the faults'.
    near_miss_rate: float | None = None
    line_rate: float | None = None
    reports: Reports = Reports.SECOND
    gateways: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated; raises Invalid."""
        if not 1 <= self.seconds <= DAYS_MAX * DAY_S:
            raise Invalid("days", f"{self.seconds / DAY_S:g} is outside 1 second to {DAYS_MAX:,} days")
        scenario.load(self.scenario)

    def city(self) -> City:
        """Build the plan's city."""
        return build_city(lifts=self.lifts, seed=self.seed, gateways=self.gateways)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run has written."""

    lifts: int
    seconds: int
    readings: int
    records: int
    files: int


class Source:
    """A simulated city as its platform sees it: readings with the troubles of their line, second by second."""

    def __init__(self, city: City, plan: Plan, *, seed: int) -> None:
        how = scenario.load(plan.scenario).paced(plan.fault_rate, near_misses=plan.near_miss_rate, line=plan.line_rate)
        self.simulation = Simulation(city, seed=seed, start=plan.start, fault_rate=plan.fault_rate, scenario=how)
        self.network = Network(
            city,
            ledger=self.simulation.ledger,
            start=plan.start,
            chance=np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(3,))),
            factor=plan.fault_rate * how.pace.get(Pace.LINE, 1.0),
        )
        self._cadence = Cadence() if plan.reports is Reports.TERMINAL else None

    def step(self) -> Batch:
        """Live one second; give what arrives in it."""
        batch = self.simulation.step()
        return self.network.deliver(batch if self._cadence is None else self._cadence.pick(batch))


def stream(plan: Plan, city: City | None = None) -> Iterator[Batch]:
    """Give what arrives each second, for publishing at the caller's pace; the last batch is what was held back."""
    source = Source(plan.city() if city is None else city, plan, seed=plan.seed)
    for _ in range(plan.seconds):
        yield source.step()
    yield source.network.flush()


def simulate(out: Path, plan: Plan, *, workers: int = 1, progress: Progress = lambda _part: None) -> Summary:
    """Write telemetry/, truth.parquet, truth.jsonl, usage.parquet and plan.json to a folder that is new or empty.

    `progress` hears the part done, 0 to 1. Raises Invalid for a folder in use.
    """
    if out.exists() and any(out.iterdir()):
        raise Invalid("out", f"{out} is not empty; choose a new folder")
    out.mkdir(parents=True, exist_ok=True)
    city = plan.city()
    sections = [
        _Section(number, first, end, out, plan) for number, (first, end) in enumerate(city.sections(SECTION_LIFTS))
    ]
    total = plan.lifts * plan.seconds
    done = share(_simulate_section, sections, workers=workers, progress=lambda part: progress(part / total))
    records = record.write_truth(out, [truth for part in done for truth in part.truth])
    record.write_columns(out / "usage.parquet", [part.usage for part in done])
    (out / "plan.json").write_text(json.dumps(asdict(plan), indent=1) + "\n", "utf-8")
    return Summary(
        lifts=plan.lifts,
        seconds=plan.seconds,
        readings=sum(part.readings for part in done),
        records=records,
        files=sum(part.files for part in done),
    )


def section_seed(seed: int, section: int) -> int:
    """Give a section of a city its own chance."""
    return int(np.random.SeedSequence([seed, section]).generate_state(1)[0])


@dataclass(frozen=True, slots=True)
class _Section:
    number: int
    first: int
    end: int
    out: Path
    plan: Plan


@dataclass(frozen=True, slots=True)
class _Written:
    truth: list[Truth]
    usage: Mapping[str, Any]
    readings: int
    files: int


def _simulate_section(section: _Section, advance: Progress) -> _Written:
    """Simulate one section from start to end, a telemetry file an hour."""
    plan = section.plan
    city = plan.city().section(section.first, section.end)
    source = Source(city, plan, seed=section_seed(plan.seed, section.number))
    truth: list[Truth] = []
    usage: list[dict[str, Any]] = []
    before = _counters(source.simulation)
    readings = files = 0
    for begin in range(0, plan.seconds, HOUR_S):
        hour = min(HOUR_S, plan.seconds - begin)
        name = f"hour-{begin // HOUR_S:05d}-section-{section.number:03d}.parquet"
        with record.TelemetryFile(section.out / "telemetry" / name) as file:
            for _ in range(hour):
                file.append(source.step())
                advance(float(len(city)))
            if begin + hour >= plan.seconds:
                file.append(source.network.flush())
        truth += source.simulation.take_truth()
        readings, files = readings + file.readings, files + 1
        if (begin + hour) % DAY_S == 0 or begin + hour >= plan.seconds:
            after = _counters(source.simulation)
            usage.append(_usage(city, begin // DAY_S, (begin % DAY_S) + hour, before, after))
            before = after
    truth += source.simulation.standing_truth()
    apart = section.number * _EVENTS_A_SECTION
    joined = {name: np.concatenate([part[name] for part in usage]) for name in usage[0]}
    return _Written([replace(one, event=one.event + apart) for one in truth], joined, readings, files)


def _counters(simulation: Simulation) -> dict[str, Any]:
    state = simulation.state
    counters = {
        "trips": state.run_count,
        "door_cycles": state.door_cycles,
        "people": state.served,
        "gave_up": state.gave_up,
        "running_s": state.running_s,
        "energy_kwh": state.energy_kwh,
    }
    return {name: values.copy() for name, values in counters.items()}


def _usage(city: City, day: int, seconds: int, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Say how each lift was used on a day, or on the part of it that was simulated."""
    used = {name: after[name] - before[name] for name in after}
    used["energy_kwh"] = used["energy_kwh"] + STANDBY_KW * seconds / HOUR_S
    return {
        "lift": np.array(city.codes[:-1]),
        "place": city.plant.place,
        "day": np.full(len(city), day, np.int16),
        "seconds": np.full(len(city), seconds, np.int32),
        **used,
    }


# ------------------------------------------------------------------------------------- many processes

_counted: Any = None


def share(
    act: Callable[[Work, Progress], Done], work: Iterable[Work], *, workers: int, progress: Progress
) -> list[Done]:
    """Do pieces of work on so many processes; gives the results in order. `progress` hears the sum of all advances."""
    if workers < 1:
        raise Invalid("workers", f"{workers} must be 1 or more")
    pieces = list(work)
    if workers == 1 or len(pieces) == 1:
        return _one_by_one(act, pieces, progress)
    fresh = multiprocessing.get_context("spawn")
    counted = fresh.Value("d", 0.0)
    with ProcessPoolExecutor(workers, fresh, initializer=_count_in, initargs=(counted,)) as pool:
        results = [pool.submit(_piece, act, piece) for piece in pieces]
        waiting: set[Future[Done]] = set(results)
        while waiting:
            _, waiting = wait(waiting, _POLL_S, FIRST_COMPLETED)
            progress(counted.value)
        return [result.result() for result in results]


def _one_by_one(act: Callable[[Work, Progress], Done], pieces: list[Work], progress: Progress) -> list[Done]:
    counted = 0.0

    def advance(part: float) -> None:
        nonlocal counted
        counted += part
        progress(counted)

    return [act(piece, advance) for piece in pieces]


def _count_in(counted: Any) -> None:  # noqa: ANN401 - multiprocessing's shared number has no public type
    global _counted  # noqa: PLW0603 - a worker process gets its counter once, at its start
    _counted = counted


def _piece(act: Callable[[Work, Progress], Done], piece: Work) -> Done:
    def advance(part: float) -> None:
        with _counted.get_lock():
            _counted.value += part

    return act(piece, advance)
