"""Overspeed: the car runs at 115 % of its rated speed or more.

Hazard: brake or drive have lost hold of the car; governor and safety gear are the last defence.
Clears: 15 s at 105 % or less; a person resets the alarm after the cause is found.
"""

from __future__ import annotations

from alarms.features import speed
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask

TRIPS_FROM = 1.15  # EN 81-20: the governor trips at 115 % of rated speed or more, in both directions
CLEARS_AT = 1.05  # EN 81-20: at half load and mid-travel the speed is 92 to 105 % of rated


class Overspeed(Rule):
    """At or above 115 % of rated speed.

    HIGH, not EMERGENCY: no crew can reach a car that moves. When the safety gear has caught it, it stands
    between landings, and the entrapment rule calls the rescue.
    """

    priority = Priority.HIGH
    on_delay_s = 5.0  # field practice: six samples of ten, one a second
    off_delay_s = 15.0  # field practice: clear after 15 s
    latching = True
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """Silent for a lift whose rated speed is not registered."""
        return speed(now) >= TRIPS_FROM * now.rated_speed

    def clears(self, now: Readings) -> Mask:
        """Between the two limits an alarm that stands goes on standing."""
        return speed(now) <= CLEARS_AT * now.rated_speed
