"""Machine room too hot: the machine room is above 40 °C.

Hazard: drives trip in the heat of summer and shut people in.
Clears: the room is below 38 °C.
"""

from __future__ import annotations

from typing import Final

from alarms.readings import Readings
from alarms.rule import Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.signals import MACHINE_ROOM_TEMPERATURE

HOT_C: Final = 40.0  # EN 81-20 0.4.2, GB/T 7588.1: +5 to +40 °C
BACK_C: Final = 2.0


class MachineRoomHot(Rule):
    """Above the limit for five minutes."""

    priority = Priority.LOW
    on_delay_s = 300.0

    def holds(self, now: Readings) -> Mask:
        """EN 81-20 asks for +5 to +40 °C."""
        return now[MACHINE_ROOM_TEMPERATURE] > HOT_C

    def clears(self, now: Readings) -> Mask:
        """A little below."""
        return now[MACHINE_ROOM_TEMPERATURE] < HOT_C - BACK_C
