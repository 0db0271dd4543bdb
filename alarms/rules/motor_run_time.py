"""Motor run time: the drive turns and the car does not go.

Hazard: ropes slip on the sheave or the car hangs in its guides; ropes are worn through in minutes.
Clears: the car goes, or the drive stops.
"""

from __future__ import annotations

from alarms.features import door_shut, mains_lost, speed
from alarms.motion import STANDING_SPEED_MAX
from alarms.readings import Readings
from alarms.rule import ATTENDED, HEARD_IN_MOTION_S, Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code
from lift.signals import CAR_STATUS


class MotorRunTime(Rule):
    """Running by its status, standing by its speed."""

    code = Code.RUN_TIME_LIMITER
    priority = Priority.HIGH
    # EN 81-20 5.9.2.7: the limiter acts after 45 s, or full travel and 10 s, but not before 20 s.
    on_delay_s = 20.0
    heard_s = HEARD_IN_MOTION_S
    off_delay_s = 3.0
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """A car whose speed is not known does not count."""
        return now.shows(CAR_STATUS, 1) & (speed(now) < STANDING_SPEED_MAX) & door_shut(now) & ~mains_lost(now)
