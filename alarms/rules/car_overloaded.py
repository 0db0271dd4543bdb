"""Car overloaded: more than the overload limit is in the car, and it does not go away.

Hazard: the brake holds less than it should; a car that sinks from its landing crushes whoever is in the door.
Clears: the load is at or below the rated load.
"""

from __future__ import annotations

from typing import Final

from alarms.features import load_wrong, standing
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.signals import LOAD

OVERLOAD: Final = 1.1  # EN 81-20 5.12.1.2: 10 % above the rated load, at least 75 kg, and the car must not start
RATED: Final = 1.0


class CarOverloaded(Rule):
    """Standing with more in it than it may start with."""

    priority = Priority.LOW
    on_delay_s = 30.0  # our choice: the last to come in gets out again when the buzzer sounds
    off_delay_s = 5.0
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """A load cell that is stuck says nothing."""
        return standing(now) & (now[LOAD] > OVERLOAD) & ~load_wrong(now)

    def clears(self, now: Readings) -> Mask:
        """Not a little less: rated or below."""
        return now[LOAD] <= RATED
