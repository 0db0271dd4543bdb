"""Limits of an Arrow IPC stream, checked on its frames before anything in it is unpacked or allocated.

A compressed column says how large it will be unpacked, and the reader believes it: four megabytes can ask for
terabytes. So the frames are walked first, by the Arrow columnar format's "Encapsulated message format" and its
flatbuffers Message, Schema and RecordBatch (format/Message.fbs, format/Schema.fbs), of which only the few fields are
read that sizes depend on. Whether the stream is sound otherwise is the reader's business.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np

from lift.errors import BadFrame
from lift.wire import READINGS_MAX

# What the columns of one message may take unpacked: four times the largest message.
UNPACKED_BYTES_MAX: Final = 16 * 1024 * 1024
# Frames of one stream: a schema, its dictionaries, its batches. More are a thousand tiny batches, slow to join.
FRAMES_MAX: Final = 256
# Columns of one stream; the catalogues have about forty.
COLUMNS_MAX: Final = 256

_CONTINUATION: Final = 0xFFFF_FFFF
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
_NOT_COMPRESSED: Final = -1

_MARK = struct.Struct("<Ii").unpack_from
_U8, _U16, _U32 = struct.Struct("<B").unpack_from, struct.Struct("<H").unpack_from, struct.Struct("<I").unpack_from
_I32, _I64 = struct.Struct("<i").unpack_from, struct.Struct("<q").unpack_from


def check(payload: bytes) -> None:
    """Walk a stream's frames; raises BadFrame when they break off or hold more than the limits allow."""
    readings = unpacked = 0
    try:
        for frame, body in _frames(memoryview(payload)):
            rows, size = _measure(frame, body)
            readings += rows
            unpacked += size
            _compare(readings, unpacked)
    except (struct.error, ValueError, _Broken) as error:
        raise BadFrame("payload", "not a readable Arrow IPC stream: its frames break off") from error


def _frames(payload: memoryview) -> Iterator[tuple[_Table, memoryview]]:
    """Give each frame's message and body, up to the mark that ends the stream."""
    at = 0
    for _ in range(FRAMES_MAX):
        if at == len(payload):
            return
        marker, size = _MARK(payload, at)
        if marker == 0 or size == 0:
            return
        if marker != _CONTINUATION or size < 0:
            raise _Broken
        body = at + 8 + size
        frame = _Table.root(payload[at + 8 : body])
        at = body + frame.long(3)
        if not body <= at <= len(payload):
            raise _Broken
        yield frame, payload[body:at]
    raise BadFrame("payload", f"more than {FRAMES_MAX} frames in one Arrow IPC stream")


def _compare(readings: int, unpacked: int) -> None:
    if readings > READINGS_MAX:
        raise BadFrame("payload", f"{readings} readings in one message, at most {READINGS_MAX} accepted")
    if unpacked > UNPACKED_BYTES_MAX:
        raise BadFrame("payload", f"{unpacked} bytes when unpacked, at most {UNPACKED_BYTES_MAX} accepted")


def _measure(frame: _Table, body: memoryview) -> tuple[int, int]:
    """Give the rows that a frame adds and the bytes that its body takes unpacked."""
    kind, header = frame.byte(1), frame.table(2)
    if header is None:
        return 0, 0
    if kind == _SCHEMA:
        columns = header.vector(1, 4)[1]
        if columns > COLUMNS_MAX:
            raise BadFrame("payload", f"{columns} columns, at most {COLUMNS_MAX} accepted")
        return 0, 0
    batch = header.table(1) if kind == _DICTIONARY else header
    if batch is None or kind not in (_DICTIONARY, _BATCH):
        return 0, 0
    rows = batch.long(0)
    if rows < 0:
        raise _Broken
    if kind == _DICTIONARY and rows > READINGS_MAX:
        raise BadFrame("payload", f"{rows} names in a dictionary, at most {READINGS_MAX} accepted")
    unpacked = len(body) if batch.table(3) is None else _unpacked(batch, body)
    return (rows if kind == _BATCH else 0), unpacked


def _unpacked(batch: _Table, body: memoryview) -> int:
    """Add up what compressed buffers say they hold; each begins with its size, -1 = it is stored as it is."""
    start, count = batch.vector(2, 16)
    places = np.frombuffer(batch.data, "<i8", 2 * count, start).reshape(count, 2)
    total = 0
    for offset, length in places.tolist():
        if length == 0:
            continue
        if offset < 0 or length < 8 or offset + length > len(body):  # noqa: PLR2004 - the size itself
            raise _Broken
        (size,) = _I64(body, offset)
        if size < _NOT_COMPRESSED:
            raise _Broken
        total += length if size == _NOT_COMPRESSED else size
    return total


class _Broken(Exception):
    """What should be there lies outside the frame."""


class _Table:
    """A flatbuffers table: its fields are found through a table of offsets, and may be absent."""

    __slots__ = ("_at", "_offsets", "_size", "data")

    def __init__(self, data: memoryview, at: int) -> None:
        self.data = data
        self._at = at
        self._offsets = at - _I32(data, at)[0]
        # struct counts a negative place from the end.
        if self._offsets < 0:
            raise _Broken
        self._size: int = _U16(data, self._offsets)[0]

    @classmethod
    def root(cls, data: memoryview) -> _Table:
        """Give the table that a buffer begins with."""
        return cls(data, _U32(data, 0)[0])

    def long(self, field: int) -> int:
        """Give a number of eight bytes, 0 where it is absent."""
        place = self._place(field)
        return 0 if place is None else int(_I64(self.data, place)[0])

    def byte(self, field: int) -> int:
        """Give a number of one byte, 0 where it is absent."""
        place = self._place(field)
        return 0 if place is None else int(_U8(self.data, place)[0])

    def table(self, field: int) -> _Table | None:
        """Give a table inside this one."""
        place = self._place(field)
        return None if place is None else _Table(self.data, place + _U32(self.data, place)[0])

    def vector(self, field: int, width: int) -> tuple[int, int]:
        """Give where a vector's entries of that many bytes begin, and how many there are."""
        place = self._place(field)
        if place is None:
            return 0, 0
        place += _U32(self.data, place)[0]
        count: int = _U32(self.data, place)[0]
        if place + 4 + count * width > len(self.data):
            raise _Broken
        return place + 4, count

    def _place(self, field: int) -> int | None:
        entry = 4 + 2 * field
        if entry + 2 > self._size:
            return None
        offset: int = _U16(self.data, self._offsets + entry)[0]
        return self._at + offset if offset else None
