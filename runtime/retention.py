"""Retention: rolls readings up, and removes what is older than it is to be kept. A role of the ingest process.

It works in small steps and rests as long as each took, so that ingest and the alarms have the machine. Every step
leaves the stores whole: killed anywhere, the next start goes on.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lift.metrics import Metric, metric
from lift.ports import Records, Span, Telemetry, Timepiece, Writes

log = logging.getLogger(__name__)

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
# What an inspector of an accident asks for: how it came to the alarm, and what happened until help was called.
_BEFORE_ALARM: Final = 300 * _SECOND
_AFTER_ALARM: Final = 600 * _SECOND
_ROUND_EVERY_S: Final = 60.0
# Rows of the records removed in one transaction; others wait for it.
_TRIM_ROWS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Keep:
    """How many days what is kept: readings, minutes and trips, events, and what has left the building."""

    raw_days: int
    long_days: int
    feed_days: int
    sent_days: int


class Retention:
    """Tidies the telemetry store and trims the records, a bounded step at a time. One thread uses it."""

    def __init__(
        self,
        telemetry: Telemetry,
        records: Records,
        clock: Timepiece,
        keep: Keep,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the stores, and how long what is kept; `monotonic` is the clock of the pauses, in s."""
        self._telemetry = telemetry
        self._records = records
        self._clock = clock
        self._keep = keep
        self._monotonic = monotonic
        self._rest_until = 0.0
        self._round: Counter[str] = Counter()
        self.total: Counter[str] = Counter()
        self.rounds = 0

    def step(self) -> None:
        """Do the next piece of work, or nothing while it is time to rest; raises Unavailable."""
        begun = self._monotonic()
        if begun < self._rest_until:
            return
        more = self._tidy() or self._trim()
        took = self._monotonic() - begun
        if more:
            self._rest_until = begun + 2 * took
            return
        self._rest_until = begun + took + _ROUND_EVERY_S
        self._tell()

    def metrics(self) -> list[Metric]:
        """Give what was removed and made since the start."""
        removed = tuple(({"what": what}, float(self.total[what])) for what in _REMOVED)
        return [
            Metric("liftwatch_retention_removed_total", "counter", "Rows removed because they were old", removed),
            metric("liftwatch_retention_minutes_made_total", "counter", "Minutes rolled up", self.total["rolled up"]),
            metric("liftwatch_retention_freed_bytes_total", "counter", "Disk given back", self.total["freed bytes"]),
            metric("liftwatch_retention_rounds_total", "counter", "Rounds of tidying completed", self.rounds),
        ]

    def _tidy(self) -> bool:
        now = self._clock.now()
        done = self._telemetry.tidy(
            now=now,
            raw_before=_midnight(now - self._keep.raw_days * _DAY),
            long_before=_midnight(now - self._keep.long_days * _DAY),
            around=self._around_alarms,
        )
        self._round.update(
            {
                "readings": done.readings,
                "minutes": done.minutes,
                "trips": done.trips,
                "rolled up": done.rolled_up,
                "freed bytes": done.freed_bytes,
            }
        )
        return done.more

    def _around_alarms(self, start: int, end: int) -> list[Span]:
        """Give the times around alarms that reach into a time."""
        with self._records.read() as records:
            alarms = records.alarm_spans(start=start - _AFTER_ALARM, end=end + _BEFORE_ALARM)
        return [Span(lift, onset - _BEFORE_ALARM, raised_at + _AFTER_ALARM) for lift, onset, raised_at in alarms]

    def _trim(self) -> bool:
        """Remove old rows of the records; True = there may be more."""
        now = self._clock.now()
        feed, sent = now - self._keep.feed_days * _DAY, now - self._keep.sent_days * _DAY
        trims: dict[str, Callable[[Writes], int]] = {
            "events": lambda tx: tx.trim_feed(before=feed, most=_TRIM_ROWS),
            "notifications": lambda tx: tx.trim_outbox(before=sent, most=_TRIM_ROWS),
            "quarantined": lambda tx: tx.trim_quarantine(before=sent, most=_TRIM_ROWS),
        }
        more = False
        for what, trim in trims.items():
            with self._records.write() as tx:
                removed = trim(tx)
            self._round[what] += removed
            more |= removed >= _TRIM_ROWS
        return more

    def _tell(self) -> None:
        self.rounds += 1
        self.total.update(self._round)
        if gone := [f"{self._round[what]:,} {what}" for what in _REMOVED if self._round[what]]:
            log.info("removed what is old: %s; %d bytes of disk freed", ", ".join(gone), self._round["freed bytes"])
        self._round.clear()


_REMOVED: Final = ("readings", "minutes", "trips", "events", "notifications", "quarantined")


def _midnight(at: int) -> int:
    """Give the beginning of a time's UTC day: days go whole, not minute by minute."""
    return at // _DAY * _DAY
