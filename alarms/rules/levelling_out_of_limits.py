"""Levelling out of limits: the car has stopped more than 20 mm off, more than once.

Hazard: a step that people fall over.
Clears: stops are within the limit again.
"""

from __future__ import annotations

from typing import Final

from alarms.features import STOPS_OFF_20
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask

STOPS_MAX: Final = 2.0


class LevellingOutOfLimits(Rule):
    """Two stops of late outside ±20 mm."""

    priority = Priority.MEDIUM
    on_delay_s = 0.0
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """EN 81-20 5.12.1.1.4: ±20 mm must be kept, or the car must be re-levelled."""
        return now.tally(STOPS_OFF_20) >= STOPS_MAX

    def clears(self, now: Readings) -> Mask:
        """Forgotten, at one in six hours."""
        return now.tally(STOPS_OFF_20) < 1.0
