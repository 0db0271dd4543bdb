"""Levelling inaccurate: the car has stopped more than 10 mm off several times.

Hazard: people stumble over the step, wheelchairs get stuck.
Clears: stops are accurate again.
"""

from __future__ import annotations

from typing import Final

from alarms.features import STOPS_OFF_10
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask

STOPS_MAX: Final = 3.0  # our choice: one in some ten thousand good stops is as far off by chance


class LevellingInaccurate(Rule):
    """Several stops of late outside ±10 mm."""

    priority = Priority.LOW
    on_delay_s = 0.0
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """EN 81-20 5.12.1.1.4: stopping accuracy ±10 mm."""
        return now.tally(STOPS_OFF_10) >= STOPS_MAX

    def clears(self, now: Readings) -> Mask:
        """Forgotten, at one in six hours."""
        return now.tally(STOPS_OFF_10) < 1.0
