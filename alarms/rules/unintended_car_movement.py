"""Unintended car movement: the car has left a landing, or runs, with its door open.

Hazard: a passenger on the sill is crushed or sheared between car and landing, or falls into the shaft.
Clears: the door is shut, or the car is back in the door zone at levelling speed; a person resets the alarm
after the cause is found.
"""

from __future__ import annotations

from alarms.features import CREPT, DOOR_OPEN_ON_THE_WAY, beyond_levelling, door_open
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code


class UnintendedCarMovement(Rule):
    """Door open since the car was at a landing or moved, seen to move so, and now beyond what levelling allows."""

    code = Code.UNINTENDED_CAR_MOVEMENT
    priority = Priority.EMERGENCY
    # EN 81-20 5.6.7 stops the car within 1.2 m, where it stays and still counts; 2 s lets a door zone sensor
    # flicker once at a reading a second.
    on_delay_s = 2.0
    latching = True
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """Levelling with opening doors, up to 0.8 m/s inside the unlocking zone, is legal (EN 81-20 5.12.1.4)."""
        left = door_open(now) & beyond_levelling(now) & now.remembers(DOOR_OPEN_ON_THE_WAY)
        return left & now.remembers(CREPT)
