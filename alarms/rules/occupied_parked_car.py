"""Occupied parked car: someone seems to stay in a car whose door has opened and shut again.

Hazard: a person may be ill or asleep inside; more often the presence sensor is stuck.
Clears: the door opens, the car goes, or it is seen empty.
"""

from __future__ import annotations

from alarms.features import OPENED_HERE, door_shut, in_door_zone, mains_lost, occupied, standing, weighs_nothing
from alarms.health import presence_wrong
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.signals import PASSENGER


class OccupiedParkedCar(Rule):
    """As an entrapment at a landing, but whoever is inside could have walked out, and has not called."""

    priority = Priority.MEDIUM  # a press of the button, or the mains going, makes an entrapment of it
    on_delay_s = 300.0  # our choice: people finish a talk in a parked car
    off_delay_s = 5.0
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """The door is known to have opened here since the car came."""
        parked = standing(now) & in_door_zone(now) & door_shut(now) & now.remembers(OPENED_HERE)
        # Of a presence sensor and a load cell that contradict each other one is stuck, and that is told by itself.
        seen_empty = now.shows(PASSENGER, 0) & ~presence_wrong(now)
        return parked & occupied(now) & ~weighs_nothing(now) & ~seen_empty & ~mains_lost(now)
