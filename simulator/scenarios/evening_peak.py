"""The evening peak: everybody comes home at once, and faults come at ten times life's rate."""

from __future__ import annotations

from simulator.rates import Pace
from simulator.scenario import Scenario

SCENARIO = Scenario(
    name="evening_peak",
    story="Between six and seven in the evening, with ten times as many entrapments and faults as in life.",
    pace={Pace.ENTRAPMENTS: 10.0, Pace.FAULTS: 10.0, Pace.POWER: 10.0},
    hour=18.6,
)
