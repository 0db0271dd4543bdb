"""Plant that drifts out of its limits while the lift goes on: heat, a tired battery, failing test calls, levelling."""

from __future__ import annotations

from typing import Final

from simulator.hands import EVENLY, Hands
from simulator.ledger import Fault
from simulator.sensors import Drift
from simulator.truth import Kind

# What drifts, how far at most, after how many s a perfect observer can tell, how long it lasts (least, most).
_DRIFTS: Final[dict[Kind, tuple[Drift, float, float, tuple[float, float]]]] = {
    Kind.MOTOR_OVERHEATING: (Drift.MOTOR, 110.0, 600.0, (2 * 3600.0, 6 * 3600.0)),
    Kind.MACHINE_ROOM_HOT: (Drift.ROOM, 28.0, 900.0, (3 * 3600.0, 8 * 3600.0)),
    Kind.BATTERY_WEAK: (Drift.BATTERY, 0.15, 0.0, (6 * 3600.0, 48 * 3600.0)),
    # The failures of the days before are behind it: it is half an hour to the 72 hours of EN 81-28.
    Kind.TEST_CALL_OVERDUE: (Drift.TEST_CALL, 71.5, 1_800.0, (3 * 3600.0, 48 * 3600.0)),
}
# A car that sinks under its load is brought back once at nearly every stop.
_SINKS_M_S: Final = 0.03
_SINKS_S: Final = 2.0


def drift(hands: Hands, fault: Fault, now: float) -> None:
    """Let something drift for a while; sensors that a retrofit terminal lacks show nothing."""
    planned = fault.planned
    what, size, shows_after, (least, most) = _DRIFTS[planned.kind]
    if what is Drift.MOTOR and hands.plant.retrofit[planned.slot]:
        hands.dropped += 1
        return
    lasts = hands.lasts(fault, least, most)
    hands.sensors.drift(what, planned.slot, size, now)
    hands.ledger.note(fault, planned.kind, now, now + min(shows_after, lasts), 0)

    def mended(at: float) -> None:
        hands.sensors.settle(what, planned.slot)
        hands.ledger.close(fault, at)

    hands.later(now + lasts, mended)


def relevel(hands: Hands, fault: Fault, begun: float) -> None:
    """The car creeps while people get in and out, and is brought back; it does so at every stop for hours."""
    slot, state = fault.planned.slot, hands.state
    if not fault.records:
        hands.ledger.note(fault, fault.planned.kind, begun, begun + _SINKS_S, int(state.people[slot]))
        hands.later(begun + hands.lasts(fault, 2 * 3600.0, 8 * 3600.0), lambda at: _mended(hands, fault, at))
    if fault.over:
        return
    sign = 1.0 if hands.chance.random() < EVENLY else -1.0
    state.until[slot] = max(float(state.until[slot]), begun + _SINKS_S + 1.0)
    hands.later(begun, lambda _: state.creep.__setitem__(slot, sign * _SINKS_M_S))
    hands.later(begun + _SINKS_S, lambda _: _level(hands, fault))


def _level(hands: Hands, fault: Fault) -> None:
    slot = fault.planned.slot
    if hands.at_work.get(slot) is fault:
        hands.to_landing(slot)
        if not fault.over:
            hands.rearm(fault)


def _mended(hands: Hands, fault: Fault, now: float) -> None:
    slot = fault.planned.slot
    if hands.at_work.get(slot) is not fault:
        return
    hands.state.armed[slot] = 0
    if hands.state.creep[slot]:
        hands.to_landing(slot)
    del hands.at_work[slot]
    hands.ledger.close(fault, now)
