"""Entrapment at a landing: someone is inside a car that stands at a landing behind doors that stay shut.

Hazard: passengers cannot leave; heat, panic or illness, and in the end they force the doors.
Clears: the door opens, or the car moves.
"""

from __future__ import annotations

from collections.abc import Mapping

from alarms.features import (
    ALARM_CALL,
    OPENED_HERE,
    controller_says_trapped,
    door_shut,
    entrapment_signs,
    in_door_zone,
    mains_lost,
    moving,
    occupied,
    open_at_landing,
    standing,
    weighs_nothing,
)
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Floats, Mask
from lift.codes import Code


class EntrapmentAtLanding(Rule):
    """Standing in the door zone, door shut, occupied, and not without weight where weight is known."""

    code = Code.ENTRAPMENT
    priority = Priority.EMERGENCY
    on_delay_s = 90.0  # field practice: 40, 60 and 90 s; people do wait in a parked car, so the longest
    off_delay_s = 3.0  # field practice: over when the car has run for more than 2 s
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """Whoever is inside cannot walk out and is not being carried anywhere.

        Between landings a load cell is not believed against a presence sensor; here, where cars are parked, it is.
        """
        shut_in = standing(now) & in_door_zone(now) & door_shut(now)
        asked = now.remembers(ALARM_CALL) | controller_says_trapped(now)
        # Who is in a car that has opened here could have walked out: without a further sign it is a parked car.
        seen = occupied(now) & ~weighs_nothing(now) & (~now.remembers(OPENED_HERE) | mains_lost(now))
        return shut_in & (asked | seen)

    def clears(self, now: Readings) -> Mask:
        """A presence sensor that loses sight of somebody frees nobody."""
        return open_at_landing(now) | (moving(now) & ~standing(now))

    def signs(self, now: Readings) -> Mapping[str, Floats]:
        """Seen in the car, heard by the button, told by the controller."""
        return entrapment_signs(now)
