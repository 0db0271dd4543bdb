"""Power cuts: cars stop where they are; some drive to a landing by battery, the others wait for hands or the mains."""

from __future__ import annotations

from lift.codes import Code
from lift.signals import DoorState
from simulator import under_way
from simulator.cars import Armed
from simulator.hands import Hands
from simulator.ledger import Fault
from simulator.state import Phase
from simulator.truth import Kind


def lose_power(hands: Hands, fault: Fault, now: float) -> None:
    """The mains fail: the car stops where it is; some drive to the nearest landing by battery."""
    slot, state = fault.planned.slot, hands.state
    other = hands.at_work.get(slot)
    if other is not None and (other.holding or other.planned.kind is Kind.MAIN_POWER_LOST):
        hands.dropped += 1
        return
    if other is not None:
        hands.ledger.close(other, now)
    state.armed[slot] = Armed.NOTHING
    was = Phase(int(state.phase[slot]))
    people = under_way.freeze(hands, fault, now) if was is Phase.MOVING else int(state.people[slot])
    if was is not Phase.MOVING:
        hands.hold(fault)
    state.power[slot] = False
    hands.show(slot, Code.MAIN_POWER_LOST)
    hands.ledger.note(fault, Kind.MAIN_POWER_LOST, now, now, people)
    lasts = hands.lasts(fault, 900.0, 7200.0)
    hands.later(now + lasts, lambda at: power_returns(hands, fault, at))
    shut = state.door[slot] == DoorState.CLOSED
    if not shut:
        # An open door stays open, and whoever is inside walks out.
        state.door[slot] = DoorState.OPEN
        hands.later(now + 5.0, lambda _: state.clear_car(slot))
    elif hands.plant.rescue_device[slot] and (people or not state.zone[slot]):
        hands.later(
            now + float(hands.chance.uniform(8.0, 20.0)), lambda at: under_way.crawl(hands, fault, at, to_end=False)
        )
    elif people:
        kind = Kind.ENTRAPMENT_AT_LANDING if state.zone[slot] else Kind.ENTRAPMENT_BETWEEN_LANDINGS
        hands.trap(fault, now, kind, people)
        hands.later(now + min(hands.rescue_s(), lasts), lambda at: hand_wound(hands, fault, at))
    elif not state.zone[slot]:
        hands.ledger.note(fault, Kind.STUCK_EMPTY, now, now, 0)


def hand_wound(hands: Hands, fault: Fault, now: float) -> None:
    """People are freed while the power is still out."""
    slot = fault.planned.slot
    if fault.over or not hands.state.people[slot]:
        return
    under_way.crawled(hands, fault, now)
    hands.hide(slot, Code.ENTRAPMENT, Code.STOPPED_OUTSIDE_DOOR_ZONE)


def power_returns(hands: Hands, fault: Fault, now: float) -> None:
    """With the mains back the car levels by itself and opens."""
    slot, state = fault.planned.slot, hands.state
    if hands.at_work.get(slot) is not fault:
        return
    state.power[slot] = True
    state.clear_car(slot)
    hands.back(fault, now + 1.0)
