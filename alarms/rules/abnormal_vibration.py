"""Abnormal vibration: the car has been shaken sideways on several runs.

Hazard: a rail joint or a guide shoe is worn; in the end the safety gear may grip.
Clears: runs are smooth again.
"""

from __future__ import annotations

from typing import Final

from alarms.features import SHAKES
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask

SHAKES_MAX: Final = 8.0  # our choice: somebody who jumps in the car shakes it once or twice


class AbnormalVibration(Rule):
    """Several knocks of late."""

    priority = Priority.LOW
    on_delay_s = 0.0
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """GB/T 10058: horizontal vibration up to 0.20 m/s² peak to peak, about 0.07 m/s² RMS."""
        return now.tally(SHAKES) >= SHAKES_MAX

    def clears(self, now: Readings) -> Mask:
        """Forgotten, at one in half an hour."""
        return now.tally(SHAKES) < 1.0
