"""JSON lines: each line is a message of the JSON encoding: a reading, or a list of readings.

    tail -f readings.jsonl | liftwatch gateway gw-007

A bad line, or a bad value in one, is reported with its number and reason; the rest goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import BinaryIO

from lift.batch import Batch
from lift.errors import BadFrame
from lift.wire import PAYLOAD_BYTES_MAX, json

log = logging.getLogger(__name__)


def _warn(number: int, reason: str) -> None:
    log.warning("line %d: %s", number, reason)


def batches(lines: BinaryIO, report: Callable[[int, str], None] = _warn) -> Iterator[Batch]:
    r"""Give the readings of each line as a batch, and `report` line numbers (from 1) with what is wrong there.

    >>> import io
    >>> text = b'{"lift": "063577", "at": 5, "passenger": 1}\nnot JSON\n'
    >>> [len(batch) for batch in batches(io.BytesIO(text), lambda number, reason: print(number, reason[:17]))]
    2 payload: not JSON
    [1]
    """
    for number, line in _numbered(lines):
        if len(line) > PAYLOAD_BYTES_MAX:
            report(number, f"longer than {PAYLOAD_BYTES_MAX} bytes")
            continue
        if not line.strip():
            continue
        try:
            frame = json.decode(line)
        except BadFrame as error:
            report(number, str(error))
            continue
        for refusal in frame.refusals:
            report(number, str(refusal))
        for name in frame.unknown_fields:
            report(number, f"{name}: is not a field of a reading")
        if len(frame.batch):
            yield frame.batch


def _numbered(lines: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Read lines, each of bounded length: what goes beyond the limit is read and thrown away."""
    number = 0
    while line := lines.readline(PAYLOAD_BYTES_MAX + 1):
        number += 1
        yield number, line
        while line and not line.endswith(b"\n"):
            line = lines.readline(PAYLOAD_BYTES_MAX)
