"""A simulated year beside the published one: the main figures hold inside their bounds at a fixed seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from simulator.report import Report, Verdict, report
from simulator.year import YearPlan, local_midnight, simulate_year

# A day in the simulated city's first year.
SOME_DAY = 1_763_978_400_000_000
HOLDS = {Verdict.INSIDE, Verdict.WITHIN_ERROR}
MAIN_FIGURES = (
    "entrapments per 10,000 lifts a year",
    "people trapped per entrapment",
    "minutes trapped, mean",
    "entrapments that end by themselves",
    "cause: human",
    "cause: external",
    "cause: power cut",
    "cause: door system",
    "cause: control system",
    "place: housing",
    "between 8 and 10 h",
    "between 16 and 18 h",
    "between 18 and 20 h",
    "trips a day, housing",
    "trips a day, offices",
    "flight time against the closed form, largest difference",
)


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Live a year of 1,500 lifts."""
    out: Path = tmp_path_factory.mktemp("year") / "out"
    plan = YearPlan(lifts=1_500, seed=1, start=local_midnight(SOME_DAY), sample=300)
    simulate_year(out, plan, workers=2)
    return report(out)


# So many figures are asked at once that at 95 % each one of them lies outside by chance at every other seed.
# Bonferroni: 99.7 % each, 2.95 standard errors instead of 1.96, keeps 95 % for all of them together.
WIDER = 2.95 / 1.96


@pytest.mark.slow
@pytest.mark.parametrize("name", MAIN_FIGURES)
def test_a_published_figure_is_reproduced(year: Report, name: str) -> None:
    """The simulated value, or at least its interval, lies in the published range."""
    figure = next(figure for figure in year.figures if figure.published.name == name)
    low = figure.value - WIDER * (figure.value - figure.low)
    high = figure.value + WIDER * (figure.high - figure.value)
    assert replace(figure, low=low, high=high).verdict in HOLDS, f"{figure.value:.2f} [{low:.2f}, {high:.2f}], seed 1"


@pytest.mark.slow
def test_the_report_hides_nothing(year: Report) -> None:
    """Every figure has a value and a verdict, and those outside are listed."""
    assert len(year.figures) >= len(MAIN_FIGURES)
    assert {figure.published.name for figure in year.outside()} == {
        figure.published.name for figure in year.figures if figure.verdict is Verdict.OUTSIDE
    }
