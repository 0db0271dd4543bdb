"""Entrapment between landings: someone is inside a car that stands outside the unlocking zone.

Hazard: a trapped passenger who forces the doors may fall into the hoistway.
Clears: the car moves, or its door is open at a landing.
"""

from __future__ import annotations

from collections.abc import Mapping

from alarms.features import (
    ALARM_CALL,
    controller_says_trapped,
    entrapment_signs,
    moving,
    open_at_landing,
    outside_door_zone,
    perhaps_occupied,
    standing,
)
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Floats, Mask
from lift.codes import Code


class EntrapmentBetweenLandings(Rule):
    """Standing, outside the door zone, and occupied or not known to be empty."""

    code = Code.ENTRAPMENT
    priority = Priority.EMERGENCY
    on_delay_s = 30.0  # field practice: 15 to 30 s between landings; 30 s lets a lift that re-starts by itself do so
    off_delay_s = 3.0  # field practice: over when the car has run for more than 2 s
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """The door's state does not matter: between landings an open door frees nobody."""
        someone = perhaps_occupied(now) | now.remembers(ALARM_CALL) | controller_says_trapped(now)
        return standing(now) & outside_door_zone(now) & someone

    def clears(self, now: Readings) -> Mask:
        """A presence sensor that loses sight of somebody frees nobody."""
        return open_at_landing(now) | (moving(now) & ~standing(now))

    def signs(self, now: Readings) -> Mapping[str, Floats]:
        """Seen in the car, heard by the button, told by the controller."""
        return entrapment_signs(now)
