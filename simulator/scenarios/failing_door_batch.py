"""A failing door batch: belts from one delivery wear out within an hour instead of a month, all over the city."""

from __future__ import annotations

import numpy as np

from simulator.city import City
from simulator.planned import Planned
from simulator.scenario import Scenario
from simulator.truth import Kind

_SPREAD_S = 1_200.0
_WEARS_S = 3_600.0


def _batch(city: City) -> list[Planned]:
    """Let every door of the bad batch degrade, one after the other."""
    bad = np.flatnonzero(city.plant.door_batch == city.bad_batch)
    return [
        Planned(
            at=_SPREAD_S * number / len(bad), slot=slot, kind=Kind.DOOR_BELT_WEAR, cause="door system/bad batch",
            lasts_s=_WEARS_S,
        )
        for number, slot in enumerate(bad.tolist())
    ]  # fmt: skip


SCENARIO = Scenario(
    name="failing_door_batch",
    story="One in forty doors closes ever more slowly and then not at all; only the batch number joins them.",
    hour=12.5,
    plan=_batch,
)
