"""Which reading is which: numbering, order and copies, against plain dictionaries."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from adapters.telemetry_identity import Lifts, arrange
from lift.batch import Batch, from_rows

TIMES = st.integers(0, 5) | st.integers(0, 2**53)
READINGS = st.fixed_dictionaries(
    {"lift": st.sampled_from("abc"), "at": TIMES},
    optional={"passenger": st.integers(0, 1), "message_codes": st.sampled_from([[], [11], [4, 90]])},
)


@given(told=st.lists(READINGS, max_size=20))
def test_arranged_readings_are_there_once_and_in_order(told: list[dict[str, Any]]) -> None:
    """Copies become one reading with the last reported values, sorted by lift and time."""
    expected: dict[tuple[str, int], dict[str, Any]] = {}
    for reading in told:
        expected.setdefault((reading["lift"], reading["at"]), {}).update(reading)
    lifts, batch = Lifts(), from_rows(told)
    once, number, order = arrange(batch, lifts.numbers(batch))
    if order is not None:
        once, number = once.take(order), number[order]
    assert [lifts.names[n] for n in number] == [once.names[slot] for slot in once.lift]
    keys = list(zip(number.tolist(), once.at.tolist(), strict=True))
    assert keys == sorted(set(keys))
    assert {(row["lift"], row["at"]): row for row in once.rows()} == expected


def test_a_lift_keeps_its_number() -> None:
    """Numbers follow names, whichever list a batch brings them in."""
    lifts = Lifts()
    shared = ["a", "b"]
    for names, slots, numbers in ((shared, [1, 0], [1, 0]), (shared, [0], [0]), (["c", "a"], [0, 1], [2, 0])):
        batch = Batch(names, np.array(slots, np.int32), np.zeros(len(slots), np.int64))
        assert lifts.numbers(batch).tolist() == numbers
    assert lifts.numbers(Batch(shared, np.array([1], np.int32), np.zeros(1, np.int64))).tolist() == [1]
    # The same list with a name more is another list.
    shared.append("d")
    assert lifts.numbers(Batch(shared, np.array([2], np.int32), np.zeros(1, np.int64))).tolist() == [3]
    assert lifts.number("d") == 3
    assert lifts.number("e") is None


def test_late_is_not_newer_than_what_is_stored() -> None:
    """The first reading of a lift is never late; one at or before the newest stored is."""
    lifts = Lifts()
    number = lifts.add(f"{i}" for i in range(5000))
    assert not lifts.late(number, np.full(5000, -(2**62))).any()
    lifts.remember(number[[0, 0, 4999]], np.array([7, 5, 9]))
    assert lifts.late(number[[0, 0, 1, 4999]], np.array([7, 8, 0, 9])).tolist() == [True, False, False, True]
    assert dict(lifts.newest()) == {"0": 7, "4999": 9}
