"""Exported tables: CSV in, whatever the export calls its columns, and scores out."""

from __future__ import annotations

import csv
import datetime as dt
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

import numpy as np
from numpy.typing import NDArray

from lift.batch import Floats
from lift.errors import Invalid

# Epoch times come in s, ms, µs or ns; a number below the first is no time of our age.
_EPOCH_S: Final = ((1e8, 1e10, 1.0), (1e11, 1e13, 1e-3), (1e14, 1e16, 1e-6), (1e17, 1e19, 1e-9))
_FORMATS: Final = (
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%Y-%m-%d %H:%M:%S,%f",
)
_MISSING: Final = frozenset({"", "nan", "na", "n/a", "null", "none", "-", "?"})
# Labels that published collections carry beside their values; whoever scores must not see them.
_ANSWERS: Final = frozenset({"label", "labels", "anomaly", "is_anomaly", "is.anomaly", "changepoint", "ground_truth"})
_TRUTH: Final = {"true": 1.0, "false": 0.0, "on": 1.0, "off": 0.0}


@dataclass(frozen=True, slots=True)
class Table:
    """A table as exported: `stamps` word for word, `times` in s (NaN = unreadable), `clock` = times are of a calendar.

    `values` [rows, columns] are the columns `names`, NaN = missing. `remarks` say which cells could not be read.
    """

    stamps: list[str]
    times: Floats
    clock: bool
    names: list[str]
    values: Floats
    remarks: tuple[str, ...] = ()


def read_table(path: Path) -> Table:
    """Read a CSV file whose first column is the time and the others are values; raises Invalid.

    A column without any number is left out, and so is one that by its name holds the answer. A single column is
    values, whose times are their rows. Comma, semicolon and tab are told apart by themselves. A cell that is neither a
    number nor a word for none counts as missing, and a remark names the first of its column by its line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines, rows = _rows(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Invalid(str(path), f"cannot be read as CSV: {error}") from error
    if not rows:
        raise Invalid(str(path), "is empty; a header line and rows of timestamp,value are wanted")
    header, body = (rows[0], rows[1:]) if _is_header(rows[0]) else ([], rows)
    if not body:
        raise Invalid(str(path), f"line {lines[0]} is a header, and no row follows it")
    lines = lines[-len(body) :]
    width = max(len(row) for row in rows)
    if width == 1:
        # Values alone: their rows are their times.
        header, body = ["row", *header], [[str(number), *row] for number, row in enumerate(body)]
        width = 2
    header = header + [f"column {number + 1}" for number in range(len(header), width)]
    columns = [[row[number].strip() if number < len(row) else "" for row in body] for number in range(width)]
    values = np.array([[_number(cell) for cell in column] for column in columns[1:]], np.float64)
    values = values.reshape(width - 1, len(body))
    usable: NDArray[np.bool_] = np.asarray(np.isfinite(values).any(axis=1))
    usable &= np.array([name.strip().lower() not in _ANSWERS for name in header[1:]])
    if not usable.any():
        raise Invalid(str(path), "has no column of numbers beside the first, which is the time")
    times, clock = read_times(columns[0])
    names = [name for name, use in zip(header[1:], usable, strict=True) if use]
    odd = [_unread(path, lines, "times", columns[0], times, "is no time")]
    odd += [
        _unread(path, lines, name, column, read, "is no number")
        for name, column, read, use in zip(header[1:], columns[1:], values, usable, strict=True)
        if use
    ]
    return Table(columns[0], times, clock, names, values[usable].T, tuple(filter(None, odd)))


def _unread(path: Path, lines: list[int], name: str, cells: list[str], read: Floats, fault: str) -> str:
    """Name the first cell of a column that says something which could not be read, and count them; "" for none."""
    odd = [row for row in np.flatnonzero(np.isnan(read)) if cells[row].lower() not in _MISSING]
    if not odd:
        return ""
    more = f", and {len(odd) - 1} more like it" if len(odd) > 1 else ""
    return f"{path}: line {lines[odd[0]]}, {name}: {cells[odd[0]][:40]!r} {fault} and counts as missing{more}"


def _rows(file: TextIO) -> tuple[list[int], list[list[str]]]:
    """Read the rows that say anything, with the number of the line at which each ends."""
    start = file.read(8192)
    file.seek(0)
    first = start.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(file, delimiter=delimiter)
    found = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    return [line for line, _ in found], [row for _, row in found]


def _is_header(row: list[str]) -> bool:
    """A first line without a number beyond its first cell names the columns."""
    return not any(math.isfinite(_number(cell)) for cell in row[1:] or row)


def _number(cell: str) -> float:
    text = cell.strip()
    try:
        return float(text)
    except ValueError:
        low = text.lower()
        if low in _TRUTH:
            return _TRUTH[low]
        if low not in _MISSING and "," in text and "." not in text:
            return _number(text.replace(",", "."))
        return math.nan


def read_times(stamps: list[str]) -> tuple[Floats, bool]:
    """Read times as ISO 8601, some other usual forms, epoch numbers or plain numbers; gives s, and whether of a clock.

    >>> read_times(["2026-01-01T00:00:00Z", "2026-01-01 00:00:05+00:00"])[0].tolist()
    [1767225600.0, 1767225605.0]
    >>> read_times(["0", "1.5"])
    (array([0. , 1.5]), False)
    """
    numbers = np.array([_plain(stamp) for stamp in stamps], np.float64)
    if len(stamps) and np.isfinite(numbers).any():
        middle = float(np.nanmedian(np.abs(numbers)))
        for low, high, unit in _EPOCH_S:
            if low <= middle < high:
                return numbers * unit, True
        return numbers, False
    times = np.array([_moment(stamp) for stamp in stamps], np.float64)
    return times, bool(np.isfinite(times).any())


def _plain(stamp: str) -> float:
    try:
        return float(stamp)
    except ValueError:
        return math.nan


def _moment(stamp: str) -> float:
    text = stamp.strip()
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        for form in _FORMATS:
            try:
                moment = dt.datetime.strptime(text, form)  # noqa: DTZ007 - the zone is set below
            except ValueError:
                continue
            break
        else:
            return math.nan
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return moment.timestamp()
