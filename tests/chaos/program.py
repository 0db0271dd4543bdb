"""`liftwatch`, or a gateway of the chaos run, with a clock that jumps when a file says so.

    python -m tests.chaos.program CLOCK_FILE serve --roles ingest

Only `adapters.clock` reads the machine's clock, so that one class is all there is to bend.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import threading
import time
from pathlib import Path

import adapters.clock

_SIZE = 8
_LOOK_S = 0.5


def make_clock_file(file: Path) -> None:
    """Make a clock that is right."""
    file.write_bytes(bytes(_SIZE))


def set_clock(file: Path, offset_s: float) -> None:
    """Make every process that uses this clock be off by so many seconds from now on."""
    with file.open("r+b") as opened:
        opened.write(struct.pack("<q", round(offset_s * 1e6)))


class JumpingClock(adapters.clock.SystemClock):
    """The machine's clock, off by what the file says at this moment."""

    shared: mmap.mmap

    def now(self) -> int:
        """Give the wall-clock time in µs since 1970 UTC, plus the offset."""
        offset: int = struct.unpack_from("<q", self.shared)[0]
        return super().now() + offset


def bend(file: Path) -> None:
    """Replace the clock before anything that uses it is imported; the process ends with the run that started it."""
    with file.open("r+b") as opened:
        JumpingClock.shared = mmap.mmap(opened.fileno(), _SIZE)
    adapters.clock.SystemClock = JumpingClock  # type: ignore[misc]
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)


def main() -> None:
    """Bend the clock and become `liftwatch`."""
    bend(Path(sys.argv[1]))
    del sys.argv[1]
    from runtime.cli import main as liftwatch  # noqa: PLC0415 - after the clock is bent

    liftwatch()


if __name__ == "__main__":
    main()
