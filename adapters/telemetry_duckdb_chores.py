"""What a DuckDB telemetry store does to itself in quiet: seal, roll up, merge, thin out, remove. One step at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from adapters import telemetry_duckdb_sql as sql
from adapters.telemetry_duckdb_pieces import Run
from adapters.telemetry_duckdb_sealing import merge_runs, replace, seal, thin, worth_merging
from adapters.telemetry_duckdb_shelf import Shelf
from adapters.telemetry_identity import arrange
from adapters.telemetry_minutes import MINUTE, roll_up
from lift.batch import Batch, concat
from lift.ports import Span, Tidied

# A table is closed when it has so many rows, or two hours after its part of time is over: most late rows are in by
# then, so that a part lies in few files. The rows are what a city of 10,000 lifts reports in an hour or two.
ROWS_MAX: Final = 20_000_000
_SETTLE_US: Final = 2 * 3_600_000_000


@dataclass(frozen=True, slots=True)
class Shelves:
    """The store's three kinds of rows."""

    readings: Shelf
    trips: Shelf
    minutes: Shelf


def chores(
    shelves: Shelves, *, now: int, raw_before: int, long_before: int, around: Callable[[int, int], Sequence[Span]]
) -> Iterator[Tidied]:
    """Do everything that is due, in bounded steps; gives what each has done."""
    for shelf in (shelves.readings, shelves.trips, shelves.minutes):
        if _is_due(shelf, now):
            shelf.rotate(now)
        yield from _sealed(shelf, shelves, raw_before)
        if runs := worth_merging(shelf):
            for _ in merge_runs(shelf, runs):
                yield Tidied(more=True)
    for run in shelves.readings.pieces.runs:
        if run.last < raw_before and not run.thinned:
            yield _thinned(shelves.readings, run, around)
    for shelf, what in ((shelves.trips, "trips"), (shelves.minutes, "minutes")):
        for run in shelf.pieces.runs:
            if run.last < long_before:
                replace(shelf, [run], [])
                yield Tidied(freed_bytes=run.bytes, more=True, **{what: run.size})


def _is_due(shelf: Shelf, now: int) -> bool:
    """Say whether a shelf's table is to be closed."""
    rows = int(shelf.read(f"SELECT count(*) AS n FROM {shelf.pieces.active.name}")["n"][0])  # noqa: S608
    since = shelf.keep_since(now)
    width = shelf.kind.part_us
    return rows >= ROWS_MAX or (rows > 0 and (now - _SETTLE_US) // width > since // width)


def _sealed(shelf: Shelf, shelves: Shelves, raw_before: int) -> Iterator[Tidied]:
    for table in shelf.pieces.tables[:-1]:
        made = 0

        def note(batch: Batch) -> None:
            nonlocal made
            shelf.note_newest(batch)
            if shelf is shelves.readings:
                made += _roll_up(batch, shelves, raw_before)

        for _ in seal(shelf, table, note):
            yield Tidied(rolled_up=made, more=True)
            made = 0


def _roll_up(batch: Batch, shelves: Shelves, raw_before: int) -> int:
    """Make the minutes of rows that are being sealed, with all that is sealed of the same minutes already."""
    start, end = int(batch.at.min()) // MINUTE * MINUTE, int(batch.at.max()) + 1
    lifts = (int(batch.lift.min()), int(batch.lift.max()))
    runs = [run for run in shelves.readings.pieces.runs if run.overlaps(start, end, lifts)]
    if runs:
        batch = _sorted(concat([_same_minutes(batch, shelves.readings, runs), batch]))
    minutes = roll_up(batch)
    # Where readings may be gone already, what was made of all of them must not be replaced by what is left.
    old = minutes.at < raw_before
    if old.any():
        whole = minutes.take(~old)
        late = minutes.take(old)
        minutes = concat([whole, late.take(~shelves.minutes.known(late))])
    shelves.minutes.append(minutes)
    return len(minutes)


def _same_minutes(batch: Batch, shelf: Shelf, runs: Sequence[Run]) -> Batch:
    """Find the sealed rows of the minutes that a batch has rows of."""
    minute = batch.at // MINUTE
    first = np.concatenate([[True], (batch.lift[1:] != batch.lift[:-1]) | (minute[1:] != minute[:-1])])
    touched = pa.table({"lift": pa.array(batch.lift[first]), "minute": pa.array(minute[first])})
    lowest, highest = int(batch.lift.min()), int(batch.lift.max())
    start, end = int(minute.min()) * MINUTE, (int(minute.max()) + 1) * MINUTE
    where = f"{sql.within(start, end)} AND lift BETWEEN {lowest} AND {highest}"
    names = ", ".join(shelf.sql.columns)
    sealed = shelf.sql.rows(runs, shelf.sql.columns, where)
    rows = shelf.read(
        f'SELECT lift, epoch_us("at") AS moment, {names} FROM ({sealed}) AS stored '  # noqa: S608
        f"WHERE EXISTS (SELECT 1 FROM touched WHERE touched.lift = stored.lift "
        f'AND touched.minute = epoch_us(stored."at") // {MINUTE}) ORDER BY lift, "at", place',
        touched=touched,
    )
    return shelf.batch(batch.names, rows["lift"], rows)


def _sorted(batch: Batch) -> Batch:
    """Sort rows by lift and time and merge copies, the later one last."""
    merged, _, order = arrange(batch, batch.lift)
    return merged if order is None else merged.take(order)


def _thinned(shelf: Shelf, run: Run, around: Callable[[int, int], Sequence[Span]]) -> Tidied:
    before = {kept.number for kept in shelf.pieces.runs}
    removed = thin(shelf, run, around(run.first, run.last + 1))
    left = sum(kept.bytes for kept in shelf.pieces.runs if kept.number not in before)
    return Tidied(readings=removed, freed_bytes=run.bytes - left, more=True)
