"""Motor overheating: the hoisting motor is hotter than its windings bear for long.

Hazard: windings burn out, smoke in the machine room, and a car that stops anywhere.
Clears: the motor has cooled down by ten degrees.
"""

from __future__ import annotations

from typing import Final

from alarms.readings import Readings
from alarms.rule import Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.signals import MOTOR_TEMPERATURE

HOT_C: Final = 120.0  # windings of class F bear 155 °C at their hottest spot (IEC 60085)
BACK_C: Final = 10.0


class MotorOverheating(Rule):
    """Above the limit for a minute."""

    priority = Priority.MEDIUM
    on_delay_s = 60.0

    def holds(self, now: Readings) -> Mask:
        """Thermistors in windings of class F warn at about this heat."""
        return now[MOTOR_TEMPERATURE] >= HOT_C

    def clears(self, now: Readings) -> Mask:
        """Well below."""
        return now[MOTOR_TEMPERATURE] <= HOT_C - BACK_C
