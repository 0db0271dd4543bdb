"""Slow wear: a part degrades over days or weeks, shows in one signal first, and ends as a fault.

Door belt: closing takes longer. Brake: levelling drifts and the car rolls back at the start. Rail joint: a knock at one
height. Motor bearing: current and temperature rise. Ropes: the encoder drifts against the landings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from simulator.arrays import Floats
from simulator.plant import Plant
from simulator.truth import Kind

# Of the way to the fault: what a perfect observer of the true signal can tell from its usual spread.
SEEN_AT: Final = 0.3
# Rails come in lengths of 5 m.
RAIL_M: Final = 5.0
# At the end of its way a worn door needs twice the time; a joint knocks with 0.4 m/s² RMS.
CLOSE_SLOWER: Final = 1.0
KNOCK: Final = 0.4
DAY_S: Final = 86_400.0
# Days from the first trace to the fault: (least, most).
DAYS: Final = (20.0, 60.0)

ENDS_AS: Final[dict[Kind, Kind]] = {
    Kind.DOOR_BELT_WEAR: Kind.DOOR_CLOSING_FAULT,
    Kind.BRAKE_WEAR: Kind.RESTART_PREVENTED,
    Kind.RAIL_JOINT_WEAR: Kind.POSITION_LOST,
    Kind.BEARING_WEAR: Kind.RESTART_PREVENTED,
    Kind.ROPE_SLIP: Kind.RUN_TIME_LIMITER,
}


@dataclass(frozen=True, slots=True)
class _Course:
    """One part on its way: times in s since the start, which may lie before it."""

    slot: int
    kind: Kind
    began: float
    fails: float


class Wear:
    """How worn the parts of every lift are, 0 new to 1 at the fault; and the closing times of doors that follow."""

    def __init__(self, plant: Plant) -> None:
        count = len(plant)
        self._plant = plant
        self._courses: dict[tuple[int, Kind], _Course] = {}
        self.close_s: Floats = plant.close_s.copy()
        self.brake: Floats = np.zeros(count, np.float32)
        self.joint: Floats = np.zeros(count, np.float32)
        self.joint_height: Floats = np.full(count, np.nan, np.float32)
        self.bearing: Floats = np.zeros(count, np.float32)
        self.rope: Floats = np.zeros(count, np.float32)

    def begin(self, slot: int, kind: Kind, *, began: float, fails: float, where: float) -> None:
        """Let a part degrade from one moment to another; `where` (0 to 1) chooses the rail joint."""
        self._courses[slot, kind] = _Course(slot, kind, began, fails)
        if kind is Kind.RAIL_JOINT_WEAR:
            top = float((self._plant.landings[slot] - 1) * self._plant.floor_m[slot])
            joints = max(1, int(top / RAIL_M))
            self.joint_height[slot] = RAIL_M * (1 + int(where * joints))

    def mend(self, slot: int, kind: Kind) -> None:
        """Put in a new part."""
        if self._courses.pop((slot, kind), None) is not None:
            self._set(slot, kind, 0.0)

    def level(self, slot: int, kind: Kind) -> float:
        """Say how worn a part is, as of the last update."""
        course = self._courses.get((slot, kind))
        return 0.0 if course is None else self._level(course)

    def update(self, now: float) -> None:
        """Bring all levels up to a moment; to be called every minute. Few lifts have a worn part."""
        self._now = now
        for course in self._courses.values():
            self._set(course.slot, course.kind, self._level(course))

    _now: float = 0.0

    def _level(self, course: _Course) -> float:
        return min(1.0, max(0.0, (self._now - course.began) / (course.fails - course.began)))

    def _set(self, slot: int, kind: Kind, level: float) -> None:
        match kind:
            case Kind.DOOR_BELT_WEAR:
                self.close_s[slot] = self._plant.close_s[slot] * (1.0 + CLOSE_SLOWER * level)
            case Kind.BRAKE_WEAR:
                self.brake[slot] = level
            case Kind.RAIL_JOINT_WEAR:
                self.joint[slot] = KNOCK * level
            case Kind.BEARING_WEAR:
                self.bearing[slot] = level
            case _:
                self.rope[slot] = level
