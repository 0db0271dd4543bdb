"""What the car is doing by its own signals, and how features are shared between rules."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Final

import numpy as np

from alarms.readings import Readings, Worked
from lift.batch import Floats, Mask
from lift.signals import CAR_SPEED, CAR_STATUS

# EN 81-20 / GB/T 7588.1: with doors open a car may level at up to 0.8 m/s inside the unlocking zone.
LEVELLING_SPEED_MAX: Final = 0.8
# EN 81-20 / GB/T 7588.1: re-levelling at up to 0.3 m/s; a speed reading above it is a car that moves.
RELEVELLING_SPEED_MAX: Final = 0.3
# Half of that: field speed sensors keep an offset after the stop and were seen to report "moving with open door".
MOVING_SPEED_MIN: Final = 0.15
# Below a third of that again a car stands, whatever a controller that keeps trying to start says of its status.
STANDING_SPEED_MAX: Final = 0.05
# Noise of a sound sensor at standstill is far below.
SPEED_KNOWN_FROM: Final = 0.015


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
