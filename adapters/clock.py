"""The machine's clock: the one place that asks what time it is."""

from __future__ import annotations

import time


class SystemClock:
    """A `lift.ports.Timepiece` that tells the machine's time."""

    def now(self) -> int:
        """Give the wall-clock time in µs since 1970 UTC."""
        return time.time_ns() // 1000
