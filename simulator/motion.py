"""Jerk-limited motion of a car from rest to rest: how long a flight takes and where the car is meanwhile.

The closed-form flight times are those of the lift traffic literature (G. Barney, Elevator Traffic Handbook):
with distance d, speed v, acceleration a and jerk j, a flight that reaches full speed takes d/v + v/a + a/j,
one that reaches only full acceleration a/j + sqrt(4d/a + (a/j)²), and a shorter one (32d/j)^(1/3).
All functions take arrays in m, s, m/s, m/s², m/s³ and expect v >= a²/j, as every real lift has.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.arrays import Floats, Mask


class Profile(NamedTuple):
    """One flight for each entry: the speed and acceleration it really reaches, and its duration in s."""

    speed: Floats
    acceleration: Floats
    duration: Floats


def profile(distance: Floats, speed: Floats, acceleration: Floats, jerk: Floats) -> Profile:
    """Plan flights over distances > 0 m."""
    accelerates = distance >= 2.0 * acceleration**3 / jerk**2
    top_acceleration = np.where(accelerates, acceleration, np.cbrt(distance * jerk**2 / 2.0))
    ramp = top_acceleration**2 / jerk
    # What is reached with the whole distance spent on gaining and losing speed.
    reached = np.where(accelerates, 0.5 * (np.sqrt(ramp * ramp + 4.0 * top_acceleration * distance) - ramp), ramp)
    top_speed = np.minimum(speed, reached)
    duration = distance / top_speed + top_speed / top_acceleration + top_acceleration / jerk
    return Profile(top_speed, top_acceleration, duration)


def full_speed(distance: Floats, speed: Floats, acceleration: Floats, jerk: Floats) -> Mask:
    """Say which flights are long enough to reach rated speed, so that they can be shortened under way."""
    return distance >= speed**2 / acceleration + speed * acceleration / jerk


def braking_distance(speed: Floats, acceleration: Floats, jerk: Floats) -> Floats:
    """Give the distance in m that a jerk-limited stop from a speed takes."""
    return 0.5 * (speed**2 / acceleration + speed * acceleration / jerk)


class Progress(NamedTuple):
    """Where flights stand: distance covered in m, speed in m/s, acceleration in m/s², all along the flight."""

    covered: Floats
    speed: Floats
    acceleration: Floats


def progress(elapsed: Floats, distance: Floats, plan: Profile, jerk: Floats) -> Progress:
    """Say where flights stand `elapsed` s after their start; before it at 0, after their end at `distance`."""
    time = np.clip(elapsed, 0.0, plan.duration)
    second_half = time > 0.5 * plan.duration
    # A flight from rest to rest is its own mirror image, so only the first half needs equations.
    early = np.where(second_half, plan.duration - time, time)
    rise = plan.acceleration / jerk
    hold = plan.speed / plan.acceleration - rise
    into_hold = np.clip(early - rise, 0.0, hold)
    into_ease = np.clip(early - rise - hold, 0.0, rise)
    cruise = np.maximum(early - 2.0 * rise - hold, 0.0)
    ramp = np.minimum(early, rise)
    speed_rise = 0.5 * jerk * ramp**2
    speed_hold = speed_rise + plan.acceleration * into_hold
    speed = speed_hold + plan.acceleration * into_ease - 0.5 * jerk * into_ease**2
    covered = (
        jerk * ramp**3 / 6.0
        + speed_rise * into_hold
        + 0.5 * plan.acceleration * into_hold**2
        + speed_hold * into_ease
        + 0.5 * plan.acceleration * into_ease**2
        - jerk * into_ease**3 / 6.0
        + plan.speed * cruise
    )
    acceleration = np.where(cruise > 0.0, 0.0, jerk * (ramp - into_ease))
    return Progress(
        np.where(second_half, distance - covered, covered),
        speed,
        np.where(second_half, -acceleration, acceleration),
    )
