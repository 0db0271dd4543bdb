"""JSON lines: each line is a message of the JSON encoding: a reading, or a list of readings; or raw acceleration.

    tail -f readings.jsonl | liftwatch gateway gw-007

A bad line, or a bad value in one, is reported with its number and reason; the rest goes on.
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, Final

from gateway.document import Section
from gateway.driver import Surroundings, refuse_raw
from gateway.drivers import _raw_line as raw_line
from gateway.raw_block import RawBlock
from lift.batch import Batch
from lift.errors import Invalid
from lift.wire import PAYLOAD_BYTES_MAX, json

log = logging.getLogger(__name__)

_PIECE_BYTES: Final = 65_536
_LOOK_EVERY_MS: Final = 200


class Jsonlines:
    """Reads `Surroundings.lines`, standard input as a rule, to its end."""

    def __init__(self, section: Section, lifts: Mapping[str, Section]) -> None:
        """There is nothing to set."""

    def batches(self, around: Surroundings) -> Iterator[Batch]:
        """Give the readings of each line as a batch; a line that is not ended by the time to stop is left."""
        if around.lines is None:
            raise Invalid("driver", "jsonlines needs a stream to read, and nobody has handed one in")
        return batches(_pieces(around.lines, around.stop), take_raw=around.take_raw)


def _warn(number: int, reason: str) -> None:
    log.warning("line %d: %s", number, reason)


def batches(
    pieces: Iterable[bytes],
    report: Callable[[int, str], None] = _warn,
    *,
    take_raw: Callable[[RawBlock], None] = refuse_raw,
) -> Iterator[Batch]:
    r"""Give the readings of each line as a batch, and `report` line numbers (from 1) with what is wrong there.

    The text comes in pieces of any size, such as the lines of a file. A line of raw acceleration goes to `take_raw`.

    >>> text = [b'{"lift": "063577", "at": 5, "pass', b'enger": 1}\nnot JSON\n']
    >>> [len(batch) for batch in batches(text, lambda number, reason: print(number, reason[:17]))]
    2 payload: not JSON
    [1]
    """
    for number, line in enumerate(_lines(pieces), 1):
        if len(line) > PAYLOAD_BYTES_MAX:
            report(number, f"longer than {PAYLOAD_BYTES_MAX} bytes")
            continue
        if not line.strip():
            continue
        try:
            # Looked for before anything is parsed: a line of raw acceleration is long, and other lines are many.
            raw = raw_line.parse(line) if raw_line.MARK in line else None
            if raw is not None:
                for name in raw.unknown_fields:
                    report(number, f"{name}: is not a field of raw acceleration")
                take_raw(raw.block)
                continue
            frame = json.decode(line)
        except Invalid as error:
            report(number, str(error))
            continue
        for refusal in frame.refusals:
            report(number, str(refusal))
        for name in frame.unknown_fields:
            report(number, f"{name}: is not a field of a reading")
        if len(frame.batch):
            yield frame.batch


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a text into lines; of one that is too long only enough is kept to see that it is."""
    held = bytearray()
    for piece in pieces:
        *ended, rest = piece.split(b"\n")
        for end in ended:
            yield bytes(held + end)
            held.clear()
        held += rest
        del held[PAYLOAD_BYTES_MAX + 1 :]
    if held:
        yield bytes(held)


def _pieces(stream: BinaryIO, stop: threading.Event) -> Iterator[bytes]:
    """Read what there is, until the end or told to stop; waiting for more does not keep one from stopping."""
    poll = select.poll()
    poll.register(stream.fileno(), select.POLLIN | select.POLLHUP)
    while not stop.is_set():
        if not poll.poll(_LOOK_EVERY_MS):
            continue
        piece = os.read(stream.fileno(), _PIECE_BYTES)
        if not piece:
            return
        yield piece
