"""What a telemetry store keeps: readings, trips and minutes, tables of the same shape with other columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lift.signals import SIGNALS, Signal
from lift.trips import TRIP_SIGNALS

DAY: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Kind:
    """One table, or measurement: its name, its signals, and whether its rows carry sets of message codes.

    A store that keeps files keeps one part of time, `part_us` long, in files of its own; it can be removed whole.
    """

    name: str
    signals: tuple[Signal, ...]
    codes: bool
    part_us: int = 30 * DAY


READINGS: Final = Kind("telemetry", SIGNALS, codes=True, part_us=DAY)
TRIPS: Final = Kind("trip", TRIP_SIGNALS, codes=False)
