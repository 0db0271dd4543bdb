"""The ledger of truth: records opened, closed and handed over, numbered by event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from simulator.planned import Planned
from simulator.truth import CODE, ENTRAPMENTS, NEAR_MISSES, Kind, Truth

# Records that nobody takes are dropped beyond this many, the oldest first; likewise the numbers of past groups.
RECORDS_MAX: Final = 1_000_000
_GROUPS_MAX: Final = 1_000


@dataclass(slots=True)
class Fault:
    """Something under way at one lift: what was planned, its records, whether it holds the lift, whether it is over."""

    planned: Planned
    event: int
    records: list[Truth]
    holding: bool = False
    over: bool = False


class Ledger:
    """Keeps the records; `stamp` turns a lift's slot and s since the start into µs since 1970 UTC."""

    def __init__(self, names: Sequence[str], stamp: Callable[[int, float], int]) -> None:
        self._names = names
        self._stamp = stamp
        self._events = 0
        self._groups: dict[int, int] = {}
        self._finished: list[Truth] = []
        self._standing: dict[int, Truth] = {}

    def next_event(self) -> int:
        """Number a new event."""
        self._events += 1
        return self._events

    def keep(self, record: Truth, start: int) -> Callable[[int], None]:
        """Keep a record that was made elsewhere; call the result with its end in whole s after `start` (µs)."""
        self._standing[id(record)] = record

        def close(seconds: int) -> None:
            self.end(record, start + seconds * 1_000_000)

        return close

    def take(self) -> list[Truth]:
        """Hand over the records of what has ended since the last call."""
        finished, self._finished = self._finished, []
        return finished

    def standing(self) -> list[Truth]:
        """Give the records of what is not over yet, `end` None."""
        return list(self._standing.values())

    def new(self, planned: Planned) -> Fault:
        """Open an event; what belongs to one group is one event."""
        if planned.group and planned.group in self._groups:
            return Fault(planned, self._groups[planned.group], [])
        self._events += 1
        if planned.group:
            self._groups[planned.group] = self._events
            if len(self._groups) > _GROUPS_MAX:
                del self._groups[next(iter(self._groups))]
        return Fault(planned, self._events, [])

    def stamp(self, slot: int, at: float) -> int:
        """Give a moment in µs since 1970 UTC."""
        return self._stamp(slot, at)

    def note(self, fault: Fault, kind: Kind, onset: float, observable: float | None, people: int) -> None:
        """Open a record: when it began and when it could first be seen, in s, None where no signal shows it."""
        planned = fault.planned
        code = CODE.get(kind)
        record = Truth(
            event=fault.event,
            lift=self._names[planned.slot],
            kind=kind,
            code=None if code is None else int(code),
            cause=planned.cause,
            near_miss=kind in NEAR_MISSES,
            onset=self._stamp(planned.slot, onset),
            observable_at=None if observable is None else self._stamp(planned.slot, observable),
            end=None,
            people=people,
            trapped_s=0.0,
        )
        fault.records.append(record)
        self._standing[id(record)] = record

    def close(self, fault: Fault, at: float) -> None:
        """End every record of a fault that is still open."""
        end = self._stamp(fault.planned.slot, at)
        for record in fault.records:
            if record.end is None:
                self.end(record, end)
        fault.over = True

    def end(self, record: Truth, end: int) -> None:
        """Close one record at a moment in µs."""
        record.end = end
        self._standing.pop(id(record), None)
        if record.kind in ENTRAPMENTS:
            record.trapped_s = round((end - record.onset) / 1e6, 3)
        self._finished.append(record)
        if len(self._finished) > RECORDS_MAX:
            del self._finished[: -RECORDS_MAX // 2]
