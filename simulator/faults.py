"""Faults and near misses: each is prepared, waits for its moment in the lift's work, strikes, and ends by itself.

Only the few lifts that something happens to pass through here, one by one; the rest never leave the arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simulator import ageing, at_landing, attended, drifts, lies, outages, under_way
from simulator.cars import Armed
from simulator.hands import Hands
from simulator.ledger import Fault
from simulator.planned import Planned, trigger
from simulator.truth import WEAR, Kind

# A prepared fault that found no suitable run in this time is given up.
ARMED_MAX_S: Final = 12 * 3600.0

_AT_ONCE: Final[dict[Kind, Callable[[Hands, Fault, float], None]]] = {
    Kind.MAIN_POWER_LOST: outages.lose_power,
    Kind.INSPECTION: attended.inspect,
    Kind.SWITCHED_OFF: attended.switch_off,
    Kind.FIRE_DRILL: attended.drill,
    Kind.FIREFIGHTER_DRILL: attended.drill,
    Kind.GENERATOR_TEST: attended.drill,
    Kind.EARTHQUAKE: attended.drill,
    Kind.PRESENCE_FLICKER: lies.lie,
    Kind.PRESENCE_STUCK: lies.lie,
    Kind.SPEED_OFFSET: lies.lie,
    Kind.DOOR_SENSOR_WRONG: lies.lie,
    Kind.DOOR_ZONE_STUCK: lies.lie,
    Kind.LOAD_STUCK: lies.lie,
    Kind.MOTOR_OVERHEATING: drifts.drift,
    Kind.MACHINE_ROOM_HOT: drifts.drift,
    Kind.BATTERY_WEAK: drifts.drift,
    Kind.TEST_CALL_OVERDUE: drifts.drift,
    **dict.fromkeys(WEAR, ageing.age),
}
_WHEN_STRUCK: Final[dict[Kind, Callable[[Hands, Fault, float], None]]] = {
    Kind.ENTRAPMENT_BETWEEN_LANDINGS: under_way.halt_under_way,
    Kind.SAFETY_CHAIN_OPEN: under_way.halt_under_way,
    Kind.STUCK_EMPTY: under_way.halt_under_way,
    Kind.POSITION_LOST: under_way.halt_under_way,
    Kind.OVERSPEED: under_way.overspeed,
    Kind.RUN_TIME_LIMITER: under_way.block,
    Kind.ENTRAPMENT_AT_LANDING: at_landing.shut_in,
    Kind.DOOR_OPENING_FAULT: at_landing.shut_in,
    Kind.OVERTRAVEL_TOP: at_landing.overtravel,
    Kind.OVERTRAVEL_BOTTOM: at_landing.overtravel,
    Kind.DOOR_CLOSING_FAULT: at_landing.door_will_not_close,
    Kind.DOOR_HELD: at_landing.door_will_not_close,
    Kind.RESTART_PREVENTED: at_landing.stand_open,
    Kind.LONG_STOP: at_landing.stand_open,
    Kind.UNINTENDED_MOVEMENT: at_landing.drift_off,
    Kind.PLAYFUL_ALARM: at_landing.play,
    Kind.RELEVELLING: drifts.relevel,
}


class Faults:
    """Everything that happens to lifts. Times are s since the start."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        hands.cars.strike = self._strike
        hands.prepare = self.prepare

    def prepare(self, planned: Planned) -> None:
        """Let something happen at its time."""
        self._hands.later(planned.at, lambda now: self._begin(planned, now))

    def _begin(self, planned: Planned, now: float) -> None:
        hands, slot = self._hands, planned.slot
        fault = hands.ledger.new(planned)
        if planned.kind in _AT_ONCE:
            _AT_ONCE[planned.kind](hands, fault, now)
            return
        if slot in hands.at_work:
            # One thing at a time: what would strike a lift that is out of order already, never shows.
            hands.dropped += 1
            return
        hands.at_work[slot] = fault
        hands.state.armed[slot] = trigger(planned)
        hands.later(now + ARMED_MAX_S, lambda _: self._give_up(fault))
        if planned.people:
            hands.send_people(slot, planned.people, now)

    def _give_up(self, fault: Fault) -> None:
        hands, slot = self._hands, fault.planned.slot
        if hands.at_work.get(slot) is fault and not fault.records:
            hands.state.armed[slot] = Armed.NOTHING
            del hands.at_work[slot]
            hands.dropped += 1

    def _strike(self, slot: int, begun: float) -> None:
        """Act: the moment has come that a prepared fault waited for, a run or a door opening that began at `begun`."""
        fault = self._hands.at_work.get(slot)
        if fault is not None:
            _WHEN_STRUCK[fault.planned.kind](self._hands, fault, begun)
