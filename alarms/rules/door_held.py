"""Door held: the door of a lift in service has been open for two minutes, and for a quarter of an hour.

Hazard: people wait on other floors; a removal or a talk in the door, now and then a wedge.
Clears: the door is shut.
"""

from __future__ import annotations

from collections.abc import Mapping

from alarms.features import TRIED_TO_CLOSE, door_shut, mains_lost, open_at_landing
from alarms.readings import Readings
from alarms.rule import Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.signals import DOOR_STATE, SERVICE_MODE, DoorState, ServiceMode


def _never_tried(now: Readings) -> Mask:
    """Wide open, and not once on its way to shut; of a terminal that reports no more than shut nobody can say so."""
    never: Mask = now.shows(DOOR_STATE, DoorState.OPEN) & ~now.remembers(TRIED_TO_CLOSE)
    return never


class DoorHeld(Rule):
    """Open at a landing in normal service; a family of two rules, `door_held` and `door_held_long`."""

    off_delay_s = 5.0

    def __init__(self, *, long: bool) -> None:
        self._long = long
        # Field practice tells of two minutes. People move house: nobody does anything for a quarter of an hour, and
        # then somebody asks the property.
        self.on_delay_s, self.priority = (900.0, Priority.LOW) if long else (120.0, Priority.JOURNAL)

    def holds(self, now: Readings) -> Mask:
        """Drills, a key and a mechanic hold doors open on purpose; one that never tries is `restart_prevented`."""
        held = open_at_landing(now) & now.shows(SERVICE_MODE, ServiceMode.NORMAL) & ~mains_lost(now)
        return held & ~_never_tried(now) if self._long else held

    def clears(self, now: Readings) -> Mask:
        """Shut, or no more in service."""
        return door_shut(now) | (now[SERVICE_MODE] < ServiceMode.NORMAL) | (now[SERVICE_MODE] > ServiceMode.NORMAL)

    @classmethod
    def variants(cls, slug: str) -> Mapping[str, Rule]:
        """Give the two."""
        return {slug: cls(long=False), f"{slug}_long": cls(long=True)}
