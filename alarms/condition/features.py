"""What the monitor follows of each trip: numbers that stay the same from trip to trip while nothing wears.

Each is freed, by plain physics, of what the passengers chose: length, direction and load of the trip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from lift import signals as s
from lift import trips as t
from lift.alarm import Priority
from lift.batch import Batch, Floats
from lift.trips import VIBRATION_AT

# Landings are numbered so that people come in by 1; most trips begin or end there.
MAIN_LANDING: Final = 1
# A trip of so many seconds at rated speed reaches it, whatever the usual acceleration and jerk.
_LONG_S: Final = 4.0
# A counterweight balances about half the load (EN 81-20 asks for no figure; 40 to 50 % is the practice).
_BALANCE: Final = 0.5
_LEAST_VIBRATION: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Feature:
    """One number of a trip. `of` gives it for a batch, with the rated speed of each row's lift.

    `least` is the smallest lasting change worth a visit, in the feature's own unit (logarithms: 0.1 is 10 %);
    `sides` 1 looks for growth, 2 for change both ways. `rule` is the slug of the alarm.
    """

    name: str
    rule: str
    of: Callable[[Batch, Floats], Floats]
    least: float
    sides: int = 1


def _log(values: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs: Floats = np.log(values)
    return np.where(np.isfinite(logs), logs, np.nan)


def _door_closing(trips: Batch, _speed: Floats) -> Floats:
    return trips.column(t.DOOR_CLOSING_TIME)


def _door_opening(trips: Batch, _speed: Floats) -> Floats:
    return trips.column(t.DOOR_OPENING_TIME)


def _reversals(trips: Batch, _speed: Floats) -> Floats:
    # Somebody who plays with the door counts like somebody who hesitated once.
    return np.minimum(trips.column(t.DOOR_REVERSALS), 2.0)


def _levelling(trips: Batch, _speed: Floats) -> Floats:
    return np.abs(trips.column(s.LEVELLING_ERROR))


def _overrun(trips: Batch, _speed: Floats) -> Floats:
    """Give by how much the car stops too far along its way, in mm: a brake that holds late."""
    return trips.column(s.LEVELLING_ERROR) * np.sign(trips.column(t.DISTANCE))


def _relevellings(trips: Batch, _speed: Floats) -> Floats:
    return np.minimum(trips.column(t.RELEVELLINGS), 3.0)


def _sideways(trips: Batch, _speed: Floats) -> Floats:
    x, y = trips.column(s.VIBRATION_X), trips.column(s.VIBRATION_Y)
    both = np.where(np.isnan(x) | np.isnan(y), np.fmax(x, y), np.hypot(x, y))
    return _log(np.maximum(both, _LEAST_VIBRATION))


def _vertical(trips: Batch, _speed: Floats) -> Floats:
    return _log(np.maximum(trips.column(s.VIBRATION_Z), _LEAST_VIBRATION))


def _current(trips: Batch, _speed: Floats) -> Floats:
    load = trips.column(s.LOAD)
    imbalance = np.where(np.isnan(load), 0.0, np.abs(load - _BALANCE))
    return _log(trips.column(s.MOTOR_CURRENT) / (1.0 + 1.5 * imbalance))


def _warming(trips: Batch, _speed: Floats) -> Floats:
    return np.subtract(trips.column(s.MOTOR_TEMPERATURE), trips.column(s.MACHINE_ROOM_TEMPERATURE))


def _slowness(trips: Batch, speed: Floats) -> Floats:
    """Give the s that a long trip takes beyond its distance at rated speed: speeding up and slowing down."""
    distance = np.abs(trips.column(t.DISTANCE))
    return np.where(distance >= _LONG_S * speed, trips.column(t.FLIGHT_TIME) - distance / speed, np.nan)


def _band(number: int) -> Callable[[Batch, Floats], Floats]:
    def of(trips: Batch, _speed: Floats) -> Floats:
        return _log(np.maximum(trips.column(VIBRATION_AT[number]), _LEAST_VIBRATION))

    return of


FEATURES: Final[tuple[Feature, ...]] = (
    Feature("door closing time", "door_closing_slower", _door_closing, 0.3),
    Feature("door opening time", "door_opening_slower", _door_opening, 0.3),
    Feature("door reversals", "door_reversals_rising", _reversals, 0.1),
    Feature("levelling error", "levelling_drifting", _levelling, 2.0),
    Feature("overrun", "levelling_drifting", _overrun, 2.0, sides=2),
    Feature("re-levellings", "levelling_drifting", _relevellings, 0.2),
    Feature("sideways vibration", "vibration_rising", _sideways, 0.2),
    Feature("vertical vibration", "vibration_rising", _vertical, 0.2),
    *(Feature(f"vibration {n + 1}/8", "vibration_at_height", _band(n), 0.25) for n in range(len(VIBRATION_AT))),
    Feature("motor current", "motor_current_rising", _current, 0.08),
    Feature("motor warming", "motor_running_hot", _warming, 6.0),
    Feature("slowness", "running_slower", _slowness, 0.5),
)
# The encoder against the landings is followed by a table of heights in the monitor itself; share of the height.
POSITION: Final = Feature("height of landings", "position_drifting", lambda trips, _speed: _nothing(trips), 0.0006, 2)
ALL: Final = (*FEATURES, POSITION)

# Rules that look at all features of a lift.
CHANGED: Final = "condition_changed"
NOVEL: Final = "condition_novel"


@dataclass(frozen=True, slots=True)
class MaintenanceRule:
    """What an alarm of the monitor is called, and how soon somebody should come."""

    priority: Priority
    en: str
    zh: str


RULES: Final[dict[str, MaintenanceRule]] = {
    "door_closing_slower": MaintenanceRule(Priority.LOW, "Door closing slower", "关门变慢"),
    "door_opening_slower": MaintenanceRule(Priority.LOW, "Door opening slower", "开门变慢"),
    "door_reversals_rising": MaintenanceRule(Priority.LOW, "Door reversals rising", "关门反转增多"),
    # What stops the car, and what knows where it is, may not wait for the next visit.
    "levelling_drifting": MaintenanceRule(Priority.MEDIUM, "Levelling drifting", "平层漂移"),
    "vibration_rising": MaintenanceRule(Priority.LOW, "Vibration rising", "振动增大"),
    "vibration_at_height": MaintenanceRule(Priority.LOW, "Vibration at one height", "某高度振动增大"),
    "motor_current_rising": MaintenanceRule(Priority.LOW, "Motor current rising", "电动机电流升高"),
    "motor_running_hot": MaintenanceRule(Priority.LOW, "Motor running hot", "电动机过热"),
    "running_slower": MaintenanceRule(Priority.LOW, "Running slower", "运行变慢"),
    "position_drifting": MaintenanceRule(Priority.MEDIUM, "Position drifting", "位置漂移"),
    CHANGED: MaintenanceRule(Priority.LOW, "Many small changes", "多项轻微变化"),
    NOVEL: MaintenanceRule(Priority.LOW, "Never seen of this lift", "本梯前所未见"),
}


def _nothing(trips: Batch) -> Floats:
    return np.full(len(trips), np.nan)
