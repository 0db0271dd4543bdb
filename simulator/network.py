"""The line between a lift and the platform: terminals that save words, and everything that befalls a message.

Whatever happens here, every reading arrives in the end, with what its terminal believed the time to be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lift import batch as batches
from lift import signals as s
from lift.batch import Batch
from simulator.arrays import Mask, Whole
from simulator.city import City
from simulator.ledger import Ledger
from simulator.rates import LINE_A_YEAR, YEAR_S
from simulator.truth import Kind, Truth

SECOND_US: Final = 1_000_000
# An idle lift reports this often (the design asks for every 10-30 s).
IDLE_EVERY_S: Final = 20
# Held-back readings; beyond this the oldest trouble is over at once.
HELD_MAX: Final = 400_000
HELD_A_LIFT: Final = 4
_REORDER_S: Final = 4


class Cadence:
    """Terminals report every second while the car moves or is occupied, at once on a change, and seldom when idle."""

    _WATCHED: Final = (s.SERVICE_MODE, s.DOOR_STATE, s.DOOR_ZONE, s.ALARM_BUTTON, s.MAIN_POWER, s.PASSENGER)

    def __init__(self) -> None:
        self._before: Batch | None = None
        self._seconds = 0

    def pick(self, batch: Batch) -> Batch:
        """Leave out what a terminal would not send. Batches must come every second, with the same lifts."""
        wanted = (batch.columns[s.CAR_STATUS] == 1) | (batch.columns[s.PASSENGER] == 1)
        wanted |= (batch.lift + self._seconds) % IDLE_EVERY_S == 0
        before = self._before
        if before is None:
            wanted[:] = True
        else:
            for signal in self._WATCHED:
                wanted |= batch.columns[signal] != before.columns[signal]
            wanted |= batch.code_sets() != before.code_sets()
            # What ended a second ago is a change as well: the first reading of standing still counts most.
            wanted |= batch.columns[s.CAR_STATUS] != before.columns[s.CAR_STATUS]
        self._before = batch
        self._seconds += 1
        return batch.take(wanted)


@dataclass(slots=True)
class _Trouble:
    """One trouble of the line: whose readings it touches (first <= lift < end), until when, and how much."""

    kind: Kind
    first: int
    end: int
    until: int
    size: int
    close: Callable[[int], None]


class Network:
    """Delivers what lifts send, some of it late, twice, out of order or with a wrong time. Seconds count from start."""

    def __init__(
        self, city: City, *, ledger: Ledger, start: int, chance: np.random.Generator, factor: float = 1.0
    ) -> None:
        """Begin with a line that works; `factor` multiplies life's rates of trouble."""
        self._city = city
        self._ledger = ledger
        self._start = start
        self._chance = chance
        self._factor = factor
        self._seconds = 0
        self._troubles: list[_Trouble] = []
        self._held: list[tuple[int, Batch]] = []
        self._held_max = max(HELD_MAX, HELD_A_LIFT * len(city))
        carrier = city.gateway[: len(city)]
        self._bounds = np.searchsorted(carrier, np.arange(int(carrier[-1]) + 2))

    def deliver(self, batch: Batch) -> Batch:
        """Take the readings of one second; give what arrives in that second."""
        self._seconds += 1
        if self._seconds % 60 == 1:
            self._draw(60.0)
        self._troubles = [trouble for trouble in self._troubles if not self._over(trouble)]
        arriving = [held for due, held in self._held if due <= self._seconds]
        self._held = [(due, held) for due, held in self._held if due > self._seconds]
        for trouble in self._troubles:
            batch = self._befall(trouble, batch)
        while self._held and sum(len(held) for _, held in self._held) > self._held_max:
            arriving.append(self._held.pop(0)[1])
        return batches.concat([*arriving, batch]) if arriving else batch

    def flush(self) -> Batch:
        """Give everything that is still held back: every reading arrives in the end."""
        held, self._held = self._held, []
        for trouble in self._troubles:
            trouble.close(self._seconds)
        self._troubles = []
        return batches.concat([batch for _, batch in held])

    def begin(self, kind: Kind, first: int, end: int, *, lasts_s: int, size: int) -> None:
        """Start a trouble for the lifts first <= slot < end; `size` is a clock's error or a delay in s."""
        name = self._city.codes[first] if end == first + 1 else self._city.gateways[int(self._city.gateway[first])]
        record = Truth(
            event=self._ledger.next_event(), lift=name, kind=kind, code=None, cause="line", near_miss=True,
            onset=self._start + self._seconds * SECOND_US, observable_at=self._start + self._seconds * SECOND_US,
            end=None, people=0, trapped_s=0.0,
        )  # fmt: skip
        close = self._ledger.keep(record, self._start)
        self._troubles.append(_Trouble(kind, first, end, self._seconds + lasts_s, size, close))

    def _over(self, trouble: _Trouble) -> bool:
        if self._seconds < trouble.until:
            return False
        trouble.close(self._seconds)
        return True

    def _draw(self, lasts_s: float) -> None:
        gateways = len(self._bounds) - 1
        for kind, (a_year, whole_gateway) in LINE_A_YEAR.items():
            units = gateways if whole_gateway else len(self._city)
            count = int(self._chance.poisson(a_year * self._factor * units * lasts_s / YEAR_S))
            for unit in self._chance.integers(units, size=count).tolist():
                first, end = (self._bounds[unit], self._bounds[unit + 1]) if whole_gateway else (unit, unit + 1)
                if first < end:
                    lasts, size = self._extent(kind)
                    self.begin(kind, int(first), int(end), lasts_s=lasts, size=size)

    def _extent(self, kind: Kind) -> tuple[int, int]:
        """Draw how long a trouble lasts and its size, in s."""
        low, high = {
            Kind.GATEWAY_RESTART: (20, 90),
            Kind.LATE_DELIVERY: (1800, 4 * 3600),
            Kind.CLOCK_JUMP: (60, 600),
            Kind.CLOCK_SKEW: (3600, 12 * 3600),
            Kind.DUPLICATES: (30, 300),
            Kind.REORDERING: (30, 600),
        }[kind]
        sizes = {Kind.CLOCK_JUMP: (-3600, 3600), Kind.CLOCK_SKEW: (-20, 20)}.get(kind, (1, 5))
        return int(self._chance.integers(low, high)), int(self._chance.integers(*sizes))

    def _befall(self, trouble: _Trouble, batch: Batch) -> Batch:
        """Let a trouble have its way with this second's readings."""
        touched: Mask = (batch.lift >= trouble.first) & (batch.lift < trouble.end)
        if not touched.any():
            return batch
        match trouble.kind:
            case Kind.GATEWAY_RESTART | Kind.LATE_DELIVERY:
                self._held.append((trouble.until, batch.take(touched)))
                return batch.take(~touched)
            case Kind.CLOCK_JUMP | Kind.CLOCK_SKEW:
                return replace(batch, at=batch.at + touched * trouble.size * SECOND_US)
            case Kind.DUPLICATES:
                self._held.append((self._seconds + trouble.size, batch.take(touched)))
                return batch
            case _:
                return self._shuffle(batch, touched)

    def _shuffle(self, batch: Batch, touched: Mask) -> Batch:
        """Delay each reading by 0 to 3 s of its own."""
        delay: Whole = self._chance.integers(_REORDER_S, size=len(batch)) * touched
        for seconds in range(1, _REORDER_S):
            if (delay == seconds).any():
                self._held.append((self._seconds + seconds, batch.take(delay == seconds)))
        return batch.take(delay == 0)
