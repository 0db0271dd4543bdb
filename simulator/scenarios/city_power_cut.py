"""A city power cut: two minutes in, a third of the city's districts lose their mains for twenty minutes."""

from __future__ import annotations

import numpy as np

from simulator.city import City
from simulator.planned import Planned
from simulator.scenario import Scenario
from simulator.truth import Kind

_AT_S = 120.0
_LASTS_S = 1_200.0
_EVERY = 3


def _cut(city: City) -> list[Planned]:
    """Cut every third district off, as one event."""
    dark = np.flatnonzero(city.plant.district % _EVERY == 0)
    return [
        Planned(
            at=_AT_S, slot=slot, kind=Kind.MAIN_POWER_LOST, cause="external/power cut", lasts_s=_LASTS_S, group=-1
        )
        for slot in dark.tolist()
    ]  # fmt: skip


SCENARIO = Scenario(
    name="city_power_cut",
    story="A third of the districts go dark at once in the evening: hundreds of lifts, one cause.",
    hour=19.0,
    plan=_cut,
)
