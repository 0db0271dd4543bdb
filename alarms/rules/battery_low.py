"""Battery low: the emergency supply would not last, although the mains are there.

Hazard: in a power cut the car is dark and the intercom dead within minutes.
Clears: the battery is half full again.
"""

from __future__ import annotations

from typing import Final

from alarms.features import mains_lost
from alarms.readings import Readings
from alarms.rule import Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.signals import BATTERY

LOW_SHARE: Final = 0.25  # a quarter of an hour: EN 81-28 speaks of 15 minutes of voice
FULL_AGAIN: Final = 0.5


class BatteryLow(Rule):
    """A battery that stays nearly empty while it is being charged."""

    priority = Priority.LOW
    on_delay_s = 600.0  # our choice: after a cut it must first take its charge

    def holds(self, now: Readings) -> Mask:
        """EN 81-28 asks for one hour, with 15 minutes of speech in it."""
        return (now[BATTERY] < LOW_SHARE) & ~mains_lost(now)

    def clears(self, now: Readings) -> Mask:
        """Half of the hour."""
        return now[BATTERY] >= FULL_AGAIN
