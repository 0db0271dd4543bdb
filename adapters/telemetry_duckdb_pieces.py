"""What a shelf's rows lie in: tables of the database for the newest, sealed Parquet files for the rest.

The list of pieces is itself two tables of the database, so a seal (file in, table out) is one transaction. Names of
tables and files are never used twice: a reader with an older list finds what it looks for, or sees that it is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, TypeAlias

import duckdb
import numpy as np

from adapters.telemetry_kinds import Kind

# From one lift's number to another's, both included.
Range: TypeAlias = tuple[int, int]
ALL_LIFTS: Final[Range] = (0, 2**31)

CREATE: Final = (
    "CREATE SEQUENCE IF NOT EXISTS run_numbers",
    "CREATE TABLE IF NOT EXISTS tables (kind VARCHAR NOT NULL, number BIGINT NOT NULL, since BIGINT)",
    """
    CREATE TABLE IF NOT EXISTS runs (
        kind VARCHAR NOT NULL, number BIGINT NOT NULL, rank BIGINT NOT NULL, part BIGINT NOT NULL,
        "first" BIGINT NOT NULL, "last" BIGINT NOT NULL, lowest INTEGER NOT NULL, highest INTEGER NOT NULL,
        size BIGINT NOT NULL, bytes BIGINT NOT NULL, thinned BOOLEAN NOT NULL, columns VARCHAR[] NOT NULL
    )
    """,
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the database; `since` is when the first tidying found it in use, None = none has yet."""

    name: str
    number: int
    since: int | None


@dataclass(frozen=True, slots=True)
class Run:
    """A sealed file: the rows of some lifts in one part of time, sorted by lift and time; never changed.

    Of two copies of a row the one in the run of higher `rank` is the later; runs of one rank and part have no lift in
    common. `first` and `last` bound its times in µs, `lowest` and `highest` its lifts by their numbers; `thinned` =
    only what lies around alarms is left of it.
    """

    number: int
    rank: int
    part: int
    first: int
    last: int
    lowest: int
    highest: int
    size: int
    bytes: int
    thinned: bool
    columns: tuple[str, ...]
    path: Path

    def overlaps(self, start: int, end: int, lifts: Range = ALL_LIFTS) -> bool:
        """Say whether it may hold rows with start <= at < end of lifts from one number to another."""
        return self.first < end and self.last >= start and self.lowest <= lifts[1] and self.highest >= lifts[0]


@dataclass(frozen=True, slots=True)
class Pieces:
    """A shelf's tables and runs in the order in which later copies of a row lie; the last table takes new rows."""

    tables: tuple[Table, ...]
    runs: tuple[Run, ...]

    @property
    def active(self) -> Table:
        """The table that takes new rows."""
        return self.tables[-1]

    def within(self, start: int, end: int, lifts: Range = ALL_LIFTS) -> list[Run | Table]:
        """Give the pieces that may hold rows of a time, and of lifts from one number to another."""
        return [*(run for run in self.runs if run.overlaps(start, end, lifts)), *self.tables]


_STORED: Final = tuple(one.name for one in fields(Run) if one.name != "path")
_NAMES: Final = ", ".join(f'"{name}"' for name in _STORED)


def folder_of(folder: Path, kind: Kind) -> Path:
    """Give where a kind's sealed files lie."""
    return folder / f"{kind.name}.sealed"


def path_of(folder: Path, kind: Kind, part: int, number: int) -> Path:
    """Name a sealed file by the first day of its part of time and its number."""
    day = np.datetime64(part * kind.part_us, "us").astype("datetime64[D]")
    return folder_of(folder, kind) / f"{day}-{number:08d}.parquet"


def load(database: duckdb.DuckDBPyConnection, kind: Kind, folder: Path) -> Pieces:
    """Read the list of a kind's pieces."""
    tables = database.execute("SELECT number, since FROM tables WHERE kind = ? ORDER BY number", [kind.name]).fetchall()
    runs = database.execute(
        f"SELECT {_NAMES} FROM runs WHERE kind = ? ORDER BY rank, number",  # noqa: S608 - our own names
        [kind.name],
    ).fetchall()
    return Pieces(
        tuple(Table(table_name(kind, number), number, since) for number, since in tables),
        tuple(_run(folder, kind, row) for row in runs),
    )


def table_name(kind: Kind, number: int) -> str:
    """Name a table of rows."""
    return f"{kind.name}_{number}"


def add_run(writer: duckdb.DuckDBPyConnection, kind: Kind, run: Run) -> None:
    """Put a run on the list."""
    bounds = [run.first, run.last, run.lowest, run.highest]
    row = [kind.name, run.number, run.rank, run.part, *bounds, run.size, run.bytes, run.thinned, list(run.columns)]
    writer.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def drop_runs(writer: duckdb.DuckDBPyConnection, kind: Kind, runs: Iterable[Run]) -> None:
    """Take runs off the list."""
    for run in runs:
        writer.execute("DELETE FROM runs WHERE kind = ? AND number = ?", [kind.name, run.number])


def remove_strangers(folder: Path, kind: Kind, pieces: Pieces) -> None:
    """Delete files that are on no list: of a seal that was cut short, or of a run that was replaced."""
    known = {run.path for run in pieces.runs}
    for path in folder_of(folder, kind).glob("*"):
        if path not in known:
            path.unlink()


def _run(folder: Path, kind: Kind, row: Sequence[Any]) -> Run:
    number, _, part, *_ = row
    values = dict(zip(_STORED, row, strict=True))
    values["columns"] = tuple(values["columns"])
    return Run(**values, path=path_of(folder, kind, part, number))
