"""What is known of a lift now: the newest value of each signal and when it was reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from api.shapes import Moment, Shape
from lift.codes import NOT_REPORTED, Code, unpack
from lift.ports import Telemetry
from lift.signals import SIGNALS, Signal

# An idle lift reports every 10 to 30 s, so this holds its newest value of nearly every signal. What is older than
# this is shown without its time, since finding that would mean to read the whole week.
_RECENT_US: Final = 15 * 60 * 1_000_000
_KNOWN_US: Final = 7 * 86_400 * 1_000_000


class SignalValue(Shape):
    """A signal's newest value; `at` and `age_s` are null when it is more than 15 minutes old."""

    value: Annotated[float | int, Field(examples=[1.75])]
    unit: Annotated[str, Field(examples=["m/s"])]
    meaning: Annotated[str | None, Field(examples=[None], description="What this value of a flag or choice says")]
    at: Moment | None
    age_s: Annotated[float | None, Field(examples=[1.2])]


@dataclass(frozen=True, slots=True)
class Known:
    """The newest that is known of one lift; times in µs since 1970 UTC, None = never heard or not reported."""

    heard_at: int | None
    signals: Mapping[str, SignalValue]
    codes: Sequence[Code] | None


def newest(telemetry: Telemetry, lift: str, *, now: int) -> Known:
    """Find the newest value of each signal reported in the last seven days."""
    batch = telemetry.latest([lift], since=now - _KNOWN_US)
    if not len(batch):
        return Known(None, {}, None)
    last = len(batch) - 1
    # The newest reading may bear a time ahead of ours: the clocks of terminals differ.
    heard_at = int(batch.at[last])
    recent = telemetry.history(lift, SIGNALS, start=now - _RECENT_US, end=max(now, heard_at) + 1)
    times: dict[Signal, int] = {}
    for signal, values in recent.columns.items():
        reported = np.flatnonzero(~np.isnan(values))
        if len(reported):
            times[signal] = int(recent.at[reported[-1]])
    signals = {
        # Through text, so that a 32-bit 0.1 is 0.1 and not 0.10000000149.
        signal.name: _shape(signal, float(str(values[last])), times.get(signal), now)
        for signal, values in batch.columns.items()
        if not np.isnan(values[last])
    }
    active = int(batch.code_sets()[last])
    return Known(heard_at, signals, None if active == NOT_REPORTED else unpack(active))


def _shape(signal: Signal, value: float, at: int | None, now: int) -> SignalValue:
    return SignalValue(
        value=int(value) if signal.whole else value,
        unit=signal.unit,
        meaning=signal.values.get(int(value)) if signal.whole else None,
        at=at,
        age_s=None if at is None else (now - at) / 1e6,
    )
