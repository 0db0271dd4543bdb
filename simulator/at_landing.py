"""What goes wrong at a landing: doors that stay shut or open, cars that run past it or drift off."""

from __future__ import annotations

from typing import Final

import numpy as np

from lift.codes import Code
from lift.signals import DoorState
from simulator import under_way
from simulator.hands import EVENLY, Hands
from simulator.ledger import Fault
from simulator.sensors import DOOR_ZONE_M
from simulator.truth import Kind

# The usual setting is 15-30 s.
NUDGE_AFTER_S: Final = 20.0


def shut_in(hands: Hands, fault: Fault, begun: float) -> None:
    """The car has arrived and its door does not open."""
    slot, state = fault.planned.slot, hands.state
    arrived = begun - float(hands.plant.open_s[slot])
    state.door[slot] = DoorState.CLOSED
    people = int(state.people[slot])
    hands.hold(fault)
    if fault.planned.kind is Kind.DOOR_OPENING_FAULT:
        # A car that cannot open looks like one that need not, unless somebody is inside or the controller says so.
        seen = begun if people or hands.plant.code_level[slot] else None
        hands.ledger.note(fault, Kind.DOOR_OPENING_FAULT, arrived, seen, people)
        hands.show(slot, Code.DOOR_OPENING_FAULT)
    under_way.stand(hands, fault, begun, people)


def overtravel(hands: Hands, fault: Fault, begun: float) -> None:
    """Run past the last landing onto the final limit switch, 0.25-0.4 m too far."""
    slot, plant, state = fault.planned.slot, hands.plant, hands.state
    top = fault.planned.kind is Kind.OVERTRAVEL_TOP
    if state.landing[slot] != (plant.landings[slot] - 1 if top else 0):
        hands.rearm(fault)
        return
    state.door[slot] = DoorState.CLOSED
    state.height[slot] += (1.0 if top else -1.0) * float(hands.chance.uniform(0.25, 0.4))
    people = int(state.people[slot])
    hands.hold(fault)
    state.chain[slot] = False
    hands.sensors.track(np.array([slot]))
    hands.ledger.note(fault, fault.planned.kind, begun, begun, people)
    hands.show(slot, Code.OVERTRAVEL_TOP if top else Code.OVERTRAVEL_BOTTOM, Code.SAFETY_CHAIN_OPEN)
    under_way.stand(hands, fault, begun, people)


def door_will_not_close(hands: Hands, fault: Fault, begun: float) -> None:
    """The door tries to close and reverses: rubbish in the sill, or a removal van's crates in a near miss."""
    slot, kind = fault.planned.slot, fault.planned.kind
    held_by_people = kind is Kind.DOOR_HELD
    hands.hold(fault)
    hands.ledger.note(fault, kind, begun, begun + (0.0 if held_by_people else 15.0), int(hands.state.people[slot]))
    lasts = hands.lasts(fault, *((480.0, 2400.0) if held_by_people else (300.0, 3600.0)))
    end = begun + lasts
    if not held_by_people:
        hands.later(begun + 20.0, lambda _: hands.show(slot, Code.DOOR_CLOSING_FAULT))
    try_door(hands, fault, begun, end)


def try_door(hands: Hands, fault: Fault, begun: float, end: float) -> None:
    """Alternate between open and trying to close until the end."""
    slot, state = fault.planned.slot, hands.state
    carrying = fault.planned.kind is Kind.DOOR_HELD

    def reverse(now: float) -> None:
        state.door[slot] = DoorState.HELD if carrying and hands.chance.random() < EVENLY else DoorState.OPEN
        if carrying:
            # People go in and out with boxes.
            inside = int(hands.chance.integers(0, 3))
            state.clear_car(slot)
            hands.fill(slot, inside)
        pause = float(hands.chance.uniform(15.0, 60.0) if carrying else hands.chance.uniform(3.0, 8.0))
        hands.later(now + pause, again)

    def again(now: float) -> None:
        if now >= end:
            state.clear_car(slot)
            hands.back(fault, now)
            return
        state.door[slot] = DoorState.CLOSING
        # After 20 s of blockage it nudges: slowly, with less force, and for longer.
        nudges = now - begun > NUDGE_AFTER_S
        hands.later(now + float(hands.chance.uniform(1.0, 2.5)) * (2.0 if nudges else 1.0), reverse)

    if not carrying:
        # Whoever was inside walks out of the open door.
        hands.later(begun + 10.0, lambda _: state.clear_car(slot))
    again(begun)


def stand_open(hands: Hands, fault: Fault, begun: float) -> None:
    """Stand at a landing with the door open: unable to start again, or because somebody talks in the door."""
    slot, kind, state = fault.planned.slot, fault.planned.kind, hands.state
    hands.hold(fault)
    hands.ledger.note(fault, kind, begun, begun, int(state.people[slot]))
    if kind is Kind.RESTART_PREVENTED:
        hands.show(slot, Code.RESTART_PREVENTED)
        hands.later(begun + 15.0, lambda _: state.clear_car(slot))
        lasts = hands.lasts(fault, 1200.0, 7200.0)
    else:
        lasts = hands.lasts(fault, 120.0, 600.0)
    hands.later(begun + lasts, lambda at: hands.back(fault, at))


def drift_off(hands: Hands, fault: Fault, begun: float) -> None:
    """Leave the landing with the door open; caught within 1.20 m as EN 81-20 5.6.7.5 asks."""
    slot, plant, state = fault.planned.slot, hands.plant, hands.state
    hands.hold(fault)
    top, bottom = state.landing[slot] == plant.landings[slot] - 1, state.landing[slot] == 0
    sign = -1.0 if top or (not bottom and hands.chance.random() < EVENLY) else 1.0
    speed, distance = float(hands.chance.uniform(0.12, 0.35)), float(hands.chance.uniform(0.5, 1.1))
    state.creep[slot] = sign * speed
    state.brake_failed_open[slot] = True
    # With the door open the car may not leave the unlocking zone; before that it could be re-levelling.
    out = begun + DOOR_ZONE_M / speed
    hands.ledger.note(fault, Kind.UNINTENDED_MOVEMENT, begun, out, int(state.people[slot]))

    def caught(_now: float) -> None:
        state.creep[slot] = 0.0
        state.brake_failed_open[slot] = False
        state.chain[slot] = False
        state.clear_car(slot)
        hands.show(slot, Code.UNINTENDED_CAR_MOVEMENT)

    hands.later(begun + distance / speed, caught)
    hands.later(begun + hands.lasts(fault, 1800.0, 7200.0), lambda at: hands.freed(fault, at))


def play(hands: Hands, fault: Fault, begun: float) -> None:
    """A child presses the alarm button at a landing with the door open, and is told off."""
    slot, state = fault.planned.slot, hands.state
    lasts = float(hands.chance.uniform(1.0, 3.0))
    hands.ledger.note(fault, Kind.PLAYFUL_ALARM, begun, begun, int(state.people[slot]))
    hands.ring(slot, begun, lasts)
    state.until[slot] = max(float(state.until[slot]), begun + lasts + 1.0)

    def over(now: float) -> None:
        hands.ledger.close(fault, now)
        if hands.at_work.get(slot) is fault:
            del hands.at_work[slot]

    hands.later(begun + lasts, over)
