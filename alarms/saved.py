"""The engine's state as bytes: compact, versioned, and refused when it is damaged or of other lifts or rules.

Layout: magic, CRC-32 of the rest, length of the header, a JSON header, then plain little-endian arrays one after the
other as the header lists them. Signals that take few whole numbers travel as small integers, signals nobody ever
reported not at all, and of the phases only those that are not normal.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from alarms.phases import Phases
from alarms.readings import ROW, Known
from lift.batch import Ints, Mask
from lift.errors import Invalid
from lift.signals import BY_NAME, SIGNALS, Signal

VERSION: Final = 3
_MAGIC: Final = b"LWENGINE"
_HEAD: Final = struct.Struct("<8sIQ")
# How "never known" is spelled among small integers; no signal reaches so low.
_NOTHING: Final = {"<i1": -(2**7), "<i2": -(2**15)}

_Array = NDArray[Any]
Fit = Mapping[str, object]


def fit(codes: Sequence[str], slugs: Sequence[str], memories: Sequence[str]) -> Fit:
    """Say what a saved state must have been made for: version, lifts in order, rules and memories in order."""
    lifts = hashlib.blake2b("\n".join(codes).encode(), digest_size=16).hexdigest()
    return {"version": VERSION, "lifts": lifts, "rules": list(slugs), "memories": list(memories)}


def pack(
    made_for: Fit, known: Known, confirmed: NDArray[np.bool_], newest: Ints, resumed: int, phases: Phases
) -> bytes:
    """Write the state."""
    flat, phase, onset, turned = phases.entries()
    arrays: dict[str, _Array] = {
        "newest": newest,
        "codes": known.codes,
        "flat": flat,
        "phase": phase,
        "onset": onset,
        "turned": turned,
    }
    counted = np.flatnonzero(known.levels)
    arrays |= {
        "words": known.words.ravel(),
        "confirmed": np.packbits(confirmed),
        "counted": counted.astype(np.int64, copy=False),
        "levels": known.levels.ravel()[counted],
        "stamps": known.stamps.ravel()[counted],
        "reached": known.reached.ravel(),
        "landings": known.landings,
    }
    arrays |= {f"signal {signal.name}": values for signal, values in _signals(known)}
    listed = [(name, array.dtype.str, array.size) for name, array in arrays.items()]
    header = json.dumps({"fit": made_for, "resumed": resumed, "arrays": listed}).encode()
    # Views, so that a megacity's state is copied once.
    body: list[bytes | memoryview] = [header]
    body += [np.ascontiguousarray(array).data.cast("B") for array in arrays.values() if array.size]
    checksum = 0
    for part in body:
        checksum = zlib.crc32(part, checksum)
    return b"".join([_HEAD.pack(_MAGIC, checksum, len(header)), *body])


def unpack(data: bytes, made_for: Fit, known: Known, confirmed: NDArray[np.bool_], newest: Ints, phases: Phases) -> int:
    """Read the state into these arrays and give the moment silence counts from; raises Invalid and changes nothing."""
    header, body = _open(data)
    theirs = header["fit"]
    for what, ours in made_for.items():
        if theirs.get(what) != ours:
            raise Invalid("engine state", f"was saved for other {what}: {_short(theirs.get(what))}, now {_short(ours)}")
    arrays = dict(_arrays(header["arrays"], body))
    known.values.fill(np.nan)
    for name, array in arrays.items():
        if name.startswith("signal "):
            known.values[:, ROW[BY_NAME[name.removeprefix("signal ")]]] = _floats(array)
    known.codes[:] = arrays["codes"]
    known.words[:] = arrays["words"].reshape(known.words.shape)
    confirmed[:] = np.unpackbits(arrays["confirmed"], count=confirmed.size).reshape(confirmed.shape)
    known.levels, known.stamps = (np.zeros(kept.shape, kept.dtype) for kept in (known.levels, known.stamps))
    known.levels.ravel()[arrays["counted"]] = arrays["levels"]
    known.stamps.ravel()[arrays["counted"]] = arrays["stamps"]
    known.reached[:] = arrays["reached"].reshape(known.reached.shape)
    # The greater is kept for ever, so where the register has been corrected everything is learned anew.
    known.reached[:, ~_same(known.landings, arrays["landings"])] = np.nan
    newest[:] = arrays["newest"]
    phases.put(arrays["flat"], arrays["phase"], arrays["onset"], arrays["turned"])
    return int(header["resumed"])


def _same(ours: _Array, theirs: _Array) -> Mask:
    same: Mask = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    return same


def _open(data: bytes) -> tuple[dict[str, Any], memoryview]:
    if len(data) < _HEAD.size or data[: len(_MAGIC)] != _MAGIC:
        raise Invalid("engine state", f"{len(data)} bytes that are no saved state")
    _, checksum, header_size = _HEAD.unpack_from(data)
    rest = memoryview(data)[_HEAD.size :]
    if zlib.crc32(rest) != checksum:
        raise Invalid("engine state", "is damaged or cut off: its checksum does not fit")
    header: dict[str, Any] = json.loads(bytes(rest[:header_size]))
    return header, rest[header_size:]


def _arrays(listed: list[tuple[str, str, int]], body: memoryview) -> Iterator[tuple[str, _Array]]:
    offset = 0
    for name, kind, size in listed:
        array = np.frombuffer(body, kind, size, offset)
        offset += array.nbytes
        yield name, array


def _signals(known: Known) -> Iterator[tuple[Signal, _Array]]:
    for signal in SIGNALS:
        values = known.values[:, ROW[signal]]
        missing = np.isnan(values)
        if missing.all():
            continue
        kind = _narrow(signal)
        yield signal, values if kind is None else np.where(missing, _NOTHING[kind], values).astype(kind)


def _narrow(signal: Signal) -> str | None:
    """Name the small integer type that holds a signal and one more number; None = keep its floats."""
    if not signal.whole:
        return None
    largest = max(abs(signal.low), abs(signal.high))
    return next((kind for kind, nothing in _NOTHING.items() if largest < -nothing), None)


def _floats(array: _Array) -> _Array:
    nothing = _NOTHING.get(array.dtype.str.replace("|", "<"))
    return array if nothing is None else np.where(array == nothing, np.float32(np.nan), array)


def _short(thing: object) -> str:
    text = str(thing)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004
