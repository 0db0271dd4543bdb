"""The verdict: every reading that a gateway accepted is in the store exactly once, and says what it said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from adapters.records_sql import SqlRecords
from adapters.telemetry import telemetry_open
from lift.signals import RUN_COUNT
from tests.chaos.site import journal
from tests.chaos.world import World

_MARGIN_US: Final = 7200 * 1_000_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the readings. `unasked` were stored although the crash came before the journal's entry."""

    accepted: int
    stored_once: int
    lost: int
    stored_twice: int
    changed: int
    unasked: int
    quarantined: int

    @property
    def good(self) -> bool:
        """Whether no promise was broken."""
        return self.accepted > 0 and not (self.lost or self.stored_twice or self.changed or self.quarantined)


def judge(world: World) -> Verdict:
    """Read the journals and the whole store, whose processes have ended."""
    rounds: dict[tuple[int, int], int] = {}
    numbers: list[int] = []
    for gateway, name in enumerate(world.gateways):
        for number, at in journal(world.sites / f"{name}.journal"):
            rounds[gateway, at] = len(numbers)
            numbers.append(number)
    of, place = _places(world)
    seen = np.zeros((len(numbers), max(world.lifts)), np.uint8)
    number_of = np.array(numbers, np.int64)
    changed = unasked = 0
    telemetry = telemetry_open(f"duckdb:{world.store / 'telemetry'}")
    times = [at for _, at in rounds]
    for batch in telemetry.replay(start=min(times) - _MARGIN_US, end=max(times) + _MARGIN_US):
        names = np.array([of.get(name, -1) for name in batch.names])
        places = np.array([place.get(name, -1) for name in batch.names])
        gateways, lifts = names[batch.lift], places[batch.lift]
        keys, which = np.unique(np.stack([gateways, batch.at]), axis=1, return_inverse=True)
        entry = np.array([rounds.get((int(g), int(at)), -1) for g, at in keys.T], np.int64)[which]
        known = entry >= 0
        unasked += int(np.count_nonzero(~known))
        np.add.at(seen, (entry[known], lifts[known]), 1)
        changed += int(np.count_nonzero(batch.column(RUN_COUNT)[known] != number_of[entry[known]]))
    telemetry.close()
    expected = np.array([world.lifts[gateway] for gateway, _ in rounds])
    counted = np.arange(seen.shape[1]) < expected[:, None]
    return Verdict(
        accepted=int(expected.sum()),
        stored_once=int(np.count_nonzero((seen == 1) & counted)),
        lost=int(np.count_nonzero((seen == 0) & counted)),
        stored_twice=int(np.count_nonzero(seen > 1)),
        changed=changed,
        unasked=unasked,
        quarantined=_quarantined(world.data / "liftwatch.db"),
    )


def _places(world: World) -> tuple[dict[str, int], dict[str, int]]:
    """Say which gateway carries each lift, and the lift's place among those."""
    of: dict[str, int] = {}
    place: dict[str, int] = {}
    counts = [0] * len(world.gateways)
    for code, carrier in zip(world.city.codes, world.city.gateway.tolist(), strict=False):
        name = world.city.gateways[carrier]
        if name in world.gateways:
            gateway = world.gateways.index(name)
            of[code], place[code] = gateway, counts[gateway]
            counts[gateway] += 1
    return of, place


def _quarantined(file: Path) -> int:
    records = SqlRecords(f"sqlite:///{file}")
    with records.read() as reads:
        count = int(reads.counts().get("quarantined", 0)) or len(reads.quarantined(most=200))
    records.close()
    return count
