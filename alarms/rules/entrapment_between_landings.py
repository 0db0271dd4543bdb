"""Entrapment between landings: someone is inside a car that stands outside the unlocking zone.

Hazard: a trapped passenger who forces the doors may fall into the hoistway.
Clears: the car moves, reaches the door zone, or is empty.
"""

from __future__ import annotations

from alarms.features import occupied, outside_door_zone, standing
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code


class EntrapmentBetweenLandings(Rule):
    """Standing, outside the door zone, occupied."""

    code = Code.ENTRAPMENT
    priority = Priority.EMERGENCY
    on_delay_s = 30.0  # field practice: 15 to 30 s between landings; 30 s lets a lift that re-starts by itself do so
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """The door's state does not matter: between landings an open door frees nobody."""
        return standing(now) & outside_door_zone(now) & occupied(now)
