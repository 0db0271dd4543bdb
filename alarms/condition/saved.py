"""The monitor's state as one file: a head, and the arrays as they lie in memory.

A megacity's state is half a gigabyte, so nothing is copied on the way: arrays are written from where they are, and
read to where they shall be once a first pass over the file has shown that it is whole.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from lift.errors import Invalid, Unavailable

_MAGIC: Final = b"LWCONDI2"
# Magic, what the state belongs to, three numbers; then the checksum of all that and of the arrays.
_HEAD: Final = struct.Struct("<8s16sqqq")
_SUM: Final = struct.Struct("<I")
# What is looked at in one piece on the first pass: it fits into a processor's cache.
_PIECE_BYTES: Final = 1 << 20

Facts = tuple[int, int, int]


def write(file: IO[bytes], fit: bytes, facts: Facts, arrays: Sequence[NDArray[Any]]) -> None:
    """Write three whole numbers and the arrays; `fit` [16 bytes] names what they belong to."""
    head = _HEAD.pack(_MAGIC, fit, *facts)
    checksum = zlib.crc32(head)
    for array in arrays:
        checksum = zlib.crc32(_raw(array), checksum)
    file.write(head + _SUM.pack(checksum))
    for array in arrays:
        left = _raw(array)
        while left:
            left = left[file.write(left) :]


def read(file: IO[bytes], fit: bytes, arrays: Sequence[NDArray[Any]]) -> Facts:
    """Fill the arrays and give the three numbers; raises Invalid, and changes nothing, when the state does not fit."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size or head[: len(_MAGIC)] != _MAGIC:
        raise Invalid("condition state", f"begins with {len(head)} bytes that are no saved state")
    _, of, *facts = _HEAD.unpack(head)
    if of != fit:
        raise Invalid("condition state", "was saved for other lifts, features or parameters")
    told = file.read(_SUM.size)
    start = file.tell()
    checksum, size = zlib.crc32(head), 0
    piece = bytearray(_PIECE_BYTES)
    while count := _readinto(file, memoryview(piece)):
        checksum, size = zlib.crc32(memoryview(piece)[:count], checksum), size + count
    if size != sum(array.nbytes for array in arrays) or told != _SUM.pack(checksum):
        raise Invalid("condition state", "is damaged or cut off: its checksum does not fit")
    file.seek(start)
    for array in arrays:
        left = _raw(array)
        while left:
            count = _readinto(file, left)
            if not count:
                raise Unavailable("condition state", "the file was cut off while it was read")
            left = left[count:]
    return facts[0], facts[1], facts[2]


def _raw(array: NDArray[Any]) -> memoryview:
    return memoryview(array.reshape(-1).view(np.uint8).data)


def _readinto(file: IO[bytes], room: memoryview) -> int:
    count: int = file.readinto(room)  # type: ignore[attr-defined] # every binary file has it, IO does not say so
    return count
