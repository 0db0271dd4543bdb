"""The ingest role: from the bus to the alarm path and the store, a micro-batch at a time.

One thread does everything that must be quick (receive, decode, check, hand to the alarm path, receipt); the
keeper's thread does what may take its time. Small messages that arrive together are handled together.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

import orjson

from ingest.counters import Counters
from ingest.intake import Delivery, take_in
from ingest.keeper import QUEUE_READINGS_MAX, Keeper
from ingest.receipts import receipts
from lift import topics
from lift.batch import Batch
from lift.errors import BadFrame, Unavailable
from lift.fleet import Fleet
from lift.metrics import Metric, metric
from lift.ports import Bus, Message, Records, Telemetry, Timepiece

log = logging.getLogger(__name__)

SUBSCRIPTIONS: Final = (topics.topic("+", topics.TELEMETRY), topics.topic("+", topics.STATUS))

# Messages handled together: enough for vector operations to pay, few enough, with the bound on their bytes, that
# one pass stays well under a tenth of a second.
_TOGETHER_MAX: Final = 4000
_TOGETHER_BYTES_MAX: Final = 8 * 1024 * 1024
_GATEWAYS_MAX: Final = 100_000


class Ingest:
    """Receives telemetry, feeds the alarm path, keeps it durable and sends receipts."""

    def __init__(
        self,
        *,
        bus: Bus,
        telemetry: Telemetry,
        records: Records,
        clock: Timepiece,
        fleet: Fleet,
        on_batch: Callable[[Batch], None],
    ) -> None:
        """Take opened ports; `on_batch` is the alarm path and is called in the thread that calls `step`."""
        self._bus = bus
        self._clock = clock
        self._fleet = fleet
        self._on_batch = on_batch
        self.counters = Counters()
        self.gateways_online: dict[str, bool] = {}
        self._keeper = Keeper(telemetry, records, clock, self.counters)
        self._receipts_due: list[Delivery] = []
        self.alarm_path_failing: str | None = None

    @property
    def failing(self) -> str | None:
        """Say why readings cannot be stored at the moment, None when they can."""
        return self._keeper.failing

    @property
    def connected(self) -> bool:
        """Whether the broker is there at this moment."""
        return self._bus.connected

    def step(self, *, wait_s: float) -> bool:
        """Handle what has arrived, waiting at most `wait_s` for it; True = there may be more at once."""
        messages = self._bus.receive(wait_s=wait_s, most=_TOGETHER_MAX)
        telemetry: list[Message] = []
        size = 0
        for message in messages:
            if message.topic.endswith("/status"):
                self._note_status(message)
                continue
            telemetry.append(message)
            size += len(message.payload)
            if size > _TOGETHER_BYTES_MAX:
                self._take(telemetry)
                telemetry, size = [], 0
        if telemetry:
            self._take(telemetry)
        self.send_receipts()
        return len(messages) == _TOGETHER_MAX

    def _take(self, messages: Sequence[Message]) -> None:
        intake = take_in(messages, self._fleet, received_at=self._clock.now())
        self.counters.count(intake.deliveries)
        if len(intake.batch):
            self._feed(intake.batch)
        if not self._keeper.put(intake):
            self._shed(intake.deliveries)

    def _feed(self, batch: Batch) -> None:
        try:
            self._on_batch(batch)
        except Exception as error:
            # A fault in the alarm path must not cost the readings too: from the store they can be replayed.
            log.exception("the alarm path failed on %d readings", len(batch))
            self.counters.alarm_path_failures += 1
            self.alarm_path_failing = f"{type(error).__name__}: {error}"
        else:
            self.alarm_path_failing = None

    def _shed(self, deliveries: Sequence[Delivery]) -> None:
        """Let go of messages that the store has no room for, so that the alarms behind them come through.

        A numbered one comes again, since it gets no receipt. One without a number stays unacknowledged, so
        the broker delivers it again after the next reconnection.
        """
        self.counters.shed += sum(delivery.received for delivery in deliveries)
        self._bus.done([delivery.message for delivery in deliveries if delivery.stamp is not None])

    def send_receipts(self) -> None:
        """Acknowledge what has become durable, to the broker and, by receipt, to the gateways."""
        durable = self._keeper.take_durable()
        if durable:
            self._bus.done([delivery.message for delivery in durable])
            self._receipts_due += durable
        try:
            for gateway, payload in receipts(self._receipts_due):
                self._bus.publish(topics.topic(gateway, topics.RECEIPT), payload)
                self.counters.receipts += 1
            self._receipts_due.clear()
        except Unavailable:
            # Unreceipted messages come again and are receipted then, so a bounded list may forget the oldest.
            del self._receipts_due[:-_TOGETHER_MAX]

    def close(self, *, within_s: float) -> bool:
        """Store and receipt what was taken in; False if time ran out, and then the gateways send it again."""
        finished = self._keeper.close(within_s=within_s)
        self.send_receipts()
        return finished

    def metrics(self) -> list[Metric]:
        """Give what there is to know about ingest for Prometheus."""
        online = sum(list(self.gateways_online.values()))
        return [
            *self.counters.metrics(),
            metric(
                "liftwatch_store_backlog_readings",
                "gauge",
                "Readings waiting for the store",
                self._keeper.backlog,
            ),
            metric("liftwatch_store_backlog_readings_max", "gauge", "Bound of that queue", QUEUE_READINGS_MAX),
            metric("liftwatch_gateways_online", "gauge", "Gateways that say they are online", online),
        ]

    def _note_status(self, message: Message) -> None:
        self._bus.done([message])
        try:
            gateway = topics.parse(message.topic).gateway
            status = orjson.loads(message.payload)
        except (BadFrame, orjson.JSONDecodeError):
            log.warning("unreadable gateway status on %s", message.topic[:80])
            return
        if isinstance(status, dict) and (gateway in self.gateways_online or len(self.gateways_online) < _GATEWAYS_MAX):
            self.gateways_online[gateway] = status.get("online") is True
