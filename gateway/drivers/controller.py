"""Controller: simulated lifts, for trying a gateway without a lift. The composition root hands them in."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gateway.document import Section
from gateway.driver import Surroundings
from gateway.raw_block import RawBlock
from gateway.raw_trips import RAW_LIFTS_MAX
from lift.batch import Batch
from lift.errors import Invalid

_BEHIND_MOST_S: Final = 5.0
_SEED_MAX: Final = 2**32 - 1
# Readings may differ by so much from the clock, so that one second follows the other although a step was slow.
_APART_MOST_US: Final = 500_000


class Controller:
    """Asks `Surroundings.source` for the next moment every `every_s` seconds; readings get the clock's time.

    `seed` and `scenario` are for whoever makes that source. With `raw` it gives raw acceleration too.
    """

    def __init__(self, section: Section, lifts: Mapping[str, Section]) -> None:
        """Read the section."""
        self.seed = section.whole("seed", 1, low=0, high=_SEED_MAX)
        self.scenario = section.text("scenario", "demo")
        self._every_s = section.number("every_s", 1.0, low=0.01, high=3600, unit="s")
        self._raw = section.flag("raw", default=False)
        if not lifts:
            section.note("", "there is no lift to simulate: [lifts.CODE] names each")
        if self._raw and self._every_s != 1:
            section.note(
                "raw", f"needs every_s = 1, for a step has a second of raw acceleration; it is {self._every_s:g}"
            )
        if self._raw and len(lifts) > RAW_LIFTS_MAX:
            section.note("raw", f"is for at most {RAW_LIFTS_MAX} lifts; there are {len(lifts)}")

    def batches(self, around: Surroundings) -> Iterator[Batch]:
        """Give a batch a step; one whose taker was slow for long goes on from there rather than race."""
        if around.source is None:
            raise Invalid("driver", "controller needs simulated lifts, and nobody has handed any in")
        due, ahead = time.monotonic(), 0
        while not around.stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._every_s, time.monotonic() - _BEHIND_MOST_S)
            batch = around.source.step()
            if not len(batch):
                continue
            now = around.clock.now() - int(batch.at.max())
            if abs(now - ahead) > _APART_MOST_US:
                ahead = now
            if self._raw:
                _hand_raw(around.source.raw(), ahead, around)
            yield Batch(batch.names, batch.lift, batch.at + ahead, batch.columns, batch.codes)


def _hand_raw(blocks: Sequence[RawBlock], ahead: int, around: Surroundings) -> None:
    for block in blocks:
        about = f"raw acceleration of lift {block.lift}"
        try:
            around.take_raw(block._replace(at_first=block.at_first + ahead))
        except Invalid as error:
            around.troubles.note(about, str(error))
        else:
            around.troubles.clear(about)
