"""Line protocol says what the batch says: no more, no less, and nothing that InfluxDB reads otherwise."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.line_protocol import requests
from lift.batch import Batch, from_rows
from lift.codes import pack
from lift.errors import Invalid
from lift.signals import BY_NAME, CAR_SPEED, LOAD, PASSENGER, RUN_COUNT, Signal

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\"), min_size=1, max_size=8)


def values_of(signal: Signal) -> st.SearchStrategy[float]:
    """Draw values that a signal accepts."""
    if signal.whole:
        return st.integers(int(signal.low), int(signal.high))
    return st.floats(signal.low, signal.high, width=32)


READINGS = st.fixed_dictionaries(
    {"lift": NAMES, "at": st.integers(0, 2**53)},
    optional={signal.name: values_of(signal) for signal in (PASSENGER, RUN_COUNT, CAR_SPEED, LOAD)}
    | {"message_codes": st.sampled_from([[], [11], [4, 90]])},
)


def read(line: str) -> dict[str, Any]:
    """Read one line as InfluxDB would: tag, fields and time, parted by spaces and commas that are not escaped."""
    head, fields, at = re.split(r"(?<!\\) ", line)
    measurement, tag = re.split(r"(?<!\\),", head)
    assert measurement == "telemetry"
    name, lift = re.split(r"(?<!\\)=", tag)
    assert name == "lift"
    told: dict[str, Any] = dict(field.split("=") for field in fields.split(","))
    assert told.pop("reading") == "t"
    for field, text in told.items():
        whole = field == "message_codes" or BY_NAME[field].whole
        assert text.endswith("i") == whole
        told[field] = int(text[:-1]) if whole else np.float32(text)
    return {"lift": re.sub(r"\\([,= ])", r"\1", lift), "at": int(at), **told}


@given(told=st.lists(READINGS, max_size=12), lines=st.integers(1, 5))
def test_lines_say_what_the_batch_says(told: list[dict[str, Any]], lines: int) -> None:
    """Each reading is a line with only what it reports; each request has so many lines and no more."""
    texts = list(requests("telemetry", from_rows(told), lines=lines))
    assert all(0 < text.count(b"\n") <= lines for text in texts)
    expected = [
        {name: pack(value) if name == "message_codes" else value for name, value in row.items()} for row in told
    ]
    assert [read(line) for text in texts for line in text.decode().split("\n")[:-1]] == expected


@pytest.mark.parametrize("lift", ["", "a\nb", "a\\", "\x00"])
def test_a_name_that_cannot_be_written_is_refused(lift: str) -> None:
    """A name that would end the line or swallow what follows is refused before anything is sent."""
    with pytest.raises(Invalid, match="lift"):
        list(requests("telemetry", from_rows([{"lift": lift, "at": 1}]), lines=10))


def test_names_of_others_do_not_matter() -> None:
    """Only lifts that report are looked at: a shared list may name what it likes."""
    batch = Batch(("", "a"), np.array([1], np.int32), np.array([7]))
    assert list(requests("telemetry", batch, lines=10)) == [b"telemetry,lift=a reading=t 7\n"]


@pytest.mark.parametrize(("column", "value"), [("car_speed", np.inf), ("passenger", 0.5), ("passenger", 1000)])
def test_a_value_that_cannot_be_written_is_refused(column: str, value: float) -> None:
    """Infinity and half a passenger are refused by the signal's name."""
    with pytest.raises(Invalid, match=column):
        list(requests("telemetry", from_rows([{"lift": "a", "at": 1, column: value}]), lines=10))
