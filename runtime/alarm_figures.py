"""The alarm desk's own figures for the metrics page: the last ten minutes and the last day."""

from __future__ import annotations

from typing import Final

from alarms.kpis import STEP_US, kpis, metrics
from lift.metrics import Metric
from lift.ports import Records

_DAY_US: Final = 24 * 3600 * 1_000_000


def alarm_figures(records: Records, now: int, *, operators: int) -> list[Metric]:
    """Give the figures; `operators` 0 = as many as there are dispatchers signed in."""
    with records.read() as tx:
        people = operators or max(1, tx.signed_in("dispatcher", now))
        stock = tx.alarm_stock(now)
        step = tx.alarm_rates(now - STEP_US, now + 1, step_us=STEP_US + 1)
        day = tx.alarm_rates(now - _DAY_US, now, step_us=STEP_US)
    return metrics(
        kpis(step, stock, start=now - STEP_US, end=now, operators=people),
        kpis(day, stock, start=now - _DAY_US, end=now, operators=people),
    )
