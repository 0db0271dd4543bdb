"""Sensors that say what is not so, while the lift is well."""

from __future__ import annotations

from simulator.hands import EVENLY, Hands
from simulator.ledger import Fault
from simulator.sensors import Lie
from simulator.truth import Kind

# A radar that sees somebody in an empty car is commoner than one that sees nobody.
_STUCK_ON = 0.7


def lie(hands: Hands, fault: Fault, now: float) -> None:
    """Make one sensor wrong for a while."""
    planned = fault.planned
    how, value = {
        Kind.PRESENCE_FLICKER: (Lie.PRESENCE_FLICKER, 1.0),
        Kind.PRESENCE_STUCK: (Lie.PRESENCE_STUCK, float(hands.chance.random() < _STUCK_ON)),
        Kind.SPEED_OFFSET: (Lie.SPEED_OFFSET, float(hands.chance.uniform(0.02, 0.12))),
        Kind.DOOR_SENSOR_WRONG: (Lie.DOOR_WRONG, float(hands.chance.random() < EVENLY)),
        Kind.DOOR_ZONE_STUCK: (Lie.ZONE_STUCK, float(hands.chance.random() < EVENLY)),
        Kind.LOAD_STUCK: (Lie.LOAD_STUCK, float(hands.chance.choice((0.0, 0.25)))),
    }[planned.kind]
    if how is Lie.LOAD_STUCK and hands.plant.retrofit[planned.slot]:
        hands.dropped += 1
        return
    hands.sensors.lie(how, planned.slot, value)
    hands.ledger.note(fault, planned.kind, now, now, 0)

    def mended(at: float) -> None:
        hands.sensors.mend(how, planned.slot)
        hands.ledger.close(fault, at)

    hands.later(now + hands.lasts(fault, 1800.0, 8 * 3600.0), mended)
