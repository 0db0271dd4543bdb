"""Arrow IPC streams: the fast lane. Decoding a column is mostly taking a pointer to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from threading import Lock
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lift import codes as code_sets
from lift.batch import Batch, Floats, Ints, Mask, Slots
from lift.errors import BadFrame
from lift.signals import BY_NAME, Signal
from lift.wire import SHOWN_CHARACTERS_MAX, UNKNOWN_FIELDS_MAX, Frame, Refusals, Stamp, arrow_limits, clipped, shown

# Every Arrow IPC stream of today begins with this continuation marker; no JSON text can.
MAGIC: Final = b"\xff\xff\xff\xff"

_AT: Final = pa.timestamp("us", tz="UTC")
_INT8_MAX: Final = 127
_INT16_MAX: Final = 32_767
# Dictionaries of fewer names are quicker spelled again than looked up.
_REMEMBER_FROM: Final = 100
# Bytes of remembered dictionaries: those of a million lifts, about 20 bytes each.
_REMEMBER_BYTES_MAX: Final = 20_000_000
_CODES_TOLD: Final = 5
_DOUBLE: Final = np.dtype(np.float64).char


@cache
def wire_type(signal: Signal) -> pa.DataType:
    """Give the narrowest Arrow type that holds a signal exactly."""
    if not signal.whole:
        return pa.from_numpy_dtype(signal.dtype)
    largest = max(abs(signal.low), abs(signal.high))
    return pa.int8() if largest <= _INT8_MAX else pa.int16() if largest <= _INT16_MAX else pa.int32()


def encode(batch: Batch, stamp: Stamp | None = None) -> bytes:
    """Write a batch as one Arrow IPC stream; the stamp travels as schema metadata `epoch` and `seq`."""
    table = to_table(batch)
    if stamp is not None:
        table = table.replace_schema_metadata({"epoch": stamp.epoch, "seq": str(stamp.seq)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def to_table(batch: Batch) -> pa.Table:
    """Give a batch as an Arrow table: `lift` as a dictionary, NaN as null, whole numbers as integers."""
    names, lift = _used(batch)
    fields: dict[str, pa.Array] = {
        "lift": pa.DictionaryArray.from_arrays(pa.array(lift, pa.int32()), pa.array(names, pa.string())),
        "at": pa.array(batch.at, pa.int64()).cast(_AT),
    }
    for signal, values in batch.columns.items():
        fields[signal.name] = _to_arrow(signal, values)
    if batch.codes is not None:
        fields["message_codes"] = _codes_to_arrow(batch.codes)
    return pa.table(fields)


def stamp(payload: bytes) -> Stamp | None:
    """Give a message's number without reading its columns, None when it has none that can be read."""
    try:
        return _stamp(pa.ipc.read_schema(pa.py_buffer(payload)).metadata or {})
    except (pa.ArrowException, OSError, ValueError, EOFError, BadFrame):
        return None


def decode(payload: bytes, catalogue: Mapping[str, Signal] = BY_NAME) -> Frame:
    """Read one Arrow IPC stream of a catalogue's columns; raises BadFrame when it is none or lacks `lift` or `at`."""
    arrow_limits.check(payload)
    try:
        return _frame(payload, catalogue)
    # Beside the reader itself, joining and converting columns of outlandish types raises what Arrow likes.
    except (pa.ArrowException, OSError, ValueError, EOFError) as error:
        raise BadFrame("payload", clipped(f"not a readable Arrow IPC stream: {error}")) from error


def _frame(payload: bytes, catalogue: Mapping[str, Signal]) -> Frame:
    with pa.ipc.open_stream(payload) as reader:
        table = reader.read_all()
    # Offsets and dictionary indexes come from outside: check them before anything follows one.
    table.validate(full=True)
    places = {name: place for place, name in enumerate(table.column_names)}
    stamp = _stamp(table.schema.metadata or {})
    refusals = Refusals()
    lifts, lift, named = _lifts(_column(table, places, "lift"))
    at, timed = _times(_column(table, places, "at"))
    columns: dict[Signal, Floats] = {}
    codes: Ints | None = None
    unknown: list[str] = []
    for name in places:
        if name in ("lift", "at"):
            continue
        if name == "message_codes":
            codes = _codes(_column(table, places, name), refusals)
        elif name in catalogue:
            values = _floats(_column(table, places, name), catalogue[name], refusals)
            if values is not None:
                columns[catalogue[name]] = values
        else:
            unknown.append(name[:SHOWN_CHARACTERS_MAX])
    batch = Batch(lifts, lift, at, columns, codes)
    good = named & timed
    rows = None
    if not good.all():
        for row in np.flatnonzero(~good).tolist():
            refusals.add(row, "at" if named[row] else "lift", lambda: "is null", lost=True)
        rows = np.flatnonzero(good)
        batch = batch.take(good)
    return Frame(
        batch=batch,
        stamp=stamp,
        refusals=tuple(refusals.told),
        unknown_fields=tuple(unknown[:UNKNOWN_FIELDS_MAX]),
        unknown_in=frozenset({0} if unknown else ()),
        rows=rows,
        lost=len(good) - len(batch),
        more=refusals.more,
    )


def _column(table: pa.Table, places: Mapping[str, int], name: str) -> pa.Array:
    place = places.get(name)
    if place is None:
        raise BadFrame(name, "the column is missing")
    if len(places) < table.num_columns and table.column_names.count(name) > 1:
        raise BadFrame(name, "the column appears more than once")
    column = table.column(place)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _stamp(metadata: dict[bytes, bytes]) -> Stamp | None:
    epoch, seq = metadata.get(b"epoch"), metadata.get(b"seq")
    if epoch is None and seq is None:
        return None
    return make_stamp(
        None if epoch is None else epoch.decode("utf-8", "replace"),
        int(seq) if seq is not None and seq.isdigit() else None,
    )


def make_stamp(epoch: object, seq: object) -> Stamp:
    """Check a message's number, whichever encoding carried it; raises BadFrame."""
    if not isinstance(epoch, str) or not 0 < len(epoch) <= 64:  # noqa: PLR2004
        raise BadFrame("epoch", "must be a text of 1 to 64 characters when a message is numbered")
    if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq < 2**63:
        raise BadFrame("seq", "must be a whole number from 0 when a message is numbered")
    return Stamp(epoch, seq)


def _lifts(column: pa.Array) -> tuple[Sequence[str], Any, Mask]:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.dictionary_encode()
    if not pa.types.is_dictionary(column.type) or not pa.types.is_string(column.type.value_type):
        raise BadFrame("lift", clipped(f"must be a string column, plain or dictionary-encoded; got {column.type}"))
    named = np.asarray(column.is_valid())
    names = _names(column.dictionary)
    indices = column.indices.fill_null(0) if column.null_count else column.indices
    return names, indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False), named


def _names(dictionary: pa.Array) -> Sequence[str]:
    """Spell the names of a dictionary; the same sequence again for a gateway that sends the same lifts again."""
    if dictionary.null_count or dictionary.offset or len(dictionary) < _REMEMBER_FROM:
        return tuple(name or "" for name in dictionary.to_pylist())
    _, offsets, text = dictionary.buffers()
    return _SPELLED.spell(len(dictionary), offsets.to_pybytes(), text.to_pybytes())


class _Spelled:
    """The dictionaries of names met lately, as bytes and as text; bounded, since they come from outside."""

    def __init__(self) -> None:
        self._names: dict[tuple[bytes, bytes], tuple[str, ...]] = {}
        self._bytes = 0
        self._lock = Lock()

    def spell(self, count: int, offsets: bytes, text: bytes) -> tuple[str, ...]:
        """Give names by their bytes, the same tuple for the same bytes while it is remembered."""
        names = self._names.get((offsets, text))
        if names is None:
            array = pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text))
            names = tuple(array.to_pylist())
            with self._lock:
                self._bytes += len(offsets) + len(text)
                if self._bytes > _REMEMBER_BYTES_MAX:
                    self._names.clear()
                    self._bytes = len(offsets) + len(text)
                self._names[offsets, text] = names
        return names


_SPELLED: Final = _Spelled()


def _times(column: pa.Array) -> tuple[Ints, Mask]:
    if not pa.types.is_timestamp(column.type):
        raise BadFrame("at", clipped(f"must be a timestamp column; got {column.type}"))
    try:
        at = column.cast(_AT).cast(pa.int64())
    except pa.ArrowException as error:
        raise BadFrame("at", clipped(str(error))) from error
    timed = np.asarray(column.is_valid())
    return (at.fill_null(0) if at.null_count else at).to_numpy(), timed


def _floats(column: pa.Array, signal: Signal, refusals: Refusals) -> Floats | None:
    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        if not pa.types.is_null(kind):
            refusals.add(None, signal.name, lambda: f"must be a number column; got {kind}")
        return None
    values: Floats = column.to_numpy(zero_copy_only=False)
    if values.dtype.char != _DOUBLE:
        return values.astype(signal.dtype, copy=False)
    # What is too large for the narrower type becomes infinite, and is out of every signal's range.
    with np.errstate(over="ignore"):
        return values.astype(signal.dtype, copy=False)


def _used(batch: Batch) -> tuple[Sequence[str], Slots]:
    """Leave out names that no reading uses: one gateway's lifts may come with the whole city's names."""
    if len(batch.names) <= len(batch):
        return batch.names, batch.lift
    used, lift = np.unique(batch.lift, return_inverse=True)
    return [batch.names[slot] for slot in used.tolist()], lift.astype(np.int32)


def _to_arrow(signal: Signal, values: Floats) -> pa.Array:
    kind = wire_type(signal)
    missing = np.isnan(values)
    if not missing.any():
        return pa.array(values.astype(kind.to_pandas_dtype(), copy=False), kind)
    return pa.array(np.where(missing, 0, values).astype(kind.to_pandas_dtype()), kind, mask=missing)


def _codes_to_arrow(sets: Ints) -> pa.Array:
    lists: list[list[int] | None] = [[]] * len(sets)
    for row in np.flatnonzero(sets):
        mask = int(sets[row])
        lists[row] = None if mask == code_sets.NOT_REPORTED else [int(code) for code in code_sets.unpack(mask)]
    return pa.array(lists, pa.list_(pa.uint8()))


def _codes(column: pa.Array, refusals: Refusals) -> Ints | None:
    kind = column.type
    # Numbers only: a list of nothing may claim any length without a byte to show for it.
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not pa.types.is_integer(kind.value_type):
        refusals.add(None, "message_codes", lambda: f"must be a column of lists of whole numbers; got {kind}")
        return None
    sets = np.zeros(len(column), np.int64)
    if column.null_count:
        sets[~np.asarray(column.is_valid())] = code_sets.NOT_REPORTED
    if pc.max(pc.list_value_length(column)).as_py():
        for row, numbers in enumerate(column.to_pylist()):
            if numbers:
                sets[row] = code_set(row, numbers, refusals)
    return sets


def code_set(row: int, numbers: list[Any], refusals: Refusals) -> int:
    """Fold the codes we know into one set and refuse the others by name, the first few of them."""
    known = {number for number in numbers if type(number) is int and number in code_sets.NUMBERS}
    if len(known) < len(numbers):
        strange = [number for number in numbers if type(number) is not int or number not in known]
        if strange:
            told = ", ".join(map(shown, strange[:_CODES_TOLD])) + (" …" if len(strange) > _CODES_TOLD else "")
            refusals.add(row, "message_codes", lambda: f"{told} is no code of GB/T 24476 known here")
    return code_sets.pack(known)
