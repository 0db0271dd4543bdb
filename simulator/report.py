"""Lays a simulation beside what is known of real cities: each figure with its error, its source and a plain verdict.

Rates carry Poisson errors that count a power cut as one event however many it traps; shares carry Wilson's interval,
widened in the same way; means carry 1.96 standard errors. All intervals are for 95 %.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np

from lift.errors import Invalid
from simulator import plots, published, record
from simulator.arrays import Floats, Mask, Whole
from simulator.city import build_city
from simulator.places import PLACES
from simulator.published import Range
from simulator.rates import YEAR_S
from simulator.run import Progress
from simulator.simulation import CITY_ZONE_S, SECOND_US
from simulator.truth import ENTRAPMENTS, Kind, Truth

_Z: Final = 1.96
_PER: Final = 10_000
_DAY_S: Final = 86_400
_HOUR_S: Final = 3_600


class Verdict(StrEnum):
    """How a simulated figure stands to the published ones."""

    INSIDE = "inside"
    WITHIN_ERROR = "within its error"
    OUTSIDE = "outside"
    UNPUBLISHED = "nothing published"
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the comparison: the simulated value with its 95 % interval, beside the published range."""

    published: Range
    value: float
    low: float
    high: float
    count: int

    @property
    def verdict(self) -> Verdict:
        """Say whether the value, or at least its interval, lies in the published range."""
        known = self.published
        if np.isnan(self.value):
            return Verdict.NO_DATA
        if known.low is None or known.high is None:
            return Verdict.UNPUBLISHED
        if known.low <= self.value <= known.high:
            return Verdict.INSIDE
        return Verdict.WITHIN_ERROR if self.low <= known.high and self.high >= known.low else Verdict.OUTSIDE


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of one simulation, and how the entrapments spread over the hours of the day (shares)."""

    figures: tuple[Figure, ...]
    by_hour: tuple[float, ...]
    lifts: int
    years: float

    def outside(self) -> list[Figure]:
        """Give the figures that do not reproduce the published ones."""
        return [figure for figure in self.figures if figure.verdict is Verdict.OUTSIDE]

    def text(self) -> str:
        """Give the comparison as a table for a terminal."""
        lines = [f"{self.lifts:,} lifts, {self.years:,.0f} lift-years; intervals are for 95 %", ""]
        for figure in self.figures:
            known = figure.published
            lines.append(
                f"{known.name:58} {figure.value:9.2f} [{figure.low:8.2f}, {figure.high:8.2f}] {known.unit:4}"
                f" published {known.span or '-':13} {figure.verdict}"
            )
        return "\n".join(lines)


def report(directory: Path, *, progress: Progress = lambda _part: None) -> Report:
    """Compare the simulation in a folder with the published figures; writes report.json and report.html into it.

    Raises Invalid where the folder holds no simulation.
    """
    if not (directory / "plan.json").is_file():
        raise Invalid("dir", f"{directory} holds no plan.json: it is no folder of a finished simulation")
    plan = json.loads((directory / "plan.json").read_text("utf-8"))
    truth = record.read_truth(directory)
    progress(0.4)
    usage = record.read_columns(directory / "usage.parquet")
    flights_file = directory / "flights.parquet"
    flights = record.read_columns(flights_file) if flights_file.is_file() else None
    progress(0.7)
    exposure = plan["lifts"] * plan["seconds"] / YEAR_S * max(plan["fault_rate"], 1e-12)
    trapped = [one for one in truth if one.kind in ENTRAPMENTS]
    figures = [
        *_entrapment_figures(trapped, exposure),
        *_cause_figures(trapped),
        *_hour_figures(trapped),
        _place_figure(trapped, plan),
        _repeater(trapped, plan),
        _rate(published.STUCK, [one for one in truth if one.kind is Kind.STUCK_EMPTY], exposure),
        *_usage_figures(usage),
        *([_flight_figure(flights)] if flights is not None else []),
    ]
    spread = np.bincount(_local_hours(trapped), minlength=24) / max(1, len(trapped))
    result = Report(tuple(figures), tuple(spread.tolist()), plan["lifts"], exposure)
    _write(directory, result)
    progress(1.0)
    return result


def _write(directory: Path, result: Report) -> None:
    facts = {
        "lifts": result.lifts,
        "lift_years": result.years,
        "figures": [asdict(figure) | {"verdict": figure.verdict} for figure in result.figures],
        "by_hour": result.by_hour,
    }
    (directory / "report.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", "utf-8")
    pictures = [
        plots.span(f.published.name, f.published.unit, f.value, f.low, f.high, f.published.low, f.published.high)
        for f in result.figures
    ]
    rows = [
        (
            f.published.name,
            _cell(f),
            f"{f.published.span} {f.published.unit}" if f.published.span else "-",
            f.published.source,
            str(f.verdict),
        )
        for f in result.figures
    ]
    page = plots.page(
        f"Simulated beside published 模拟与公布数据对照: {result.lifts:,} lifts, {result.years:,.0f} lift-years",
        rows,
        [plots.bars("Entrapments by local hour, %", [100.0 * part for part in result.by_hour]), *pictures],
    )
    (directory / "report.html").write_text(page, "utf-8")


def _cell(figure: Figure) -> str:
    return f"{figure.value:,.2f} {figure.published.unit} [{figure.low:,.2f} to {figure.high:,.2f}]"


# ------------------------------------------------------------------------------------------- figures


def _events(records: Sequence[Truth]) -> Floats:
    """Count the records of each event: what has one origin is one piece of chance."""
    return np.array(list(Counter(one.event for one in records).values()), np.float64)


def _rate(known: Range, records: Sequence[Truth], exposure: float) -> Figure:
    error = _Z * float(np.sqrt((_events(records) ** 2).sum()))
    count = len(records)
    scale = _PER / exposure
    # Nothing seen in so many years still allows for three (the rule of three).
    high = count + error if count else 3.0
    return Figure(known, count * scale, max(0.0, count - error) * scale, high * scale, count)


def _share(known: Range, records: Sequence[Truth], chosen: Callable[[Truth], bool]) -> Figure:
    """Give the part of the records that is chosen, in %, with Wilson's interval on the effective number of events."""
    total = len(records)
    if not total:
        return Figure(known, np.nan, np.nan, np.nan, 0)
    hits = sum(map(chosen, records))
    sizes = _events(records)
    effective = total * float(sizes.sum() / (sizes**2).sum())
    part = hits / total
    middle = (part + _Z**2 / (2 * effective)) / (1 + _Z**2 / effective)
    half = _Z * np.sqrt(part * (1 - part) / effective + _Z**2 / (4 * effective**2)) / (1 + _Z**2 / effective)
    return Figure(known, 100 * part, 100 * float(middle - half), 100 * float(middle + half), hits)


def _mean(known: Range, values: Floats) -> Figure:
    if not len(values):
        return Figure(known, np.nan, np.nan, np.nan, 0)
    mean, error = float(values.mean()), _Z * float(values.std()) / float(np.sqrt(len(values)))
    return Figure(known, mean, mean - error, mean + error, len(values))


def _entrapment_figures(trapped: Sequence[Truth], exposure: float) -> list[Figure]:
    ended = [one for one in trapped if one.end is not None]
    return [
        _rate(published.ENTRAPMENT_RATE, trapped, exposure),
        _mean(published.PEOPLE, np.array([one.people for one in trapped], np.float64)),
        _mean(published.TRAPPED_MIN, np.array([one.trapped_s / 60.0 for one in ended])),
        _share(published.SELF_RELEASE, ended, lambda one: one.trapped_s < 300.0),  # noqa: PLR2004 - no crew is so quick
        _share(published.BETWEEN, trapped, lambda one: one.kind is Kind.ENTRAPMENT_BETWEEN_LANDINGS),
    ]


def _cause_figures(trapped: Sequence[Truth]) -> list[Figure]:
    return [
        _share(known, trapped, lambda one, cause=cause: one.cause.startswith(cause))  # type: ignore[misc]
        for cause, known in published.CAUSES
    ]


def _local_hours(records: Sequence[Truth]) -> Whole:
    seconds = np.array([one.onset // SECOND_US + CITY_ZONE_S for one in records], np.int64)
    return seconds % _DAY_S // _HOUR_S


def _hour_figures(trapped: Sequence[Truth]) -> list[Figure]:
    hour = {id(one): int(at) for one, at in zip(trapped, _local_hours(trapped), strict=True)}
    figures = [
        _share(known, trapped, lambda one, begin=begin, end=end: begin <= hour[id(one)] < end)  # type: ignore[misc]
        for (begin, end), known in published.HOURS
    ]
    active = {*range(6, 12), *range(18, 22)}
    return [*figures, _share(published.ACTIVE_HOURS, trapped, lambda one: hour[id(one)] in active)]


def _place_figure(trapped: Sequence[Truth], plan: dict[str, Any]) -> Figure:
    city = build_city(lifts=plan["lifts"], seed=plan["seed"])
    at_home = {city.codes[slot] for slot in np.flatnonzero(city.plant.place == PLACES.index(PLACES[0])).tolist()}
    return _share(published.HOUSING, trapped, lambda one: one.lift in at_home)


def _repeater(trapped: Sequence[Truth], plan: dict[str, Any]) -> Figure:
    most = max(Counter(one.lift for one in trapped).values(), default=0)
    yearly = most * YEAR_S / plan["seconds"] / max(plan["fault_rate"], 1e-12)
    return Figure(published.REPEATERS, yearly, yearly - 2.0, yearly + 2.0, most)


def _usage_figures(usage: dict[str, Any]) -> list[Figure]:
    days = usage["seconds"] / _DAY_S
    whole: Mask = days >= 1.0
    figures = []
    for name, known in published.TRIPS.items():
        here = whole & (usage["place"] == [place.value for place in PLACES].index(name))
        figures.append(_mean(known, usage["trips"][here] / days[here]))
    cycles = usage["door_cycles"].sum() / max(1.0, usage["trips"].sum())
    figures.append(Figure(published.DOOR_CYCLES, float(cycles), float(cycles), float(cycles), len(days)))
    return figures


def _flight_figure(flights: dict[str, Any]) -> Figure:
    if not len(flights["flight_s"]):
        return Figure(published.FLIGHT, np.nan, np.nan, np.nan, 0)
    largest = 100 * float(np.abs(flights["flight_s"] / flights["closed_form_s"] - 1.0).max())
    return Figure(published.FLIGHT, largest, largest, largest, len(flights["flight_s"]))
