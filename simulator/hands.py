"""What every fault does with a lift: hold it, show codes, shut people in, free them, put it back into service."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Final

import numpy as np

from lift import codes
from lift.codes import Code
from lift.signals import DoorState, ServiceMode
from simulator import calls
from simulator.cars import Cars
from simulator.ledger import Fault, Ledger
from simulator.planned import Planned, trigger
from simulator.plant import Plant
from simulator.sensors import DOOR_ZONE_M, Sensors
from simulator.state import FOREVER, Phase, State
from simulator.truth import Kind
from simulator.wear import Wear

# From being trapped to being free: the call, 10-17 min for the crew to arrive, 2.5-7.5 min to release.
RESCUE_MEDIAN_S: Final = 17 * 60.0
# Jiangsu 2020: 1,087 of 41,258 entrapments ended by themselves.
SELF_RELEASE: Final = 0.026
# How many of those who are trapped press the alarm button.
PRESSES: Final = 0.75
EVENLY: Final = 0.5
# Controllers of every eighth building speak the extension of Chongqing, which numbers three things anew.
LOCAL_EVERY: Final = 8
LOCAL: Final = {
    Code.OVERTRAVEL_BOTTOM: Code.OVERTRAVEL_BOTTOM_LOCAL,
    Code.OVERTRAVEL_TOP: Code.OVERTRAVEL_TOP_LOCAL,
    Code.ENTRAPMENT: Code.ENTRAPMENT_AT_LANDING_LOCAL,
}
MINUTE_S: Final = 60.0


class Hands:
    """The tools that faults work with. Times are s since the start."""

    def __init__(
        self,
        plant: Plant,
        state: State,
        cars: Cars,
        sensors: Sensors,
        wear: Wear,
        ledger: Ledger,
        *,
        chance: np.random.Generator,
        scale: float,
        wear_scale: float,
    ) -> None:
        self.plant = plant
        self.state = state
        self.cars = cars
        self.sensors = sensors
        self.wear = wear
        self.wear_scale = wear_scale
        self.ledger = ledger
        self.prepare: Callable[[Planned], None] = _not_yet
        self.chance = chance
        self.at_work: dict[int, Fault] = {}
        self.dropped = 0
        self._scale = scale
        self._queue: list[tuple[float, int, Callable[[float], None]]] = []
        self._serial = 0

    def advance(self, now: float) -> None:
        """Do everything that is due by `now`."""
        while self._queue and self._queue[0][0] <= now:
            at, _, act = heapq.heappop(self._queue)
            act(at)

    def later(self, at: float, act: Callable[[float], None]) -> None:
        """Have something done at a moment; it is told that moment, even where it is done a little later."""
        self._serial += 1
        heapq.heappush(self._queue, (at, self._serial, act))

    def send_people(self, slot: int, people: int, now: float) -> None:
        """Have people ride this very lift: if it stands idle, its door is just closing behind them."""
        state = self.state
        if state.phase[slot] != Phase.IDLE:
            return
        landing, top = int(state.landing[slot]), int(self.plant.landings[slot]) - 1
        goal = top if top - landing >= landing else 0
        state.riders[state.offset[slot] + goal] += people
        state.people[slot] += people
        state.car_calls[slot] |= calls.bit(np.array([goal]))[0]
        state.phase[slot] = Phase.CLOSING
        state.door[slot] = DoorState.CLOSING
        state.until[slot] = now + 0.5 * float(self.plant.close_s[slot])

    def rearm(self, fault: Fault) -> None:
        """Wait for another suitable moment."""
        self.state.armed[fault.planned.slot] = trigger(fault.planned)

    def show(self, slot: int, *shown: Code) -> None:
        """Have the controller report codes, as far as it can."""
        level = self.plant.code_level[slot]
        able = [self._spelt(slot, code) for code in shown if level > (code is Code.ENTRAPMENT)]
        if level and able:
            self.state.codes[slot] |= codes.pack(able)

    def hide(self, slot: int, *hidden: Code) -> None:
        """Have the controller stop reporting codes."""
        if self.plant.code_level[slot]:
            self.state.codes[slot] &= ~codes.pack([*hidden, *(LOCAL[code] for code in hidden if code in LOCAL)])

    def _spelt(self, slot: int, code: Code) -> Code:
        """Give the number by which this lift's controller calls a thing; between landings 11 is 11 everywhere."""
        if code not in LOCAL or self.plant.building[slot] % LOCAL_EVERY:
            return code
        if code is not Code.ENTRAPMENT:
            return LOCAL[code]
        slots, height = np.array([slot]), self.state.height[[slot]]
        landing = self.plant.height(slots, self.plant.nearest(slots, height))
        return LOCAL[code] if abs(float(height[0] - landing[0])) < DOOR_ZONE_M else code

    def hold(self, fault: Fault) -> None:
        """Take the lift out of service where it is; whoever waits for it goes away."""
        slot, state = fault.planned.slot, self.state
        state.phase[slot] = Phase.HELD
        state.until[slot] = FOREVER
        state.creep[slot] = 0.0
        state.clear_hall(np.array([slot]))
        self.at_work[slot] = fault
        fault.holding = True

    def trap(self, fault: Fault, at: float, kind: Kind, people: int) -> None:
        """People are shut in: they press the alarm button, most of them, and are freed in the end."""
        slot = fault.planned.slot
        self.ledger.note(fault, kind, at, at, people)
        self.show(slot, Code.ENTRAPMENT)
        if not fault.planned.silent and self.chance.random() < PRESSES:
            self.presses(fault, at + float(self.chance.uniform(8.0, 90.0)))

    def presses(self, fault: Fault, at: float) -> None:
        """Press the alarm button for some seconds now and then until the door is open."""

        def press(now: float) -> None:
            slot = fault.planned.slot
            if fault.over or not self.state.people[slot]:
                return
            if not any(record.kind is Kind.ALARM_CALL for record in fault.records):
                self.ledger.note(fault, Kind.ALARM_CALL, now, now, int(self.state.people[slot]))
            self.ring(slot, now, float(self.chance.uniform(2.0, 6.0)))
            self.later(now + float(self.chance.uniform(40.0, 200.0)), press)

        self.later(at, press)

    def ring(self, slot: int, at: float, lasts_s: float) -> None:
        """Press the alarm button once."""

        def let_go(_now: float) -> None:
            self.state.alarm[slot] = False
            self.hide(slot, Code.ALARM_BUTTON)

        self.state.alarm[slot] = True
        self.show(slot, Code.ALARM_BUTTON)
        self.later(at + lasts_s, let_go)

    def rescue_s(self) -> float:
        """Draw how long trapped people wait, in s."""
        if self.chance.random() < SELF_RELEASE:
            return float(self.chance.uniform(60.0, 300.0)) * self._scale
        minutes = RESCUE_MEDIAN_S * float(np.exp(self.chance.normal(0.0, 0.28)))
        return float(np.clip(minutes, 5 * MINUTE_S, 110 * MINUTE_S)) * self._scale

    def lasts(self, fault: Fault, low_s: float, high_s: float) -> float:
        """Say how long something lasts, in s: as planned, or drawn from a range."""
        given = fault.planned.lasts_s
        return given if given is not None else float(self.chance.uniform(low_s, high_s)) * self._scale

    def freed(self, fault: Fault, now: float) -> None:
        """The crew brings the car to a landing and opens; it stays there for a while, out of service."""
        if fault.over:
            return
        slot, state = fault.planned.slot, self.state
        self.to_landing(slot)
        state.clear_car(slot)
        state.door[slot] = DoorState.OPEN
        state.mode[slot] = ServiceMode.INSPECTION
        state.codes[slot] &= 0 if self.plant.code_level[slot] else -1
        self.show(slot, Code.INSPECTION)
        self.ledger.close(fault, now)
        self.later(now + float(self.chance.uniform(300.0, 1200.0)) * self._scale, lambda at: self.back(fault, at))

    def to_landing(self, slot: int) -> None:
        """Bring the car to the nearest landing, its safety devices in order."""
        state, slots = self.state, np.array([slot])
        landing = self.plant.nearest(slots, state.height[slots])
        state.landing[slot] = state.target[slot] = landing[0]
        state.height[slot] = self.plant.height(slots, landing)[0]
        state.creep[slot] = 0.0
        state.chain[slot] = True
        state.brake_failed_open[slot] = False
        self.sensors.track(np.array([slot]))

    def back(self, fault: Fault, now: float) -> None:
        """Back in service: whoever is inside goes on, doors close, life continues."""
        slot, state = fault.planned.slot, self.state
        if self.at_work.get(slot) is not fault:
            return
        if not fault.over:
            self.ledger.close(fault, now)
        del self.at_work[slot]
        state.codes[slot] &= 0 if self.plant.code_level[slot] else -1
        if state.mode[slot] != ServiceMode.NORMAL:
            self.show(slot, Code.BACK_TO_AUTOMATIC)
            self.later(now + MINUTE_S, lambda _: self.hide(slot, Code.BACK_TO_AUTOMATIC))
        state.mode[slot] = ServiceMode.NORMAL
        state.power[slot] = True
        self.to_landing(slot)
        state.direction[slot] = 0
        state.phase[slot] = Phase.OPEN
        state.door[slot] = DoorState.OPEN
        state.until[slot] = now + 3.0

    def fill(self, slot: int, people: int) -> None:
        """Put people into a car that stands open; they get out at its landing."""
        state = self.state
        state.riders[state.offset[slot] + state.landing[slot]] = people
        state.people[slot] = people


def _not_yet(_planned: Planned) -> None:
    """Nothing can be planned before there is somebody to carry it out."""
    raise AssertionError
