"""Door open while running: the car runs and a door sensor that can be believed says that it is open.

Hazard: a bridged lock contact; whoever leans on the door falls into the shaft.
Clears: the door is shut, or the car levels at a landing.
"""

from __future__ import annotations

from alarms.features import door_open, speed
from alarms.motion import LEVELLING_SPEED_MAX
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask


class DoorOpenRunning(Rule):
    """Faster than levelling, with the door open."""

    priority = Priority.HIGH  # the run itself is over before anybody comes; unintended movement calls the rescue
    on_delay_s = 2.0  # two readings
    off_delay_s = 5.0
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """Levelling with opening doors, at up to 0.8 m/s, is legal (EN 81-20 5.12.1.4)."""
        return door_open(now) & (speed(now) > LEVELLING_SPEED_MAX)
