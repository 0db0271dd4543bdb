"""The sender: which spooled message goes out next. Emergencies first, then what is new, then the backlog.

What gets no receipt is sent again. A backlog comes back at a bounded rate and leaves half of the window free, so that
what happens now does not wait behind what happened while the line was broken; emergencies wait for nobody.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from gateway.spool import Spool, Spooled

# Messages without a receipt at a time.
WINDOW: Final = 128
# Emergencies without a receipt at a time, beside the window.
EMERGENCIES_MAX: Final = 256
# A day of 200 lifts, a reading a second each, is back within 48 minutes.
BACKFILL_A_SECOND: Final = 6_000.0
RESEND_AFTER_S: Final = 30.0


class _Lane(IntEnum):
    EMERGENCY = 0
    LIVE = 1
    BACKLOG = 2


@dataclass(frozen=True, slots=True)
class _Sent:
    at: float
    lane: _Lane


class Sender:
    """Publishes a spool's messages through `publish`; `elapsed` gives monotonic seconds. One thread at a time calls.

    `window` is in messages and `backfill_a_second` in readings.
    """

    def __init__(
        self,
        spool: Spool,
        publish: Callable[[Spooled], None],
        *,
        window: int = WINDOW,
        resend_after_s: float = RESEND_AFTER_S,
        backfill_a_second: float = BACKFILL_A_SECOND,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._publish = publish
        self._window = window
        self._resend_after_s = resend_after_s
        self._backfill = backfill_a_second
        self._elapsed = elapsed
        # Numbers published and not yet receipted, in order of publication.
        self._sent: dict[int, _Sent] = {}
        self._in_lane = [0, 0, 0]
        # Numbers written while connected; the oldest fall back into the backlog.
        self._live: deque[int] = deque(maxlen=4 * window)
        self._emergency_cursor = self._cursor = 0
        # Readings of the backlog that may go now.
        self._allowed = backfill_a_second
        self._allowed_at = elapsed()
        self.published = 0
        self.resent = 0

    def written(self, seq: int) -> None:
        """Know of a message written while connected. Any thread may call."""
        self._live.append(seq)

    def begin_again(self) -> None:
        """Forget what is on its way, for the line was broken and it may be lost: the oldest goes first again."""
        self._sent.clear()
        self._in_lane = [0, 0, 0]
        self._emergency_cursor = self._cursor = 0

    def receipted(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Know of messages that the platform has stored."""
        for first, last in ranges:
            named = range(first, last + 1)
            for seq in [seq for seq in self._sent if seq in named]:
                self._forget(seq)

    def turn(self) -> None:
        """Publish what is due; raises what `publish` raises, and goes on there at the next turn."""
        now = self._elapsed()
        self._send_again(now)
        self._send_emergencies(now)
        while self._live and self._room() > 0:
            seq = self._live.popleft()
            if seq not in self._sent and (message := self._spool.message(seq)) is not None:
                self._send(message, _Lane.LIVE, now)
        self._send_backlog(now)

    def _room(self) -> int:
        return self._window - self._in_lane[_Lane.LIVE] - self._in_lane[_Lane.BACKLOG]

    def _send_again(self, now: float) -> None:
        late = [(sent.lane, seq) for seq, sent in self._sent.items() if now - sent.at >= self._resend_after_s]
        for lane, seq in sorted(late):
            message = self._spool.message(seq)
            if message is not None:
                self._publish(message)
                self.published += 1
                self.resent += 1
            self._forget(seq)
            if message is not None:
                self._note(seq, lane, now)

    def _send_emergencies(self, now: float) -> None:
        while (room := EMERGENCIES_MAX - self._in_lane[_Lane.EMERGENCY]) > 0:
            waiting = self._spool.emergencies(self._emergency_cursor, room)
            for message in waiting:
                if message.seq not in self._sent:
                    self._send(message, _Lane.EMERGENCY, now)
                self._emergency_cursor = message.seq
            if not waiting:
                return

    def _send_backlog(self, now: float) -> None:
        self._allowed = min(self._backfill, self._allowed + (now - self._allowed_at) * self._backfill)
        self._allowed_at = now
        while self._allowed > 0:
            room = min(self._room(), max(1, self._window // 2) - self._in_lane[_Lane.BACKLOG])
            backlog = self._spool.unsent(self._cursor, room) if room > 0 else []
            for message in backlog:
                if self._allowed <= 0:
                    return
                if message.seq not in self._sent:
                    self._send(message, _Lane.BACKLOG, now)
                    self._allowed -= message.readings
                self._cursor = message.seq
            if not backlog:
                return

    def _send(self, message: Spooled, lane: _Lane, now: float) -> None:
        self._publish(message)
        self.published += 1
        self._note(message.seq, lane, now)

    def _note(self, seq: int, lane: _Lane, now: float) -> None:
        self._sent[seq] = _Sent(now, lane)
        self._in_lane[lane] += 1

    def _forget(self, seq: int) -> None:
        self._in_lane[self._sent.pop(seq).lane] -= 1
