"""Figures about the alarm desk itself, by ISA-18.2 and EEMUA 191."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from alarms.kpis import FLOOD_PER_STEP, MIX_AIMS, STEP_US, check_span, kpis
from api.guard import Guarded, SignedIn
from api.parts import With
from api.shapes import Moment, MomentIn, Shape

# Before the alarms themselves, whose keys would swallow the name.
router = APIRouter(prefix="/v1/alarms/kpis", tags=["alarms"], route_class=Guarded)

_DAY_US = 24 * 3600 * 1_000_000


class SourceOut(Shape):
    """A rule of a lift, with how often it was shown and its share of all that was."""

    lift: Annotated[str, Field(examples=["063577"])]
    rule: Annotated[str, Field(examples=["door_closing_fault"])]
    alarms: Annotated[int, Field(examples=[12])]
    share: Annotated[float, Field(examples=[0.04])]


class StockOut(Shape):
    """The alarms that stand now, and how many are in which condition."""

    standing: Annotated[int, Field(examples=[41])]
    in_sight: Annotated[int, Field(examples=[8])]
    stale: Annotated[int, Field(examples=[2], description="Standing for more than 24 h; fewer than five are fine")]
    chattering: Annotated[int, Field(examples=[0])]
    shelved: Annotated[int, Field(examples=[1])]
    suppressed: Annotated[int, Field(examples=[31])]
    out_of_service: Annotated[int, Field(examples=[1])]


class MixOut(Shape):
    """Shares of the priorities; emergencies count as high."""

    low: Annotated[float, Field(examples=[0.8])]
    medium: Annotated[float, Field(examples=[0.15])]
    high: Annotated[float, Field(examples=[0.05])]


class KpisOut(Shape):
    """The desk's load over a time: what was shown to people, per operator and ten minutes."""

    start: Moment
    end: Moment
    operators: Annotated[int, Field(examples=[3])]
    shown: Annotated[int, Field(examples=[310], description="Alarms and area incidents shown")]
    per_operator: Annotated[float, Field(examples=[0.7], description="Mean per 10 min: 1 is steady, 2 the most")]
    peak: Annotated[float, Field(examples=[6.0], description="Most shown to an operator in 10 min")]
    flood_share: Annotated[float, Field(examples=[0.0], description="Share of 10-min intervals above 10; below 0.01")]
    flood_above: Annotated[int, Field(examples=[10])]
    acknowledged: Annotated[int, Field(examples=[290])]
    acknowledge_s: Annotated[float | None, Field(examples=[74.2], description="Mean time to acknowledge")]
    sources: list[SourceOut]
    sources_share: Annotated[float | None, Field(examples=[0.03], description="Of the ten busiest; below 0.05")]
    mix: MixOut | None
    mix_aims: MixOut
    now: StockOut


@router.get("")
def alarm_kpis(
    parts: With,
    who: SignedIn,  # noqa: ARG001 - the guard has asked
    start: Annotated[MomentIn | None, Query(alias="from", description="A day before `to` when not given")] = None,
    end: Annotated[MomentIn | None, Query(alias="to", description="Now when not given")] = None,
) -> KpisOut:
    """Measure the load of the alarm desk, at most 31 days at once."""
    now = parts.clock.now()
    end = now if end is None else end
    start = end - _DAY_US if start is None else start
    check_span(start, end)
    with parts.records.read() as tx:
        people = parts.operators or max(1, tx.signed_in("dispatcher", now))
        found = kpis(
            tx.alarm_rates(start, end, step_us=STEP_US), tx.alarm_stock(now), start=start, end=end, operators=people
        )
    return KpisOut(
        start=found.start,
        end=found.end,
        operators=found.operators,
        shown=found.shown,
        per_operator=found.per_step,
        peak=found.peak,
        flood_share=found.flood_share,
        flood_above=FLOOD_PER_STEP,
        acknowledged=found.acknowledged,
        acknowledge_s=found.acknowledge_s,
        sources=[SourceOut(**asdict(source)) for source in found.sources],
        sources_share=found.sources_share,
        mix=None if found.mix is None else MixOut(**found.mix),
        mix_aims=MixOut(**MIX_AIMS),
        now=StockOut(**asdict(found.stock)),
    )
