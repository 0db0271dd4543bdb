"""Reads of bounded size: windows that lose nothing, resolutions that fit."""

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from adapters.telemetry_limits import READ_ROWS_MAX, TIME_MAX, fitting_resolution_s, windows, within

S = 1_000_000
TIMES = st.integers(0, 30) | st.integers(0, 100 * S) | st.integers(0, TIME_MAX)


@given(times=st.lists(TIMES, max_size=200).map(sorted), start=TIMES, end=TIMES, most=st.integers(1, 50))
def test_windows_tell_every_reading_once(times: list[int], start: int, end: int, most: int) -> None:
    """Windows follow each other, hold what is between start and end, and at most so many unless one moment does."""

    def held(first: int, stop: int) -> list[int]:
        return times[bisect_left(times, first) : bisect_left(times, stop)]

    cut = list(windows(lambda first, stop: len(held(first, stop)), start, end, most=most))
    assert [at for window in cut for at in held(*window)] == (held(start, end) if start < end else [])
    assert all(0 < len(held(*window)) <= most or window[1] - window[0] == 1 for window in cut)


@given(
    start=st.integers(0, TIME_MAX),
    step_s=st.sampled_from([1, 2, 60, 86_400, 3 * 86_400]),
    more_s=st.integers(-3, 3),
)
def test_the_resolution_told_fits(start: int, step_s: int, more_s: int) -> None:
    """Cut into steps of the resolution told, any time has at most READ_ROWS_MAX of them."""
    end = start + (step_s * READ_ROWS_MAX + more_s) * S
    step = fitting_resolution_s(start=start, end=end) * S
    assert (end - 1) // step - start // step + 1 <= READ_ROWS_MAX


def test_times_that_no_store_can_tell_are_cut_off() -> None:
    """A question about all times is a question about those that a store can have."""
    assert within(-(2**63), 2**63) == (-TIME_MAX, TIME_MAX)
    assert within(5, 7) == (5, 7)
