"""Raw acceleration of some lifts, kept for as long as a trip may last, so that a finished trip can be assessed."""

from __future__ import annotations

import importlib
import logging
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from gateway import ride
from gateway.raw_block import BLOCK_S_MAX, RawBlock, check
from lift.batch import Floats, Ints
from lift.errors import Invalid
from lift.signals import Signal

log = logging.getLogger(__name__)

KEPT_S: Final = BLOCK_S_MAX
# 64 lifts at 256 Hz, or fewer at more: 35 MB. A site has a sensor in a few cars; a city's worth of them is a mistake.
RAW_LIFTS_MAX: Final = 64
RATES_HZ_MAX: Final = RAW_LIFTS_MAX * ride.RATE_HZ_MIN
# So much of the standing car is taken on both sides: the boundaries 0 and 3 lie there.
_MARGIN_S: Final = 1.5
# Blocks that follow each other within this belong together: a sensor's clock is not the gateway's.
_JOIN_S: Final = 0.1
# Shorter ones are put together, so that the number of blocks is bounded as well as that of samples.
_WHOLE_S: Final = 1.0
_BLOCKS_MAX: Final = round(2 * KEPT_S / _WHOLE_S)


@dataclass(slots=True)
class _Kept:
    """The newest blocks of one lift: when the first sample of each was taken (µs), and its samples."""

    rate_hz: float
    blocks: deque[tuple[int, Floats]] = field(default_factory=deque)
    samples: int = 0

    def end(self) -> float:
        """Give when the next sample is due, µs."""
        first, axes = self.blocks[-1]
        return first + len(axes) / self.rate_hz * 1e6

    def add(self, at_first: int, axes: Floats) -> None:
        """Put samples behind those there are, and drop the oldest that are too many."""
        if self.blocks and abs(self.end() - at_first) <= _JOIN_S * 1e6:
            first, last = self.blocks[-1]
            if len(last) < _WHOLE_S * self.rate_hz:
                self.blocks.pop()
                self.samples -= len(last)
                at_first, axes = first, np.concatenate([last, axes])
        self.blocks.append((at_first, axes))
        self.samples += len(axes)
        while len(self.blocks) > _BLOCKS_MAX or self.samples - len(self.blocks[0][1]) >= KEPT_S * self.rate_hz:
            self.samples -= len(self.blocks.popleft()[1])

    def around(self, start: int, stop: int) -> Floats | None:
        """Give the samples from a little before one moment to a little after another; None where some are missing.

        Moments are placed between the beginnings of the blocks, so that a rate that is not quite the one told, and
        blocks that follow each other a little early or late, do not add up.
        """
        firsts: Ints = np.array([first for first, _ in self.blocks], np.int64)
        lengths = np.array([len(axes) for _, axes in self.blocks])
        ends = firsts + lengths / self.rate_hz * 1e6
        gaps = np.flatnonzero(firsts[1:] - ends[:-1] > _JOIN_S * 1e6) + 1
        part = int(np.searchsorted(firsts[[0, *gaps]], start, side="right")) - 1
        if part < 0:
            return None
        here = slice(*[0, *gaps.tolist(), len(firsts)][part : part + 2])
        if stop > ends[here][-1]:
            return None
        before = np.concatenate([[0], np.cumsum(lengths[here])])
        begin, end = np.interp([start, stop], [*firsts[here], ends[here][-1]], before)
        margin = _MARGIN_S * self.rate_hz
        axes = np.concatenate([axes for _, axes in list(self.blocks)[here]])
        return axes[max(0, round(begin - margin)) : round(end + margin)]


class RawTrips:
    """Keeps the newest 180 s of raw acceleration of up to 64 lifts, and assesses stretches of it."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self.refused = 0

    def __len__(self) -> int:
        """Count the lifts that have sent raw acceleration."""
        return len(self._kept)

    def take(self, block: RawBlock) -> None:
        """Keep a block. Raises Invalid as `raw_block.check` does, for one that is not newer, or one lift too many.

        At another rate, or when a lift's clock was set back by more than 180 s, what was kept of it is forgotten.
        """
        check(block)
        lift, at_first, rate_hz, acceleration = block
        if not len(acceleration):
            return
        kept = self._kept.get(lift)
        if kept is not None:
            late_s = (kept.end() - at_first) / 1e6
            if kept.rate_hz != rate_hz or late_s > KEPT_S:
                kept = None
            elif late_s > _JOIN_S:
                raise Invalid("at", f"a block of lift {lift} begins {late_s:.2f} s before the end of the one before")
        if not self._kept:
            # It takes a second, which nobody's alarm should wait for when the first trip is assessed.
            threading.Thread(target=_load, name="load ride quality", daemon=True).start()
        if kept is None:
            others_hz = sum(other.rate_hz for name, other in self._kept.items() if name != lift)
            if others_hz + rate_hz > RATES_HZ_MAX:
                raise Invalid(
                    "lift",
                    f"{lift} is one too many: raw acceleration of at most {RAW_LIFTS_MAX} lifts at"
                    f" {ride.RATE_HZ_MIN:g} Hz is kept, or of fewer at more",
                )
            kept = self._kept[lift] = _Kept(rate_hz)
        kept.add(at_first, np.array(acceleration, np.float32))

    def assess(self, lift: str, start: int, stop: int) -> dict[Signal, float]:
        """Give the ride columns of the trip between two moments (µs); none where it is not kept whole or is refused."""
        kept = self._kept.get(lift)
        # A sensor that has long been silent is not told of with each trip.
        if kept is None or kept.end() < start:
            return {}
        axes = kept.around(start, stop)
        try:
            if axes is None:
                raise Invalid("acceleration", "is missing for a part of it")  # noqa: TRY301 - told like the others
            return ride.assess(axes, kept.rate_hz).columns()
        except Invalid as error:
            self.refused += 1
            log.warning("lift %s: no ride quality of a trip: %s", lift, error)
            return {}


def _load() -> None:
    """Load what `ride.assess` needs, and what a gateway without a sensor is spared."""
    for name in ("scipy.integrate", "scipy.signal"):
        importlib.import_module(name)
