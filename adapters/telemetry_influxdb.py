"""Telemetry in InfluxDB: the production store, written with line protocol and read with InfluxQL.

A reading is a point of measurement `telemetry` with tag `lift`, a field for each signal it reports (integers for whole
ones), `message_codes` as the integer of `lift.codes`, and `reading`, which every point has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np
import urllib3
from influxdb_client import InfluxDBClient, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from adapters.influxql import PART, Questions
from adapters.telemetry_influxdb_measurement import Measurement
from adapters.telemetry_influxdb_tidying import KEPT, Tidying, mark_hours
from adapters.telemetry_kinds import READINGS, TRIPS
from adapters.telemetry_limits import TIME_MAX, check_history, check_most, check_rows
from adapters.telemetry_minutes import MINUTE, MINUTES, parts_of, richer, steps_of_minutes, whole_minutes
from lift.batch import Batch
from lift.errors import Invalid, Unavailable
from lift.ports import History, Span, Stored, Tidied
from lift.signals import Signal

_MINUTES_AT_ONCE: Final = 100_000
TIMEOUT_S: Final = 30.0

_SETTING: Final = "LIFTWATCH_TELEMETRY_URL"
_FORM: Final = "influxdb://HOST:PORT/BUCKET?org=ORG&token=TOKEN"
_SHOWN_CHARACTERS_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Place:
    """Where an InfluxDB is and how to enter it."""

    address: str
    bucket: str
    org: str
    token: str = field(repr=False)
    gzip: bool = False


class InfluxDBTelemetry:
    """Keeps readings in one bucket of an InfluxDB; safe to use from many threads.

    A second copy of a reading is counted as a duplicate and InfluxDB merges it: what it reports replaces what the
    first said, what it lacks stays. An append that raised may have stored a part; repeating it stores the rest. The
    count of duplicates is exact while this object is the bucket's only writer; what is stored is right in any case.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        """Take `influxdb://HOST:PORT/BUCKET?org=ORG&token=TOKEN`, `influxdbs://` for TLS, `&gzip=true` to compress.

        Raises Invalid for another form. Connects only when first used, so that a role can start before InfluxDB does.
        """
        place = parse_url(url)
        self._bucket, self._org = place.bucket, place.org
        self._client = InfluxDBClient(
            place.address, place.token, org=place.org, timeout=int(timeout_s * 1000), enable_gzip=place.gzip
        )
        self._writer = self._client.write_api(write_options=SYNCHRONOUS)
        self._questions = Questions(place.address, database=place.bucket, token=place.token, timeout_s=timeout_s)
        self._readings = Measurement(READINGS, self._questions, self._post, also=KEPT.name, mark=mark_hours)
        self._trips = Measurement(TRIPS, self._questions, self._post)
        self._minutes = Measurement(MINUTES, self._questions, self._post)
        self._tidying = Tidying(
            self._questions,
            self._post,
            readings=self._readings,
            trips=self._trips,
            minutes=self._minutes,
            kept=Measurement(KEPT, self._questions, self._post),
        )

    def append(self, batch: Batch) -> Stored:
        """Store readings durably before returning; raises Unavailable when it should be tried again.

        Raises Invalid when InfluxDB refuses readings for good, naming why, after all others are stored; also for
        a value that cannot be kept as its signal's type, and then nothing is stored.
        """
        return self._readings.append(batch)

    def history(
        self, lift: str, signals: Sequence[Signal], *, start: int, end: int, resolution_us: int | None = None
    ) -> History:
        """Give one lift's readings with start <= at < end; Invalid("resolution") beyond READ_ROWS_MAX rows.

        Readings and steps in which none of these signals is reported are left out.
        """
        check_history(signals, resolution_us)
        if resolution_us is None:
            return self._readings.history(lift, signals, start=start, end=end)
        told = self._readings.steps(lift, signals, start=start, end=end, resolution_us=resolution_us)
        if resolution_us >= MINUTE:
            minutes = self._minutes_of(lift, signals, whole_minutes(start, end))
            told = richer(steps_of_minutes(minutes, signals, resolution_us), told, signals)
        found = told.history()
        check_rows(len(found.at), start=start, end=end)
        return found

    def _minutes_of(self, lift: str, signals: Sequence[Signal], time: tuple[int, int]) -> History:
        start, end = max(time[0], 0), min(time[1], TIME_MAX)
        columns = parts_of(signals)
        found = [History(np.empty(0, np.int64), {signal: np.empty(0, signal.dtype) for signal in columns})]
        oldest, newest = self._minutes.bounds_of(lift)
        for first in range(max(start, oldest), min(end, newest + 1), _MINUTES_AT_ONCE * MINUTE):
            stop = min(first + _MINUTES_AT_ONCE * MINUTE, end)
            found.append(self._minutes.history(lift, columns, start=first, end=stop))
        return History(
            np.concatenate([one.at for one in found]),
            {signal: np.concatenate([one.columns[signal] for one in found]) for signal in columns},
        )

    def latest(self, lifts: Sequence[str], *, since: int) -> Batch:
        """Give each lift's newest known value of every signal since a moment, in the order asked."""
        return self._readings.latest(lifts, since=since)

    def replay(self, *, start: int, end: int) -> Iterable[Batch]:
        """Give all lifts' readings with start <= at < end in ascending time, in batches of about REPLAY_READINGS.

        One moment is never cut in two, so a batch may hold as many readings as there are lifts.
        """
        return self._readings.replay(start=start, end=end)

    def newest(self) -> Mapping[str, int]:
        """Give the time of each lift's newest stored reading."""
        return self._readings.newest()

    def append_trips(self, batch: Batch) -> Stored:
        """Store finished trips as `append` stores readings."""
        return self._trips.append(batch)

    def trips(self, lift: str, signals: Sequence[Signal], *, start: int, end: int, most: int) -> History:
        """Give one lift's newest `most` trips with start <= at < end, ascending."""
        check_history(signals, None)
        check_most(most)
        return self._trips.newest_of(lift, signals, start=start, end=end, most=most)

    def replay_trips(self, *, start: int, end: int) -> Iterable[Batch]:
        """Give all lifts' trips with start <= at < end in ascending time, in batches of about REPLAY_READINGS."""
        return self._trips.replay(start=start, end=end)

    def tidy(
        self, *, now: int, raw_before: int, long_before: int, around: Callable[[int, int], Sequence[Span]]
    ) -> Tidied:
        """Do one bounded step of housekeeping; called again and again by one thread of one process."""
        return self._tidying.step(now=now, raw_before=raw_before, long_before=long_before, around=around)

    def close(self) -> None:
        """Close the connections."""
        self._writer.close()  # type: ignore[no-untyped-call]
        self._client.close()  # type: ignore[no-untyped-call]
        self._questions.close()

    def _post(self, text: bytes) -> str:
        """Write one request; gives what InfluxDB refused for good, "" for nothing; raises Unavailable."""
        try:
            self._writer.write(self._bucket, self._org, text, WritePrecision.US)  # type: ignore[arg-type]
        except ApiException as error:
            said = f"{error.status} {error.body or error.reason}"[:_SHOWN_CHARACTERS_MAX].strip()
            if error.status in _FOR_GOOD:
                return said
            raise Unavailable(PART, f"writing to bucket {self._bucket!r} was answered {said}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(PART, error) from error
        return ""


# Malformed, of another type than stored before, or older than the bucket keeps: a second try ends the same way.
_FOR_GOOD: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)


def parse_url(url: str) -> Place:
    """Take the setting apart; raises Invalid naming it, and never repeats the token.

    >>> parse_url("influxdb://localhost:8086/lifts?org=city&token=secret").address
    'http://localhost:8086'
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 8086
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise Invalid(_SETTING, f"{error}; must look like {_FORM}") from error
    bucket = unquote(parts.path.strip("/"))
    if not parts.hostname or not bucket:
        raise Invalid(_SETTING, f"names no {'bucket' if parts.hostname else 'host'}; must look like {_FORM}")
    for needed in ("org", "token"):
        if not options.get(needed):
            raise Invalid(_SETTING, f"has no {needed}; must look like {_FORM}")
    if unknown := sorted(set(options) - {"org", "token", "gzip"}):
        raise Invalid(_SETTING, f"{unknown[0]!r} is no option of it; accepted are org, token and gzip")
    if options.get("gzip", "false") not in ("true", "false"):
        raise Invalid(_SETTING, f"gzip={options['gzip']!r} is neither true nor false")
    scheme = {"influxdb": "http", "influxdbs": "https"}.get(parts.scheme)
    if scheme is None:
        raise Invalid(_SETTING, f"scheme {parts.scheme!r} is not accepted; must look like {_FORM}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Place(f"{scheme}://{host}:{port}", bucket, options["org"], options["token"], options.get("gzip") == "true")
