"""What the sensors say: the state as columns of readings, with noise, missing equipment and small lies."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np

from lift import signals as s
from lift.batch import Floats as Column
from lift.signals import Direction, DoorState, Signal
from simulator.arrays import Floats, Slots, Whole
from simulator.plant import Plant
from simulator.state import State
from simulator.wear import Wear

# Unlocking zone ±0.20 m (EN 81-20 5.3.8.1); beyond it the car is between landings.
DOOR_ZONE_M: Final = 0.20
PERSON_KG: Final = 70.0
# At the end of its way a slipping rope has the encoder off by this part of the height.
ROPE_DRIFT: Final = 0.004
# Multiples of it fall evenly between 0 and 1.
_GOLDEN: Final = 0.6180339887
_SPREAD_AGAIN: Final = 997.0
# Three phases at 380 V and a power factor of 0.85.
KWH_AN_AMPERE_SECOND: Final = 1.732 * 380.0 * 0.85 / 3.6e6
# Warming and cooling of a hoisting motor: about ten minutes.
MOTOR_TIME_S: Final = 600.0
# A machine room takes half an hour to follow its air conditioning.
ROOM_TIME_S: Final = 1_800.0
_NOISE_EXTRA: Final = 1 << 16
_SPEED_NOISE: Final = 0.004
# The noise drawn for moving cars repeats after so many draws; nothing counts on longer runs.
_FLICKER_ON: Final = 0.4

# What only a connection to the controller can tell; retrofit terminals bring their own sensors for the rest.
CONTROLLER_ONLY: Final = (s.SAFETY_CHAIN, s.DOOR_LOCK, s.BRAKE_RELEASED, s.LOAD, s.MOTOR_CURRENT, s.MOTOR_TEMPERATURE)


class Lie(StrEnum):
    """How a sensor can be wrong while the lift is well."""

    PRESENCE_FLICKER = "presence_flicker"
    PRESENCE_STUCK = "presence_stuck"
    SPEED_OFFSET = "speed_offset"
    DOOR_WRONG = "door_wrong"
    ZONE_STUCK = "zone_stuck"
    LOAD_STUCK = "load_stuck"


class Drift(StrEnum):
    """What can drift out of its limits while the lift works."""

    MOTOR = "motor"
    ROOM = "room"
    BATTERY = "battery"
    TEST_CALL = "test_call"


class Sensors:
    """Reads all lifts at once. What is worn shows, and sensors may lie."""

    def __init__(self, plant: Plant, state: State, chance: np.random.Generator, wear: Wear) -> None:
        count = len(plant)
        self._plant = plant
        self._state = state
        self._chance = chance
        self._noise: Floats = chance.standard_normal(count + _NOISE_EXTRA, dtype=np.float32)
        self._lacking: Slots = np.flatnonzero(plant.retrofit)
        self._position: Floats = self._label(np.arange(count), state.landing)
        # Tighter rails and better isolation make some cars smoother than others; m/s² RMS at rated speed.
        self._rough: Floats = (0.03 + 0.012 * np.abs(chance.standard_normal(count))).astype(np.float32)
        self._wear = wear
        self._lies: dict[Lie, dict[int, float]] = {lie: {} for lie in Lie}
        self._drifts: dict[Drift, dict[int, tuple[float, float]]] = {what: {} for what in Drift}
        # Terminals call the desk by themselves well within the 72 hours of EN 81-28, evenly spread over the hours.
        spread = np.arange(count) * _GOLDEN % 1.0
        self._test_every_h: Floats = 24.0 + 46.0 * spread
        self._tested_h: Floats = (spread * _SPREAD_AGAIN % 1.0) * self._test_every_h
        self.room_c: Floats = np.full(1, 25.0)

    def lie(self, kind: Lie, slot: int, value: float) -> None:
        """Make a sensor wrong."""
        self._lies[kind][slot] = value

    def mend(self, kind: Lie, slot: int) -> None:
        """Make a sensor right again."""
        self._lies[kind].pop(slot, None)

    def drift(self, what: Drift, slot: int, size: float, now: float) -> None:
        """Let something drift from now on, towards a size of its own unit."""
        self._drifts[what][slot] = (size, now)

    def settle(self, what: Drift, slot: int) -> None:
        """Put it right again."""
        self._drifts[what].pop(slot, None)

    def read(self, now: float, slots: Slots, speed: Floats, acceleration: Floats) -> dict[Signal, Column]:
        """Give every column; `slots` are the cars that move, with their speeds and accelerations."""
        plant, state = self._plant, self._state
        count = len(plant)
        moving = np.zeros(count, np.float32)
        moving[slots] = 1.0
        self.track(slots)
        speeds = self._speeds(now, slots, speed, moving)
        closed = (state.door == DoorState.CLOSED).astype(np.float32)
        people = state.people > 0
        columns: dict[Signal, Column] = {
            s.SERVICE_MODE: state.mode.copy(),
            s.CAR_STATUS: moving,
            s.CAR_DIRECTION: np.where(speeds > 0, Direction.UP, Direction.DOWN).astype(np.float32) * moving,
            s.DOOR_ZONE: state.zone.astype(np.float32),
            s.CAR_POSITION: self._position.copy(),
            s.DOOR_CLOSED: closed,
            s.PASSENGER: people.astype(np.float32),
            s.RUNNING_HOURS: state.running_s / 3600.0,
            s.RUN_COUNT: state.run_count.copy(),
            s.CAR_SPEED: speeds,
            s.CAR_HEIGHT: (state.height * (1.0 + ROPE_DRIFT * self._wear.rope)).astype(np.float32),
            s.DOOR_STATE: state.door.copy(),
            s.SAFETY_CHAIN: closed * state.chain,
            s.DOOR_LOCK: closed.copy(),
            s.BRAKE_RELEASED: np.maximum(moving, state.brake_failed_open, dtype=np.float32),
            s.LOAD: (state.people * (PERSON_KG / plant.rated_kg)).astype(np.float32),
            s.MAIN_POWER: state.power.astype(np.float32),
            s.BATTERY: state.battery.copy(),
            s.ALARM_BUTTON: state.alarm.astype(np.float32),
            s.LEVELLING_ERROR: state.levelling_mm.copy(),
            s.DOOR_CYCLES: state.door_cycles.copy(),
            s.TEST_CALL_AGE: (self._tested_h + now / 3600.0) % self._test_every_h,
        }
        columns |= self._vibration(slots, speed, acceleration)
        columns |= self._motor(slots, acceleration, moving)
        self._drift_off(now, columns)
        self._tell_lies(columns)
        for signal in CONTROLLER_ONLY:
            columns[signal][self._lacking] = np.nan
        return columns

    def track(self, slots: Slots) -> None:
        """Keep the door zone and the landing number of moving cars up with their height."""
        plant, state = self._plant, self._state
        height = state.height[slots]
        landing = plant.nearest(slots, height)
        state.zone[slots] = np.abs(height - plant.height(slots, landing)) <= DOOR_ZONE_M
        self._position[slots] = self._label(slots, landing)

    def _label(self, slots: Slots, landing: Whole) -> Floats:
        """Number landings as people do: 1 is the main one, and there is no 0 between it and the basement -1."""
        number = landing - self._plant.main[slots] + 1
        return (number - (number <= 0)).astype(np.float32)

    def _speeds(self, now: float, slots: Slots, speed: Floats, moving: Floats) -> Floats:
        state = self._state
        speeds = state.creep.copy()
        # A worn brake lets the car sag against its direction for a moment at the start.
        sag = 0.12 * self._wear.brake[slots] * (now - state.started[slots] < 1.0)
        speeds[slots] = speed * (1.0 + _SPEED_NOISE * self._some_noise(len(slots))) - sag * np.sign(speed)
        creeping = np.flatnonzero(state.creep)
        moving[creeping] = 1.0
        return speeds

    def _some_noise(self, count: int) -> Floats:
        start = int(self._chance.integers(_NOISE_EXTRA))
        return self._noise[start : start + count]

    def _vibration(self, slots: Slots, speed: Floats, acceleration: Floats) -> dict[Signal, Column]:
        """Give RMS over the second: a floor at rest, more with speed, and a knock where a rail joint is worn."""
        plant, state = self._plant, self._state
        running = np.abs(speed) / plant.speed[slots]
        since_joint = np.abs(state.height[slots] - self._wear.joint_height[slots])
        knock = np.where(since_joint < np.maximum(np.abs(speed), 0.3), self._wear.joint[slots], 0.0)
        level = self._rough[slots] * running
        columns: dict[Signal, Column] = {}
        for signal, weight, knocks in (
            (s.VIBRATION_X, 0.8, 0.22),
            (s.VIBRATION_Y, 0.7, 0.18),
            (s.VIBRATION_Z, 1.0, 0.06),
        ):
            start = int(self._chance.integers(_NOISE_EXTRA))
            values = np.abs(self._noise[start : start + len(plant)]) * np.float32(0.002)
            extra = level * weight * (1.0 + 0.15 * self._some_noise(len(slots))) + knocks * knock
            # The bearing hums through the ropes; acceleration itself shows in z.
            extra += 0.03 * self._wear.bearing[slots] + (
                0.02 * np.abs(acceleration) if signal is s.VIBRATION_Z else 0.0
            )
            values[slots] += np.maximum(extra, 0.0).astype(np.float32)
            columns[signal] = values
        return columns

    def _motor(self, slots: Slots, acceleration: Floats, moving: Floats) -> dict[Signal, Column]:
        plant, state = self._plant, self._state
        # A counterweight balances half the load: a half-full car needs least.
        load = state.people[slots] * (PERSON_KG / plant.rated_kg[slots])
        effort = 0.25 + 0.9 * np.abs(load - 0.48) + 0.5 * np.abs(acceleration)
        current = np.zeros(len(plant), np.float32)
        current[slots] = plant.current_a[slots] * effort * (1.0 + 0.35 * self._wear.bearing[slots])
        current[slots] *= 1.0 + 0.03 * self._some_noise(len(slots))
        state.energy_kwh[slots] += KWH_AN_AMPERE_SECOND * current[slots]
        state.heat += (moving - state.heat) * np.float32(1.0 / MOTOR_TIME_S)
        room = self.room_c.astype(np.float32)
        motor = room + 4.0 + (70.0 + 45.0 * self._wear.bearing) * state.heat
        return {
            s.MOTOR_CURRENT: current,
            s.MOTOR_TEMPERATURE: motor.astype(np.float32),
            s.MACHINE_ROOM_TEMPERATURE: (room + 8.0 * state.heat).astype(np.float32),
        }

    def _drift_off(self, now: float, columns: dict[Signal, Column]) -> None:
        """Warm up towards the drift's size; a battery has lost its charge at once; test calls grow older."""
        for slot, (size, since) in self._drifts[Drift.MOTOR].items():
            columns[s.MOTOR_TEMPERATURE][slot] += size * (1.0 - np.exp((since - now) / MOTOR_TIME_S))
        for slot, (size, since) in self._drifts[Drift.ROOM].items():
            columns[s.MACHINE_ROOM_TEMPERATURE][slot] += size * (1.0 - np.exp((since - now) / ROOM_TIME_S))
        for slot, (size, _) in self._drifts[Drift.BATTERY].items():
            columns[s.BATTERY][slot] = min(float(columns[s.BATTERY][slot]), size)
        for slot, (size, since) in self._drifts[Drift.TEST_CALL].items():
            columns[s.TEST_CALL_AGE][slot] = size + (now - since) / 3600.0

    def _tell_lies(self, columns: dict[Signal, Column]) -> None:
        for kind, liars in self._lies.items():
            if not liars:
                continue
            slots = np.fromiter(liars, np.intp, len(liars))
            values = np.fromiter(liars.values(), np.float32, len(liars))
            match kind:
                case Lie.PRESENCE_STUCK:
                    columns[s.PASSENGER][slots] = values
                case Lie.PRESENCE_FLICKER:
                    flips = self._chance.random(len(slots)) < _FLICKER_ON
                    columns[s.PASSENGER][slots] = np.abs(columns[s.PASSENGER][slots] - flips)
                case Lie.SPEED_OFFSET:
                    columns[s.CAR_SPEED][slots] += values
                case Lie.DOOR_WRONG:
                    columns[s.DOOR_CLOSED][slots] = values
                case Lie.ZONE_STUCK:
                    columns[s.DOOR_ZONE][slots] = values
                case Lie.LOAD_STUCK:
                    columns[s.LOAD][slots] = values
