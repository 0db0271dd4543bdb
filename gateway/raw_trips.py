"""Raw acceleration of some lifts, kept for as long as a trip may last, so that a finished trip can be assessed."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway import ride
from lift.batch import Floats
from lift.errors import Invalid
from lift.signals import Signal

log = logging.getLogger(__name__)

KEPT_S: Final = 180.0
# At 256 Hz a lift keeps half a megabyte; a site has a sensor in a few cars, a city's worth of them is a mistake.
RAW_LIFTS_MAX: Final = 64
RATE_HZ_MAX: Final = 4_096.0
# So much of the standing car is taken on both sides: the boundaries 0 and 3 lie there.
_MARGIN_S: Final = 1.5
# Blocks that follow each other within this belong together: a sensor's clock is not the gateway's.
_JOIN_S: Final = 0.1
_AXES: Final = 3


@dataclass(slots=True)
class _Kept:
    """The blocks of one lift without a gap between them: when the first sample of each was taken (µs), and samples."""

    rate_hz: float
    blocks: deque[tuple[int, Floats]]
    samples: int = 0

    def end(self) -> float:
        """Give when the next sample is due, µs."""
        first, block = self.blocks[-1]
        return first + len(block) / self.rate_hz * 1e6


class RawTrips:
    """Keeps the last 180 s of raw acceleration of up to 64 lifts, and assesses stretches of it."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self.refused = 0

    def __len__(self) -> int:
        """Count the lifts that have sent raw acceleration."""
        return len(self._kept)

    def take(self, lift: str, at_first: int, rate_hz: float, acceleration: Floats) -> None:
        """Keep a block (n × 3, m/s²) whose first sample was taken at `at_first`; what is not newer is ignored.

        After a gap, or at another rate, what was kept before is forgotten. Raises Invalid for a rate outside
        256 to 4,096 Hz, another shape, a block longer than 180 s, or more lifts than there is room for.
        """
        _check(lift, rate_hz, acceleration)
        if not len(acceleration):
            return
        kept = self._kept.get(lift)
        if kept is None and len(self._kept) >= RAW_LIFTS_MAX:
            raise Invalid("lift", f"{lift} is one more than the {RAW_LIFTS_MAX} whose raw acceleration is kept")
        if kept is not None:
            late_s = (kept.end() - at_first) / 1e6
            if late_s > _JOIN_S:
                return
            if kept.rate_hz != rate_hz or late_s < -_JOIN_S:
                kept = None
        if kept is None:
            kept = self._kept[lift] = _Kept(rate_hz, deque())
        kept.blocks.append((at_first, np.array(acceleration, np.float32)))
        kept.samples += len(acceleration)
        while kept.samples - len(kept.blocks[0][1]) >= KEPT_S * rate_hz:
            kept.samples -= len(kept.blocks.popleft()[1])

    def assess(self, lift: str, start: int, stop: int) -> dict[Signal, float]:
        """Give the ride columns of the trip between two moments (µs); none where it is not kept whole or is refused."""
        kept = self._kept.get(lift)
        if kept is None:
            return {}
        first = kept.blocks[0][0]
        begin, end = ((at - first) / 1e6 * kept.rate_hz for at in (start, stop))
        margin = _MARGIN_S * kept.rate_hz
        if begin < 0 or end > kept.samples:
            return {}
        cut = slice(max(0, round(begin - margin)), round(end + margin))
        try:
            return ride.assess(np.concatenate([block for _, block in kept.blocks])[cut], kept.rate_hz).columns()
        except Invalid as error:
            self.refused += 1
            log.warning("lift %s: no ride quality of a trip: %s", lift, error)
            return {}


def _check(lift: str, rate_hz: float, acceleration: Floats) -> None:
    if not ride.RATE_HZ_MIN <= rate_hz <= RATE_HZ_MAX:
        raise Invalid("rate_hz", f"{rate_hz:g} of lift {lift} is outside {ride.RATE_HZ_MIN:g} to {RATE_HZ_MAX:g}")
    if acceleration.ndim != 2 or acceleration.shape[1] != _AXES:  # noqa: PLR2004 - samples by axes
        raise Invalid("acceleration", f"of lift {lift} has the shape {acceleration.shape}, not samples × {_AXES}")
    if len(acceleration) > KEPT_S * rate_hz:
        raise Invalid("acceleration", f"a block of lift {lift} is longer than {KEPT_S:g} s")
