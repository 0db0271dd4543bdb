"""Sensor wrong: a sensor is stuck, flickers or contradicts another, and has lost its vote.

Hazard: what it watches is watched by fewer sensors; an entrapment may be found later than it should.
Clears: the sensor does its work again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from alarms import health
from alarms.readings import Readings
from alarms.rule import Rule
from lift.alarm import Priority
from lift.batch import Mask

# What is wrong, how it shows, and for how long it must before somebody is sent.
FAULTS: Final[dict[str, tuple[Callable[[Readings], Mask], float]]] = {
    "door_closed": (health.door_closed_wrong, 0.0),
    "door_state": (health.door_state_wrong, 0.0),
    "door_zone": (health.door_zone_stuck, 0.0),
    "load": (health.load_wrong, 0.0),
    "presence_flickers": (health.presence_flickers, 0.0),
    "presence_stuck": (health.presence_stuck, 0.0),
    "speed": (health.speed_offset, 60.0),  # a car sways on its ropes for some seconds after a stop
}


class SensorWrong(Rule):
    """One sensor of the lift; a family of rules, `sensor_wrong_door_closed` and on."""

    priority = Priority.LOW  # a job for the next visit
    off_delay_s = 60.0

    def __init__(self, fault: str) -> None:
        self._shows, self.on_delay_s = FAULTS[fault]

    def holds(self, now: Readings) -> Mask:
        """As `alarms.health` has it."""
        return self._shows(now)

    @classmethod
    def variants(cls, slug: str) -> Mapping[str, Rule]:
        """Give a rule for each way a sensor can be wrong."""
        return {f"{slug}_{fault}": cls(fault) for fault in FAULTS}
