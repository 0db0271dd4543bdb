"""`liftwatch evaluate-wear`: how long before its fault wear is found, and how often in vain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.progress import shown_progress

if TYPE_CHECKING:
    from runtime.evaluate_wear import WearScore


def evaluate_wear_command(
    lifts: Annotated[int, typer.Option(help="Size of the city.")] = 1000,
    days: Annotated[int, typer.Option(help="How many days.")] = 150,
    seed: Annotated[int, typer.Option(help="The same seed gives the same figures.")] = 1,
    wear: Annotated[float, typer.Option(help="Factor on life's rates of wear.")] = 8.0,
    compare: Annotated[bool, typer.Option(help="Also each kind of chart by itself, on the same months.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Say how long before its fault wear is found in months of simulated trips, and how often in vain."""
    from runtime.evaluate_wear import ALL_OF_IT, MIDNIGHT, VARIANTS, evaluate_variants
    from simulator.trips_for_months import MonthsPlan

    plan = MonthsPlan(lifts=lifts, days=days, seed=seed, start=MIDNIGHT, wear=wear)
    variants = VARIANTS if compare else {ALL_OF_IT: VARIANTS[ALL_OF_IT]}
    with shown_progress("months of trips") as progress:
        scores = evaluate_variants(plan, variants, progress=progress)
    if as_json:
        told = {name: score.told() for name, score in scores.items()}
        typer.echo(json.dumps(told if compare else told[ALL_OF_IT]))
        return
    for name, score in scores.items():
        if compare:
            typer.echo(f"\n{name}")
        _tell(score)


def _tell(score: WearScore) -> None:
    for kind, leads in sorted(score.leads.items()):
        found = sorted(lead for lead in leads if lead is not None)
        middle = f"{found[len(found) // 2]:.0f} days before" if found else "never"
        typer.echo(f"{kind:16} {len(leads):4} cases, {score.early(kind):6.1%} at least 7 days early, half {middle}")
    typer.echo(
        f"{score.cases} cases, {score.early():.1%} at least 7 days early; {len(score.false)} false alarms in "
        f"{score.lifts * score.days:,} lift-days = {score.false_a_thousand():.3f} per 1,000"
    )
