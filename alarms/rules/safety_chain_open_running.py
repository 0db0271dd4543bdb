"""Safety chain open while running: a safety contact opened under way and has not closed since.

Hazard: the car is braked hard wherever it is; a door or lock may be open that should not be.
Clears: the safety chain is closed again.
"""

from __future__ import annotations

from alarms.features import CHAIN_BROKEN_UNDER_WAY, mains_lost
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code


class SafetyChainOpenRunning(Rule):
    """The chain opened outside a landing stop, with the mains present."""

    code = Code.SAFETY_CHAIN_OPEN
    priority = Priority.HIGH  # people who are shut in by it are found by the entrapment rules
    on_delay_s = 2.0  # two readings: a worn lock contact that bounces is for the maintenance report
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """A chain without mains reads open in every lift of the street, and says nothing about this one."""
        return now.remembers(CHAIN_BROKEN_UNDER_WAY) & ~mains_lost(now)
