"""Motion: flights take the closed-form time and keep within the speed, acceleration and jerk they are given."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import motion

# Rated speed with the acceleration and jerk that go with it.
DRIVES = (
    (0.63, 0.5, 1.0),
    (1.0, 0.6, 1.0),
    (1.75, 0.9, 1.2),
    (2.0, 0.9, 1.2),
    (2.5, 1.0, 1.6),
    (4.0, 1.1, 1.5),
    (6.0, 1.2, 1.6),
)
distances = st.floats(0.01, 400.0)
drives = st.sampled_from(DRIVES)


def closed_form(distance: float, speed: float, acceleration: float, jerk: float) -> float:
    """Give the flight time as the three textbook cases state it."""
    a, v, j = acceleration, speed, jerk
    if distance >= (a * a * v + v * v * j) / (a * j):
        return distance / v + v / a + a / j
    if distance >= 2 * a**3 / j**2:
        return a / j + math.sqrt(4 * distance / a + (a / j) ** 2)
    return math.pow(32 * distance / j, 1 / 3)


def arrays(*values: float) -> list[np.ndarray]:
    """Give each number as an array of one."""
    return [np.array([value]) for value in values]


@given(distance=distances, drive=drives)
def test_a_flight_takes_the_closed_form_time(distance: float, drive: tuple[float, float, float]) -> None:
    """All three cases of the textbook are met far within the 1 % that is asked for."""
    plan = motion.profile(*arrays(distance, *drive))
    assert plan.duration[0] == pytest.approx(closed_form(distance, *drive), rel=1e-9)


@given(distance=distances, drive=drives)
def test_a_flight_stays_within_its_limits(distance: float, drive: tuple[float, float, float]) -> None:
    """The car goes only forward, from rest to rest, never faster, harder or more abruptly than it may."""
    speed, acceleration, jerk = drive
    plan = motion.profile(*arrays(distance, *drive))
    time = np.linspace(0.0, plan.duration[0], 2001)
    along = motion.progress(time, np.full_like(time, distance), motion.Profile(*plan), np.array([jerk]))
    assert (np.diff(along.covered) >= -1e-9).all()
    assert along.covered[[0, -1]] == pytest.approx([0.0, distance], abs=1e-6)
    assert along.speed[[0, -1]] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert along.speed.max() <= speed * (1 + 1e-9)
    assert np.abs(along.acceleration).max() <= acceleration * (1 + 1e-9)
    step = time[1] - time[0]
    assert np.abs(np.diff(along.acceleration)).max() <= jerk * step * (1 + 1e-6)
    # What the speeds add up to is the distance.
    assert np.trapezoid(along.speed, time) == pytest.approx(distance, rel=1e-4)


@given(drive=drives, further=st.floats(0.0, 50.0))
def test_a_long_flight_can_be_shortened_under_way(drive: tuple[float, float, float], further: float) -> None:
    """Two flights that reach full speed begin alike, up to where the shorter one must brake."""
    speed, acceleration, jerk = drive
    short = speed**2 / acceleration + speed * acceleration / jerk + 1.0
    assert motion.full_speed(*arrays(short, *drive))[0]
    brakes_s = motion.profile(*arrays(short, *drive)).duration[0] / 2
    covered = [
        motion.progress(
            np.array([brakes_s]), np.array([distance]), motion.profile(*arrays(distance, *drive)), np.array([jerk])
        ).covered[0]
        for distance in (short, short + further)
    ]
    assert covered[0] == pytest.approx(covered[1])
    assert short - covered[0] >= motion.braking_distance(*arrays(*drive))[0]
