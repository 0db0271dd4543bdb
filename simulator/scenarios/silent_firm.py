"""A firm that never answers: two of its lifts trap people, one after the other, and nobody comes for an hour."""

from __future__ import annotations

from collections import Counter

import numpy as np

from simulator.city import City
from simulator.planned import Planned
from simulator.rates import Pace
from simulator.scenario import Scenario
from simulator.truth import Kind

_LANDINGS_ENOUGH = 4
_LASTS_S = 3_600.0


def _two_of_one_firm(city: City) -> list[Planned]:
    """Choose two lifts of the firm with the most contracts."""
    firms = [lift.firm_id for lift in city.register.lifts[: len(city)]]
    largest = Counter(firms).most_common(1)[0][0] if firms else ""
    own = np.array([firm == largest for firm in firms]) & (city.plant.landings >= _LANDINGS_ENOUGH)
    return [
        Planned(
            at=20.0 + 120.0 * number, slot=slot, kind=Kind.ENTRAPMENT_BETWEEN_LANDINGS,
            cause="door system/landing door lock", people=2, lasts_s=_LASTS_S,
        )
        for number, slot in enumerate(np.flatnonzero(own)[:2].tolist())
    ]  # fmt: skip


SCENARIO = Scenario(
    name="silent_firm",
    story="The city's largest firm answers no call: its two entrapments last an hour unless level 2 takes over.",
    pace=dict.fromkeys(Pace, 0.0),
    hour=20.0,
    plan=_two_of_one_firm,
)
