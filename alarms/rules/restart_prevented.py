"""Restart prevented: a lift in service stands with its door open and never tries to close it.

Hazard: none at once; people are without their lift, and in a hospital that is one.
Clears: the door moves, or the lift leaves service.
"""

from __future__ import annotations

from alarms.features import in_door_zone, mains_lost
from alarms.readings import Readings
from alarms.rule import Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code
from lift.signals import DOOR_STATE, SERVICE_MODE, DoorState, ServiceMode


class RestartPrevented(Rule):
    """Wide open at a landing in normal service, without a single try to close."""

    code = Code.RESTART_PREVENTED
    priority = Priority.MEDIUM
    on_delay_s = 900.0  # our choice: nobody talks in a door for a quarter of an hour, and a held door tries to close
    off_delay_s = 5.0

    def holds(self, now: Readings) -> Mask:
        """Wide open, not closing, opening or held."""
        waits = now.shows(DOOR_STATE, DoorState.OPEN) & in_door_zone(now)
        return waits & now.shows(SERVICE_MODE, ServiceMode.NORMAL) & ~mains_lost(now)
