"""Entrapment at a landing: someone is inside a car that stands at a landing behind doors that stay shut.

Hazard: passengers cannot leave; heat, panic or illness, and in the end they force the doors.
Clears: the door opens, the car moves, or it is empty.
"""

from __future__ import annotations

from alarms.features import door_shut, in_door_zone, occupied, standing, weighs_nothing
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code


class EntrapmentAtLanding(Rule):
    """Standing in the door zone, door shut, occupied, and not without weight where weight is known."""

    code = Code.ENTRAPMENT
    priority = Priority.EMERGENCY
    on_delay_s = 90.0  # field practice: 40, 60 and 90 s; people do wait in a parked car, so the longest
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """Whoever is inside cannot walk out and is not being carried anywhere.

        Between landings a load cell is not believed against a presence sensor; here, where cars are parked, it is.
        """
        return standing(now) & in_door_zone(now) & door_shut(now) & occupied(now) & ~weighs_nothing(now)
