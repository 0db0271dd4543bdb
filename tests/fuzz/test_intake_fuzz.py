"""Bad input of every kind: nothing escapes, every refusal names a field, the counts add up, memory is bounded."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.intake import CATALOGUES, take_in
from lift import topics
from lift.ports import Message
from lift.wire import PAYLOAD_BYTES_MAX, arrow_limits
from tests.fuzz.promises import examples, keep_promises
from tests.unit.ingest.line import FLEET, NOW

CASES = sorted(Path(__file__).with_name("cases").iterdir())
EXAMPLES = examples()
KINDS = st.sampled_from(sorted(CATALOGUES))
AT = pa.timestamp("us", tz="UTC")


def stream(table: pa.Table, compression: str | None = None) -> bytes:
    """Write a table as one Arrow IPC stream, chunks as they are."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression, emit_dictionary_deltas=True)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_what_broke_something_once_breaks_nothing_now(case: Path) -> None:
    """Each input that a fuzzer has found is tried again, as both kinds of reading."""
    for kind in CATALOGUES:
        keep_promises([case.read_bytes()], kind)


@given(st.lists(st.binary(max_size=200), max_size=4), KINDS)
def test_any_bytes(payloads: list[bytes], kind: str) -> None:
    """Random bytes, alone and together."""
    keep_promises([*payloads, *(b"\xff\xff\xff\xff" + payload for payload in payloads)], kind)


@given(st.data(), st.sampled_from(EXAMPLES), KINDS)
def test_damaged_messages(data: st.DataObject, example: bytes, kind: str) -> None:
    """Valid messages with bytes changed, cut out, doubled or put in elsewhere, beside whole ones."""
    payload = bytearray(example)
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(payload)))
        end = min(len(payload), start + data.draw(st.sampled_from([0, 1, 4, 8, 64, 1 << 20])))
        piece = data.draw(
            st.binary(max_size=9)
            | st.sampled_from(
                [bytes(payload[start:end]) * 2, b"\xff" * 8, b"\0" * 8, b"1e308", b"-1", b"null", b"[[", b"}"]
            )
        )
        payload[start:end] = piece
    keep_promises([bytes(payload), example, bytes(payload)], kind)


NAMES = ["lift", "at", "passenger", "car_speed", "running_hours", "message_codes", "top_speed", "pasenger"]
TEXTS = st.sampled_from(["000001", "000002", "000003", "000009", "3110000001", "", "\0", "x" * 5000]) | st.text(
    max_size=8
)
ROWS = 3


def of_type(kind: pa.DataType, values: st.SearchStrategy[Any]) -> st.SearchStrategy[pa.Array]:
    """Draw a column of a type, with nulls in it."""
    return st.lists(st.none() | values, min_size=ROWS, max_size=ROWS).map(lambda drawn: pa.array(drawn, kind))


I64 = st.integers(-(2**63), 2**63 - 1)
ANY_COLUMN = st.one_of(
    of_type(pa.string(), TEXTS),
    of_type(pa.large_string(), TEXTS),
    of_type(pa.string(), TEXTS).map(lambda column: column.dictionary_encode()),
    of_type(pa.binary(), st.binary(max_size=9)),
    of_type(pa.int64(), I64 | st.just(NOW)),
    of_type(pa.uint64(), st.integers(0, 2**64 - 1)),
    of_type(pa.int8(), st.integers(-128, 127)),
    of_type(pa.int8(), st.integers(0, 1)).map(lambda column: column.dictionary_encode()),
    of_type(pa.float64(), st.floats() | st.sampled_from([1e308, -1e308, 5e-324])),
    of_type(pa.float32(), st.floats(width=32)),
    of_type(pa.float16(), st.floats(width=16).map(np.float16)),
    of_type(pa.bool_(), st.booleans()),
    of_type(pa.null(), st.none()),
    of_type(AT, st.sampled_from([NOW, 0, -1, 2**62, NOW + 10**9]) | I64),
    of_type(pa.timestamp("s"), st.integers(-(2**62), 2**62) | st.just(NOW // 10**6)),
    of_type(pa.timestamp("ns", tz="Asia/Shanghai"), I64),
    of_type(pa.date32(), st.integers(-(2**31), 2**31 - 1)),
    of_type(pa.list_(pa.uint8()), st.lists(st.integers(0, 255), max_size=9)),
    of_type(pa.list_(pa.int64()), st.lists(I64, max_size=3)),
    of_type(pa.list_(pa.null()), st.lists(st.none(), max_size=9)),
    of_type(pa.list_(pa.list_(pa.int8())), st.lists(st.lists(st.integers(0, 9)), max_size=2)),
    of_type(pa.struct([("x\0" * 50, pa.int8())]), st.fixed_dictionaries({})),
    of_type(pa.decimal128(38, 5), st.decimals(-9, 9, places=2)),
    st.just(pa.RunEndEncodedArray.from_arrays(pa.array([ROWS], pa.int32()), pa.array([1.0]))),
)
GOOD = {
    "lift": st.just(pa.array(["000001", "000002", "000001"])),
    "at": st.just(pa.array([NOW, NOW, NOW - 1], AT)),
}


@st.composite
def outlandish_tables(draw: st.DrawFn) -> bytes:
    """Draw a readable Arrow stream whose columns are of any type, in any order, in one chunk or several, or none."""
    names = draw(st.lists(st.sampled_from(NAMES), max_size=6))
    if draw(st.booleans()):
        names = ["lift", "at", *names]
    columns = [draw((GOOD[name] | ANY_COLUMN) if name in GOOD else ANY_COLUMN) for name in names]
    table = pa.table(columns, names=names)
    shape = draw(st.sampled_from(["one", "none", "twice", "sliced"]))
    if shape == "none":
        table = table.schema.empty_table() if draw(st.booleans()) else table.slice(0, 0)
    elif shape == "sliced":
        table = table.slice(1, 2)
    elif shape == "twice" and not any(pa.types.is_run_end_encoded(field.type) for field in table.schema):
        table = pa.concat_tables([table, table.slice(1)])
    metadata = draw(st.none() | st.dictionaries(st.sampled_from(["epoch", "seq"]), st.text(max_size=70), max_size=2))
    if metadata:
        table = table.replace_schema_metadata(
            {name: text.encode("utf-8", "replace") for name, text in metadata.items()}
        )
    return stream(table, draw(st.sampled_from([None, None, "zstd", "lz4"])))


@settings(max_examples=150)
@given(outlandish_tables(), KINDS)
def test_outlandish_arrow_columns(payload: bytes, kind: str) -> None:
    """Streams that Arrow reads without complaint, and that no gateway would send."""
    keep_promises([payload, EXAMPLES[0], payload], kind)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        [NOW // 1000, 1e308, -0.0, "2026-11-18T11:06:40Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
    )
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*NAMES, "readings", "epoch"]), inner),
    max_leaves=8,
)
OBJECTS = st.fixed_dictionaries(
    {}, optional={"lift": TEXTS, "at": VALUES | st.just(NOW / 1000), **dict.fromkeys(NAMES[2:], VALUES)}
)
BODIES = OBJECTS | VALUES | st.lists(OBJECTS | VALUES, max_size=6)


@settings(max_examples=150)
@given(
    st.lists(BODIES | st.fixed_dictionaries({"epoch": VALUES, "seq": VALUES, "readings": BODIES}), max_size=3), KINDS
)
def test_outlandish_json(bodies: list[Any], kind: str) -> None:
    """JSON of every shape, with values of every kind where numbers should be."""
    keep_promises([orjson.dumps(body) for body in bodies], kind)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 1000 + b"]" * 1000,
        b'{"lift":' + b"[" * 1000 + b"]" * 1000 + b',"at":5}',
        b'{"lift":"000001","at":1795000000000,"car_speed":' + b'{"a":' * 1000 + b"1" + b"}" * 1001,
        b'{"lift":"000001","at":1795000000000,"car_speed":NaN}',
        b'{"lift":"000001","at":1795000000000,"car_speed":-Infinity}',
        b'{"lift":"000001","at":1795000000000,"car_speed":1e999}',
        b'{"lift":"000001","at":1795000000000,"car_speed":1e300}',
        b'{"lift":"000001","at":1795000000000,"passenger":' + b"9" * 400 + b"}",
        b'{"lift":"\\ud800","at":1795000000000}',
        b'{"lift":"\xed\xa0\x80","at":1795000000000}',
        b'{"lift":"000001","lift":"000002","at":1795000000000,"at":1795000000001}',
        b'{"lift":"000001","at":-1}',
        b'{"lift":"000001","at":1e308}',
        b'{"lift":"000001","at":' + b"9" * 400 + b"}",
        b'{"lift":"000001","at":"' + b"2" * 100_000 + b'"}',
        b'{"readings":[],"epoch":"e","seq":18446744073709551615}',
        b'{"readings":{"lift":"000001"},"epoch":"e","seq":1}',
    ],
    ids=lambda text: text[:60].decode("latin-1"),
)
def test_json_that_tries_parsers(text: bytes) -> None:
    """Deep nesting, numbers no type holds, halves of characters, keys that come twice: refused or read, never more."""
    keep_promises([text, *EXAMPLES[1:2]])


def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    """JSON leaves it open; so it is written down here."""
    payload = b'{"lift":"000001","at":1795000000000,"passenger":0,"passenger":1}'
    intake = take_in([Message(topics.topic("a", topics.TELEMETRY), payload)], FLEET, received_at=NOW)
    assert [row["passenger"] for row in intake.batch.rows()] == [1]


# ------------------------------------------------------------------------------------------- bombs


def many_names() -> bytes:
    """Give rows of which each has a field that no other has: a column each would be rows times rows."""
    return orjson.dumps([{"lift": "000001", "at": NOW // 1000, f"f{i}": 1} for i in range(20_000)])


def filled(item: bytes, separator: bytes = b",") -> bytes:
    """Give an array that is as long as a message may be."""
    return b"[" + separator.join([item] * ((PAYLOAD_BYTES_MAX - 2) // (len(item) + 1))) + b"]"


def compressed(column: pa.Array) -> bytes:
    """Give readings that are a small message and a large table."""
    table = pa.table({"lift": ["000001"] * len(column), "at": pa.array([NOW] * len(column), AT), "x": column})
    return stream(table, "zstd")


def list_of_nothing() -> bytes:
    """Give a list column whose one entry claims a million nulls, which take no room on the wire."""
    offsets = pa.py_buffer(np.array([0, 2**20], np.int32).tobytes())
    column = pa.Array.from_buffers(pa.list_(pa.null()), 1, [None, offsets], children=[pa.nulls(2**20)])
    return stream(pa.table({"lift": ["000001"], "at": pa.array([NOW], AT), "message_codes": column}))


def lied_about(payload: bytes) -> bytes:
    """Let each compressed buffer claim to be a terabyte when unpacked."""
    found = bytearray(payload)
    magic = b"\x28\xb5\x2f\xfd"  # zstd's own, eight bytes after the size
    at = found.find(magic)
    while at >= 0:
        found[at - 8 : at] = (2**40).to_bytes(8, "little")
        at = found.find(magic, at + 4)
    return bytes(found)


BOMBS: dict[str, Callable[[], bytes]] = {
    "a field of its own in each row": many_names,
    "readings that are none": lambda: filled(b"1")[: 2 * 100_000] + b"1]",
    "readings without a lift": lambda: filled(b'{"at":1,"lift":0}')[: 18 * 99_000] + b"]",
    "values that are no numbers": lambda: (
        b'{"readings":' + filled(b'{"lift":"000001","at":1795000000000,"car_speed":[],"passenger":[],"load":[]}') + b"}"
    ),
    "codes nobody knows": lambda: (
        b'{"lift":"000001","at":1795000000000,"message_codes":' + filled(b"250")[:-100] + b"0]}"
    ),
    "a large text for a number": lambda: (
        b'{"lift":"000001","at":1795000000000,"car_speed":"' + b"x" * 4_000_000 + b'"}'
    ),
    "one field many times": lambda: b'{"lift":"000001","at":1795000000000' + b',"passenger":1' * 250_000 + b"}",
    "many columns": lambda: stream(pa.table({f"c{i}": pa.array([1], pa.int8()) for i in range(5000)})),
    "many batches": lambda: stream(
        pa.concat_tables([pa.table({"lift": ["000001"], "at": pa.array([NOW], AT)})] * 5000, promote_options="none")
    ),
    "compressed text": lambda: compressed(pa.array(["a" * 2000] * 50_000)),
    "compressed beyond all measure": lambda: lied_about(compressed(pa.array(["a" * 20] * 1000))),
    "a list of nothing": list_of_nothing,
    "readings without columns": lambda: stream(pa.table({"passenger": pa.nulls(2**20)})),
}


# A pool must outlive whatever was taken from it.
POOLS: list[Any] = []


@pytest.mark.parametrize("name", BOMBS)
def test_memory_is_bounded_by_the_message(name: str) -> None:
    """No message of four megabytes takes more than thirty times as much, whatever it claims."""
    payload = BOMBS[name]()
    assert len(payload) <= PAYLOAD_BYTES_MAX + 100, "the example itself would be refused for its size"
    usual = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)
    POOLS.append(pool)
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        intake = take_in([Message(topics.topic("a", topics.TELEMETRY), payload)], FLEET, received_at=NOW)
        peak = tracemalloc.get_traced_memory()[1] + pool.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(usual)
    delivery = intake.deliveries[0]
    assert delivery.received == len(intake.batch) + delivery.refused
    assert peak <= 30 * len(payload) + 2 * arrow_limits.UNPACKED_BYTES_MAX, (
        f"{peak / 1e6:.0f} MB of {len(payload)} bytes"
    )


def test_a_small_compressed_message_is_read() -> None:
    """A gateway on a thin line may compress."""
    table = pa.table({"lift": ["000001", "000002"], "at": pa.array([NOW, NOW], AT), "passenger": [1, 0]})
    for codec in ("zstd", "lz4"):
        payload = stream(table, codec)
        intake = take_in([Message(topics.topic("a", topics.TELEMETRY), payload)], FLEET, received_at=NOW)
        assert [row["passenger"] for row in intake.batch.rows()] == [1, 0]


def test_a_message_that_would_unpack_too_far_names_the_limit() -> None:
    """The refusal says how large it would be, from its headers alone."""
    payload = compressed(pa.array(["a" * 2000] * 50_000))
    intake = take_in([Message(topics.topic("a", topics.TELEMETRY), payload)], FLEET, received_at=NOW)
    assert "bytes when unpacked, at most 16777216 accepted" in intake.deliveries[0].reasons[0]
