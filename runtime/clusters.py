"""`liftwatch clusters`: batches, makes and models whose lifts fail more often than their peers."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from lift.alarm import Alarm, Priority
from lift.errors import Invalid
from lift.ports import Reads
from lift.register import Lift
from runtime import settings as settings_module

_PAGE: Final = 500


def clusters_command(
    batches: Annotated[
        Path | None, typer.Option(help="CSV with more of what lifts share: a column lift, and one an attribute.")
    ] = None,
    days: Annotated[int, typer.Option(help="Look at the alarms of so many days.")] = 365,
    false_discoveries: Annotated[float, typer.Option(help="The part of the findings that may be chance.")] = 0.05,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Find defect clusters: component batches, makes and models that stand out from their peers."""
    from adapters.clock import SystemClock
    from adapters.records_sql import SqlRecords
    from alarms.clusters import attributes_of, find_clusters

    settings = settings_module.load()
    since = SystemClock().now() - days * 86_400_000_000
    records = SqlRecords(settings.records)
    try:
        with records.read() as tx:
            lifts = tx.all_lifts()
            faults = [(alarm.lift, alarm.rule) for alarm in _alarms(tx, since) if _is_fault(alarm)]
            faults += [(ticket.lift, "rescue") for ticket in tx.tickets(most=100_000) if ticket.opened_at >= since]
    finally:
        records.close()
    attributes = attributes_of(lifts)
    if batches is not None:
        attributes |= read_batches(batches, lifts)
    codes = [lift.rescue_code for lift in lifts]
    found = find_clusters(codes, attributes, faults, false_discoveries=false_discoveries)
    if as_json:
        typer.echo(json.dumps([asdict(cluster) for cluster in found], ensure_ascii=False))
        return
    for one in found:
        typer.echo(
            f"{one.kind}: {one.attribute} {one.value}: {one.affected} of {one.lifts} lifts, "
            f"{one.expected:.1f} expected; {one.ratio:.1f} times the peers "
            f"({one.ratio_low:.1f} to {one.ratio_high:.1f}), false discovery {one.q:.1g}"
        )
    if not found:
        typer.echo(f"no group stands out among {len(lifts)} lifts and {len(faults)} faults of {days} days")


def _is_fault(alarm: Alarm) -> bool:
    """Emergencies are counted as rescues; what is only journalled is nothing that failed."""
    return Priority.JOURNAL < alarm.priority < Priority.EMERGENCY


def _alarms(tx: Reads, since: int) -> Iterator[Alarm]:
    before: int | None = None
    while page := tx.alarms(before=before, most=_PAGE):
        for alarm in page:
            if alarm.raised_at < since:
                return
            yield alarm
        before = page[-1].raised_at


def read_batches(file: Path, lifts: Sequence[Lift]) -> dict[str, list[str]]:
    """Read attributes of lifts: a CSV whose first column is the rescue or registration code; raises Invalid."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            header, *rows = list(csv.reader(opened))
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise Invalid(str(file), f"cannot be read as CSV with a header: {error}") from error
    slot = {lift.registration_code: number for number, lift in enumerate(lifts)}
    slot |= {lift.rescue_code: number for number, lift in enumerate(lifts)}
    attributes = {name: [""] * len(lifts) for name in header[1:]}
    for row in rows:
        if row and row[0] in slot:
            for name, value in zip(header[1:], row[1:], strict=False):
                attributes[name][slot[row[0]]] = value.strip()
    return attributes
