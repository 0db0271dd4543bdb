"""Rare emergencies: what happens to one lift in a thousand a year, to every fourth lift within three hours."""

from __future__ import annotations

from simulator.city import City
from simulator.planned import Planned
from simulator.scenario import Scenario
from simulator.truth import Kind

_KINDS = (
    Kind.UNINTENDED_MOVEMENT,
    Kind.OVERTRAVEL_TOP,
    Kind.OVERTRAVEL_BOTTOM,
    Kind.OVERSPEED,
    Kind.ENTRAPMENT_BETWEEN_LANDINGS,
    Kind.ENTRAPMENT_AT_LANDING,
)
_EVERY = 4
# The lifts have run for an hour before, as they always have.
_FROM_S, _SPREAD_S = 3_600.0, 7_200.0


def _plan(city: City) -> list[Planned]:
    """Spread the kinds over the lifts and the hours."""
    slots = range(0, len(city), _EVERY)
    return [
        Planned(
            at=_FROM_S + _SPREAD_S * number / max(1, len(slots)),
            slot=slot,
            kind=_KINDS[number % len(_KINDS)],
            cause="traction/brake",
        )
        for number, slot in enumerate(slots)
    ]


SCENARIO = Scenario(
    name="rare_emergencies",
    story="Overtravel, overspeed, unintended movement and entrapments by the hundred, among everything else.",
    plan=_plan,
)
