"""The catalogue: every signal a reading or trip may carry and every code an alarm may have."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from api.guard import Guarded
from api.shapes import Shape
from lift.codes import NAMES, label
from lift.signals import SIGNALS, Signal
from lift.trips import TRIP_SIGNALS

router = APIRouter(prefix="/v1", tags=["platform"], route_class=Guarded)


class SignalOut(Shape):
    """A signal with its unit and accepted range; `item` is its name in GB/T 24476, where it has one."""

    name: Annotated[str, Field(examples=["car_speed"])]
    unit: Annotated[str, Field(examples=["m/s"])]
    low: Annotated[float, Field(examples=[-20])]
    high: Annotated[float, Field(examples=[20])]
    en: Annotated[str, Field(examples=["Car speed, up positive"])]
    zh: Annotated[str, Field(examples=["轿厢速度"])]
    item: Annotated[str, Field(examples=[""])]
    whole: Annotated[bool, Field(examples=[False])]
    values: Annotated[dict[int, str], Field(examples=[{}])]

    @classmethod
    def of(cls, signal: Signal) -> SignalOut:
        """Shape a signal."""
        return cls(
            name=signal.name,
            unit=signal.unit,
            low=signal.low,
            high=signal.high,
            en=signal.en,
            zh=signal.zh,
            item=signal.item,
            whole=signal.whole,
            values=signal.values,
        )


class CodeOut(Shape):
    """A GB/T 24476 code."""

    code: Annotated[str, Field(examples=["11"])]
    en: Annotated[str, Field(examples=["Entrapment"])]
    zh: Annotated[str, Field(examples=["困人"])]


class Catalogue(Shape):
    """What readings and trips may carry and what codes mean."""

    signals: list[SignalOut]
    trip_signals: list[SignalOut]
    codes: list[CodeOut]


@router.get("/catalogue")
def catalogue() -> Catalogue:
    """List signals with their units and ranges, and codes with their names, in English and Chinese."""
    return Catalogue(
        signals=[SignalOut.of(signal) for signal in SIGNALS],
        trip_signals=[SignalOut.of(signal) for signal in TRIP_SIGNALS],
        codes=[CodeOut(code=label(code), en=en, zh=zh) for code, (en, zh) in NAMES.items()],
    )
