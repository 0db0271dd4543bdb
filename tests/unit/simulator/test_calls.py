"""Calls: sets of landings as bits, and collective control against a plain restatement of it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulator import calls
from simulator.plant import LANDINGS_MAX

landings = st.integers(0, LANDINGS_MAX - 1)
some = st.sets(landings, max_size=8)


def packed(chosen: set[int]) -> np.ndarray:
    """Give a set of landings as bits."""
    return np.array([sum(1 << landing for landing in chosen)], np.uint64)


@given(chosen=some, landing=landings)
def test_sets_answer_like_sets(chosen: set[int], landing: int) -> None:
    """Lowest, highest, above and below say what Python's sets say."""
    bits, here = packed(chosen), np.array([landing])
    assert calls.lowest(bits)[0] == min(chosen, default=64)
    assert calls.highest(bits)[0] == max(chosen, default=-1)
    assert calls.above(bits, here)[0] == packed({one for one in chosen if one > landing})[0]
    assert calls.below(bits, here)[0] == packed({one for one in chosen if one < landing})[0]


def plain(car: set[int], up: set[int], down: set[int], landing: int, direction: int) -> int:
    """Collective control, one car at a time."""
    ahead_up = {one for one in car | up | down if one > landing}
    ahead_down = {one for one in car | up | down if one < landing}
    if not ahead_up and not ahead_down:
        return -1
    if direction == 0:
        goes_up = bool(ahead_up) and (not ahead_down or min(ahead_up) - landing <= landing - max(ahead_down))
    else:
        goes_up = bool(ahead_up) if direction > 0 else not ahead_down
    if goes_up:
        onward = {one for one in car | up if one > landing}
        return min(onward) if onward else max(ahead_up)
    onward = {one for one in car | down if one < landing}
    return max(onward) if onward else min(ahead_down)


@given(car=some, up=some, down=some, landing=landings, direction=st.sampled_from([-1, 0, 1]))
def test_the_next_stop_is_that_of_collective_control(
    car: set[int], up: set[int], down: set[int], landing: int, direction: int
) -> None:
    """A car serves what lies ahead in its direction first, then turns where the farthest call waits."""
    stop = calls.next_stop(packed(car), packed(up), packed(down), np.array([landing]), np.array([direction]))
    assert stop[0] == plain(car, up, down, landing, direction)
