"""Door opening fault: a car has arrived with someone inside, and its door does not open.

Hazard: passengers are shut in at a landing, and may try the door by force.
Clears: the door opens, the car sets off again, or it is empty.
"""

from __future__ import annotations

from alarms.features import OPENED_HERE, door_shut, in_door_zone, mains_lost, occupied, standing
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code
from lift.signals import CAR_STATUS


class DoorOpeningFault(Rule):
    """Standing at a landing since the car arrived, occupied, and not once open."""

    code = Code.DOOR_OPENING_FAULT
    priority = Priority.HIGH  # shut in for 90 s is an entrapment, and calls the rescue
    # A door takes 1.8 to 2.5 s to open (GB/T 10058); people met in practice call after a quarter of a minute.
    on_delay_s = 15.0
    off_delay_s = 3.0
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """A car that returns empty to its main landing may keep its door shut: only an occupied one is asked."""
        shut_here = standing(now) & in_door_zone(now) & door_shut(now) & now.shows(CAR_STATUS, 0)
        return shut_here & occupied(now) & ~now.remembers(OPENED_HERE) & ~mains_lost(now)
