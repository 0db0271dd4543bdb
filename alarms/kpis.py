"""Figures about the alarm desk itself: is what people are shown what people can handle? Pure.

Bands of ISA-18.2 and EEMUA 191 for one operator: one alarm in ten minutes is steady, two the most that can be handled
over a long time, more than ten a flood, in less than 1 % of the intervals; priorities 80 % low, 15 % medium, 5 %
high; no alarm chatters and fewer than five are stale; the ten busiest sources make less than 5 % of the load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lift.alarm import Priority
from lift.alarm_ports import AlarmRates, AlarmStock
from lift.errors import Invalid
from lift.metrics import Metric, metric

STEP_US: Final = 600_000_000
SPAN_MAX_US: Final = 31 * 24 * 3600 * 1_000_000
FLOOD_PER_STEP: Final = 10
# Share of the alarms that each priority should have; what we call an emergency is of the highest too.
MIX_AIMS: Final[Mapping[str, float]] = {"low": 0.80, "medium": 0.15, "high": 0.05}


@dataclass(frozen=True, slots=True)
class Source:
    """A rule of a lift, with how often it was shown and its share of all that was."""

    lift: str
    rule: str
    alarms: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Kpis:
    """The desk's load over a time, for one operator; times in µs since 1970 UTC, steps of ten minutes.

    `flood_share` is the share of steps in which an operator was shown more than ten alarms. `mix` gives the shares of
    low, medium, and high with emergency; None where nothing was shown.
    """

    start: int
    end: int
    operators: int
    shown: int
    per_step: float
    peak: float
    flood_share: float
    acknowledged: int
    acknowledge_s: float | None
    sources: tuple[Source, ...]
    sources_share: float | None
    mix: Mapping[str, float] | None
    stock: AlarmStock


def check_span(start: int, end: int) -> None:
    """Refuse a time that is empty or too long to count; raises Invalid."""
    if not start < end:
        raise Invalid("from", "must be earlier than `to`")
    if end - start > SPAN_MAX_US:
        raise Invalid("from", "is more than 31 days before `to`")


def kpis(rates: AlarmRates, stock: AlarmStock, *, start: int, end: int, operators: int) -> Kpis:
    """Work the figures out; `rates` counted in steps of STEP_US from `start` on, `operators` is at least 1."""
    assert operators >= 1, "somebody must be at the desk"
    steps = max(1, -(-(end - start) // STEP_US))
    shown = sum(rates.shown.values())
    floods = sum(count / operators > FLOOD_PER_STEP for count in rates.shown.values())
    total = sum(rates.by_priority.values())
    sources = tuple(Source(lift, rule, count, count / total) for lift, rule, count in rates.sources)
    return Kpis(
        start=start,
        end=end,
        operators=operators,
        shown=shown,
        per_step=shown / operators / ((end - start) / STEP_US),
        peak=max(rates.shown.values(), default=0) / operators,
        flood_share=floods / steps,
        acknowledged=rates.acknowledged,
        acknowledge_s=None if rates.acknowledge_us is None else rates.acknowledge_us / 1e6,
        sources=sources,
        sources_share=sum(source.share for source in sources) if total else None,
        mix=_mix(rates.by_priority, total) if total else None,
        stock=stock,
    )


def _mix(counts: Mapping[Priority, int], total: int) -> dict[str, float]:
    highest = counts.get(Priority.HIGH, 0) + counts.get(Priority.EMERGENCY, 0)
    named = {"low": counts.get(Priority.LOW, 0), "medium": counts.get(Priority.MEDIUM, 0), "high": highest}
    return {name: count / total for name, count in named.items()}


def metrics(last_step: Kpis, last_day: Kpis) -> list[Metric]:
    """Give the figures of the last ten minutes and of the last day for Prometheus."""
    stock = last_step.stock
    states = {
        "in_sight": stock.in_sight,
        "stale": stock.stale,
        "chattering": stock.chattering,
        "shelved": stock.shelved,
        "suppressed": stock.suppressed,
        "out_of_service": stock.out_of_service,
    }
    found = [
        Metric(
            "liftwatch_alarms",
            "gauge",
            "Standing alarms by condition",
            tuple(({"condition": name}, float(count)) for name, count in states.items()),
        ),
        metric("liftwatch_operators", "gauge", "People at the desk", last_step.operators),
        metric(
            "liftwatch_alarms_per_operator", "gauge", "Shown to each operator in the last ten minutes", last_step.peak
        ),
        metric("liftwatch_alarms_per_operator_mean", "gauge", "Per ten minutes, mean of a day", last_day.per_step),
        metric("liftwatch_alarms_per_operator_peak", "gauge", "Most in ten minutes of a day", last_day.peak),
        metric("liftwatch_alarm_flood_share", "gauge", "Share of a day's intervals above ten", last_day.flood_share),
    ]
    if last_day.acknowledge_s is not None:
        found.append(
            metric("liftwatch_alarm_acknowledge_seconds", "gauge", "Mean time to it, a day", last_day.acknowledge_s)
        )
    if last_day.sources_share is not None:
        found.append(metric("liftwatch_alarm_top_sources_share", "gauge", "Of ten, a day", last_day.sources_share))
    mix = (last_day.mix or {}).items()
    shares = tuple(({"priority": name}, share) for name, share in mix)
    return [*found, Metric("liftwatch_alarm_priority_share", "gauge", "Share of a day's alarms", shares)]
