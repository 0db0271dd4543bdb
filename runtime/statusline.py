"""The status line of `liftwatch run`: one line that a glance can read, in place on a terminal."""

from __future__ import annotations

import sys
import time
from typing import Final, TextIO

from runtime.app import Status

_PLAIN_EVERY_S: Final = 10.0


class StatusLine:
    """Shows a status once a call: rewritten in place on a terminal, every 10 s as a line of its own elsewhere."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        """Start measuring rates from now."""
        self._stream = stream
        self._in_place = stream.isatty()
        self._readings = 0
        self._at = time.monotonic()
        self._shown_at = 0.0

    def show(self, status: Status, now: int) -> None:
        """Show a status; `now` is µs since 1970 UTC."""
        moment = time.monotonic()
        if not self._in_place and moment - self._shown_at < _PLAIN_EVERY_S and self._shown_at:
            return
        rate = (status.readings - self._readings) / max(moment - self._at, 1e-9)
        self._readings, self._at, self._shown_at = status.readings, moment, moment
        text = describe(status, rate, now)
        self._stream.write(f"\r\x1b[2K{text}" if self._in_place else f"{text}\n")
        self._stream.flush()

    def end(self) -> None:
        """Leave the line standing and go to the next."""
        if self._in_place:
            self._stream.write("\n")
            self._stream.flush()


def describe(status: Status, rate: float, now: int) -> str:
    """Put a status into words.

    >>> describe(Status(0, 3, 1, 1_000_000, ()), 300.4, 96_000_000)
    '300 readings/s · 3 open alarms · 1 open ticket · oldest unanswered 1:35'
    """
    waiting = "nobody waits for an answer"
    if status.oldest_waiting is not None:
        minutes, seconds = divmod(max(0, now - status.oldest_waiting) // 1_000_000, 60)
        waiting = f"oldest unanswered {minutes}:{seconds:02d}"
    parts = [
        f"{rate:,.0f} readings/s",
        _count(status.alarms, "open alarm"),
        _count(status.tickets, "open ticket"),
        waiting,
    ]
    if status.failing:
        parts.append(f"FAILING: {', '.join(status.failing)}")
    return " · ".join(parts)


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"
