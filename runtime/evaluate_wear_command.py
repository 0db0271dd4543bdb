"""`liftwatch evaluate-wear`: how long before its fault wear is found, and how often in vain."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def evaluate_wear_command(
    lifts: Annotated[int, typer.Option(help="Size of the city.")] = 1000,
    days: Annotated[int, typer.Option(help="How many days.")] = 150,
    seed: Annotated[int, typer.Option(help="The same seed gives the same figures.")] = 1,
    wear: Annotated[float, typer.Option(help="Factor on life's rates of wear.")] = 8.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Say how long before its fault wear is found in months of simulated trips, and how often in vain."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    from runtime.evaluate_wear import evaluate_wear

    with Bar(console=Console(stderr=True), disable=as_json, transient=True) as bar:
        task = bar.add_task("months of trips", total=1.0)
        score = evaluate_wear(
            lifts=lifts, days=days, seed=seed, wear=wear, progress=lambda part: bar.update(task, completed=part)
        )
    if as_json:
        typer.echo(json.dumps(score.told()))
        return
    for kind, leads in sorted(score.leads.items()):
        found = sorted(lead for lead in leads if lead is not None)
        middle = f"{found[len(found) // 2]:.0f} days before" if found else "never"
        typer.echo(f"{kind:16} {len(leads):4} cases, {score.early(kind):6.1%} at least 7 days early, half {middle}")
    typer.echo(
        f"{score.cases} cases, {score.early():.1%} at least 7 days early; {len(score.false)} false alarms in "
        f"{lifts * days:,} lift-days = {score.false_a_thousand():.3f} per 1,000"
    )
