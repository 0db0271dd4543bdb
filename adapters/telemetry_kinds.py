"""What a telemetry store keeps: readings and trips, two tables of the same shape with other columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lift.signals import SIGNALS, Signal
from lift.trips import TRIP_SIGNALS


@dataclass(frozen=True, slots=True)
class Kind:
    """One table, or measurement: its name, its signals, and whether its rows carry sets of message codes."""

    name: str
    signals: tuple[Signal, ...]
    codes: bool


READINGS: Final = Kind("telemetry", SIGNALS, codes=True)
TRIPS: Final = Kind("trip", TRIP_SIGNALS, codes=False)
