"""Stopped outside the door zone: a car stands between landings, whether or not anyone is seen inside.

Hazard: someone the presence sensor does not see may be trapped; whoever opens a landing door finds a shaft.
Clears: the car moves, or reaches the door zone.
"""

from __future__ import annotations

from alarms.features import outside_door_zone, standing
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code


class StoppedOutsideDoorZone(Rule):
    """Standing, outside the door zone."""

    code = Code.STOPPED_OUTSIDE_DOOR_ZONE
    priority = Priority.HIGH  # with someone inside, the entrapment rule has called the rescue before this one is due
    on_delay_s = 45.0  # field note: 15 and 30 s catch lifts that correct their position by themselves; 45 s does not
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """Presence is not asked for: sensors miss children who sit on the floor."""
        return standing(now) & outside_door_zone(now)
