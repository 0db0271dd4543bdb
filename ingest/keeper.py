"""The keeper: makes what was taken in durable, off the alarm path, and says when it is.

It owns one thread and one bounded queue. The alarm path never waits for it: when the store falls behind
or fails, numbered messages are given back to their gateways' spools instead of stopping the alarms.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from ingest.intake import CATALOGUES, Delivery, Intake
from ingest.ledger import Ledger
from lift import topics
from lift.batch import Batch, concat
from lift.errors import Unavailable
from lift.ports import Records, Stored, Timepiece
from lift.wire import Refusal, clipped

log = logging.getLogger(__name__)

# Readings waiting for the store; about 120 bytes each in memory.
QUEUE_READINGS_MAX: Final = 2_000_000
# Bytes of the messages they came in, which are at hand until they are stored, in case they cannot be.
QUEUE_BYTES_MAX: Final = 512 * 1024 * 1024
_DELIVERY_BYTES: Final = 500
# Readings written in one commit; bounds the time one commit takes.
_COMMIT_READINGS_MAX: Final = 500_000
# Wait this long for more before a commit: a commit costs much the same for one reading as for thousands.
_GATHER_S: Final = 0.2
# How long an intake waits for room while the store works.
_ROOM_S: Final = 1.0
_RETRY_FIRST_S: Final = 0.1
_RETRY_S_MAX: Final = 5.0


class Store(Protocol):
    """What the keeper asks of `lift.ports.Telemetry`."""

    def append(self, batch: Batch) -> Stored:
        """Store readings durably before returning, all or none; raises Unavailable."""

    def append_trips(self, batch: Batch) -> Stored:
        """Store finished trips as `append` stores readings."""


class _Work:
    """What one commit holds, all of one kind, and which of its two halves is done."""

    def __init__(self, kind: str, intakes: Sequence[Intake]) -> None:
        self.kind = kind
        self.batch = concat([intake.batch for intake in intakes])
        self.deliveries = [delivery for intake in intakes for delivery in intake.deliveries]
        self.stored = False
        self.quarantined = False


class Keeper:
    """Stores readings and quarantines refusals in the background; `take_durable` says what is safe."""

    def __init__(self, telemetry: Store, records: Records, clock: Timepiece, ledgers: Mapping[str, Ledger]) -> None:
        """Start the thread; `ledgers` has one for each kind of reading."""
        self._telemetry = telemetry
        self._records = records
        self._clock = clock
        self._ledgers = ledgers
        self._condition = threading.Condition()
        self._queue: deque[tuple[Intake, int]] = deque()
        self._queued = 0
        self._queued_bytes = 0
        self._durable: deque[Delivery] = deque()
        self._closing = False
        self.store_failures = 0
        self.failing: str | None = None
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    @property
    def backlog(self) -> int:
        """Count the readings that wait for the store."""
        return self._queued

    def put(self, intake: Intake) -> bool:
        """Queue what was taken in; False when the queue is full, and then it is not queued.

        A store that works but is slower than the readings come is waited for, a moment: that holds the broker
        back. For one that fails nobody waits.
        """
        readings = len(intake.batch)
        size = sum([len(delivery.message.payload) for delivery in intake.deliveries])
        size += _DELIVERY_BYTES * len(intake.deliveries)
        with self._condition:
            if not self._condition.wait_for(lambda: self._has_room(readings, size) or self.failing, _ROOM_S):
                return False
            if not self._has_room(readings, size):
                return False
            self._queue.append((intake, size))
            self._queued += readings
            self._queued_bytes += size
            self._condition.notify_all()
            return True

    def _has_room(self, readings: int, size: int) -> bool:
        fits = self._queued + readings <= QUEUE_READINGS_MAX and self._queued_bytes + size <= QUEUE_BYTES_MAX
        return fits or not self._queued_bytes

    def take_durable(self) -> list[Delivery]:
        """Give the messages that became durable since the last call."""
        taken = []
        while self._durable:
            taken.append(self._durable.popleft())
        return taken

    def close(self, *, within_s: float) -> bool:
        """Store what is queued and stop; False if that took too long (the rest stays unreceipted)."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while taken := self._next():
            intakes = [intake for intake, _ in taken]
            for kind in CATALOGUES:
                work = _Work(kind, [intake for intake in intakes if intake.kind == kind])
                if work.deliveries and self._until_done(work):
                    self._durable.extend(work.deliveries)
            with self._condition:
                self._queued -= sum(len(intake.batch) for intake in intakes)
                self._queued_bytes -= sum(size for _, size in taken)
                self._condition.notify_all()

    def _next(self) -> list[tuple[Intake, int]]:
        """Wait for work and take as much as one commit should hold; nothing = closing and all is stored."""
        with self._condition:
            self._condition.wait_for(lambda: self._queue or self._closing)
            if not self._closing:
                self._condition.wait(_GATHER_S)
            taken: list[tuple[Intake, int]] = []
            readings = 0
            while self._queue and (not taken or readings + len(self._queue[0][0].batch) <= _COMMIT_READINGS_MAX):
                taken.append(self._queue.popleft())
                readings += len(taken[-1][0].batch)
            return taken

    def _until_done(self, work: _Work) -> bool:
        """Try until all of it is kept: nothing is receipted before. Gives up only when closing."""
        wait_s = _RETRY_FIRST_S
        while True:
            try:
                self._store(work)
                self._quarantine(work)
            except Unavailable as error:
                self.store_failures += 1
                if self.failing is None:
                    log.warning("cannot store %d readings yet, trying on: %s", len(work.batch), error)
                self.failing = str(error)
                if self._closing:
                    return False
                time.sleep(wait_s)
                wait_s = min(2 * wait_s, _RETRY_S_MAX)
            else:
                self.failing = None
                return True

    def _store(self, work: _Work) -> None:
        if work.stored or not len(work.batch):
            return
        ledger = self._ledgers[work.kind]
        append = self._telemetry.append if work.kind == topics.TELEMETRY else self._telemetry.append_trips
        try:
            result = append(work.batch)
        except Unavailable:
            raise
        except Exception as error:
            # A batch that the store chokes on must neither stop the store nor vanish: its messages go to
            # quarantine whole, to be replayed once the fault is mended.
            log.exception("the store refused %d readings; their messages go to quarantine", len(work.batch))
            self.store_failures += 1
            ledger.choked(work.deliveries)
            for delivery in work.deliveries:
                delivery.refused, delivery.keep = delivery.received, True
                delivery.note(Refusal(None, "store", clipped(f"{type(error).__name__}: {error}"), lost=True))
        else:
            ledger.kept(work.batch, result)
        work.stored = True

    def _quarantine(self, work: _Work) -> None:
        refused = [delivery for delivery in work.deliveries if delivery.faults and delivery.keep]
        if work.quarantined or not refused:
            return
        now = self._clock.now()
        with self._records.write() as tx:
            for delivery in refused:
                tx.quarantine(
                    at=now,
                    topic=delivery.message.topic,
                    gateway=delivery.gateway,
                    payload=delivery.message.payload,
                    reasons=delivery.reasons,
                    readings_refused=delivery.refused,
                )
        work.quarantined = True
