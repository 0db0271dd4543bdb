"""Landing position lost: the car creeps along to find where it is.

Hazard: passengers are carried slowly past their landings, and the lift may stop anywhere.
Clears: the car runs at speed again, or stands.
"""

from __future__ import annotations

from typing import Final

from alarms.features import CREEP_MAX, WENT_FAST, door_shut, mains_lost, outside_door_zone, speed
from alarms.readings import Readings
from alarms.rule import ATTENDED, HEARD_IN_MOTION_S, Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code
from lift.signals import CAR_STATUS

CREEP_MIN: Final = 0.1
RATED_MIN: Final = 0.75


class LandingPositionLost(Rule):
    """Creeping between landings since it set off.

    A run with a goal is faster than that when it leaves the door zone, and creeps at its end only.
    """

    code = Code.POSITION_LOST
    priority = Priority.MEDIUM
    on_delay_s = 5.0  # our choice: re-levelling is over in 3 s, and a start in one
    off_delay_s = 5.0
    heard_s = HEARD_IN_MOTION_S
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """A lift on its battery creeps too, and is left out; so is a lift that is never faster."""
        creeps = now.shows(CAR_STATUS, 1) & (speed(now) >= CREEP_MIN) & (speed(now) <= CREEP_MAX)
        searches = creeps & outside_door_zone(now) & ~now.remembers(WENT_FAST)
        return searches & (now.rated_speed >= RATED_MIN) & door_shut(now) & ~mains_lost(now)
