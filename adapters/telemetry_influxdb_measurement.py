"""One measurement of InfluxDB: the rows of one kind, readings or trips.

A row is a point with tag `lift`, a field for each signal it reports (integers for whole ones), `message_codes` as the
integer of `lift.codes` where its kind has them, and `reading`, which every point has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock
from typing import Final

import numpy as np

from adapters.influxql import Questions, Series, between, literal, name, of_lifts, pieces
from adapters.line_protocol import CODES, READING, requests
from adapters.telemetry_identity import Lifts, arrange, outcome
from adapters.telemetry_kinds import Kind
from adapters.telemetry_limits import READ_ROWS_MAX, TIME_MAX, check_rows, windows, within
from adapters.telemetry_minutes import COUNT, Steps, joined, richer
from lift import codes as code_sets
from lift.batch import Batch, Ints, Mask, Slots, concat
from lift.errors import Invalid
from lift.ports import History, Stored
from lift.signals import Signal

LINES_A_REQUEST: Final = 5_000
LIFTS_A_STATEMENT: Final = 500
STATEMENTS_A_REQUEST: Final = 50
REPLAY_READINGS: Final = 50_000

_HOUR: Final = 3_600_000_000


def no_mark(batch: Batch) -> bytes:
    """Mark nothing."""
    del batch
    return b""


class Measurement:
    """Keeps rows that are identified by lift and time; safe to use from many threads.

    A second copy is counted as a duplicate and InfluxDB merges it: what it reports replaces what the first said,
    what it lacks stays. An append that raised may have stored a part; repeating it stores the rest.
    """

    def __init__(
        self,
        kind: Kind,
        questions: Questions,
        post: Callable[[bytes], str],
        *,
        also: str = "",
        mark: Callable[[Batch], bytes] = no_mark,
    ) -> None:
        """Take the kind, where to ask, and how to write a text: it gives what was refused for good.

        `also` is another measurement in which rows of the past lie; `mark` writes lines that go with a batch.
        """
        self._kind = kind
        self._questions = questions
        self._post = post
        self._columns = (*(signal.name for signal in kind.signals), *([CODES] if kind.codes else []))
        self._from = f"FROM {name(kind.name)} WHERE"
        self._from_all = f"FROM {', '.join(name(each) for each in (kind.name, also) if each)} WHERE"
        self._mark = mark
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
            every = self._lifts.numbers(batch)
            once, number, _ = arrange(batch, every)
            # Only late rows can be there already, and only for them InfluxDB is asked.
            late = self._lifts.late(number, once.at)
            asked = once.take(late)
            known = self.known(asked)
            self._write(once)
            self._lifts.remember(number, once.at)
        if len(once) == len(batch) and not known.any():
            return Stored(len(batch), 0)
        return outcome(every, batch.at, number[late][known], asked.at[known])

    def history(self, lift: str, signals: Sequence[Signal], *, start: int, end: int) -> History:
        """Give one lift's rows with start <= at < end, ascending; Invalid("resolution") beyond READ_ROWS_MAX rows.

        Rows in which none of these signals is reported are left out.
        """
        what = ", ".join(name(signal.name) for signal in signals)
        where = f"lift = {literal(lift)} AND {between(start, end)}"
        [found] = self._questions.ask(f"SELECT {what} {self._from_all} {where} LIMIT {READ_ROWS_MAX + 1}")
        told = _history(signals, found)
        check_rows(len(told.at), start=start, end=end)
        return told

    def steps(self, lift: str, signals: Sequence[Signal], *, start: int, end: int, resolution_us: int) -> Steps:
        """Cut one lift's rows into steps, in InfluxDB itself; Invalid("resolution") beyond READ_ROWS_MAX steps."""
        what = ", ".join(
            f"{'last' if signal.whole else 'mean'}({name(signal.name)}) AS {name(signal.name)}, "
            f"count({name(signal.name)}) AS {name(COUNT[signal].name)}"
            for signal in signals
        )
        where = f"lift = {literal(lift)} AND {between(start, end)}"
        group = f"GROUP BY time({resolution_us}u) fill(none) LIMIT {READ_ROWS_MAX + 1}"
        [found] = self._questions.ask(f"SELECT {what} {self._from_all} {where} {group}")
        steps = joined([], signals)
        for series in found:
            check_rows(len(series.values), start=start, end=end)
            values = {signal: series.floats(signal.name).astype(signal.dtype) for signal in signals}
            counts = {signal: np.nan_to_num(series.floats(COUNT[signal].name)) for signal in signals}
            steps = richer(steps, Steps(series.ints("time"), values, counts), signals)
        return steps

    def latest(self, lifts: Sequence[str], *, since: int) -> Batch:
        """Give each lift's newest known value of every signal since a moment, in the order asked."""
        values = ", ".join(f"last({name(column)}) AS {name(column)}" for column in self._columns)
        found: list[Batch] = []
        for some in pieces(list(dict.fromkeys(lifts)), LIFTS_A_STATEMENT):
            where = f"{of_lifts(some)} AND {between(since, TIME_MAX)} GROUP BY lift"
            # The last of several fields has no time of its own, so the newest reading's is asked for by itself.
            times, rows = self._questions.ask(
                f"SELECT last({name(READING)}) {self._from} {where}", f"SELECT {values} {self._from} {where}"
            )
            at = {series.tags["lift"]: int(series.ints("time")[0]) for series in times}
            newest = {series.tags["lift"]: series.values[0] for series in rows}
            known = [lift for lift in some if lift in at]
            columns = rows[0].columns if rows else ("time", *self._columns)
            nothing = [None] * len(columns)
            together = Series({}, columns, [newest.get(lift, nothing) for lift in known])
            moments = np.array([at[lift] for lift in known], np.int64)
            found.append(self._batch(known, np.arange(len(known), dtype=np.int32), moments, together))
        return concat(found)

    def replay(self, *, start: int, end: int) -> Iterable[Batch]:
        """Give all lifts' readings with start <= at < end in ascending time, in batches of about REPLAY_READINGS.

        One moment is never cut in two, so a batch may hold as many readings as there are lifts.
        """
        columns = ", ".join(name(column) for column in (READING, "lift", *self._columns))
        for first, stop in windows(self._count, *within(start, end), most=REPLAY_READINGS):
            [found] = self._questions.ask(f"SELECT {columns} {self._from_all} {between(first, stop)}")
            batch = concat([self._told(rows) for rows in found])
            yield batch if len(found) == 1 else batch.take(np.argsort(batch.at, kind="stable"))

    def newest(self) -> Mapping[str, int]:
        """Give the time of each lift's newest stored reading."""
        [found] = self._questions.ask(f"SELECT last({name(READING)}) {self._from} time < {TIME_MAX}u GROUP BY lift")
        return {series.tags["lift"]: int(series.ints("time")[0]) for series in found}

    def newest_of(self, lift: str, signals: Sequence[Signal], *, start: int, end: int, most: int) -> History:
        """Give one lift's newest `most` rows with start <= at < end, ascending."""
        what = ", ".join(name(signal.name) for signal in signals)
        where = f"lift = {literal(lift)} AND {between(start, end)}"
        [found] = self._questions.ask(f"SELECT {what} {self._from} {where} ORDER BY time DESC LIMIT {most}")
        return _history(signals, found)

    def _learn_newest(self) -> None:
        if not self._knows_newest:
            newest = self.newest()
            self._lifts.remember(self._lifts.add(newest), np.array(list(newest.values()), np.int64))
            self._knows_newest = True

    def known(self, batch: Batch) -> Mask:
        """Say which rows are stored already."""
        # One question for a lift and an hour bounds the answer, however far apart rows lie.
        groups: dict[tuple[int, int], list[int]] = {}
        for place, (lift, at) in enumerate(zip(batch.lift.tolist(), batch.at.tolist(), strict=True)):
            groups.setdefault((lift, at // _HOUR), []).append(place)
        questions = [
            f"SELECT {name(READING)} {self._from_all} lift = {literal(batch.names[lift])} "
            f"AND {between(int(batch.at[places].min()), int(batch.at[places].max()) + 1)}"
            for (lift, _), places in groups.items()
        ]
        answers = [answer for some in pieces(questions, STATEMENTS_A_REQUEST) for answer in self._questions.ask(*some)]
        known = np.zeros(len(batch), np.bool_)
        for places, answer in zip(groups.values(), answers, strict=True):
            for series in answer:
                known[places] |= np.isin(batch.at[places], series.ints("time"))
        return known

    def write(self, batch: Batch) -> None:
        """Write rows without asking which are there already."""
        self._write(batch)

    def remove(self, start: int, end: int) -> int:
        """Delete the rows with start <= at < end; gives their number."""
        rows = self._count_of(self._from, start, end)
        if rows:
            self._questions.ask(f"DELETE {self._from} {between(start, end)}")
        return rows

    def oldest(self) -> int | None:
        """Give the time of the oldest row."""
        [found] = self._questions.ask(f"SELECT first({name(READING)}) {self._from} {between(0, TIME_MAX)}")
        return int(found[0].ints("time")[0]) if found else None

    def bounds_of(self, lift: str) -> tuple[int, int]:
        """Give the times of one lift's oldest and newest rows; the newest is the earlier one when it has none."""
        where = f"{self._from} lift = {literal(lift)} AND {between(0, TIME_MAX)}"
        first, last = self._questions.ask(
            f"SELECT first({name(READING)}) {where}", f"SELECT last({name(READING)}) {where}"
        )
        return (int(first[0].ints("time")[0]), int(last[0].ints("time")[0])) if first and last else (1, 0)

    def of_lift(self, lift: str, start: int, end: int) -> Batch:
        """Give one lift's rows with all their columns."""
        columns = ", ".join(name(column) for column in (READING, "lift", *self._columns))
        where = f"lift = {literal(lift)} AND {between(start, end)}"
        [found] = self._questions.ask(f"SELECT {columns} {self._from} {where}")
        return concat([self._told(rows) for rows in found])

    def _write(self, batch: Batch) -> None:
        """Write rows in requests of bounded size; what InfluxDB refuses for good is told after the last."""
        texts = requests(self._kind.name, batch, lines=LINES_A_REQUEST)
        # In every request, so that neither the first rows nor the last can go without their mark.
        mark = self._mark(batch)
        refused = [said for text in texts if (said := self._post(mark + text))]
        if refused:
            raise Invalid("readings", f"InfluxDB refused some: {refused[0]}")

    def _count(self, start: int, end: int) -> int:
        return self._count_of(self._from_all, start, end)

    def _count_of(self, where: str, start: int, end: int) -> int:
        [found] = self._questions.ask(f"SELECT count({name(READING)}) {where} {between(start, end)}")
        return sum(int(series.ints("count")[0]) for series in found)

    def _told(self, rows: Series) -> Batch:
        told = rows.texts("lift")
        names = list(dict.fromkeys(told))
        slot = {lift: position for position, lift in enumerate(names)}
        return self._batch(names, np.array([slot[lift] for lift in told], np.int32), rows.ints("time"), rows)

    def _batch(self, names: Sequence[str], lift: Slots, at: Ints, rows: Series) -> Batch:
        columns = {signal: rows.floats(signal.name).astype(signal.dtype) for signal in self._kind.signals}
        codes = rows.ints(CODES, code_sets.NOT_REPORTED) if self._kind.codes else None
        return Batch(
            names,
            lift,
            at,
            {signal: values for signal, values in columns.items() if not np.isnan(values).all()},
            None if codes is None or (codes == code_sets.NOT_REPORTED).all() else codes,
        )


def _history(signals: Sequence[Signal], found: Sequence[Series]) -> History:
    """Put the rows of one lift together in order of time, each there once."""
    every = [joined([], signals), *(_as_steps(series, signals) for series in found)]
    at, places = np.unique(np.concatenate([one.at for one in every]), return_index=True)
    return History(at, {s: np.concatenate([one.values[s] for one in every])[places] for s in signals})


def _as_steps(series: Series, signals: Sequence[Signal]) -> Steps:
    values = {signal: series.floats(signal.name).astype(signal.dtype) for signal in signals}
    return Steps(series.ints("time"), values, {})
