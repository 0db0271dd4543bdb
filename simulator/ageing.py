"""Wear as something that happens: it begins, is on record, ends as a fault, and is mended afterwards."""

from __future__ import annotations

from typing import Final

from simulator import wear
from simulator.hands import Hands
from simulator.ledger import Fault
from simulator.planned import Planned

# The mechanic comes for the fault and changes the part on the same visit.
MENDED_AFTER_S: Final = 4 * 3600.0


def age(hands: Hands, fault: Fault, _now: float) -> None:
    """Let a part degrade from when it was planned, which may be before the start."""
    planned = fault.planned
    low, high = wear.DAYS
    lasts = planned.lasts_s
    if lasts is None:
        lasts = float(hands.chance.uniform(low, high)) * wear.DAY_S * hands.wear_scale
    slot, kind, began = planned.slot, planned.kind, planned.at
    fails = began + lasts
    hands.wear.begin(slot, kind, began=began, fails=fails, where=float(hands.chance.random()))
    hands.ledger.note(fault, kind, began, began + wear.SEEN_AT * lasts, 0)
    end_kind = wear.ENDS_AS[kind]
    hands.prepare(Planned(at=fails, slot=slot, kind=end_kind, cause=planned.cause, loaded=False))

    def mended(at: float) -> None:
        hands.wear.mend(slot, kind)
        hands.ledger.close(fault, at)

    hands.later(fails + min(MENDED_AFTER_S, 0.1 * lasts), mended)
