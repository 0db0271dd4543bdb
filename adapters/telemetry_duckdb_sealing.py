"""Sealing: rows of closed tables become Parquet files, sorted by lift and time, small in size and quick to search.

A file is written beside the list, made durable, and then put on the list in the transaction that takes off what it
replaces. Killed at any point, the store holds each row where it was or where it goes; what is on no list is deleted
at the next start. Work is cut into slices of SLICE_ROWS rows, so that other threads get their turn.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adapters import telemetry_duckdb_pieces as pieces_of
from adapters import telemetry_duckdb_sql as sql
from adapters.telemetry_duckdb_pieces import Run, Table
from adapters.telemetry_duckdb_shelf import Shelf, once, to_arrow, transaction
from lift.batch import Batch
from lift.ports import Span

SLICE_ROWS: Final = 500_000
ROW_GROUP_ROWS: Final = 131_072
# A file's list of row groups has to be read before its rows: with so many rows that takes a millisecond, and a lift's
# day lies in one file of each sealing. It takes 30 MB.
FILE_ROWS: Final = 2_000_000
# Files are merged while they are smaller than this together: 1.5 to 2 GB of readings.
MERGED_ROWS_MAX: Final = 100_000_000
_MERGE_FROM: Final = 8

# What a slice is for besides the file: it gets the rows, sorted by lift and time, each once.
OnSlice = Callable[[Batch], None]


class SealedFile:
    """A Parquet file being written: slices in order of lift go in; it has its name when all of it is durable."""

    def __init__(self, shelf: Shelf, part: int, number: int) -> None:
        """Begin the file."""
        self._path = pieces_of.path_of(shelf.folder, shelf.kind, part, number)
        self._partial = self._path.with_suffix(".partial")
        self._names = shelf.names
        self._types = shelf.sql.arrow_types
        identity = [("name", pa.dictionary(pa.int32(), pa.string())), ("lift", pa.int32()), ("at", pa.timestamp("us"))]
        self._schema = pa.schema([*identity, *self._types.items()])
        self._writer: pq.ParquetWriter | None = None
        self.part, self.number = part, number
        self.rows = 0
        self._first, self._last = np.iinfo(np.int64).max, np.iinfo(np.int64).min
        self._lowest = self._highest = -1

    def __enter__(self) -> Self:
        """Open it."""
        floats = [name for name, sort in self._types.items() if pa.types.is_floating(sort)]
        self._writer = pq.ParquetWriter(
            self._partial,
            self._schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=["name", "lift", *(name for name in self._types if name not in floats)],
            # Sensor noise has few bits in common but those of its sign and size: measured a third smaller so.
            column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT") | {"at": "DELTA_BINARY_PACKED"},
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind when something failed."""
        if self._writer is not None:
            self._writer.close()
        if error is not None or not self.rows:
            self._partial.unlink(missing_ok=True)

    def add(self, batch: Batch) -> None:
        """Write rows that are sorted by lift and time and lie behind all before."""
        if not len(batch):
            return
        assert self._writer is not None
        table = to_arrow(batch, batch.lift)
        used, which = np.unique(batch.lift, return_inverse=True)
        names = pa.DictionaryArray.from_arrays(
            pa.array(which, pa.int32()), pa.array([self._names[number] for number in used], pa.string())
        )
        nothing = {name: pa.nulls(len(batch), sort) for name, sort in self._types.items()}
        columns = [names, table["lift"], table["at"]]
        columns += [table[name] if name in table.column_names else nothing[name] for name in self._types]
        self._writer.write_table(pa.table(columns, schema=self._schema), row_group_size=ROW_GROUP_ROWS)
        self.rows += len(batch)
        self._first = min(self._first, int(batch.at.min()))
        self._last = max(self._last, int(batch.at.max()))
        self._lowest = self._lowest if self._lowest >= 0 else int(batch.lift[0])
        self._highest = int(batch.lift[-1])

    def done(self, *, rank: int, thinned: bool = False) -> Run:
        """Make the file durable under its name and describe it."""
        assert self._writer is not None
        self._writer.close()
        self._writer = None
        with self._partial.open("rb") as file:
            os.fsync(file.fileno())
        self._partial.rename(self._path)
        _sync_folder(self._path.parent)
        return Run(
            number=self.number,
            rank=rank,
            part=self.part,
            first=self._first,
            last=self._last,
            lowest=self._lowest,
            highest=self._highest,
            size=self.rows,
            bytes=self._path.stat().st_size,
            thinned=thinned,
            columns=tuple(self._types),
            path=self._path,
        )


def seal(
    shelf: Shelf, table: Table, on_slice: OnSlice, *, slice_rows: int = SLICE_ROWS, file_rows: int = FILE_ROWS
) -> Iterator[int]:
    """Move a closed table's rows into files, some for each part of time; gives the rows of each slice when done."""
    width = shelf.kind.part_us
    asked = f'SELECT DISTINCT epoch_us("at") // {width} AS part FROM {table.name} ORDER BY part'  # noqa: S608
    parts = shelf.read(asked)["part"]
    runs: list[Run] = []
    for part in parts.tolist():
        where = sql.within(part * width, (part + 1) * width)
        slices = _slices(shelf, [table], where, slice_rows)
        yield from _files(shelf, part, _noted(slices, on_slice), rank=table.number, runs=runs, file_rows=file_rows)
    with shelf.cursor() as writer, transaction(writer):
        for run in runs:
            pieces_of.add_run(writer, shelf.kind, run)
        writer.execute("DELETE FROM tables WHERE kind = ? AND number = ?", [shelf.kind.name, table.number])
        writer.execute(f"DROP TABLE {table.name}")
    shelf.reload()


def worth_merging(shelf: Shelf, *, from_ranks: int = _MERGE_FROM, rows_max: int = MERGED_ROWS_MAX) -> list[Run]:
    """Find a part of time that was sealed many times, a little each: the newest of its files, to be merged; or none."""
    for _, group in groupby(sorted(shelf.pieces.runs, key=_part_and_rank), key=lambda run: run.part):
        some: list[Run] = []
        rows = 0
        # From the newest back, so that what is merged lies together in order of rank.
        for _, same in groupby(reversed(list(group)), key=lambda run: run.rank):
            runs = list(same)
            rows += sum(run.size for run in runs)
            if rows > rows_max or any(run.thinned for run in runs):
                break
            some = [*reversed(runs), *some]
        if len({run.rank for run in some}) >= from_ranks:
            return some
    return []


def merge_runs(
    shelf: Shelf, runs: Sequence[Run], *, slice_rows: int = SLICE_ROWS, file_rows: int = FILE_ROWS
) -> Iterator[int]:
    """Write files of one part of time anew as few; gives the rows of each slice when it is done."""
    new: list[Run] = []
    slices = _slices(shelf, runs, "TRUE", slice_rows)
    yield from _files(shelf, runs[0].part, slices, rank=runs[-1].rank, runs=new, file_rows=file_rows)
    replace(shelf, runs, new)


def thin(shelf: Shelf, run: Run, spans: Sequence[Span]) -> int:
    """Leave of a file only what lies within some spans; gives how many rows are gone."""
    numbers = {name: number for number, name in enumerate(shelf.names)} if spans else {}
    known = [span for span in spans if span.lift in numbers]
    kept = pa.table(
        {
            "lift": pa.array([numbers[span.lift] for span in known], pa.int32()),
            "start": pa.array([span.start for span in known], pa.int64()),
            "stop": pa.array([span.end for span in known], pa.int64()),
        }
    )
    columns = ", ".join(f"stored.{name}" for name in shelf.sql.columns)
    with SealedFile(shelf, run.part, _next_number(shelf)) as file:
        if known:
            rows = shelf.read(
                f'SELECT DISTINCT stored.lift AS lift, epoch_us(stored."at") AS moment, {columns} '  # noqa: S608
                f"FROM ({shelf.sql.rows([run], shelf.sql.columns, 'TRUE')}) AS stored JOIN kept "
                'ON stored.lift = kept.lift AND epoch_us(stored."at") >= kept.start '
                'AND epoch_us(stored."at") < kept.stop ORDER BY lift, moment',
                kept=kept,
            )
            file.add(shelf.batch(shelf.names, rows["lift"], rows))
        replace(shelf, [run], [file.done(rank=run.rank, thinned=True)] if file.rows else [])
        return run.size - file.rows


def replace(shelf: Shelf, old: Sequence[Run], new: Sequence[Run]) -> None:
    """Put files on the list in place of others, and delete those."""
    with shelf.cursor() as writer, transaction(writer):
        for run in new:
            pieces_of.add_run(writer, shelf.kind, run)
        pieces_of.drop_runs(writer, shelf.kind, old)
    shelf.reload()
    for run in old:
        run.path.unlink(missing_ok=True)


def _files(
    shelf: Shelf, part: int, slices: Iterator[Batch], *, rank: int, runs: list[Run], file_rows: int
) -> Iterator[int]:
    """Write slices into files of about a size, noting each as a run; gives the rows of each slice."""
    following = next(slices, None)
    while following is not None:
        with SealedFile(shelf, part, _next_number(shelf)) as file:
            while following is not None and file.rows < file_rows:
                file.add(following)
                yield len(following)
                following = next(slices, None)
            runs.append(file.done(rank=rank))


def _noted(slices: Iterator[Batch], on_slice: OnSlice) -> Iterator[Batch]:
    for batch in slices:
        on_slice(batch)
        yield batch


def _part_and_rank(run: Run) -> tuple[int, int, int]:
    return run.part, run.rank, run.number


def _slices(shelf: Shelf, pieces: Sequence[Run | Table], where: str, slice_rows: int) -> Iterator[Batch]:
    """Give the rows of pieces in order of lift and time, each once, in slices of whole lifts and about a size."""
    sources = [source for source, _ in sql.sources(pieces)]
    counted = " UNION ALL ".join(f"SELECT lift FROM {source} WHERE {where}" for source in sources)  # noqa: S608
    lifts = shelf.read(f"SELECT lift, count(*) AS rows FROM ({counted}) GROUP BY lift ORDER BY lift")  # noqa: S608
    slot = (np.cumsum(lifts["rows"]) - lifts["rows"]) // slice_rows
    for one in np.unique(slot):
        some = lifts["lift"][slot == one]
        between = f"{where} AND lift BETWEEN {some[0]} AND {some[-1]}"
        rows = shelf.read(shelf.sql.everything(pieces, between, 'lift, "at"'))
        yield once(shelf.batch(shelf.names, rows["lift"], rows))


def _next_number(shelf: Shelf) -> int:
    """Give a number that no file ever had."""
    with shelf.cursor() as cursor:
        [number] = cursor.execute("SELECT nextval('run_numbers')").fetchall()[0]
        return int(number)


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
