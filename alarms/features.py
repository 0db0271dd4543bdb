"""Shared maths of the rules: what the car and its door are doing, from signals that may be missing or wrong.

Every feature is false for a lift it knows too little about, and is worked out once a batch however many
rules ask for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Final

import numpy as np
from numpy.typing import NDArray

from alarms.memory import Remembered
from alarms.readings import Readings, Worked
from alarms.rule import ATTENDED
from lift.batch import Floats, Mask
from lift.codes import Code
from lift.signals import (
    ALARM_BUTTON,
    CAR_SPEED,
    CAR_STATUS,
    DOOR_CLOSED,
    DOOR_LOCK,
    DOOR_STATE,
    DOOR_ZONE,
    LOAD,
    MAIN_POWER,
    PASSENGER,
    SAFETY_CHAIN,
    DoorState,
)

# EN 81-20 / GB/T 7588.1: with doors open a car may level at up to 0.8 m/s inside the unlocking zone.
LEVELLING_SPEED_MAX: Final = 0.8
# EN 81-20 / GB/T 7588.1: re-levelling at up to 0.3 m/s; a speed reading above it is a car that moves.
RELEVELLING_SPEED_MAX: Final = 0.3
# Half of that: field speed sensors keep an offset after the stop and were seen to report "moving with open door".
MOVING_SPEED_MIN: Final = 0.15
# Below a third of that again a car stands, whatever a controller that keeps trying to start says of its status.
STANDING_SPEED_MAX: Final = 0.05

# Our choice, below any passenger: presence sensors stick, and a car parked with a stuck one looks like an entrapment.
EMPTY_LOAD_MAX: Final = 0.01


def shared(feature: Callable[[Readings], Worked]) -> Callable[[Readings], Worked]:
    """Make a feature be worked out once for all rules that look at the same readings."""

    @wraps(feature)
    def once(now: Readings) -> Worked:
        return now.once(feature)

    return once


@shared
def speed(now: Readings) -> Floats:
    """Car speed in m/s whatever its direction."""
    magnitude: Floats = np.abs(now[CAR_SPEED])
    return magnitude


@shared
def standing(now: Readings) -> Mask:
    """Car stands: its speed says so, or its status does and its speed does not clearly contradict."""
    return (speed(now) < STANDING_SPEED_MAX) | (now.shows(CAR_STATUS, 0) & ~(speed(now) > RELEVELLING_SPEED_MAX))


@shared
def moving(now: Readings) -> Mask:
    """Car moves: by its speed, or by its status where its speed is not known."""
    return (speed(now) >= MOVING_SPEED_MIN) | (now.shows(CAR_STATUS, 1) & ~(speed(now) < MOVING_SPEED_MIN))


@shared
def in_door_zone(now: Readings) -> Mask:
    """Car is where its doors may be unlocked."""
    return now.shows(DOOR_ZONE, 1)


@shared
def outside_door_zone(now: Readings) -> Mask:
    """Car is between landings."""
    return now.shows(DOOR_ZONE, 0)


@shared
def beyond_levelling(now: Readings) -> Mask:
    """Car is, or moves, where no levelling with open doors is allowed."""
    return outside_door_zone(now) | (speed(now) > LEVELLING_SPEED_MAX)


@shared
def occupied(now: Readings) -> Mask:
    """Someone is inside the car."""
    return now.shows(PASSENGER, 1)


@shared
def weighs_nothing(now: Readings) -> Mask:
    """The load cell contradicts a presence sensor: less than 1 % of rated load is less than 10 kg in most cars."""
    return now[LOAD] < EMPTY_LOAD_MAX


def _door_votes(now: Readings) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Count the sources that call the door open and those that call it shut.

    Vision sensors that read the door wrongly are the field's first cause of false alarms, so three sources vote.
    """
    state_shut = now.shows(DOOR_STATE, DoorState.CLOSED) | now.shows(DOOR_STATE, DoorState.LOCKED)
    state_open = (now[DOOR_STATE] > DoorState.UNKNOWN) & ~state_shut
    return (
        _count(now.shows(DOOR_CLOSED, 0), now.shows(DOOR_LOCK, 0), state_open),
        _count(now.shows(DOOR_CLOSED, 1), now.shows(DOOR_LOCK, 1), state_shut),
    )


def _count(a: Mask, b: Mask, c: Mask) -> NDArray[np.int8]:
    return a.view(np.int8) + b.view(np.int8) + c.view(np.int8)


@shared
def door_open(now: Readings) -> Mask:
    """Most of the sources that know say that the car door is not shut."""
    opened, shut = _door_votes(now)
    return opened > shut


@shared
def door_shut(now: Readings) -> Mask:
    """At least as many sources say that the car door is shut as say that it is not.

    A tie counts as shut: panels that are closed over a lock contact that does not make are a common way to be
    trapped.
    """
    opened, shut = _door_votes(now)
    return (shut > 0) & (shut >= opened)


@shared
def open_at_landing(now: Readings) -> Mask:
    """People can walk out."""
    return door_open(now) & in_door_zone(now)


@shared
def mains_lost(now: Readings) -> Mask:
    """The mains sensor, or the controller, says that there are no mains."""
    return now.shows(MAIN_POWER, 0) | now.reports(Code.MAIN_POWER_LOST)


@shared
def attended(now: Readings) -> Mask:
    """A trained person controls the car: what happens under his hands is nothing to remember."""
    return now.in_mode(ATTENDED)


# EN 81-28 asks that a press be filtered when the door is open at a landing, or opens at the next stop.
ALARM_CALL: Final = Remembered(
    "alarm_call",
    begins=lambda now: now.shows(ALARM_BUTTON, 1) | now.reports(Code.ALARM_BUTTON),
    ends=open_at_landing,
)

# A door that a rescuer opens on a car standing between landings is not the car's own movement.
DOOR_OPEN_ON_THE_WAY: Final = Remembered(
    "door_open_on_the_way",
    begins=lambda now: door_open(now) & (in_door_zone(now) | moving(now)),
    ends=lambda now: door_shut(now) | attended(now),
)

# The chain runs through the door contacts, so at a landing it opens at every stop; under way it must not.
CHAIN_BROKEN_UNDER_WAY: Final = Remembered(
    "chain_broken_under_way",
    begins=lambda now: now.shows(SAFETY_CHAIN, 0) & (outside_door_zone(now) | (moving(now) & beyond_levelling(now))),
    ends=lambda now: now.shows(SAFETY_CHAIN, 1) | attended(now),
)
