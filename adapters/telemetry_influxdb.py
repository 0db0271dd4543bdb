"""Telemetry in InfluxDB: the production store, written with line protocol and read with InfluxQL.

A reading is a point of measurement `telemetry` with tag `lift`, a field for each signal it reports (integers for whole
ones), `message_codes` as the integer of `lift.codes`, and `reading`, which every point has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Lock
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np
import urllib3
from influxdb_client import InfluxDBClient, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from adapters.influxql import PART, Questions, Series, between, literal, name, of_lifts, pieces
from adapters.line_protocol import CODES, MEASUREMENT, READING, requests
from adapters.telemetry_identity import Lifts, arrange
from adapters.telemetry_limits import READ_ROWS_MAX, TIME_MAX, check_history, check_rows, windows, within
from lift import codes as code_sets
from lift.batch import Batch, Ints, Slots, concat
from lift.errors import Invalid, Unavailable
from lift.ports import History, Stored
from lift.signals import SIGNALS, Signal

LINES_A_REQUEST: Final = 5_000
LIFTS_A_STATEMENT: Final = 500
STATEMENTS_A_REQUEST: Final = 50
REPLAY_READINGS: Final = 50_000
TIMEOUT_S: Final = 30.0

_SETTING: Final = "LIFTWATCH_TELEMETRY_URL"
_FORM: Final = "influxdb://HOST:PORT/BUCKET?org=ORG&token=TOKEN"
_HOUR: Final = 3_600_000_000
_SHOWN_CHARACTERS_MAX: Final = 300
_FROM: Final = f"FROM {name(MEASUREMENT)} WHERE"


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
        self._lifts = Lifts()
        self._knows_newest = False
        self._writing = Lock()

    def append(self, batch: Batch) -> Stored:
        """Store readings durably before returning; raises Unavailable when it should be tried again.

        Raises Invalid when InfluxDB refuses readings for good, naming why, after all others are stored; also for
        a value that cannot be kept as its signal's type, and then nothing is stored.
        """
        if not len(batch):
            return Stored(0, 0)
        with self._writing:
            self._learn_newest()
            number = self._lifts.numbers(batch)
            once, number, _ = arrange(batch, number)
            known = self._known(once, number)
            self._write(once)
            self._lifts.remember(number, once.at)
        stored = len(once) - known
        return Stored(stored, len(batch) - stored)

    def history(
        self, lift: str, signals: Sequence[Signal], *, start: int, end: int, resolution_us: int | None = None
    ) -> History:
        """Give one lift's readings with start <= at < end; Invalid("resolution") beyond READ_ROWS_MAX rows.

        Readings and steps in which none of these signals is reported are left out.
        """
        check_history(signals, resolution_us)
        what, group = [name(signal.name) for signal in signals], ""
        if resolution_us is not None:
            what = [
                f"{'last' if signal.whole else 'mean'}({column}) AS {column}"
                for signal, column in zip(signals, what, strict=True)
            ]
            group = f"GROUP BY time({resolution_us}u) fill(none)"
        [found] = self._questions.ask(
            f"SELECT {', '.join(what)} {_FROM} lift = {literal(lift)} AND {between(start, end)} {group} "
            f"LIMIT {READ_ROWS_MAX + 1}"
        )
        if not found:
            return History(np.empty(0, np.int64), {signal: np.empty(0, signal.dtype) for signal in signals})
        check_rows(len(found[0].values), start=start, end=end)
        columns = {signal: found[0].floats(signal.name).astype(signal.dtype) for signal in signals}
        return History(found[0].ints("time"), columns)

    def latest(self, lifts: Sequence[str], *, since: int) -> Batch:
        """Give each lift's newest known value of every signal since a moment, in the order asked."""
        values = ", ".join(f"last({name(column)}) AS {name(column)}" for column in _COLUMNS)
        found: list[Batch] = []
        for some in pieces(list(dict.fromkeys(lifts)), LIFTS_A_STATEMENT):
            where = f"{of_lifts(some)} AND {between(since, TIME_MAX)} GROUP BY lift"
            # The last of several fields has no time of its own, so the newest reading's is asked for by itself.
            times, rows = self._questions.ask(
                f"SELECT last({name(READING)}) {_FROM} {where}", f"SELECT {values} {_FROM} {where}"
            )
            at = {series.tags["lift"]: int(series.ints("time")[0]) for series in times}
            newest = {series.tags["lift"]: series.values[0] for series in rows}
            known = [lift for lift in some if lift in at]
            columns = rows[0].columns if rows else ("time", *_COLUMNS)
            nothing = [None] * len(columns)
            together = Series({}, columns, [newest.get(lift, nothing) for lift in known])
            moments = np.array([at[lift] for lift in known], np.int64)
            found.append(_batch(known, np.arange(len(known), dtype=np.int32), moments, together))
        return concat(found)

    def replay(self, *, start: int, end: int) -> Iterable[Batch]:
        """Give all lifts' readings with start <= at < end in ascending time, in batches of about REPLAY_READINGS.

        One moment is never cut in two, so a batch may hold as many readings as there are lifts.
        """
        columns = ", ".join(name(column) for column in (READING, "lift", *_COLUMNS))
        for first, stop in windows(self._count, *within(start, end), most=REPLAY_READINGS):
            [[rows]] = self._questions.ask(f"SELECT {columns} {_FROM} {between(first, stop)}")
            told = rows.texts("lift")
            names = list(dict.fromkeys(told))
            slot = {lift: position for position, lift in enumerate(names)}
            yield _batch(names, np.array([slot[lift] for lift in told], np.int32), rows.ints("time"), rows)

    def newest(self) -> Mapping[str, int]:
        """Give the time of each lift's newest stored reading."""
        [found] = self._questions.ask(f"SELECT last({name(READING)}) {_FROM} time < {TIME_MAX}u GROUP BY lift")
        return {series.tags["lift"]: int(series.ints("time")[0]) for series in found}

    def close(self) -> None:
        """Close the connections."""
        self._writer.close()  # type: ignore[no-untyped-call]
        self._client.close()  # type: ignore[no-untyped-call]
        self._questions.close()

    def _learn_newest(self) -> None:
        if not self._knows_newest:
            newest = self.newest()
            self._lifts.remember(self._lifts.add(newest), np.array(list(newest.values()), np.int64))
            self._knows_newest = True

    def _known(self, batch: Batch, number: Slots) -> int:
        """Count the readings that are stored already; only late ones can be, and only for them InfluxDB is asked."""
        late = np.flatnonzero(self._lifts.late(number, batch.at))
        if not len(late):
            return 0
        # One question for a lift and an hour bounds the answer, however far apart late readings lie.
        groups: dict[tuple[int, int], list[int]] = {}
        for lift, at in zip(number[late].tolist(), batch.at[late].tolist(), strict=True):
            groups.setdefault((lift, at // _HOUR), []).append(at)
        questions = [
            f"SELECT {name(READING)} {_FROM} lift = {literal(self._lifts.names[lift])} "
            f"AND {between(min(times), max(times) + 1)}"
            for (lift, _), times in groups.items()
        ]
        answers = [answer for some in pieces(questions, STATEMENTS_A_REQUEST) for answer in self._questions.ask(*some)]
        return sum(
            int(np.isin(times, series.ints("time")).sum())
            for times, answer in zip(groups.values(), answers, strict=True)
            for series in answer
        )

    def _write(self, batch: Batch) -> None:
        """Write readings in requests of bounded size; what InfluxDB refuses for good is told after the last."""
        refused = [said for text in requests(batch, lines=LINES_A_REQUEST) if (said := self._post(text))]
        if refused:
            raise Invalid("readings", f"InfluxDB refused some: {refused[0]}")

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

    def _count(self, start: int, end: int) -> int:
        [found] = self._questions.ask(f"SELECT count({name(READING)}) {_FROM} {between(start, end)}")
        return int(found[0].ints("count")[0]) if found else 0


_COLUMNS: Final = (*(signal.name for signal in SIGNALS), CODES)

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


def _batch(names: Sequence[str], lift: Slots, at: Ints, rows: Series) -> Batch:
    columns = {signal: rows.floats(signal.name).astype(signal.dtype) for signal in SIGNALS}
    codes = rows.ints(CODES, code_sets.NOT_REPORTED)
    return Batch(
        names,
        lift,
        at,
        {signal: values for signal, values in columns.items() if not np.isnan(values).all()},
        None if (codes == code_sets.NOT_REPORTED).all() else codes,
    )
