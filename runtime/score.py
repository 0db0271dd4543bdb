"""`liftwatch score`: scores of exported series, and of trips of raw acceleration, in files."""

from __future__ import annotations

import csv
import datetime as dt
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from lift.batch import Floats
from lift.errors import Invalid

_SERIES: Final = "series"
_AXES: Final = ("x", "y", "z")
_TIME_NAMES: Final = ("time", "timestamp", "t", "at", "date", "datetime", "seconds", "time_s")
_SAMPLED: Final = 4


class _FileFirst(TyperGroup):
    """A group whose first word may be a file: then it is the series that are scored."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - its own click
        """Put the name of the usual command before a file or an option."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [_SERIES, *args]
        return super().parse_args(ctx, args)


score_app = typer.Typer(
    cls=_FileFirst,
    no_args_is_help=True,
    help="Score an exported series (`score FILE.csv`) or trips of raw acceleration (`score trips FILE...`).",
)


@score_app.command(_SERIES)
def series_command(
    file: Annotated[Path, typer.Argument(help="CSV: timestamp,value, or several value columns.")],
    calibrate: Annotated[int, typer.Option(help="The first N rows are known to be good.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write here instead of standard output.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Give each row of a series a score in [0, 1] from the rows before it: 0.5 and more is an alarm."""
    stamps, scores, remarks = score_file(file, calibrate=calibrate)
    for remark in remarks:
        typer.echo(f"liftwatch: {remark}", err=True)
    if as_json:
        rows = [{"timestamp": stamp, "score": score} for stamp, score in zip(stamps, scores, strict=True)]
        _write(out, json.dumps(rows, ensure_ascii=False) + "\n")
        return
    lines = [["timestamp", "score"], *([stamp, f"{score:.6f}"] for stamp, score in zip(stamps, scores, strict=True))]
    _write_csv(out, lines)


@score_app.command("trips")
def trips_command(
    files: Annotated[list[Path], typer.Argument(help="CSV files of one lift in time order: time,x,y,z.")],
    healthy: Annotated[float, typer.Option(help="Trips at the start that are healthy: a share, or a number.")] = 0.3,
    out: Annotated[Path | None, typer.Option(help="Write here instead of standard output.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Give each trip a score in [0, 1] beside the healthy ones at the start: 0.5 and more is an alarm."""
    scored = score_trip_files(files, healthy=healthy)
    if as_json:
        _write(out, json.dumps([asdict(trip) for trip in scored], ensure_ascii=False) + "\n")
        return
    _write_csv(out, [["file", "start", "score"], *([trip.file, trip.start, f"{trip.score:.6f}"] for trip in scored)])


@dataclass(frozen=True, slots=True)
class ScoredTrip:
    """One trip: its file, its start as ISO 8601 (or in the file's own seconds), its score in [0, 1]."""

    file: str
    start: str
    score: float


def score_file(file: Path, *, calibrate: int = 0) -> tuple[list[str], list[float], tuple[str, ...]]:
    """Score a CSV file: gives its time stamps word for word, a score each, and what could not be read.

    Raises Invalid.
    """
    from alarms.condition.series import score_series
    from runtime.tables import read_table

    table = read_table(file)
    scores = score_series(table.values, table.times if table.clock else None, clean=calibrate)
    return table.stamps, scores.tolist(), table.remarks


def score_trip_files(files: Sequence[Path], *, healthy: float = 0.3) -> list[ScoredTrip]:
    """Score the trips in files of one lift, in time order; raises Invalid."""
    from alarms.condition.recordings import features_of
    from alarms.condition.trip_scores import score_trips

    trips, names, starts = [], [], []
    for file in files:
        time, axes, clock = read_recording(file)
        try:
            found = features_of(time, axes)
        except Invalid as error:
            raise Invalid(str(file), str(error)) from error
        for trip in found:
            trips.append(trip)
            names.append(str(file))
            starts.append(_spell(trip.start, clock=clock))
    scores = score_trips(trips, healthy)
    return [ScoredTrip(*row) for row in zip(names, starts, scores.tolist(), strict=True)]


def read_recording(file: Path) -> tuple[Floats, Floats, bool]:
    """Read time (s), axes [samples, 3] and whether the time is of a calendar; raises Invalid.

    Columns are found by their names; without a header they are time, x, y, z in this order.
    """
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    try:
        with file.open("rb") as opened:
            first = opened.readline(65_536).decode("utf-8-sig")
        delimiter = max(",;\t", key=first.count)
        headless = all(_is_number(cell.strip().strip('"')) for cell in first.split(delimiter)[1:])
        table = arrow_csv.read_csv(
            file,
            read_options=arrow_csv.ReadOptions(autogenerate_column_names=headless),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter),
        )
    except (OSError, UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise Invalid(str(file), f"cannot be read as CSV: {error}") from error
    if table.num_columns < _SAMPLED:
        raise Invalid(str(file), f"has {table.num_columns} columns; time,x,y,z are wanted")
    time_at, axes_at = _columns([name.strip().lower() for name in table.column_names])
    try:
        axes = np.stack([table.column(at).cast(pa.float64()).to_numpy() for at in axes_at], axis=1)
    except pa.ArrowInvalid as error:
        raise Invalid(str(file), _first_odd(table, axes_at, headed=not headless)) from error
    time, clock = _seconds(table.column(time_at))
    return time, axes, clock


def _first_odd(table: Any, axes: Sequence[int], *, headed: bool) -> str:  # noqa: ANN401 - Arrow has no types
    """Name the first cell of an axis that is no number, by its line (of a file without blank lines) and column."""
    import pyarrow as pa

    rows = (
        (row, at) for row in range(table.num_rows) for at in axes if not pa.types.is_floating(table.column(at).type)
    )
    for row, at in rows:
        cell = table.column(at)[row].as_py()
        if isinstance(cell, str) and not _is_number(cell):
            return f"line {row + 1 + headed}, {table.column_names[at]}: {cell[:40]!r} is no number"
    return "has an axis that is no number"


def _columns(names: list[str]) -> tuple[int, list[int]]:
    """Find the time and the axes by name, else take the first four columns."""
    time = next((at for at, name in enumerate(names) if name in _TIME_NAMES), 0)
    found: list[int] = []
    for axis in _AXES:
        match = [
            at
            for at, name in enumerate(names)
            if at != time
            and (name == axis or name.replace("-", "_").split("_")[-1] == axis or name in {"a" + axis, "acc" + axis})
        ]
        found += match[:1]
    if len(found) < len(_AXES):
        found = [at for at in range(len(names)) if at != time][: len(_AXES)]
    return time, found


def _seconds(column: Any) -> tuple[Floats, bool]:  # noqa: ANN401 - Arrow has no types
    import numpy as np
    import pyarrow as pa

    from runtime.tables import read_times

    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", tz=column.type.tz)).cast(pa.int64()).to_numpy() / 1e6, True
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        numbers = column.cast(pa.float64()).to_numpy()
        scale, clock = read_times([str(float(np.nanmedian(np.abs(numbers))))]) if len(numbers) else (np.ones(1), False)
        middle = float(np.nanmedian(np.abs(numbers))) if len(numbers) else 1.0
        return (numbers * (float(scale[0]) / middle), True) if clock else (numbers, False)
    return read_times(column.to_pylist())


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _spell(start: float, *, clock: bool) -> str:
    if not clock:
        return f"{start:g}"
    return dt.datetime.fromtimestamp(start, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _write_csv(out: Path | None, lines: Sequence[Sequence[str]]) -> None:
    if out is None:
        csv.writer(sys.stdout, lineterminator="\n").writerows(lines)
        return
    with out.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)


def _write(out: Path | None, text: str) -> None:
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, "utf-8")
