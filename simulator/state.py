"""What every lift is doing at this moment, as arrays with one entry a lift."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

from lift.batch import Ints
from lift.signals import DoorState, ServiceMode
from simulator.arrays import Bits, Floats, Mask, Slots, Whole
from simulator.plant import Plant

FOREVER: Final = np.inf


class Phase(IntEnum):
    """What a lift is busy with. It leaves HELD only when whatever holds it lets it go."""

    IDLE = 0
    OPENING = 1
    OPEN = 2
    CLOSING = 3
    READY = 4
    MOVING = 5
    HELD = 6


class State:
    """Where lifts, doors and people are. Times are s since the start of the simulation.

    `until` ends the present phase. Calls are sets of landings as bits. People are counted one by one at each
    landing: `riders` want to get out there, `up_wait` and `down_wait` wait there; lift i's landing k is
    entry `offset[i] + k` of these three.
    """

    def __init__(self, plant: Plant, chance: np.random.Generator) -> None:
        """Park every lift with closed doors at its main landing or somewhere above."""
        count = len(plant)
        self.phase: Whole = np.zeros(count, np.uint8)
        self.until: Floats = np.full(count, FOREVER)
        away = chance.random(count) < 0.4  # noqa: PLR2004 - about as many as stand where the last rider got out
        floor = plant.main + (chance.random(count) * (plant.landings - plant.main)).astype(np.int32)
        self.landing: Whole = np.where(away, floor, plant.main).astype(np.int32)
        self.target: Whole = self.landing.copy()
        self.direction: Whole = np.zeros(count, np.int8)
        self.height: Floats = plant.height(np.arange(count), self.landing)

        self.started: Floats = np.zeros(count)
        self.origin: Floats = self.height.copy()
        self.distance: Floats = np.zeros(count)
        self.top_speed: Floats = np.zeros(count)
        self.top_acceleration: Floats = np.ones(count)
        self.duration: Floats = np.zeros(count)

        self.people: Whole = np.zeros(count, np.int16)
        self.car_calls: Bits = np.zeros(count, np.uint64)
        self.up_calls: Bits = np.zeros(count, np.uint64)
        self.down_calls: Bits = np.zeros(count, np.uint64)
        self.offset: Whole = np.concatenate([[0], np.cumsum(plant.landings, dtype=np.int64)[:-1]])
        places = int(plant.landings.sum())
        self.riders: Whole = np.zeros(places, np.uint8)
        self.up_wait: Whole = np.zeros(places, np.uint8)
        self.down_wait: Whole = np.zeros(places, np.uint8)

        self.mode: Floats = np.full(count, ServiceMode.NORMAL, np.float32)
        self.door: Floats = np.full(count, DoorState.CLOSED, np.float32)
        self.zone: Mask = np.ones(count, np.bool_)
        self.power: Mask = np.ones(count, np.bool_)
        self.chain: Mask = np.ones(count, np.bool_)
        self.brake_failed_open: Mask = np.zeros(count, np.bool_)
        self.alarm: Mask = np.zeros(count, np.bool_)
        self.codes: Ints = np.where(plant.code_level > 0, 0, -1).astype(np.int64)
        self.creep: Floats = np.zeros(count, np.float32)
        self.armed: Whole = np.zeros(count, np.int8)

        self.levelling_mm: Floats = chance.normal(0.0, 2.5, count).astype(np.float32)
        self.battery: Floats = np.ones(count, np.float32)
        self.heat: Floats = np.zeros(count, np.float32)
        # Most lifts have run for years: hours, runs and door cycles since installation.
        years = plant.age_years
        self.run_count: Floats = np.floor(years * 365.0 * plant.riders / 1.6)
        self.door_cycles: Floats = np.floor(self.run_count * 1.1)
        self.running_s: Floats = self.run_count * 9.0
        self.energy_kwh: Floats = np.zeros(count)
        self.served: Whole = np.zeros(count, np.int64)
        self.gave_up: Whole = np.zeros(count, np.int64)

    def clear_hall(self, slots: Slots) -> None:
        """Send away everybody who waits for these lifts; they take the stairs or another lift."""
        for slot in slots.tolist():
            # Only lifts that fail get here: a handful a second in a whole city.
            places = slice(self.offset[slot], self._end(slot))
            self.gave_up[slot] += int(self.up_wait[places].sum()) + int(self.down_wait[places].sum())
            self.up_wait[places] = 0
            self.down_wait[places] = 0
        self.up_calls[slots] = 0
        self.down_calls[slots] = 0

    def clear_car(self, slot: int) -> None:
        """Let everybody out of one car."""
        self.riders[self.offset[slot] : self._end(slot)] = 0
        self.people[slot] = 0
        self.car_calls[slot] = 0

    def _end(self, slot: int) -> int:
        following = slot + 1
        return int(self.offset[following]) if following < len(self.offset) else len(self.riders)
