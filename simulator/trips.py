"""Finished trips, kept until somebody takes them: what the `trips` topic and the report are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from simulator.arrays import Numbers, Slots
from simulator.plant import Plant
from simulator.state import State

# Beyond this many untaken trips the oldest are dropped.
TRIPS_MAX: Final = 2_000_000


class Trips:
    """Collects finished trips while `wanted`; columns `lift`, `started` and `ended` in s, `distance` in m, `people`."""

    def __init__(self, plant: Plant, state: State, *, wanted: bool) -> None:
        self._plant = plant
        self._state = state
        self.wanted = wanted
        self._kept: list[tuple[Numbers, ...]] = []
        self._count = 0

    def finished(self, slots: Slots) -> None:
        """Note the trips that end now; to be called before anything of the flight is forgotten."""
        if not self.wanted:
            return
        state = self._state
        row: tuple[Numbers, ...] = (
            slots,
            state.started[slots],
            state.until[slots],
            state.distance[slots],
            state.people[slots].copy(),
        )
        self._kept.append(row)
        self._count += len(slots)
        while self._count > TRIPS_MAX:
            self._count -= len(self._kept.pop(0)[0])

    def take(self) -> Mapping[str, Numbers]:
        """Hand over what has been collected."""
        kept, self._kept, self._count = self._kept, [], 0
        names = ("lift", "started", "ended", "distance", "people")
        if not kept:
            return {name: np.empty(0) for name in names}
        return {name: np.concatenate(column) for name, column in zip(names, zip(*kept, strict=True), strict=True)}
