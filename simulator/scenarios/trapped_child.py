"""One trapped child: a single rider between landings, who does not find the alarm button, in a quiet healthy city."""

from __future__ import annotations

import numpy as np

from simulator.city import City
from simulator.planned import Planned
from simulator.rates import Pace
from simulator.scenario import Scenario
from simulator.truth import Kind

_LANDINGS_ENOUGH = 8


def _child(city: City) -> list[Planned]:
    """Trap one person in a lift of some height for 25 minutes."""
    tall = np.flatnonzero(city.plant.landings >= _LANDINGS_ENOUGH)
    slot = int(tall[len(tall) // 2]) if len(tall) else 0
    return [
        Planned(
            at=30.0, slot=slot, kind=Kind.ENTRAPMENT_BETWEEN_LANDINGS, cause="control system/controller", people=1,
            lasts_s=1_500.0, silent=True,
        )
    ]  # fmt: skip


SCENARIO = Scenario(
    name="trapped_child",
    story="One child alone in a stopped lift, pressing nothing. Nothing else goes wrong.",
    pace=dict.fromkeys(Pace, 0.0),
    hour=15.0,
    plan=_child,
)
