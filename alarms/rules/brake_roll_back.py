"""Brake roll-back: the car sags against its direction when the brake lets go.

Hazard: worn linings or a late drive; the next stage is a car that does not hold.
Clears: starts are clean for some days.
"""

from __future__ import annotations

from typing import Final

from alarms.features import ROLL_BACKS
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask

ROLL_BACKS_MAX: Final = 4.0  # our choice: a sound drive holds the load before the brake opens


class BrakeRollBack(Rule):
    """Several starts of late in which the car first went the wrong way."""

    priority = Priority.LOW
    on_delay_s = 0.0
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """One is noise."""
        return now.tally(ROLL_BACKS) >= ROLL_BACKS_MAX

    def clears(self, now: Readings) -> Mask:
        """Forgotten, at one in four hours."""
        return now.tally(ROLL_BACKS) < 1.0
