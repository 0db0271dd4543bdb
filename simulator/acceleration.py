"""The raw stream of a three-axis accelerometer in a car, over one trip or second by second, as a retrofit sensor's.

z carries the jerk-limited motion itself; all axes carry the hum of sheave and motor at their orders, the knock of rail
joints at their heights, and white noise. Gravity is left out, as such sensors are calibrated at rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lift.errors import Invalid
from simulator import motion
from simulator.arrays import Floats
from simulator.plant import Plant
from simulator.simulation import Simulation
from simulator.state import Phase
from simulator.wear import RAIL_M

RATE_HZ: Final = 256
RATE_HZ_MIN, RATE_HZ_MAX = 16, 8_192
SHEAVE_M: Final = 0.4
# The motor turns a geared sheave this much faster.
GEAR: Final = 20.0
# Levels in m/s² at rated speed, of a lift in good order (GB/T 10058 allows 0.30 pk-pk in z, 0.20 in x and y).
_NOISE: Final = 0.008
_SHEAVE: Final = 0.025
_MOTOR: Final = 0.012
_JOINT: Final = 0.03
_RINGING_HZ: Final = 11.0
_DECAY_S: Final = 0.15
_AXES: Final = ("x", "y", "z")


@dataclass(frozen=True, slots=True)
class Recording:
    """One trip: `time` in s from its start, `height` in m above the lowest landing, `axes` x, y, z in m/s²."""

    time: Floats
    height: Floats
    axes: Floats


def record_trip(
    plant: Plant,
    slot: int,
    *,
    origin: int,
    goal: int,
    chance: np.random.Generator,
    rate_hz: int = RATE_HZ,
    joint_height: float | None = None,
    joint_level: float = 0.0,
    bearing: float = 0.0,
) -> Recording:
    """Record a trip from one landing to another; raises Invalid.

    `joint_height` (m) is where a worn rail joint knocks with `joint_level` m/s² on top of the usual; `bearing` (0 to 1)
    is how worn the motor bearing is, which shows at twice the motor's order.
    """
    if not RATE_HZ_MIN <= rate_hz <= RATE_HZ_MAX:
        raise Invalid("rate_hz", f"{rate_hz} is outside {RATE_HZ_MIN} to {RATE_HZ_MAX}")
    landings = int(plant.landings[slot])
    if origin == goal or not (0 <= origin < landings and 0 <= goal < landings):
        raise Invalid("goal", f"a trip from landing {origin} to {goal} of {landings}, counted from 0, is none")
    one = np.array([slot])
    start, end = (float(plant.height(one, np.array([landing]))[0]) for landing in (origin, goal))
    way = 1.0 if end > start else -1.0
    distance = np.array([abs(end - start)])
    jerk = plant.jerk[one]
    plan = motion.profile(distance, plant.speed[one], plant.acceleration[one], jerk)
    time = np.arange(int(float(plan.duration[0]) * rate_hz)) / rate_hz
    along = motion.progress(time, distance, plan, jerk)
    height = start + way * along.covered
    part = along.speed / plant.speed[slot]
    axes = _noise(len(time), chance)
    axes[:, 2] += way * along.acceleration
    _shake(axes, along.covered, part, _knocks(time, height, part, joint_height, joint_level), bearing)
    return Recording(time, height, axes)


def record_second(simulation: Simulation, slot: int, chance: np.random.Generator) -> Floats:
    """Record one lift over the second that the simulation lived last, at RATE_HZ: x, y, z in m/s², one row a sample.

    A car that something has stopped under way is recorded as standing, for all of the second in which it stopped.
    """
    plant, state, wear = simulation.city.plant, simulation.state, simulation.wear
    axes = _noise(RATE_HZ, chance)
    now, phase = float(simulation.seconds), state.phase[slot]
    arrived = now - 1.0 < state.started[slot] + state.duration[slot] <= now and phase != Phase.HELD
    if phase != Phase.MOVING and not arrived:
        return axes
    # One second more, so that what the second before has set ringing still rings.
    time = now - 2.0 + np.arange(2 * RATE_HZ) / RATE_HZ - state.started[slot]
    one = np.array([slot])
    plan = motion.Profile(state.top_speed[one], state.top_acceleration[one], state.duration[one])
    along = motion.progress(time, np.abs(state.distance[one]), plan, plant.jerk[one])
    way = float(np.sign(state.distance[slot]))
    part = along.speed / plant.speed[slot]
    height = state.origin[slot] + way * along.covered
    knock = _knocks(time, height, part, float(wear.joint_height[slot]), float(wear.joint[slot]))
    last = slice(RATE_HZ, None)
    axes[:, 2] += way * along.acceleration[last]
    _shake(axes, along.covered[last], part[last], knock[last], float(wear.bearing[slot]))
    return axes


def _noise(count: int, chance: np.random.Generator) -> Floats:
    return chance.normal(0.0, _NOISE, (count, len(_AXES)))


def _shake(axes: Floats, covered: Floats, part: Floats, knock: Floats, bearing: float) -> None:
    """Add the hum of sheave and motor and the knocks, `part` being the share of rated speed."""
    turns = covered / (np.pi * SHEAVE_M)
    hum = _SHEAVE * part * np.sin(2 * np.pi * turns) + _MOTOR * part * np.sin(2 * np.pi * GEAR * turns)
    hum += 0.08 * bearing * part * np.sin(4 * np.pi * GEAR * turns)
    axes[:, 0] += 0.5 * hum + knock
    axes[:, 1] += 0.4 * hum + 0.8 * knock
    axes[:, 2] += hum + 0.3 * knock


def _knocks(time: Floats, height: Floats, part: Floats, worn: float | None, level: float) -> Floats:
    """Ring a damped oscillation at every rail joint that the car passes."""
    low, high = float(height.min()), float(height.max())
    joints = [RAIL_M * k for k in range(int(low / RAIL_M) + 1, int(high / RAIL_M) + 1)]
    knock = np.zeros(len(time))
    for joint in joints:
        passed = int(np.argmin(np.abs(height - joint)))
        extra = level if worn is not None and abs(joint - worn) < RAIL_M / 2 else 0.0
        since = time[passed:] - time[passed]
        ringing = np.exp(-since / _DECAY_S) * np.sin(2 * np.pi * _RINGING_HZ * since)
        knock[passed:] += (_JOINT + extra) * part[passed] * ringing
    return knock
