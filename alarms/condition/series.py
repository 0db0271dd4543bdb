"""Scores of an exported series: how abnormal each row is, from the rows before it alone."""

from __future__ import annotations

from typing import Final

import numpy as np

from alarms.condition.charts import CELLS, Charts
from alarms.condition.frozen import BAR_MANY, BAR_ONE, CLEAN_LEAST, Frozen, smoothed
from lift.batch import Floats, Ints
from lift.errors import Invalid

ALARM_SCORE: Final = 0.5
_DAY_S: Final = 86_400.0
_CELL_S: Final = _DAY_S / CELLS
# A profile of the day is believed from the third day on.
_PROFILE_AFTER_S: Final = 2.0 * _DAY_S
# Rows taken together, so that memory stays bounded however long a series is.
_ROWS: Final = 2_048


def score_series(values: Floats, times: Floats | None = None, *, clean: int = 0) -> Floats:
    """Score rows [rows, columns] (or [rows]) in [0, 1]; 0.5 and more is an alarm.

    `times` [rows] are seconds since 1970 in any one time zone, NaN or None where nobody knows; only the time of day is
    used. NaN and infinite values are missing. The first `clean` rows are taken as good: they score 0, and beside the
    adaptive charts a frozen baseline made of them judges the rest. A row's score depends on it and the rows before it.
    Raises Invalid.
    """
    table = np.asarray(values, np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2:  # noqa: PLR2004 - rows and columns
        raise Invalid("values", f"have {table.ndim} dimensions; give rows, or rows and columns")
    rows = len(table)
    if clean and not CLEAN_LEAST <= clean <= rows:
        raise Invalid("calibrate", f"{clean} clean rows: give {CLEAN_LEAST} to the {rows} there are")
    if not table.size:
        return np.zeros(rows)
    # So large that their squares still are numbers.
    table = np.clip(np.where(np.isfinite(table), table, np.nan), -1e100, 1e100)
    near = _adaptive(table, times)
    if clean:
        near[:clean] = 0.0
        near[clean:] = np.maximum(near[clean:], _frozen(table, clean)[clean:])
    score: Floats = near / (1.0 + near)
    return score


def _adaptive(table: Floats, times: Floats | None) -> Floats:
    cells, judges = _clock(len(table), times)
    charts = Charts(table.shape[1])
    near = np.empty(len(table))
    for start in range(0, len(table), _ROWS):
        here = slice(start, start + _ROWS)
        near[here] = charts.take(table[here, :, None], cells[here, None], judges_day=judges[here, None])[:, 0]
    return near


def _frozen(table: Floats, clean: int) -> Floats:
    vectors = smoothed(table)
    bar = BAR_MANY if table.shape[1] > 1 else BAR_ONE
    near: Floats = Frozen.of(vectors[:clean]).unlikely(vectors) / bar
    return near


def _clock(rows: int, times: Floats | None) -> tuple[Ints, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Give the half hour of each row, -1 where nobody knows, and where a profile of the day is old enough."""
    if times is None:
        return np.full(rows, -1, np.int64), np.zeros(rows, np.bool_)
    at = np.asarray(times, np.float64)
    if len(at) != rows:
        raise Invalid("times", f"{len(at)} times of {rows} rows")
    known = np.isfinite(at)
    sound = np.where(known, at, 0.0)
    cells = np.where(known, (sound % _DAY_S) // _CELL_S, -1).astype(np.int64)
    since = sound - (sound[known][0] if known.any() else 0.0)
    return np.minimum(cells, CELLS - 1), known & (since >= _PROFILE_AFTER_S)
