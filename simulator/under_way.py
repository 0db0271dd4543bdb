"""What stops a car on its way, and how it comes to a landing again."""

from __future__ import annotations

from typing import Final

import numpy as np

from lift.codes import Code
from lift.signals import DoorState
from simulator import motion
from simulator.arrays import Floats
from simulator.hands import Hands
from simulator.ledger import Fault
from simulator.sensors import DOOR_ZONE_M
from simulator.state import FOREVER, Phase
from simulator.truth import Kind

# Crawling to a landing by battery, and levelling after a lost position.
CRAWL_M_S: Final = 0.3
# Six readings above the limit are asked for by those who look for overspeed.
OVERSPEED_SEEN_S: Final = 8.0
_CLEAR_OF_ZONE_M: Final = DOOR_ZONE_M + 0.15
_TRIES: Final = 12
# Two moments closer than this are the same one, computed in two ways.
_SAME_S: Final = 1e-6
# People who were sent in on purpose need not be kept waiting for it.
_SOON_S: Final = 6.0


def halt_under_way(hands: Hands, fault: Fault, begun: float) -> None:
    """Stop somewhere on this run, clear of every door zone."""
    at = somewhere(hands, fault.planned.slot, begun, soon=fault.planned.people > 0)
    if at is None:
        hands.rearm(fault)
    else:
        hands.later(at, lambda now: halt(hands, fault, now, begun))


def somewhere(hands: Hands, slot: int, begun: float, *, soon: bool) -> float | None:
    """Choose a moment of this run when the car is clear of every door zone; None where there hardly is one."""
    plant, state, one = hands.plant, hands.state, np.array([slot])
    # People who were sent in on purpose need not be kept waiting for it.
    longest = _SOON_S if soon else FOREVER
    times = min(float(state.duration[slot]), longest) * hands.chance.uniform(0.2, 0.8, _TRIES)
    heights = state.origin[slot] + np.sign(state.distance[slot]) * covered(hands, slot, times)
    many = np.repeat(one, len(times))
    gap = np.abs(heights - plant.height(many, plant.nearest(many, heights)))
    good = np.flatnonzero(gap > _CLEAR_OF_ZONE_M)
    return begun + float(times[good[0]]) if len(good) else None


def covered(hands: Hands, slot: int, elapsed: Floats) -> Floats:
    """Give the distance in m that a lift has covered so many s after the start of its run."""
    state = hands.state
    plan = motion.Profile(
        np.full_like(elapsed, state.top_speed[slot]),
        np.full_like(elapsed, state.top_acceleration[slot]),
        np.full_like(elapsed, state.duration[slot]),
    )
    distance = np.full_like(elapsed, abs(state.distance[slot]))
    return motion.progress(elapsed, distance, plan, np.full_like(elapsed, hands.plant.jerk[slot])).covered


def freeze(hands: Hands, fault: Fault, at: float) -> int:
    """Stop a moving car where it is; gives the people in it."""
    slot, state = fault.planned.slot, hands.state
    gone = covered(hands, slot, np.array([at - state.started[slot]]))[0]
    state.height[slot] = state.origin[slot] + np.sign(state.distance[slot]) * gone
    hands.hold(fault)
    hands.sensors.track(np.array([slot]))
    return int(state.people[slot])


def halt(hands: Hands, fault: Fault, now: float, begun: float) -> None:
    """Stop the run that began at `begun`, with what belongs to the kind of fault."""
    slot, kind = fault.planned.slot, fault.planned.kind
    if hands.at_work.get(slot) is not fault:
        return
    if hands.state.phase[slot] != Phase.MOVING or abs(hands.state.started[slot] - begun) > _SAME_S:
        # A new call ended this run early; there will be another.
        hands.rearm(fault)
        return
    people = freeze(hands, fault, now)
    if kind is Kind.POSITION_LOST:
        hands.ledger.note(fault, kind, now, now, people)
        hands.show(slot, Code.POSITION_LOST)
        hands.later(now + float(hands.chance.uniform(4.0, 9.0)), lambda at: crawl(hands, fault, at, to_end=True))
        return
    if kind in (Kind.SAFETY_CHAIN_OPEN, Kind.OVERSPEED):
        hands.state.chain[slot] = False
        hands.show(slot, Code.SAFETY_CHAIN_OPEN)
    if kind is Kind.SAFETY_CHAIN_OPEN:
        # A terminal that is not connected to the controller sees the standstill, which has a record of its own.
        hands.ledger.note(fault, kind, now, None if hands.plant.retrofit[slot] else now, people)
    stand(hands, fault, now, people)


def stand(hands: Hands, fault: Fault, now: float, people: int) -> None:
    """The car stands until it is freed; with people in it they are trapped, without it is only stuck."""
    slot, state = fault.planned.slot, hands.state
    if state.zone[slot]:
        if people:
            hands.trap(fault, now, Kind.ENTRAPMENT_AT_LANDING, people)
    else:
        hands.show(slot, Code.STOPPED_OUTSIDE_DOOR_ZONE)
        if people:
            hands.trap(fault, now, Kind.ENTRAPMENT_BETWEEN_LANDINGS, people)
        else:
            hands.ledger.note(fault, Kind.STUCK_EMPTY, now, now, 0)
    given = fault.planned.lasts_s
    lasts = given if given is not None else hands.rescue_s()
    hands.later(now + lasts, lambda at: hands.freed(fault, at))


def crawl(hands: Hands, fault: Fault, now: float, *, to_end: bool) -> None:
    """Creep to a landing and open: the lowest after a lost position, the nearest on battery."""
    slot, state = fault.planned.slot, hands.state
    if fault.over or hands.at_work.get(slot) is not fault:
        return
    one = np.array([slot])
    nearest = hands.plant.nearest(one, state.height[one])
    landing = np.zeros(1, np.int32) if to_end else nearest
    way = float(hands.plant.height(one, landing)[0] - state.height[slot])
    state.creep[slot] = CRAWL_M_S * np.sign(way)
    hands.later(now + abs(way) / CRAWL_M_S, lambda at: crawled(hands, fault, at))


def crawled(hands: Hands, fault: Fault, now: float) -> None:
    """Stand at the landing that was reached, open, and let everybody out."""
    slot, state = fault.planned.slot, hands.state
    if fault.over or hands.at_work.get(slot) is not fault:
        return
    hands.to_landing(slot)
    state.clear_car(slot)
    if fault.planned.kind is Kind.POSITION_LOST:
        hands.back(fault, now)
    else:
        state.door[slot] = DoorState.OPEN
        end_trapped(hands, fault, now)


def end_trapped(hands: Hands, fault: Fault, now: float) -> None:
    """End the entrapment but not what caused it."""
    end = hands.ledger.stamp(fault.planned.slot, now)
    for record in fault.records:
        if record.end is None and record.kind is not fault.planned.kind:
            hands.ledger.end(record, end)


def overspeed(hands: Hands, fault: Fault, begun: float) -> None:
    """Let this run go 18-25 % too fast; the governor trips after some seconds of it (EN 81-20: from 115 %)."""
    slot, plant, state = fault.planned.slot, hands.plant, hands.state
    speed = np.array([plant.speed[slot] * hands.chance.uniform(1.18, 1.25)])
    distance = np.abs(state.distance[[slot]])
    plan = motion.profile(distance, speed, plant.acceleration[[slot]], plant.jerk[[slot]])
    ramp_s = float(speed[0] / plant.acceleration[slot] + plant.acceleration[slot] / plant.jerk[slot])
    cruise_s = float(plan.duration[0]) - 2.0 * ramp_s
    if cruise_s < OVERSPEED_SEEN_S:
        hands.rearm(fault)
        return
    state.top_speed[slot], state.duration[slot] = plan.speed[0], plan.duration[0]
    state.until[slot] = begun + float(plan.duration[0])
    trips = begun + ramp_s + cruise_s - 0.5
    hands.ledger.note(fault, Kind.OVERSPEED, begun + ramp_s, begun + ramp_s, int(state.people[slot]))
    hands.later(trips, lambda now: halt(hands, fault, now, begun))


def block(hands: Hands, fault: Fault, begun: float) -> None:
    """The motor runs but the car does not go; the run-time limiter stops it (EN 81-20 5.9.2.7: at most 45 s)."""
    slot, plant, state = fault.planned.slot, hands.plant, hands.state
    people = int(state.people[slot])
    state.height[slot] = state.origin[slot]
    hands.hold(fault)
    # The ropes slip a little: the terminal says "running" and the car hardly moves.
    state.creep[slot] = 0.001
    travel_s = float(plant.landings[slot] * plant.floor_m[slot] / plant.speed[slot])
    limit_s = float(np.clip(travel_s + 10.0, 20.0, 45.0))
    # A drive that turns for some seconds while the car stands can be told from a start.
    hands.ledger.note(fault, Kind.RUN_TIME_LIMITER, begun, begun + 3.0, people)

    def limiter(now: float) -> None:
        state.creep[slot] = 0.0
        hands.show(slot, Code.RUN_TIME_LIMITER)
        stand(hands, fault, now, people)

    hands.later(begun + limit_s, limiter)
