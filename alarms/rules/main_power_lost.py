"""Main power lost: the lift has no mains.

Hazard: the car stops where it is; light and intercom live on a battery for an hour.
Clears: the mains have been back for ten seconds.
"""

from __future__ import annotations

from alarms.features import mains_lost
from alarms.readings import Readings
from alarms.rule import Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code


class MainPowerLost(Rule):
    """The mains sensor, or the controller's event 41, says so."""

    code = Code.MAIN_POWER_LOST
    priority = Priority.MEDIUM  # a whole street at once; whoever is shut in by it is found by the entrapment rules
    on_delay_s = 5.0  # confirmation window met in practice; network switching and dips are over sooner
    off_delay_s = 10.0  # mains that return stutter: our choice

    def holds(self, now: Readings) -> Mask:
        """Attended modes are not left out: the crew at the lift wants to know."""
        return mains_lost(now)
