"""The status line of `liftwatch run`: one line that a glance can read, in place on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Final, TextIO

from api.plainly import meaning
from runtime.app import Status

_PLAIN_EVERY_S: Final = 10.0
_REASON_CHARACTERS: Final = 200
_CLEAR: Final = "\r\x1b[2K"


class StatusLine:
    """Shows a status once a call: rewritten in place on a terminal, every 10 s as a line of its own elsewhere."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        """Start measuring rates from now."""
        self._stream = stream
        self._in_place = stream.isatty()
        self._readings = 0
        self._at = time.monotonic()
        self._shown_at = 0.0
        self._failing: Mapping[str, str] = {}

    def show(self, status: Status, now: int) -> None:
        """Show a status; `now` is µs since 1970 UTC. What begins to fail is said at once, on a line that stays."""
        for line in trouble(self._failing, status.failing):
            self._stream.write(f"{_CLEAR if self._in_place else ''}{line}\n")
        self._failing = status.failing
        moment = time.monotonic()
        if not self._in_place and moment - self._shown_at < _PLAIN_EVERY_S and self._shown_at:
            return
        rate = (status.readings - self._readings) / max(moment - self._at, 1e-9)
        self._readings, self._at, self._shown_at = status.readings, moment, moment
        text = describe(status, rate, now)
        self._stream.write(f"{_CLEAR}{text}" if self._in_place else f"{text}\n")
        self._stream.flush()

    def end(self) -> None:
        """Leave the line standing and go to the next."""
        if self._in_place:
            self._stream.write("\n")
            self._stream.flush()


def describe(status: Status, rate: float, now: int) -> str:
    """Put a status into words.

    >>> describe(Status(0, 3, 1, 1_000_000, {}), 300.4, 96_000_000)
    '300 readings/s · 3 open alarms · 1 open ticket · oldest unanswered 1:35'
    """
    parts = [f"{rate:,.0f} readings/s"]
    if status.alarms is not None and status.tickets is not None:
        parts += [_count(status.alarms, "open alarm"), _count(status.tickets, "open ticket"), _waiting(status, now)]
    if status.failing:
        parts.append(f"FAILING 故障: {', '.join(status.failing)}")
    return " · ".join(parts)


def trouble(before: Mapping[str, str], failing: Mapping[str, str]) -> list[str]:
    """Say once, in both languages, what it means that a part has begun to fail, and that one works again.

    >>> trouble({}, {"condition": "KeyError"})
    ['! condition: wear is not watched: alarms and tickets go on · 磨损监测停止：报警和工单照常 (KeyError)']
    >>> trouble({"condition": "KeyError"}, {})
    ['ok condition works again 已恢复']
    """
    begun = [
        f"! {part}: {' · '.join(meaning(part, why))} ({why[:_REASON_CHARACTERS]})"
        for part, why in failing.items()
        if part not in before
    ]
    return begun + [f"ok {part} works again 已恢复" for part in before if part not in failing]


def _waiting(status: Status, now: int) -> str:
    if status.oldest_waiting is None:
        return "nobody waits for an answer"
    minutes, seconds = divmod(max(0, now - status.oldest_waiting) // 1_000_000, 60)
    return f"oldest unanswered {minutes}:{seconds:02d}"


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"
