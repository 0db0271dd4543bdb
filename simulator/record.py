"""Writing a simulation down: telemetry, truth and usage as Parquet, truth also as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from lift import batch as batches
from lift.batch import Batch
from lift.wire import arrow
from simulator.truth import Kind, Truth

# So many readings are gathered for one row group: large enough to compress well, small beside the lifts themselves.
ROWS_GATHERED: Final = 400_000
_US: Final = pa.timestamp("us", tz="UTC")

TRUTH_SCHEMA: Final = pa.schema(
    [
        ("event", pa.int64()),
        ("lift", pa.string()),
        ("kind", pa.string()),
        ("code", pa.int16()),
        ("cause", pa.string()),
        ("near_miss", pa.bool_()),
        ("onset", _US),
        ("observable_at", _US),
        ("end", _US),
        ("people", pa.int16()),
        ("trapped_s", pa.float64()),
    ]
)


class TelemetryFile:
    """One Parquet file of readings, the columns of a batch; written in large pieces, complete once closed."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self._gathered: list[Batch] = []
        self._rows = 0
        self.readings = 0

    def append(self, batch: Batch) -> None:
        """Add readings."""
        if not len(batch):
            return
        self._gathered.append(batch)
        self._rows += len(batch)
        self.readings += len(batch)
        if self._rows >= ROWS_GATHERED:
            self._write()

    def close(self) -> None:
        """Write what is left and finish the file."""
        self._write()
        if self._writer is not None:
            self._writer.close()

    def _write(self) -> None:
        if not self._gathered:
            return
        table = arrow.to_table(batches.concat(self._gathered))
        self._gathered, self._rows = [], 0
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table, row_group_size=table.num_rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_truth(directory: Path, records: Iterable[Truth]) -> int:
    """Write truth.parquet and truth.jsonl in order of onset; gives the number of records."""
    ordered = sorted(records, key=lambda record: (record.onset, record.lift, record.event, record.kind))
    with (directory / "truth.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(record.to_json() + "\n" for record in ordered)
    rows = [asdict(record) for record in ordered]
    pq.write_table(pa.Table.from_pylist(rows, TRUTH_SCHEMA), directory / "truth.parquet", compression="zstd")
    return len(ordered)


def read_truth(directory: Path) -> list[Truth]:
    """Read the records of truth.jsonl."""
    with (directory / "truth.jsonl").open(encoding="utf-8") as file:
        return [Truth(**(row | {"kind": Kind(row["kind"])})) for row in map(json.loads, file)]


def write_columns(path: Path, parts: Sequence[Mapping[str, Any]]) -> None:
    """Write columns that came in parts, end to end, as one Parquet file."""
    tables = [pa.table(dict(part)) for part in parts]
    pq.write_table(pa.concat_tables(tables), path, compression="zstd")


def read_columns(path: Path) -> dict[str, Any]:
    """Read a Parquet file as numpy columns."""
    table = pq.read_table(path)
    return {name: table.column(name).to_numpy() for name in table.column_names}
