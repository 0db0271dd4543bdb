"""One trip's ride quality: vibration people feel, acceleration, jerk, speed and distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.ride.motion import Motion, between, motion
from gateway.ride.peaks import a95, levels
from gateway.ride.recording import Gravity, Recording, accept
from gateway.ride.weighting import Weighting, weigh
from lift import trips as t
from lift.batch import Floats
from lift.signals import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class RideQuality:
    """ISO 18738-1 figures of one trip; NaN where the trip has no part to take one from.

    `boundaries` are s since the first sample: 0 before the car starts, 1 to 2 constant speed (NaN: none), 3 after the
    car stands. Peak-to-peak vibration in m/s², weighted: x and y (Wd) from 0 to 3, z (Wk) from 1 to 2. Acceleration and
    deceleration in m/s² and jerk in m/s³ below 10 Hz; speeds in m/s; distance in m, up positive.
    """

    gravity: Gravity
    boundaries: tuple[float, float, float, float]
    x_max: float
    x_a95: float
    y_max: float
    y_a95: float
    z_max: float
    z_a95: float
    jerk_max: float
    acceleration_max: float
    acceleration_a95: float
    deceleration_max: float
    deceleration_a95: float
    top_speed: float
    v95: float
    distance: float

    def columns(self) -> dict[Signal, float]:
        """Give what a trip reports of it."""
        return {
            t.RIDE_X_MAX: self.x_max,
            t.RIDE_X_A95: self.x_a95,
            t.RIDE_Y_MAX: self.y_max,
            t.RIDE_Y_A95: self.y_a95,
            t.RIDE_Z_MAX: self.z_max,
            t.RIDE_Z_A95: self.z_a95,
            t.JERK_MAX: self.jerk_max,
            t.ACCELERATION_MAX: self.acceleration_max,
            t.ACCELERATION_A95: self.acceleration_a95,
            t.DECELERATION_MAX: self.deceleration_max,
            t.DECELERATION_A95: self.deceleration_a95,
        }


def assess(acceleration: Floats, rate_hz: float) -> RideQuality:
    """Assess a recording (n × 3, m/s²) of one trip that begins and ends with the car at rest.

    x and y are horizontal; z is vertical, with or without gravity, which is detected and said. Raises Invalid for a
    rate under 256 Hz, less than 3 s, missing values, other units, or when nothing moves.
    """
    recording = accept(acceleration, rate_hz)
    way = motion(recording)
    last = way.first + len(way.speed)
    x, y = (
        levels(weigh(recording.axes[:, axis], rate_hz, Weighting.HORIZONTAL, slice(way.first, last))) for axis in (0, 1)
    )
    z = levels(_weighted_z(recording, way))
    gaining, losing = between(way.speed)
    cruise = slice(0, 0) if way.cruise is None else way.cruise
    steady = way.speed[cruise.start - way.first : cruise.stop - way.first] if way.cruise else way.speed
    return RideQuality(
        gravity=recording.gravity,
        boundaries=(
            way.first / rate_hz,
            cruise.start / rate_hz if way.cruise else np.nan,
            cruise.stop / rate_hz if way.cruise else np.nan,
            last / rate_hz,
        ),
        x_max=x.largest,
        x_a95=x.a95,
        y_max=y.largest,
        y_a95=y.a95,
        z_max=z.largest,
        z_a95=z.a95,
        jerk_max=float(np.abs(way.slope).max()),
        acceleration_max=float(way.acceleration.max()),
        acceleration_a95=a95(way.acceleration[gaining]),
        deceleration_max=float(-way.acceleration.min()),
        deceleration_a95=a95(-way.acceleration[losing]),
        top_speed=float(way.speed.max()),
        v95=a95(steady),
        distance=float(way.way * np.trapezoid(way.speed, dx=1.0 / rate_hz)),
    )


def _weighted_z(recording: Recording, way: Motion) -> Floats:
    """Weight z at constant speed alone: the lift's own acceleration would ring on in the weighting's 0.4 Hz filter."""
    if way.cruise is None:
        return np.empty(0)
    return weigh(recording.axes[:, 2], recording.rate_hz, Weighting.VERTICAL, way.cruise)
