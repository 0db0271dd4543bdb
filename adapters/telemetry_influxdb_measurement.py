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
from adapters.telemetry_identity import Lifts, arrange
from adapters.telemetry_kinds import Kind
from adapters.telemetry_limits import READ_ROWS_MAX, TIME_MAX, check_history, check_most, check_rows, windows, within
from lift import codes as code_sets
from lift.batch import Batch, Ints, Slots, concat
from lift.errors import Invalid
from lift.ports import History, Stored
from lift.signals import Signal

LINES_A_REQUEST: Final = 5_000
LIFTS_A_STATEMENT: Final = 500
STATEMENTS_A_REQUEST: Final = 50
REPLAY_READINGS: Final = 50_000

_HOUR: Final = 3_600_000_000


class Measurement:
    """Keeps rows that are identified by lift and time; safe to use from many threads.

    A second copy is counted as a duplicate and InfluxDB merges it: what it reports replaces what the first said,
    what it lacks stays. An append that raised may have stored a part; repeating it stores the rest.
    """

    def __init__(self, kind: Kind, questions: Questions, post: Callable[[bytes], str]) -> None:
        """Take the kind, where to ask, and how to write a text: it gives what was refused for good."""
        self._kind = kind
        self._questions = questions
        self._post = post
        self._columns = (*(signal.name for signal in kind.signals), *([CODES] if kind.codes else []))
        self._from = f"FROM {name(kind.name)} WHERE"
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
            f"SELECT {', '.join(what)} {self._from} lift = {literal(lift)} AND {between(start, end)} {group} "
            f"LIMIT {READ_ROWS_MAX + 1}"
        )
        if found:
            check_rows(len(found[0].values), start=start, end=end)
        return _history(signals, found)

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
            [[rows]] = self._questions.ask(f"SELECT {columns} {self._from} {between(first, stop)}")
            told = rows.texts("lift")
            names = list(dict.fromkeys(told))
            slot = {lift: position for position, lift in enumerate(names)}
            yield self._batch(names, np.array([slot[lift] for lift in told], np.int32), rows.ints("time"), rows)

    def newest(self) -> Mapping[str, int]:
        """Give the time of each lift's newest stored reading."""
        [found] = self._questions.ask(f"SELECT last({name(READING)}) {self._from} time < {TIME_MAX}u GROUP BY lift")
        return {series.tags["lift"]: int(series.ints("time")[0]) for series in found}

    def newest_of(self, lift: str, signals: Sequence[Signal], *, start: int, end: int, most: int) -> History:
        """Give one lift's newest `most` rows with start <= at < end, ascending."""
        check_history(signals, None)
        check_most(most)
        what = ", ".join(name(signal.name) for signal in signals)
        where = f"lift = {literal(lift)} AND {between(start, end)}"
        [found] = self._questions.ask(f"SELECT {what} {self._from} {where} ORDER BY time DESC LIMIT {most}")
        return _history(signals, [Series(one.tags, one.columns, one.values[::-1]) for one in found])

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
            f"SELECT {name(READING)} {self._from} lift = {literal(self._lifts.names[lift])} "
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
        refused = [
            said for text in requests(self._kind.name, batch, lines=LINES_A_REQUEST) if (said := self._post(text))
        ]
        if refused:
            raise Invalid("readings", f"InfluxDB refused some: {refused[0]}")

    def _count(self, start: int, end: int) -> int:
        [found] = self._questions.ask(f"SELECT count({name(READING)}) {self._from} {between(start, end)}")
        return int(found[0].ints("count")[0]) if found else 0

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
    if not found:
        return History(np.empty(0, np.int64), {signal: np.empty(0, signal.dtype) for signal in signals})
    columns = {signal: found[0].floats(signal.name).astype(signal.dtype) for signal in signals}
    return History(found[0].ints("time"), columns)
