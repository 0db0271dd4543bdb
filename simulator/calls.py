"""Sets of landings as bits of 64-bit integers, for many lifts at once: which call a car serves next."""

from __future__ import annotations

from typing import Final

import numpy as np

from simulator.arrays import Bits, Mask, Whole

_ONE: Final = np.uint64(1)
_SHIFTS: Final = tuple(np.uint64(1 << k) for k in range(6))


def bit(landing: Whole) -> Bits:
    """Give the sets that hold one landing each."""
    return np.left_shift(_ONE, landing.astype(np.uint64))


def above(calls: Bits, landing: Whole) -> Bits:
    """Keep the calls above a landing."""
    return calls & ~((bit(landing) << _ONE) - _ONE)


def below(calls: Bits, landing: Whole) -> Bits:
    """Keep the calls below a landing."""
    return calls & (bit(landing) - _ONE)


def lowest(calls: Bits) -> Whole:
    """Give the lowest landing of each set; of an empty one 64."""
    return np.bitwise_count((calls & (~calls + _ONE)) - _ONE).astype(np.int32)


def highest(calls: Bits) -> Whole:
    """Give the highest landing of each set; of an empty one -1."""
    smeared = calls.copy()
    for shift in _SHIFTS:
        smeared |= smeared >> shift
    return np.bitwise_count(smeared).astype(np.int32) - 1


def next_stop(car: Bits, up: Bits, down: Bits, landing: Whole, direction: Whole) -> Whole:
    """Choose each car's next stop by collective control; -1 where there is none.

    A car keeps its direction while anything lies ahead: first the nearest call in its direction, else the
    farthest call the other way, where it turns round. With nothing ahead it looks behind in the same way.
    """
    everything = car | up | down
    ahead_up, ahead_down = above(everything, landing), below(everything, landing)
    near_up = lowest(ahead_up) - landing <= landing - highest(ahead_down)
    prefers_up = np.where(direction > 0, True, np.where(direction < 0, False, near_up))  # noqa: FBT003
    goes_up: Mask = np.where(prefers_up, ahead_up > 0, ahead_down == 0)
    with_up, with_down = above(car | up, landing), below(car | down, landing)
    stop_up = np.where(with_up > 0, lowest(with_up), highest(ahead_up))
    stop_down = np.where(with_down > 0, highest(with_down), lowest(ahead_down))
    stop = np.where(goes_up, stop_up, stop_down)
    return np.where((ahead_up | ahead_down) > 0, stop, -1).astype(np.int32)
