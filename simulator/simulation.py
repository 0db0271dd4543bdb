"""The simulation: one step is one second for every lift, and gives one reading a lift."""

from __future__ import annotations

from typing import Final

import numpy as np

from lift.batch import Batch
from lift.errors import Invalid
from simulator.arrays import Floats, Slots, Whole
from simulator.cars import Cars
from simulator.city import City
from simulator.faults import Faults
from simulator.hands import Hands
from simulator.ledger import Ledger
from simulator.plant import Plant
from simulator.scenario import LIFE, Scenario
from simulator.schedule import Schedule
from simulator.sensors import Sensors
from simulator.state import State
from simulator.traffic import Traffic
from simulator.trips import Trips
from simulator.truth import Truth
from simulator.wear import Wear

SECOND_US: Final = 1_000_000
# The city lives by China's one time zone.
CITY_ZONE_S: Final = 8 * 3600
ROOM_C, ROOM_SWING_C = 25.0, 5.0
_DAY_S: Final = 86_400
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600.0


class Simulation:
    """A city at work, second by second; the same for the same city, seed, start, rate and scenario."""

    def __init__(
        self,
        city: City,
        *,
        seed: int,
        start: int,
        fault_rate: float = 1.0,
        scenario: Scenario = LIFE,
        delays_s: Whole | None = None,
    ) -> None:
        """Begin at `start` (µs since 1970 UTC) with every lift parked; `fault_rate` 1 is life's. Raises Invalid.

        With `delays_s` each lift lives so many s after `start`: many moments of a year pass side by side.
        """
        if not 0.0 <= fault_rate < np.inf:
            raise Invalid("fault_rate", f"{fault_rate} must be 0 or more, and finite")
        self.city = city
        self.start = start
        self.seconds = 0
        self._delays_s: Whole = np.zeros(len(city), np.int64) if delays_s is None else delays_s
        self._one_clock = delays_s is None
        plant: Plant = city.plant
        chance, luck = (np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(k,))) for k in (1, 2))
        self.state = State(plant, chance)
        self.wear = Wear(plant)
        self.trips = Trips(plant, self.state, wanted=False)
        self.cars = Cars(plant, self.state, chance, self.trips, self.wear)
        self.traffic = Traffic(plant, self.state, self.cars, chance)
        self.sensors = Sensors(plant, self.state, chance, self.wear)
        self.ledger = Ledger(city.codes, self._stamp)
        self.hands = Hands(
            plant,
            self.state,
            self.cars,
            self.sensors,
            self.wear,
            self.ledger,
            chance=luck,
            scale=scenario.rescue_scale,
            wear_scale=scenario.wear_scale,
        )
        self.faults = Faults(self.hands)
        self._schedule = Schedule(plant, bad_batch=city.bad_batch, chance=luck, factor=fault_rate, pace=scenario.pace)
        self._fixed_hour = scenario.hour
        self._slots = np.arange(len(plant), dtype=np.int32)
        self._schedule.set_hour(12.0, np.ones(len(plant)))
        for planned in (*self._schedule.draw_begun(scenario.wear_scale), *scenario.plan(city)):
            self.faults.prepare(planned)

    @property
    def now(self) -> int:
        """The time of the newest readings, µs since 1970 UTC."""
        return self.start + self.seconds * SECOND_US

    def hour(self) -> Floats | float:
        """Give the local hour of the traffic, 0 to 24."""
        if self._fixed_hour is not None:
            return self._fixed_hour
        local_s = self.now / SECOND_US + CITY_ZONE_S
        return (local_s if self._one_clock else local_s + self._delays_s) % _DAY_S / _HOUR_S

    def step(self) -> Batch:
        """Live one second and read every sensor at its end."""
        moving, speed, acceleration = self.live()
        columns = self.sensors.read(float(self.seconds), moving, speed, acceleration)
        at = np.asarray(self.now + self._delays_s * SECOND_US, np.int64)
        return Batch(self.city.codes, self._slots, at, columns, self.state.codes.copy())

    def live(self) -> tuple[Slots, Floats, Floats]:
        """Live one second without reading a sensor; gives the cars that move, their speeds and accelerations."""
        if self.seconds % _MINUTE_S == 0:
            self._minute()
        self.seconds += 1
        now = float(self.seconds)
        self.hands.advance(now)
        self.traffic.arrive(now)
        self.cars.advance(now)
        moving = self.cars.place(now)
        self._creep()
        return moving

    def take_truth(self) -> list[Truth]:
        """Hand over the records of everything that has ended since the last call."""
        return self.ledger.take()

    def standing_truth(self) -> list[Truth]:
        """Give the records of what is still going on, with `end` None."""
        return self.ledger.standing()

    def _minute(self) -> None:
        """Bring in what changes slowly: demand, what is going to happen, batteries."""
        hour = self.hour()
        self.traffic.set_hour(hour)
        self._schedule.set_hour(hour, self.traffic.demand)
        for planned in self._schedule.draw(float(self.seconds), float(_MINUTE_S)):
            self.faults.prepare(planned)
        self.wear.update(float(self.seconds))
        # Machine rooms are coolest before dawn and warmest in the afternoon.
        self.sensors.room_c = ROOM_C + ROOM_SWING_C * np.sin(2.0 * np.pi * (np.asarray(hour) - 9.0) / 24.0)
        state = self.state
        # The emergency supply lasts an hour (EN 81-28) and takes ten to fill up.
        state.battery = np.clip(state.battery + np.where(state.power, 1 / 600, -1 / 60), 0.0, 1.0).astype(np.float32)

    def _creep(self) -> None:
        creeping = np.flatnonzero(self.state.creep)
        if len(creeping):
            self.state.height[creeping] += self.state.creep[creeping]
            self.sensors.track(creeping)

    def _stamp(self, slot: int, at: float) -> int:
        return self.start + int(self._delays_s[slot]) * SECOND_US + round(at * SECOND_US)
