"""Both encodings carry every batch unchanged, and refuse bad input by name without losing the good."""

import contextlib
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift import batch as batches
from lift.batch import Batch, from_rows
from lift.codes import NUMBERS
from lift.errors import BadFrame
from lift.signals import SIGNALS, Signal
from lift.wire import Stamp, arrow, json

AT = 1_795_000_000_000_000


def values_of(signal: Signal) -> st.SearchStrategy[float | None]:
    """Draw a value that the signal's catalogue entry accepts, or that it was not reported."""
    numbers: st.SearchStrategy[float]
    if signal.whole:
        numbers = st.integers(int(signal.low), int(signal.high)).map(float)
    else:
        low, high = (float(np.asarray(bound, signal.dtype)) for bound in (signal.low, signal.high))
        numbers = st.floats(low, high, width=64 if signal.dtype == np.float64 else 32, allow_subnormal=False)
    return st.none() | numbers


rows = st.lists(
    st.fixed_dictionaries(
        {"lift": st.text(min_size=1, max_size=20), "at": st.integers(0, 2**52)},
        optional={signal.name: values_of(signal) for signal in SIGNALS}
        | {"message_codes": st.none() | st.lists(st.sampled_from(sorted(NUMBERS)), unique=True).map(sorted)},
    ),
    min_size=1,
    max_size=8,
)
stamps = st.none() | st.builds(Stamp, st.text("0123456789abcdef", min_size=1, max_size=32), st.integers(0, 2**62))


def spelled(batch: Batch) -> list[bytes]:
    """Give the readings as comparable text: floats compare by their bits."""
    return [orjson.dumps(row, option=orjson.OPT_SORT_KEYS) for row in batch.rows()]


@given(rows, stamps)
def test_arrow_carries_a_batch_unchanged(readings: list[dict[str, Any]], stamp: Stamp | None) -> None:
    """What a gateway encodes is what ingest decodes: every value, every gap, the number of the message."""
    sent = from_rows(readings)
    frame = arrow.decode(arrow.encode(sent, stamp))
    assert (spelled(frame.batch), frame.stamp, frame.refusals) == (spelled(sent), stamp, ())


@given(rows, stamps)
def test_json_carries_a_batch_unchanged(readings: list[dict[str, Any]], stamp: Stamp | None) -> None:
    """The same holds for JSON, whose times are RFC 3339 text."""
    sent = from_rows(readings)
    frame = json.decode(json.encode(sent, stamp))
    assert (spelled(frame.batch), frame.stamp, frame.refusals) == (spelled(sent), stamp, ())


@given(st.binary(max_size=400))
def test_random_bytes_are_refused_and_nothing_else_happens(payload: bytes) -> None:
    """Whatever arrives, a decoder either reads it or raises BadFrame."""
    for decode in (arrow.decode, json.decode):
        with contextlib.suppress(BadFrame):
            decode(payload)


@given(st.data())
def test_a_damaged_arrow_message_is_refused_or_read(data: st.DataObject) -> None:
    """A flipped byte may change a value, but never escapes as another error."""
    payload = bytearray(arrow.encode(from_rows([{"lift": "063577", "at": AT, "passenger": 1, "message_codes": [11]}])))
    position = data.draw(st.integers(4, len(payload) - 1))
    payload[position] ^= data.draw(st.integers(1, 255))
    try:
        frame = arrow.decode(bytes(payload))
    except BadFrame:
        return
    assert len(frame.batch) <= 1


@given(st.lists(rows, min_size=1, max_size=4))
def test_joined_batches_hold_all_readings_in_order(lists: list[list[dict[str, Any]]]) -> None:
    """Joining batches that know different lifts and signals loses and invents nothing."""
    parts = [from_rows(readings) for readings in lists]
    assert spelled(batches.concat(parts)) == [text for part in parts for text in spelled(part)]


def test_a_wrong_typed_value_is_refused_and_its_reading_kept() -> None:
    """One bad field names itself; the rest of the reading still counts."""
    frame = json.decode(b'[{"lift":"1","at":1795000000000,"passenger":"yes","door_zone":0},{"lift":"2","at":5}]')
    assert [str(refusal) for refusal in frame.refusals] == ["reading 0, passenger: must be a number; got 'yes'"]
    assert [row["lift"] for row in frame.batch.rows()] == ["1", "2"]
    assert next(frame.batch.rows())["door_zone"] == 0


@pytest.mark.parametrize(
    ("reading", "refusal"),
    [
        (b"7", "reading 0, reading: must be an object; got 7"),
        (b'{"at":5}', "reading 0, lift: is missing"),
        (b'{"lift":63577,"at":5}', "reading 0, lift: must be the lift's code as text; got 63577"),
        (b'{"lift":"1"}', "reading 0, at: is missing"),
        (b'{"lift":"1","at":"2026-11-23"}', "reading 0, at: '2026-11-23' is not RFC 3339 with an offset"),
        (b'{"lift":"1","at":-3}', "reading 0, at: -3 is neither RFC 3339 text nor epoch milliseconds"),
        (b'{"lift":"1","at":true}', "reading 0, at: True is neither RFC 3339 text nor epoch milliseconds"),
    ],
)
def test_a_reading_without_identity_is_lost_by_name(reading: bytes, refusal: str) -> None:
    """A reading that does not say which lift and when is refused; the good one beside it is kept."""
    frame = json.decode(b"[" + reading + b',{"lift":"9","at":1795000000000}]')
    assert [str(one)[: len(refusal)] for one in frame.refusals] == [refusal]
    assert [one.lost for one in frame.refusals] == [True]
    assert [row["lift"] for row in frame.batch.rows()] == ["9"]


@pytest.mark.parametrize("payload", [b"", b"{", b"3", b'"x"', b'{"readings":3}', b'{"readings":[],"epoch":"e"}'])
def test_json_of_another_shape_is_refused_whole(payload: bytes) -> None:
    """Only a reading, a list of them, or a numbered list can be read."""
    with pytest.raises(BadFrame):
        json.decode(payload)


def test_an_unknown_code_is_refused_and_the_known_ones_kept() -> None:
    """A controller that reports an escalator's code still reports its entrapment."""
    frame = json.decode(b'{"lift":"1","at":5,"message_codes":[11,61]}')
    assert next(frame.batch.rows())["message_codes"] == [11]
    assert [refusal.field for refusal in frame.refusals] == ["message_codes"]


def test_a_field_outside_the_catalogue_is_named_not_refused() -> None:
    """A vendor may send more than we use, but a misspelt name must show."""
    frame = json.decode(b'{"lift":"1","at":5,"pasenger":1}')
    assert (frame.unknown_fields, frame.refusals) == (("pasenger",), ())


@pytest.mark.parametrize(
    ("table", "field"),
    [
        (pa.table({"at": pa.array([AT], pa.timestamp("us"))}), "lift"),
        (pa.table({"lift": ["1"]}), "at"),
        (pa.table({"lift": [1], "at": pa.array([AT], pa.timestamp("us"))}), "lift"),
        (pa.table({"lift": ["1"], "at": [AT]}), "at"),
    ],
)
def test_an_arrow_message_needs_lift_and_at(table: pa.Table, field: str) -> None:
    """A column that is missing or of another type is refused by its name."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(BadFrame) as refused:
        arrow.decode(sink.getvalue().to_pybytes())
    assert refused.value.field == field


def test_an_arrow_column_of_text_is_refused_and_the_others_kept() -> None:
    """A wrong-typed column costs that column, not the message."""
    table = pa.table({"lift": ["1"], "at": pa.array([AT], pa.timestamp("us")), "passenger": ["yes"], "door_zone": [1]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    frame = arrow.decode(sink.getvalue().to_pybytes())
    assert [refusal.field for refusal in frame.refusals] == ["passenger"]
    assert next(frame.batch.rows()) == {"lift": "1", "at": AT, "door_zone": 1}


@given(st.integers(0, 4_000_000_000_000_000))
def test_a_time_survives_being_spelled_out(at: int) -> None:
    """Microseconds to RFC 3339 text and back is the identity."""
    assert json.parse_time(json.rfc3339(at)) == at
