"""Simulated lifts for a gateway that has none of its own to watch."""

from __future__ import annotations

import numpy as np

from gateway.raw_block import RawBlock
from lift.batch import Batch
from simulator import scenario
from simulator.acceleration import RATE_HZ, record_second
from simulator.city import build_city
from simulator.simulation import SECOND_US, Simulation


class SimulatedLifts:
    """Lifts of a small invented city under rescue codes of one's own, for the driver `controller`."""

    def __init__(self, codes: tuple[str, ...], start: int, *, seed: int, story: str) -> None:
        """Build them; raises Invalid for an unknown scenario."""
        self._codes = codes
        city = build_city(lifts=len(codes), seed=seed, gateways=1)
        self._simulation = Simulation(city, seed=seed, start=start, scenario=scenario.load(story))
        self._chance = np.random.default_rng(seed)

    def step(self) -> Batch:
        """Live a second, and read every sensor at its end."""
        batch = self._simulation.step()
        batch = batch.take(batch.lift < len(self._codes))
        return Batch(self._codes, batch.lift, batch.at, batch.columns, batch.codes)

    def raw(self) -> list[RawBlock]:
        """Give the raw acceleration of each lift over the second lived last."""
        begun = self._simulation.now - SECOND_US
        return [
            RawBlock(code, begun, RATE_HZ, record_second(self._simulation, slot, self._chance))
            for slot, code in enumerate(self._codes)
        ]
