"""People: they arrive by place class and hour in small parties and call the lift of their group that suits best."""

from __future__ import annotations

from typing import Final

import numpy as np

from lift.signals import ServiceMode
from simulator import calls
from simulator.arrays import Floats, Mask, Slots, Whole
from simulator.cars import Cars
from simulator.places import PLACES, USAGE, hourly
from simulator.plant import GROUP_MAX, Plant
from simulator.state import Phase, State

DAY_S: Final = 86_400.0
# Parties of one to four; the mean of 1.55 gives the bulletins' about two people an entrapment.
PARTY: Final = (0.62, 0.25, 0.09, 0.04)
PARTY_MEAN: Final = sum(size * share for size, share in enumerate(PARTY, 1))
# More than this many people at one landing walk away.
QUEUE_MAX: Final = 60
# What counts when a group chooses a car, in landings' worth of waiting.
_STOP_COST: Final = 2.0
_WRONG_WAY_COST: Final = 6.0
_FULL_COST: Final = 12.0
_OUT_COST: Final = 1e6
_NOON_FROM_H: Final = 11.0
_NOON_TO_H: Final = 15.0


def demand(plant: Plant, hours: Floats) -> Floats:
    """Give each lift's demand at a local hour (0 to 24) as a multiple of its mean over the day."""
    middle = hours - 0.5
    early = np.floor(middle).astype(np.int64)
    part = middle - early
    table = hourly()
    relative: Floats = (1.0 - part) * table[plant.place, early % 24] + part * table[plant.place, (early + 1) % 24]
    return relative


class Traffic:
    """Brings people to landings. `hour_of` gives the local hour (0 to 24) of every lift, or one for all."""

    def __init__(self, plant: Plant, state: State, cars: Cars, chance: np.random.Generator) -> None:
        self._plant = plant
        self._state = state
        self._cars = cars
        self._chance = chance
        self._inward = np.array([USAGE[place].inward for place in PLACES])
        self._outward = np.array([USAGE[place].outward for place in PLACES])
        self._cumulated: Floats = np.zeros(len(plant))
        self._into: Floats = np.zeros(len(plant))
        self._out_of: Floats = np.zeros(len(plant))
        self.demand: Floats = np.zeros(len(plant))

    def set_hour(self, hour: Floats | float) -> None:
        """Take on the demand of a local hour, with smooth passages between hours; to be called every minute."""
        place = self._plant.place
        hours: Floats = np.broadcast_to(np.asarray(hour, np.float64) % 24.0, len(self._plant))
        self.demand = demand(self._plant, hours)
        parties_a_second = self._plant.riders * self.demand / (DAY_S * PARTY_MEAN)
        self._cumulated = np.cumsum(parties_a_second)
        morning = np.clip((_NOON_TO_H - hours) / (_NOON_TO_H - _NOON_FROM_H), 0.0, 1.0)
        self._into = morning * self._inward[place] + (1.0 - morning) * self._outward[place]
        self._out_of = morning * self._outward[place] + (1.0 - morning) * self._inward[place]

    def arrive(self, now: float) -> None:
        """Bring the people of one second; everybody calls a lift, or leaves where the queue is endless."""
        count = int(self._chance.poisson(self._cumulated[-1]))
        if not count:
            return
        draw = self._chance.random(count) * self._cumulated[-1]
        near = np.minimum(np.searchsorted(self._cumulated, draw, side="right"), len(self._plant) - 1)
        origin, way = self._journeys(near)
        size = 1 + np.searchsorted(np.cumsum(PARTY)[:-1], self._chance.random(count), side="right")
        lifts = self._choose(near, origin, way)
        self.call(lifts, origin, way, size, now)

    def call(self, lifts: Slots, landing: Whole, way: Whole, people: Whole, now: float) -> None:
        """Put people at landings, one entry a party, and let their lifts know."""
        state = self._state
        working = self._working(lifts)
        np.add.at(state.gave_up, lifts[~working], people[~working])
        lifts, landing, way, people = lifts[working], landing[working], way[working], people[working]
        for sign, waiting, hall in ((1, state.up_wait, state.up_calls), (-1, state.down_wait, state.down_calls)):
            going = way == sign
            slots, spot = lifts[going], state.offset[lifts[going]] + landing[going]
            room = waiting[spot] < QUEUE_MAX
            np.add.at(waiting, spot[room], people[going][room].astype(np.uint8))
            np.add.at(state.gave_up, slots[~room], people[going][~room])
            np.bitwise_or.at(hall, slots[room], calls.bit(landing[going][room]))
        called = np.unique(lifts)
        self._cars.wake(called, now)
        self._cars.shorten(called, now)

    def _working(self, lifts: Slots) -> Mask:
        state = self._state
        working: Mask = (state.phase[lifts] != Phase.HELD) & (state.mode[lifts] == ServiceMode.NORMAL)
        return working

    def _journeys(self, near: Slots) -> tuple[Whole, Whole]:
        """Draw where each party starts and which way it goes (1 up, -1 down)."""
        plant = self._plant
        main, landings = plant.main[near], plant.landings[near]
        draw = self._chance.random(len(near))
        into, out_of = self._into[near], self._out_of[near]
        elsewhere = self._chance.random(len(near))
        upper = main + 1 + (elsewhere * (landings - main - 1)).astype(np.int32)
        anywhere = (elsewhere * landings).astype(np.int32)
        enters, leaves = draw < into, (draw >= into) & (draw < into + out_of)
        has_upper = main < landings - 1
        origin = np.where(enters, main, np.where(leaves & has_upper, upper, anywhere))
        share_above = (landings - 1 - origin) / (landings - 1)
        up = np.where(leaves, origin < main, self._chance.random(len(near)) < share_above)
        up = np.where(enters & has_upper, True, up)  # noqa: FBT003
        up = np.where(origin == landings - 1, False, np.where(origin == 0, True, up))  # noqa: FBT003
        return origin.astype(np.int32), np.where(up, 1, -1).astype(np.int8)

    def _choose(self, near: Slots, origin: Whole, way: Whole) -> Slots:
        """Give each party the car of its group that should be there first."""
        plant, state = self._plant, self._state
        first, size = plant.group_first[near], plant.group_size[near]
        member = np.arange(GROUP_MAX)
        cars = np.minimum(first[:, None] + member, (first + size - 1)[:, None])
        gap = origin[:, None] - state.landing[cars]
        heading = state.direction[cars]
        busy = np.bitwise_count(state.car_calls[cars] | state.up_calls[cars] | state.down_calls[cars])
        wrong = (heading * np.sign(gap) < 0) | (heading * way[:, None] < 0)
        out = (state.phase[cars] == Phase.HELD) | (state.mode[cars] != ServiceMode.NORMAL)
        cost = (
            np.abs(gap)
            + _STOP_COST * busy
            + _WRONG_WAY_COST * wrong
            + _FULL_COST * (state.people[cars] >= plant.people_max[cars])
            + _OUT_COST * out
        )
        # Whoever comes to a landing where the call is lit waits with the others.
        hall = np.where(way[:, None] > 0, state.up_calls[cars], state.down_calls[cars])
        cost -= 0.5 * _OUT_COST * ((hall & calls.bit(origin)[:, None]) > 0)
        chosen: Slots = cars[np.arange(len(near)), np.argmin(cost, axis=1)].astype(np.intp)
        return chosen
