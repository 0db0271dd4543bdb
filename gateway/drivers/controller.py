"""Controller: simulated lifts, for trying a gateway without a lift. The composition root hands them in."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Final

from gateway.document import Section
from gateway.driver import Surroundings
from lift.batch import Batch
from lift.errors import Invalid

_BEHIND_MOST_S: Final = 5.0
_SEED_MAX: Final = 2**32 - 1


class Controller:
    """Asks `Surroundings.source` for the next moment every `every_s` seconds; readings get the clock's time.

    `seed` and `scenario` are for whoever makes that source.
    """

    def __init__(self, section: Section, lifts: Mapping[str, Section]) -> None:
        """Read the section."""
        self.seed = section.whole("seed", 1, low=0, high=_SEED_MAX)
        self.scenario = section.text("scenario", "demo")
        self._every_s = section.number("every_s", 1.0, low=0.01, high=3600, unit="s")
        if not lifts:
            section.note("", "there is no lift to simulate: [lifts.CODE] names each")

    def batches(self, around: Surroundings) -> Iterator[Batch]:
        """Give a batch a step; one whose taker was slow for long goes on from there rather than race."""
        if around.source is None:
            raise Invalid("driver", "controller needs simulated lifts, and nobody has handed any in")
        due = time.monotonic()
        while not around.stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._every_s, time.monotonic() - _BEHIND_MOST_S)
            batch = around.source.step()
            if len(batch):
                late = around.clock.now() - int(batch.at.max())
                yield Batch(batch.names, batch.lift, batch.at + late, batch.columns, batch.codes)
