"""The ingest role: from the bus to the alarm path and the store, a micro-batch at a time.

One thread does everything that must be quick (receive, decode, check, hand to the alarm path, receipt); the
keeper's thread does what may take its time. Small messages that arrive together are handled together.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ingest.arrivals import Arrivals
from ingest.gate import BURST_PER_LIFT, RATE_PER_LIFT, TOGETHER_MAX, WAITING_MAX, Gate
from ingest.gateways import Gateways
from ingest.intake import CATALOGUES, Delivery, Intake, take_in
from ingest.keeper import QUEUE_READINGS_MAX, Keeper, Store
from ingest.ledger import Ledger
from ingest.receipts import receipts
from ingest.report import Report
from ingest.share import Share
from lift import topics
from lift.batch import EMPTY, Batch
from lift.errors import Unavailable
from lift.fleet import Fleet
from lift.metrics import Metric, metric
from lift.ports import Bus, Message, Records, Timepiece

log = logging.getLogger(__name__)

SUBSCRIPTIONS: Final = tuple(topics.topic("+", kind) for kind in (*CATALOGUES, topics.STATUS))


class Ingest:
    """Receives telemetry and trips, feeds the alarm path, keeps them durable and sends receipts."""

    def __init__(
        self,
        *,
        bus: Bus,
        telemetry: Store,
        records: Records,
        clock: Timepiece,
        fleet: Fleet,
        on_batch: Callable[[Batch], None],
        on_trips: Callable[[Batch], None] = lambda _: None,
        on_gateway: Callable[[str, bool, int], None] = lambda _name, _online, _at: None,
        rate_per_lift: float = RATE_PER_LIFT,
        burst_per_lift: float = BURST_PER_LIFT,
    ) -> None:
        """Take opened ports. The callbacks are called in the thread that calls `step`.

        `on_batch` is the alarm path and `on_trips` the condition monitor; both get batches in fleet slots.
        `on_gateway(name, online, at)` is told when a gateway is lost (`online` False, `at` = since when nothing has
        come from it, or when its last will came) and when it is back (`at` = when it was heard), in µs since 1970
        UTC by our clock. After a start a loss that lasts is told once more. A gateway may send `rate_per_lift` readings
        a second for each of its lifts, and `burst_per_lift` at once.
        """
        self._bus = bus
        self._clock = clock
        self._fleet = fleet
        self._feeds = {topics.TELEMETRY: on_batch, topics.TRIPS: on_trips}
        self._ledgers = {topics.TELEMETRY: Ledger(fleet, "readings"), topics.TRIPS: Ledger(fleet, "trips")}
        self._gate = Gate(fleet, rate_per_lift=rate_per_lift, burst_per_lift=burst_per_lift)
        self._arrivals = Arrivals(fleet)
        self._gateways = Gateways(fleet, self._gate, self._arrivals, on_gateway, now=clock.now())
        self._share = Share()
        self._keeper = Keeper(telemetry, records, clock, self._ledgers)
        self._receipts_due: list[Delivery] = []
        self._receipts = 0
        self._feed_failures = dict.fromkeys(self._feeds, 0)
        self._feed_failing: dict[str, str | None] = dict.fromkeys(self._feeds)

    @property
    def failing(self) -> str | None:
        """Say why readings cannot be stored at the moment, None when they can."""
        return self._keeper.failing

    @property
    def alarm_path_failing(self) -> str | None:
        """Say why the alarm path failed on the latest readings, None when it did not."""
        return self._feed_failing[topics.TELEMETRY]

    @property
    def trip_path_failing(self) -> str | None:
        """Say why the condition monitor failed on the latest trips, None when it did not."""
        return self._feed_failing[topics.TRIPS]

    @property
    def connected(self) -> bool:
        """Whether the broker is there at this moment."""
        return self._bus.connected

    @property
    def limited(self) -> list[str]:
        """Name the gateways that have sent more than they may within the last minute."""
        return self._gateways.limited

    @property
    def received(self) -> int:
        """Count the readings received since the start."""
        return self._ledgers[topics.TELEMETRY].total("received")

    def expect(self, lifts: Iterable[str]) -> None:
        """Take the gateways of lifts for known: their silence from the start on is a lost gateway."""
        self._gateways.expect(lifts)

    def step(self, *, wait_s: float) -> bool:
        """Handle what has arrived, waiting at most `wait_s` for it; True = there may be more at once."""
        messages = self._receive(wait_s)
        now = self._clock.now()
        self._gateways.hear(messages, now)
        turn = self._gate.turn(messages, now)
        for kind, some in _by_kind(turn.take).items():
            if kind in CATALOGUES:
                self._take(kind, some)
            else:
                self._gateways.take_statuses(some, now)
                self._bus.done(some)
        self._refuse(turn.refuse, now)
        self._bus.done(turn.acknowledge)
        self.send_receipts()
        self._gateways.look_around(now)
        return turn.more or len(messages) >= TOGETHER_MAX

    def _receive(self, wait_s: float) -> list[Message]:
        """Take what has arrived: as much as one pass holds, or all of it while some wait for their turn.

        The broker's line is the one place where a message can be behind those of a gateway gone mad.
        """
        if self._gate.full:
            return []
        messages = self._bus.receive(wait_s=0.0 if self._gate.ready else wait_s, most=TOGETHER_MAX)
        if self._gate.busy and len(messages) == TOGETHER_MAX:
            messages += self._bus.receive(wait_s=0.0, most=WAITING_MAX)
        return messages

    # ------------------------------------------------------------------------------------- readings

    def _take(self, kind: str, messages: Sequence[Message]) -> None:
        now = self._clock.now()
        intake = take_in(messages, self._fleet, received_at=now, kind=kind, ahead_s=self._arrivals.skew)
        beside = self._arrivals.see(intake, now)
        for delivery in intake.deliveries:
            self._gate.pay(delivery.number, delivery.received)
            if delivery.faults:
                delivery.keep = self._share.take(delivery.number, len(delivery.message.payload), now)
        self._ledgers[kind].take(intake.deliveries, beside)
        if len(intake.batch):
            self._feed(kind, intake.batch)
        if not self._keeper.put(intake):
            self._shed(kind, intake.deliveries)

    def _feed(self, kind: str, batch: Batch) -> None:
        try:
            self._feeds[kind](batch)
        except Exception as error:
            # A fault in the alarm path must not cost the readings too: from the store they can be replayed.
            log.exception("what %s is fed to failed on %d of them", kind, len(batch))
            self._feed_failures[kind] += 1
            self._feed_failing[kind] = f"{type(error).__name__}: {error}"
        else:
            self._feed_failing[kind] = None

    def _shed(self, kind: str, deliveries: Sequence[Delivery]) -> None:
        """Let go of messages that the store has no room for, so that the alarms behind them come through.

        A numbered one comes again, since it gets no receipt. One without a number stays unacknowledged, so
        the broker delivers it again after the next reconnection.
        """
        self._ledgers[kind].shed(deliveries)
        self._bus.done([delivery.message for delivery in deliveries if delivery.stamp is not None])

    def _refuse(self, messages: Sequence[Message], now: int) -> None:
        """Refuse messages that came without a number and above their gateway's rate: no spool has them.

        Of each gateway some are kept as evidence; the others are answered at once and counted.
        """
        for kind, some in _by_kind(messages).items():
            if kind not in CATALOGUES:
                self._bus.done(some)
                continue
            deliveries = [self._refused(message, now) for message in some]
            self._ledgers[kind].take(deliveries, {})
            kept = [delivery for delivery in deliveries if delivery.keep]
            if kept and not self._keeper.put(Intake(EMPTY, kept, kind)):
                self._bus.done([delivery.message for delivery in kept])
            self._bus.done([delivery.message for delivery in deliveries if not delivery.keep])

    def _refused(self, message: Message, now: int) -> Delivery:
        number = self._gate.number(message.topic)
        delivery = Delivery(message, gateway=topics.parse(message.topic).gateway, number=number)
        delivery.reject("rate", f"is above {self._gate.rate[number]:g} readings a second, the most for this gateway")
        delivery.keep = self._share.take(number, len(message.payload), now)
        return delivery

    def send_receipts(self) -> None:
        """Acknowledge what has become durable, to the broker and, by receipt, to the gateways."""
        durable = self._keeper.take_durable()
        if durable:
            self._bus.done([delivery.message for delivery in durable])
            self._receipts_due += durable
        try:
            for gateway, payload in receipts(self._receipts_due):
                self._bus.publish(topics.topic(gateway, topics.RECEIPT), payload)
                self._receipts += 1
            self._receipts_due.clear()
        except Unavailable:
            # Unreceipted messages come again and are receipted then, so a bounded list may forget the oldest.
            del self._receipts_due[:-TOGETHER_MAX]

    # ------------------------------------------------------------------------------------- to see

    def report(self) -> Report:
        """Take stock of every gateway. Any thread may ask."""
        return self._gateways.report(self._ledgers, self._clock.now())

    def close(self, *, within_s: float) -> bool:
        """Store and receipt what was taken in; False if time ran out, and then the gateways send it again."""
        finished = self._keeper.close(within_s=within_s)
        self.send_receipts()
        return finished

    def metrics(self) -> list[Metric]:
        """Give what there is to know about ingest for Prometheus. Any thread may ask."""
        failures = self._feed_failures
        return [
            *(one for ledger in self._ledgers.values() for one in ledger.metrics()),
            *self._gateways.metrics(),
            _gauge("liftwatch_store_backlog_readings", "Readings waiting for the store", self._keeper.backlog),
            _gauge("liftwatch_store_backlog_readings_max", "Bound of that queue", QUEUE_READINGS_MAX),
            _gauge("liftwatch_gate_waiting_messages", "Messages waiting for their gateway's turn", self._gate.waiting),
            _counter("liftwatch_store_failures_total", "Failed attempts to store", self._keeper.store_failures),
            _counter("liftwatch_receipts_total", "Receipts sent to gateways", self._receipts),
            _counter(
                "liftwatch_alarm_path_failures_total", "Batches the alarm path failed on", failures[topics.TELEMETRY]
            ),
            _counter(
                "liftwatch_trip_path_failures_total", "Batches the condition monitor failed on", failures[topics.TRIPS]
            ),
        ]


def _gauge(name: str, text: str, value: float) -> Metric:
    return metric(name, "gauge", text, value)


def _counter(name: str, text: str, value: float) -> Metric:
    return metric(name, "counter", text, value)


def _by_kind(messages: Sequence[Message]) -> dict[str, list[Message]]:
    """Sort messages by the last part of their topic."""
    of_topic = {topic: topic.rsplit("/", 1)[-1] for topic in {message.topic for message in messages}}
    if len(kinds := set(of_topic.values())) == 1:
        return {kinds.pop(): list(messages)}
    found: dict[str, list[Message]] = {kind: [] for kind in of_topic.values()}
    for message in messages:
        found[of_topic[message.topic]].append(message)
    return found
