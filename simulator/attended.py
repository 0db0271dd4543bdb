"""Lifts in trained hands: a mechanic's inspection drive, a key that switches off, drills that call every car down."""

from __future__ import annotations

from typing import Final

import numpy as np

from lift.codes import Code
from lift.signals import DoorState, ServiceMode
from simulator import calls
from simulator.hands import EVENLY, Hands
from simulator.ledger import Fault
from simulator.state import Phase
from simulator.truth import Kind


def inspect(hands: Hands, fault: Fault, now: float) -> None:
    """A mechanic takes the empty lift out of service and jogs it up and down at low speed."""
    slot, state = fault.planned.slot, hands.state
    if slot in hands.at_work:
        hands.dropped += 1
        return
    if state.phase[slot] != Phase.IDLE:
        # He waits for the lift to be free, as they do.
        hands.later(now + 20.0, lambda at: inspect(hands, fault, at))
        return
    hands.hold(fault)
    state.mode[slot] = ServiceMode.INSPECTION
    hands.show(slot, Code.INSPECTION)
    inside = hands.chance.random() < EVENLY
    hands.fill(slot, int(inside))
    hands.ledger.note(fault, Kind.INSPECTION, now, now, int(inside))
    jog(hands, fault, now, now + hands.lasts(fault, 1200.0, 3600.0))


def switch_off(hands: Hands, fault: Fault, now: float) -> None:
    """The use unit switches an idle lift off, closed and empty, as for the night."""
    slot, state = fault.planned.slot, hands.state
    if slot in hands.at_work:
        hands.dropped += 1
        return
    if state.phase[slot] != Phase.IDLE:
        hands.later(now + 20.0, lambda at: switch_off(hands, fault, at))
        return
    hands.hold(fault)
    state.mode[slot] = ServiceMode.STOPPED
    hands.show(slot, Code.OUT_OF_SERVICE)
    hands.ledger.note(fault, Kind.SWITCHED_OFF, now, now, 0)
    hands.later(now + hands.lasts(fault, 1800.0, 8 * 3600.0), lambda at: hands.back(fault, at))


def jog(hands: Hands, fault: Fault, now: float, end: float) -> None:
    """Drive a little, stand a little, in turns until the end."""
    slot, plant, state = fault.planned.slot, hands.plant, hands.state
    if now >= end:
        state.clear_car(slot)
        hands.back(fault, now)
        return
    if state.creep[slot]:
        state.creep[slot] = 0.0
        hands.later(now + float(hands.chance.uniform(30.0, 180.0)), lambda at: jog(hands, fault, at, end))
        return
    # EN 81-20 5.12.1.5.2.1: at most 0.63 m/s in inspection.
    speed = float(hands.chance.uniform(0.2, 0.6))
    top = float(plant.height(np.array([slot]), plant.landings[[slot]] - 1)[0])
    reach = float(hands.chance.uniform(0.0, top)) - float(state.height[slot])
    lasts = min(abs(reach) / speed, 25.0)
    state.door[slot] = DoorState.CLOSED
    state.creep[slot] = speed * (1.0 if reach > 0 else -1.0)
    hands.later(now + lasts, lambda at: jog(hands, fault, at, end))


# Mode, code, and whether the car is called to its main landing rather than to the next one it can open at.
_CALLED: Final[dict[Kind, tuple[ServiceMode, Code, bool]]] = {
    Kind.FIRE_DRILL: (ServiceMode.FIRE_RETURN, Code.FIRE_RETURN, True),
    Kind.FIREFIGHTER_DRILL: (ServiceMode.FIREFIGHTER, Code.FIREFIGHTER, True),
    Kind.GENERATOR_TEST: (ServiceMode.EMERGENCY_POWER, Code.EMERGENCY_POWER, True),
    Kind.EARTHQUAKE: (ServiceMode.EARTHQUAKE, Code.EARTHQUAKE, False),
}


def drill(hands: Hands, fault: Fault, now: float) -> None:
    """A fire alarm, a generator test or an earthquake sends the car to a landing, where it stands open."""
    slot, state = fault.planned.slot, hands.state
    mode, code, _ = _CALLED[fault.planned.kind]
    if slot in hands.at_work:
        hands.dropped += 1
        return
    hands.at_work[slot] = fault
    state.mode[slot] = mode
    hands.show(slot, code)
    state.clear_hall(np.array([slot]))
    hands.ledger.note(fault, fault.planned.kind, now, now, int(state.people[slot]))
    recall(hands, fault, now, now + hands.lasts(fault, 600.0, 1800.0))


def recall(hands: Hands, fault: Fault, now: float, end: float) -> None:
    """Keep sending the car to its landing until it stands there with the door open."""
    slot, plant, state = fault.planned.slot, hands.plant, hands.state
    to_main = _CALLED[fault.planned.kind][2]
    goal = int(plant.main[slot]) if to_main else int(state.target[slot])
    if hands.at_work.get(slot) is not fault:
        return
    if now >= end:
        back_from_drill(hands, fault, now)
        return
    there = state.landing[slot] == goal and state.phase[slot] in (Phase.OPEN, Phase.IDLE)
    if there:
        state.clear_car(slot)
        hands.hold(fault)
        state.door[slot] = DoorState.OPEN
        hands.later(end, lambda at: back_from_drill(hands, fault, at))
        return
    people = int(state.people[slot])
    state.clear_car(slot)
    state.riders[state.offset[slot] + goal] = people
    state.people[slot] = people
    state.car_calls[slot] = calls.bit(np.array([goal]))[0]
    hands.cars.wake(np.array([slot]), now)
    hands.later(now + 2.0, lambda at: recall(hands, fault, at, end))


def back_from_drill(hands: Hands, fault: Fault, now: float) -> None:
    """Go back into service, from wherever the drill has brought the car."""
    slot, state = fault.planned.slot, hands.state
    if fault.holding:
        hands.back(fault, now)
        return
    hands.ledger.close(fault, now)
    hands.at_work.pop(slot, None)
    state.mode[slot] = ServiceMode.NORMAL
    hands.hide(slot, _CALLED[fault.planned.kind][1])
