"""Trips of raw acceleration: cut, told by direction, and scored beside the healthy ones."""

from __future__ import annotations

import numpy as np
import pytest

from alarms.condition.recordings import FEATURES, TripFeatures, features_of
from alarms.condition.trip_scores import score_trips
from lift.errors import Invalid
from simulator.acceleration import record_trip
from simulator.city import build_city

PLANT = build_city(lifts=80, seed=6).plant
SLOT = int(np.flatnonzero(PLANT.landings >= 10)[0])


def trip(number: int, *, bearing: float = 0.0, joint: float = 0.0, rate_hz: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Record a trip between landings that follow from its number, up and down in turn."""
    chance = np.random.default_rng(number)
    low, high = int(chance.integers(0, 4)), int(chance.integers(6, 10))
    origin, goal = (low, high) if number % 2 else (high, low)
    recording = record_trip(
        PLANT,
        SLOT,
        origin=origin,
        goal=goal,
        chance=chance,
        rate_hz=rate_hz,
        bearing=bearing,
        joint_height=15.0,
        joint_level=joint,
    )
    return recording.time, recording.axes + np.array([0.0, 0.0, 9.81])


def measured(trips: list[tuple[np.ndarray, np.ndarray]]) -> list[TripFeatures]:
    """Measure recordings of one trip each."""
    return [features for time, axes in trips for features in features_of(time, axes)]


@pytest.mark.parametrize(("fault", "level"), [("bearing", 0.8), ("joint", 0.5)])
def test_a_fault_scores_above_healthy_trips(fault: str, level: float) -> None:
    """Twelve healthy trips, eight more, then ten with a fault: alarms in the last ten, none in the eight."""
    healthy = [trip(n) for n in range(20)]
    faulty = [trip(20 + n, **{fault: level}) for n in range(10)]  # type: ignore[arg-type]
    score = score_trips(measured(healthy + faulty), 12)
    assert (score[12:20] < 0.5).all()
    assert (score[22:] >= 0.5).mean() >= 0.7


def test_healthy_trips_are_left_alone() -> None:
    """A dozen trips tell little of their own spread; of sixty healthy ones after them, at most three are in alarm."""
    trips = measured([trip(n, rate_hz=64) for n in range(72)])
    assert np.count_nonzero(score_trips(trips, 12)[12:] >= 0.5) <= 3


@pytest.mark.parametrize("rate_hz", [50, 500])
def test_any_rate_and_unit_gives_the_same_kind_of_trip(rate_hz: int) -> None:
    """Direction, length and the number of features do not depend on the sampling rate, gravity or the unit."""
    time, axes = trip(1, rate_hz=rate_hz)
    for scale in (1.0, 1 / 9.81):
        (one,) = features_of(time, axes * scale)
        assert one.direction == 1
        assert len(one.features) == FEATURES
        assert np.isfinite(one.features).all()
        assert one.duration == pytest.approx(time[-1], rel=0.25)
    assert features_of(*trip(2, rate_hz=rate_hz))[0].direction == -1


def test_a_file_of_several_trips_is_cut() -> None:
    """Three trips with half a minute of rest between them are three trips."""
    chance = np.random.default_rng(9)
    parts, start = [], 0.0
    for number in range(3):
        _, axes = trip(number)
        rest = chance.normal(0.0, 0.001, (30 * 128, 3)) + np.array([0.0, 0.0, 9.81])
        parts += [rest, axes]
    axes = np.concatenate(parts)
    found = features_of(start + np.arange(len(axes)) / 128.0, axes)
    assert len(found) == 3
    assert [one.direction for one in found] == [-1, 1, -1]


def test_a_score_does_not_look_ahead() -> None:
    """Trips to come change no score."""
    trips = measured([trip(n) for n in range(16)])
    assert np.array_equal(score_trips(trips, 8)[:12], score_trips(trips[:12], 8))


@pytest.mark.parametrize(
    ("time", "axes"),
    [
        (np.arange(5.0), np.zeros((5, 3))),
        (np.arange(500.0), np.zeros((500, 3))),
        (np.arange(500) / 100, np.zeros((500, 2))),
        (np.full(500, np.nan), np.zeros((500, 3))),
    ],
)
def test_what_is_no_recording_is_refused(time: np.ndarray, axes: np.ndarray) -> None:
    """Too short, too slow, not three axes, no time."""
    with pytest.raises(Invalid):
        features_of(time, axes)


def test_too_few_trips_are_refused() -> None:
    """A baseline needs five trips."""
    with pytest.raises(Invalid, match="baseline"):
        score_trips(measured([trip(n) for n in range(3)]))
