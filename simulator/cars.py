"""Cars and doors: each lift moves, opens, waits and closes by its own clock, exact to fractions of a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from lift.signals import DoorState
from simulator import calls, motion
from simulator.arrays import Bits, Floats, Mask, Slots, Whole
from simulator.plant import Plant
from simulator.state import FOREVER, Phase, State
from simulator.trips import Trips
from simulator.wear import Wear

# From the usual ranges: 0.3-0.7 s from doors closed to the car moving, 2-5 s open for the first passenger.
START_DELAY_S: Final = 0.5
DWELL_S: Final = 2.6
TRANSFER_S: Final = 0.9
# Doors stand open longer on the main landing, where people come running.
MAIN_DWELL_S: Final = 1.5
# Somebody steps between closing doors.
REVERSAL: Final = 0.015
# Most people who board together and travel together get out together.
TOGETHER: Final = 0.45
# Of those who go down in a building, most leave it.
OUT_AT_MAIN: Final = 0.85
LEVELLING_MM: Final = 2.5
# A lift ends at most this many phases in a second: the shortest is the start delay.
PHASES_MAX: Final = 8


class Armed:
    """What a lift with a prepared fault waits for, in `State.armed`."""

    NOTHING: Final = 0
    LOADED_RUN: Final = 1
    EMPTY_RUN: Final = 2
    ANY_RUN: Final = 3
    LOADED_ARRIVAL: Final = 4
    EMPTY_ARRIVAL: Final = 5
    ANY_ARRIVAL: Final = 6
    OPENED: Final = 7


class Cars:
    """Moves all cars and doors on to a moment. `strike` hears of each prepared fault whose moment has come."""

    def __init__(self, plant: Plant, state: State, chance: np.random.Generator, trips: Trips, wear: Wear) -> None:
        self._plant = plant
        self._state = state
        self._chance = chance
        self._trips = trips
        self.strike: Callable[[int, float], None] = _ignore
        self._wear = wear

    def advance(self, now: float) -> None:
        """End every phase that is over by `now` s, in order for each lift."""
        state = self._state
        due = np.flatnonzero(state.until <= now)
        for _ in range(PHASES_MAX):
            if not len(due):
                return
            phase = state.phase[due]
            for ended, act in (
                (Phase.MOVING, self._arrived),
                (Phase.OPENING, self._opened),
                (Phase.OPEN, self._dwelt),
                (Phase.CLOSING, self._closed),
                (Phase.READY, self._departs),
                (Phase.IDLE, self._decide),
            ):
                which = due[phase == ended]
                if len(which):
                    act(which)
            due = due[state.until[due] <= now]

    def wake(self, slots: Slots, now: float) -> None:
        """Let idle lifts look at their calls."""
        state = self._state
        idle = slots[(state.phase[slots] == Phase.IDLE)]
        state.until[idle] = now

    def shorten(self, slots: Slots, now: float) -> None:
        """Stop moving cars earlier for new calls ahead in their direction, where they can still brake gently."""
        plant, state = self._plant, self._state
        slots = slots[state.phase[slots] == Phase.MOVING]
        if not len(slots):
            return
        going = np.sign(state.distance[slots])
        onward = np.where(going > 0, state.up_calls[slots], state.down_calls[slots])
        stop = calls.next_stop(onward, onward, onward, state.landing[slots], going.astype(np.int8))
        nearer = (stop >= 0) & ((state.target[slots] - stop) * going > 0) & ((stop - state.landing[slots]) * going > 0)
        slots, going, stop = slots[nearer], going[nearer], stop[nearer]
        limits = plant.speed[slots], plant.acceleration[slots], plant.jerk[slots]
        distance = np.abs(plant.height(slots, stop) - state.origin[slots])
        plan = motion.Profile(state.top_speed[slots], state.top_acceleration[slots], state.duration[slots])
        covered = motion.progress(now - state.started[slots], np.abs(state.distance[slots]), plan, limits[2]).covered
        # Flights that reach full speed all begin alike, so only their end moves.
        able = (
            motion.full_speed(distance, *limits)
            & (state.top_speed[slots] == limits[0])
            & (covered + motion.braking_distance(*limits) < distance)
        )
        slots, distance = slots[able], distance[able]
        new = motion.profile(distance, *(limit[able] for limit in limits))
        state.target[slots] = stop[able]
        state.distance[slots] = distance * going[able]
        state.duration[slots] = new.duration
        state.until[slots] = state.started[slots] + new.duration

    def place(self, now: float) -> tuple[Slots, Floats, Floats]:
        """Move the cars that run: gives their slots, speeds (up positive) and accelerations along the way."""
        state = self._state
        slots = np.flatnonzero(state.phase == Phase.MOVING)
        distance = state.distance[slots]
        plan = motion.Profile(state.top_speed[slots], state.top_acceleration[slots], state.duration[slots])
        at = motion.progress(now - state.started[slots], np.abs(distance), plan, self._plant.jerk[slots])
        way = np.sign(distance)
        state.height[slots] = state.origin[slots] + way * at.covered
        return slots, way * at.speed, way * at.acceleration

    def _arrived(self, slots: Slots) -> None:
        plant, state = self._plant, self._state
        state.landing[slots] = state.target[slots]
        error = self._chance.normal(0.0, LEVELLING_MM, len(slots))
        error += np.sign(state.distance[slots]) * 18.0 * self._wear.brake[slots]
        state.levelling_mm[slots] = error
        state.height[slots] = plant.height(slots, state.target[slots]) + error / 1000.0
        state.zone[slots] = True
        state.running_s[slots] += state.duration[slots]
        self._trips.finished(slots)
        self._open(slots)
        armed = state.armed[slots]
        if armed.any():
            loaded = np.where(state.people[slots] > 0, Armed.LOADED_ARRIVAL, Armed.EMPTY_ARRIVAL)
            self._hit(slots[(armed == Armed.ANY_ARRIVAL) | (armed == loaded)], 0.0)

    def _open(self, slots: Slots) -> None:
        state = self._state
        state.phase[slots] = Phase.OPENING
        state.door[slots] = DoorState.OPENING
        state.until[slots] += self._plant.open_s[slots]

    def _opened(self, slots: Slots) -> None:
        state = self._state
        state.phase[slots] = Phase.OPEN
        state.door[slots] = DoorState.OPEN
        state.door_cycles[slots] += 1.0
        moved = self._transfer(slots)
        at_main = state.landing[slots] == self._plant.main[slots]
        dwell = DWELL_S + MAIN_DWELL_S * at_main + TRANSFER_S * moved
        state.until[slots] += dwell
        armed = state.armed[slots] == Armed.OPENED
        self._hit(slots[armed], dwell[armed])

    def _dwelt(self, slots: Slots) -> None:
        """Close, unless somebody came to this landing meanwhile and still fits."""
        state = self._state
        again = slots[self._wanted_here(slots)]
        if len(again):
            state.until[again] += 1.0 + TRANSFER_S * self._transfer(again)
        closing = np.setdiff1d(slots, again, assume_unique=True) if len(again) else slots
        state.phase[closing] = Phase.CLOSING
        state.door[closing] = DoorState.CLOSING
        state.until[closing] += self._wear.close_s[closing]

    def _closed(self, slots: Slots) -> None:
        state = self._state
        reversed_by = self._chance.random(len(slots)) < REVERSAL
        back = slots[reversed_by | self._wanted_here(slots)]
        self._open(back)
        shut = slots[state.phase[slots] == Phase.CLOSING]
        state.door[shut] = DoorState.CLOSED
        self._decide(shut)

    def _wanted_here(self, slots: Slots) -> Mask:
        """Say where people wait at the car's landing for its direction, and it has room."""
        state = self._state
        here = calls.bit(state.landing[slots])
        way = state.direction[slots]
        up = (state.up_calls[slots] & here > 0) & (way >= 0)
        down = (state.down_calls[slots] & here > 0) & (way <= 0)
        return (up | down) & (state.people[slots] < self._plant.people_max[slots])

    def _decide(self, slots: Slots) -> None:
        """Send closed cars to their next stop, open again for a call right here, or let them rest."""
        state = self._state
        landing, way = state.landing[slots], state.direction[slots]
        car, up, down = state.car_calls[slots], state.up_calls[slots], state.down_calls[slots]
        stop = calls.next_stop(car, up, down, landing, way)
        here = ((up | down) & calls.bit(landing)) > 0
        # Whoever waits right here for the other way is served at once by a car with nothing else to do.
        opens = here & (stop < 0)
        rests = ~here & (stop < 0)
        reopening, resting, leaving = slots[opens], slots[rests], slots[stop >= 0]
        state.direction[reopening] = 0
        self._open(reopening)
        state.direction[resting] = 0
        state.phase[resting] = Phase.IDLE
        state.until[resting] = FOREVER
        state.target[leaving] = stop[stop >= 0]
        state.direction[leaving] = np.sign(state.target[leaving] - state.landing[leaving])
        state.phase[leaving] = Phase.READY
        state.until[leaving] += START_DELAY_S

    def _departs(self, slots: Slots) -> None:
        plant, state = self._plant, self._state
        target = plant.height(slots, state.target[slots])
        distance = target - state.height[slots]
        plan = motion.profile(np.abs(distance), plant.speed[slots], plant.acceleration[slots], plant.jerk[slots])
        state.phase[slots] = Phase.MOVING
        state.origin[slots] = state.height[slots]
        state.distance[slots] = distance
        state.top_speed[slots], state.top_acceleration[slots] = plan.speed, plan.acceleration
        state.duration[slots] = plan.duration
        state.started[slots] = state.until[slots]
        state.until[slots] += plan.duration
        state.run_count[slots] += 1.0
        armed = state.armed[slots]
        if armed.any():
            loaded = state.people[slots] > 0
            ready = (armed == Armed.ANY_RUN) | (armed == np.where(loaded, Armed.LOADED_RUN, Armed.EMPTY_RUN))
            self._hit(slots[ready], plan.duration[ready])

    def _hit(self, slots: Slots, left: Floats | float) -> None:
        """Tell the faults whose moment has come when this phase began; few lifts, so one by one."""
        if not len(slots):
            return
        state = self._state
        begun = state.until[slots] - left
        for slot, at in zip(slots.tolist(), np.broadcast_to(begun, len(slots)).tolist(), strict=True):
            state.armed[slot] = Armed.NOTHING
            self.strike(slot, at)

    def _transfer(self, slots: Slots) -> Floats:
        """Let people out and in at the landing; gives how many passed each door."""
        plant, state = self._plant, self._state
        landing = state.landing[slots]
        spot = state.offset[slots] + landing
        here = calls.bit(landing)
        out = state.riders[spot].astype(np.int64)
        state.riders[spot] = 0
        state.people[slots] -= out.astype(np.int16)
        state.car_calls[slots] &= ~here
        state.served[slots] += out
        self._turn(slots, landing, here)
        room = plant.people_max[slots] - state.people[slots]
        boarded = np.zeros(len(slots), np.int64)
        for way, waiting, hall in ((1, state.up_wait, state.up_calls), (-1, state.down_wait, state.down_calls)):
            # A car without a direction takes whoever is there: first those who go up, then it is bound to go up.
            going = (state.direction[slots] == way) & (hall[slots] & here > 0)
            lifts, place = slots[going], spot[going]
            entering = np.minimum(waiting[place], room[going]).astype(np.int64)
            waiting[place] -= entering.astype(np.uint8)
            hall[lifts] &= np.where(waiting[place] == 0, ~here[going], ~np.uint64(0))
            self._board(lifts, entering, way)
            boarded[going] += entering
        passed: Floats = (out + boarded).astype(np.float64)
        return passed

    def _turn(self, slots: Slots, landing: Whole, here: Bits) -> None:
        """Settle the direction of service: onward while there is a reason, else the other way, else none."""
        state = self._state
        car, up, down = state.car_calls[slots], state.up_calls[slots], state.down_calls[slots]
        reason_up = (calls.above(car | up | down, landing) | (up & here)) > 0
        reason_down = (calls.below(car | up | down, landing) | (down & here)) > 0
        way = state.direction[slots]
        up_next = reason_up & ((way >= 0) | ~reason_down)
        state.direction[slots] = np.where(up_next, 1, np.where(reason_down, -1, 0))

    def _board(self, lifts: Slots, entering: Whole, way: int) -> None:
        """Ask everybody who enters where they go."""
        plant, state = self._plant, self._state
        total = int(entering.sum())
        if not total:
            return
        person = np.repeat(lifts, entering)
        landing, main = state.landing[person], plant.main[person]
        draw = self._chance.random(total)
        if way > 0:
            goal = landing + 1 + (draw * (plant.landings[person] - 1 - landing)).astype(np.int32)
        else:
            anywhere = (draw * landing).astype(np.int32)
            goal = np.where((landing > main) & (self._chance.random(total) < OUT_AT_MAIN), main, anywhere)
        # Whoever travels together copies the goal of the one before, within the same car.
        alone = self._chance.random(total) >= TOGETHER
        alone[0] = True
        alone[1:] |= person[1:] != person[:-1]
        goal = goal[np.maximum.accumulate(np.where(alone, np.arange(total), 0))]
        np.add.at(state.riders, state.offset[person] + goal, 1)
        np.bitwise_or.at(state.car_calls, person, calls.bit(goal))
        state.people[lifts] += entering.astype(np.int16)


def _ignore(_slot: int, _at: float) -> None:
    """Nobody waits for faults."""
