"""Re-levelling too often: the car corrects its level at many stops.

Hazard: stretched ropes or a leaking valve; people stumble over the step between two corrections.
Clears: the car keeps its level.
"""

from __future__ import annotations

from typing import Final

from alarms.features import RELEVELLINGS
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask

RELEVELLINGS_MAX: Final = 6.0  # our choice: a sound lift at full traffic has one or two an hour


class RelevellingOften(Rule):
    """Many movements with the door open at a landing, slow as re-levelling is."""

    priority = Priority.LOW
    on_delay_s = 0.0
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """Heavy loads need one now and then."""
        return now.tally(RELEVELLINGS) >= RELEVELLINGS_MAX

    def clears(self, now: Readings) -> Mask:
        """Forgotten, at one in ten minutes."""
        return now.tally(RELEVELLINGS) < 1.0
