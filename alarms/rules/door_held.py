"""Door held: the door of a lift in service has been open for two minutes.

Hazard: people wait on other floors; a removal or a talk in the door, now and then a wedge.
Clears: the door is shut.
"""

from __future__ import annotations

from alarms.features import door_shut, mains_lost, open_at_landing
from alarms.readings import Readings
from alarms.rule import Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.signals import SERVICE_MODE, ServiceMode


class DoorHeld(Rule):
    """Open at a landing in normal service."""

    priority = Priority.LOW
    on_delay_s = 120.0  # field practice
    off_delay_s = 5.0

    def holds(self, now: Readings) -> Mask:
        """Drills, a key and a mechanic hold doors open on purpose."""
        return open_at_landing(now) & now.shows(SERVICE_MODE, ServiceMode.NORMAL) & ~mains_lost(now)

    def clears(self, now: Readings) -> Mask:
        """Shut, or no more in service."""
        return door_shut(now) | (now[SERVICE_MODE] < ServiceMode.NORMAL) | (now[SERVICE_MODE] > ServiceMode.NORMAL)
