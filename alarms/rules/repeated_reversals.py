"""Repeated reversals: a door has turned back again and again without getting shut.

Hazard: something lies in the sill or the light curtain is dirty; the door will soon not close at all.
Clears: the door turns back seldom again.
"""

from __future__ import annotations

from typing import Final

from alarms.features import REVERSALS
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask

REVERSALS_MAX: Final = 20.0  # field practice: 20 openings and closings in a row


class RepeatedReversals(Rule):
    """Twenty reversals of late, with the door not once shut between them."""

    priority = Priority.LOW
    on_delay_s = 0.0
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """As many as are met in practice; one is forgotten a minute."""
        return now.tally(REVERSALS) >= REVERSALS_MAX

    def clears(self, now: Readings) -> Mask:
        """Half as many, or none since the door got shut."""
        return now.tally(REVERSALS) < REVERSALS_MAX / 2
