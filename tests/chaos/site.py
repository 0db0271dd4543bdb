"""A gateway of the chaos run: accepts one reading a lift and second, and keeps a journal of what it accepted.

    python -m tests.chaos.site CLOCK_FILE FOLDER NAME

An entry of the journal is written after `accept` and `flush` have returned, so each of them is a promise of the
gateway's. Readings carry their round's number in `run_count`, so that what is stored can be told apart from what was
promised.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from lift.batch import Batch
from lift.errors import Unavailable
from lift.signals import RUN_COUNT
from lift.wire import arrow
from tests.chaos.program import bend

ENTRY: Final = struct.Struct("<qq")
STATE: Final = struct.Struct("<qqq")
_ROUND_S: Final = 1.0
_BEHIND_S: Final = 5.0
# Rounds are told apart within a millisecond of the clock's: it may jump back to where it was.
_SLOTS: Final = 1000


def journal(file: Path) -> Iterator[tuple[int, int]]:
    """Give each accepted round: its number and the time of its readings (µs); a torn last entry is none."""
    data = file.read_bytes() if file.exists() else b""
    yield from ENTRY.iter_unpack(data[: len(data) // ENTRY.size * ENTRY.size])


def readings(folder: Path, name: str) -> list[Batch]:
    """Read the rounds that a gateway sends over and over."""
    return [arrow.decode(file.read_bytes()).batch for file in sorted(folder.glob(f"{name}.round-*.arrow"))]


def main() -> None:
    """Send until told to stop; then go on with what is spooled until killed."""
    folder, name = Path(sys.argv[2]), sys.argv[3]
    bend(Path(sys.argv[1]))
    # After the clock is bent:
    from adapters.clock import SystemClock  # noqa: PLC0415
    from runtime.settings import load  # noqa: PLC0415
    from runtime.site import Site  # noqa: PLC0415
    from runtime.supervise import Role  # noqa: PLC0415

    rounds = readings(folder, name)
    last = max((number for number, _ in journal(folder / f"{name}.journal")), default=-1)
    clock = SystemClock()
    site = Site.of_settings(name, load(), folder / "spool" / f"{name}.db", clock)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    Role(f"gateway {name}", site.gateway.pump).start()
    told = os.open(folder / f"{name}.state", os.O_CREAT | os.O_RDWR)
    kept = os.open(folder / f"{name}.journal", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    number, due, refused = last + 1, time.monotonic(), 0
    while True:
        if not stop.is_set() and time.monotonic() >= due:
            due = max(due + _ROUND_S, time.monotonic() - _BEHIND_S)
            part = rounds[number % len(rounds)]
            at = clock.now() // _SLOTS * _SLOTS + number % _SLOTS
            columns = {**part.columns, RUN_COUNT: np.full(len(part), number, RUN_COUNT.dtype)}
            try:
                site.gateway.accept(Batch(part.names, part.lift, np.full(len(part), at, np.int64), columns, part.codes))
                site.gateway.flush()
                os.write(kept, ENTRY.pack(number, at))
            except Unavailable:
                refused += 1
            number += 1
        os.pwrite(told, STATE.pack(number, site.spooled, refused), 0)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
