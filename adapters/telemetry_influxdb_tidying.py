"""What keeps an InfluxDB tidy: minutes of every hour that has new readings, and days of readings removed.

Which hours have new readings is written down beside them, in the same requests: measurement `telemetry_hour` has a
point an hour, whose `due` every append changes. An hour whose minutes are made gets that value as its `done`, so one
that changed meanwhile, in this process or another, is due again; a crash leaves it due.
Before a day is removed, the readings around alarms are copied to measurement `telemetry_kept`. Any step can be
repeated: InfluxDB merges points that are written twice.
"""
# ruff: noqa: S608 - only our own names and whole numbers enter the text; lifts are quoted

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from adapters.influxql import Questions, Series, between, name, of_lifts, pieces
from adapters.line_protocol import READING
from adapters.telemetry_influxdb_measurement import Measurement
from adapters.telemetry_kinds import DAY, READINGS, Kind
from adapters.telemetry_limits import TIME_MAX
from adapters.telemetry_minutes import COUNT, HIGHEST, LOWEST
from lift.batch import Batch
from lift.errors import Unavailable
from lift.ports import Span, Tidied
from lift.signals import SIGNALS, Signal

KEPT: Final = Kind("telemetry_kept", READINGS.signals, codes=True)
HOUR: Final = 3_600_000_000
# An hour is rolled up when it has been over for so long; readings that come later make it due again.
_SETTLE_US: Final = 120_000_000
_HOURS_AT_ONCE: Final = 24
# Minutes of so many lifts fit into one answer: 60 rows each of up to 95 values.
_LIFTS_AT_ONCE: Final = 50
_MARKS: Final = "telemetry_hour"


@dataclass(frozen=True, slots=True)
class _Asked:
    now: int
    raw_before: int
    long_before: int
    around: Callable[[int, int], Sequence[Span]]


def mark_hours(batch: Batch) -> bytes:
    """Write the lines that make the hours of some readings due."""
    due = secrets.randbits(62) + 1
    hours = np.unique(batch.at // HOUR * HOUR).tolist()
    return b"".join(b"%s due=%di,done=0i %d\n" % (_MARKS.encode(), due, hour) for hour in hours)


class Tidying:
    """Does what is due in an InfluxDB, a bounded piece of it at a time. One thread of one process uses it."""

    def __init__(
        self,
        questions: Questions,
        post: Callable[[bytes], str],
        *,
        readings: Measurement,
        trips: Measurement,
        minutes: Measurement,
        kept: Measurement,
    ) -> None:
        """Take where to ask and write, and the measurements."""
        self._questions = questions
        self._post = post
        self._readings = readings
        self._trips = trips
        self._minutes = minutes
        self._kept = kept
        self._chores: Iterator[Tidied] = iter(())

    def step(
        self, *, now: int, raw_before: int, long_before: int, around: Callable[[int, int], Sequence[Span]]
    ) -> Tidied:
        """Do one step; raises Unavailable, and then all begins anew."""
        try:
            done = next(self._chores, None)
            if done is None:
                self._chores = self._all(_Asked(now, raw_before, long_before, around))
                done = next(self._chores, Tidied())
        except BaseException:
            self._chores = iter(())
            raise
        return done

    def _all(self, asked: _Asked) -> Iterator[Tidied]:
        yield from self._roll_up_hours(asked)
        yield from self._remove_days(asked)
        for measurement, what in ((self._trips, "trips"), (self._minutes, "minutes")):
            oldest = measurement.oldest()
            while oldest is not None and (stop := (oldest // DAY + 1) * DAY) <= asked.long_before:
                yield Tidied(more=True, **{what: measurement.remove(oldest, stop)})
                oldest = measurement.oldest()

    def _roll_up_hours(self, asked: _Asked) -> Iterator[Tidied]:
        while due := self._due(asked.now - HOUR - _SETTLE_US + 1):
            for hour, mark in due:
                for lifts in pieces(self._lifts_of(hour), _LIFTS_AT_ONCE):
                    minutes = self._minutes_of(lifts, hour)
                    if hour < asked.raw_before:
                        # Readings may be gone: what was made of all of them must not be replaced by what is left.
                        minutes = minutes.take(~self._minutes.known(minutes))
                    self._minutes.write(minutes)
                    yield Tidied(rolled_up=len(minutes), more=True)
                refused = self._post(b"%s done=%di %d\n" % (_MARKS.encode(), mark, hour))
                if refused:
                    raise Unavailable("InfluxDB", f"refused the mark of an hour: {refused}")

    def _remove_days(self, asked: _Asked) -> Iterator[Tidied]:
        while (oldest := self._readings.oldest()) is not None:
            stop = (oldest // DAY + 1) * DAY
            if stop > asked.raw_before or self._due(stop):
                return
            for span in asked.around(oldest, stop):
                kept = self._readings.of_lift(span.lift, max(span.start, oldest), min(span.end, stop))
                if len(kept):
                    self._kept.write(kept)
            yield Tidied(readings=self._readings.remove(oldest, stop), more=True)

    def _due(self, before: int) -> list[tuple[int, int]]:
        """Give the first hours that begin before a moment and have readings their minutes do not know."""
        [found] = self._questions.ask(
            f"SELECT due FROM {name(_MARKS)} WHERE due != done AND {between(0, before)} LIMIT {_HOURS_AT_ONCE}"
        )
        if not found:
            return []
        return list(zip(found[0].ints("time").tolist(), found[0].ints("due").tolist(), strict=True))

    def _lifts_of(self, hour: int) -> list[str]:
        [found] = self._questions.ask(
            f"SELECT last({name(READING)}) FROM {name(READINGS.name)} WHERE {between(hour, hour + HOUR)} GROUP BY lift"
        )
        return [series.tags["lift"] for series in found]

    def _minutes_of(self, lifts: Sequence[str], hour: int) -> Batch:
        """Let InfluxDB put an hour of some lifts together."""
        where = f"{of_lifts(lifts)} AND {between(hour, min(hour + HOUR, TIME_MAX))}"
        [found] = self._questions.ask(
            f"SELECT {', '.join(_PARTS)} FROM {name(READINGS.name)} WHERE {where} GROUP BY time(1m), lift fill(none)"
        )
        return _batch(found)


def _parts() -> Iterator[tuple[str, Signal]]:
    for signal in SIGNALS:
        field = name(signal.name)
        yield f"{'last' if signal.whole else 'mean'}({field})", signal
        yield f"count({field})", COUNT[signal]
        if not signal.whole:
            yield f"min({field})", LOWEST[signal]
            yield f"max({field})", HIGHEST[signal]


_PARTS: Final = [f"{what} AS {name(signal.name)}" for what, signal in _parts()]
_SIGNALS: Final = [signal for _, signal in _parts()]


def _batch(found: Sequence[Series]) -> Batch:
    names = [series.tags["lift"] for series in found]
    sizes = [len(series.values) for series in found]
    columns = {}
    for signal in _SIGNALS:
        values = [series.floats(signal.name).astype(signal.dtype) for series in found]
        columns[signal] = np.concatenate([np.empty(0, signal.dtype), *values])
    for count in COUNT.values():
        columns[count][columns[count] == 0] = np.nan
    return Batch(
        names,
        np.repeat(np.arange(len(names), dtype=np.int32), sizes),
        np.concatenate([np.empty(0, np.int64), *(series.ints("time") for series in found)]),
        columns,
    )
