"""The demo: evening traffic, the first entrapment within 20 s, then one about every two minutes at 300 lifts."""

from __future__ import annotations

import numpy as np

from simulator.city import City
from simulator.planned import Planned
from simulator.rates import Pace
from simulator.scenario import Scenario
from simulator.truth import Kind

_LANDINGS_ENOUGH = 8


def _first_entrapment(city: City) -> list[Planned]:
    """Send two people into a lift of some height at once, and stop it between landings on that ride."""
    tall = np.flatnonzero(city.plant.landings >= _LANDINGS_ENOUGH)
    slot = int(tall[0]) if len(tall) else 0
    return [
        Planned(
            at=0.5, slot=slot, kind=Kind.ENTRAPMENT_BETWEEN_LANDINGS, cause="human/rubbish in the door", people=2,
            lasts_s=600.0,
        )
    ]  # fmt: skip


# Times life's rates: 300 lifts see an entrapment every two minutes, other faults and power cuts every few minutes, and
# about one near miss a minute.
SCENARIO = Scenario(
    name="demo",
    story="A busy evening at a raised fault rate, to see everything within minutes.",
    pace={
        Pace.ENTRAPMENTS: 7_500.0,
        Pace.FAULTS: 500.0,
        Pace.POWER: 250.0,
        Pace.WEAR: 100.0,
        Pace.NEAR_MISSES: 45.0,
        Pace.LINE: 50.0,
    },
    rescue_scale=0.6,
    hour=18.5,
    plan=_first_entrapment,
)
