"""Overtravel at the bottom: the car stands below its lowest landing.

Hazard: the car has run onto its buffer; passengers may be hurt and are shut in.
Clears: the car is back within its landings.
"""

from __future__ import annotations

from typing import Final

from alarms.features import door_shut, outside_door_zone, standing
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code
from lift.signals import CAR_HEIGHT, SAFETY_CHAIN

# EN 81-20 5.3.8.1: the unlocking zone reaches 0.20 m to either side of a landing.
OVERTRAVEL_MIN: Final = 0.21


class OvertravelBottom(Rule):
    """Standing outside the door zone, below the lowest landing, where heights are counted from."""

    code = Code.OVERTRAVEL_BOTTOM
    priority = Priority.EMERGENCY
    on_delay_s = 5.0  # confirmation window met in practice
    off_delay_s = 3.0
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """Lower than the unlocking zone reaches."""
        stopped = standing(now) & outside_door_zone(now) & door_shut(now) & ~now.shows(SAFETY_CHAIN, 1)
        return stopped & (now[CAR_HEIGHT] < -OVERTRAVEL_MIN)
