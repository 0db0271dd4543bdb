"""The gateway: spools readings, publishes them within a window, and deletes only what a receipt names."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final, Literal

import numpy as np
import orjson

from gateway.requests import Requests, json_object
from gateway.sender import BACKFILL_A_SECOND, RESEND_AFTER_S, WINDOW, Sender
from gateway.spool import Spool, Spooled
from gateway.watch import emergencies
from lift import batch as batches
from lift.batch import Batch, Mask
from lift.errors import Invalid, LiftError, Unavailable
from lift.metrics import Metric
from lift.ports import Bus, Message, Timepiece
from lift.topics import GATEWAY_NAME, RECEIPT, REQUEST, STATUS, TELEMETRY, parse, topic
from lift.wire import PAYLOAD_BYTES_MAX, READINGS_MAX, Stamp, arrow, json

log = logging.getLogger(__name__)

Encoding = Literal["arrow", "json"]

# How often the retained status is written anew while nothing changes.
STATUS_EVERY_S: Final = 60.0
# Longest wait for receipts; new readings are published within it.
PUMP_WAIT_S: Final = 0.05
INCOMING_MOST: Final = 100
RANGES_MAX: Final = 10_000
# Readings that come faster than this are written together: a write costs the disk as much as two hundred readings.
COLLECT_S: Final = 0.05
COLLECT_READINGS_MAX: Final = 5_000
# Before this a machine's clock has never been set: it has no battery, and thinks it is 1970 or its maker's last day.
_CLOCK_SET_FROM: Final = 1_767_225_600_000_000  # 2026-01-01
_CLOCK_STEP_US: Final = 2_000_000
_SAY_HOURS_EVERY_S: Final = 3600.0


def last_will(name: str) -> Message:
    """Give what the broker shall publish, retained, when a gateway vanishes."""
    return Message(topic(name, STATUS), orjson.dumps({"online": False}))


def birth(name: str, spool: Spool, clock: Timepiece, *, version: str) -> Callable[[], Message]:
    """Give what makes a gateway's retained status at each connection, taking its last will back.

    `spooled` counts messages without a receipt, `oldest` is the time of the first of them (µs since 1970 UTC, null
    for none), `dropped` counts readings given up since the spool was made, `hours_left` says for how long the spool
    would hold without a line at the present rate, and `disk_full` that only emergencies still have room on the disk.
    """

    def status() -> Message:
        now, pending = clock.now(), spool.pending
        told = {
            "online": True,
            "at": now,
            "version": version,
            "spooled": pending.messages,
            "hours_left": round(spool.hours_left(now), 1),
            "dropped": spool.counts.dropped,
            "oldest": pending.oldest_at,
            "disk_full": spool.disk_full,
        }
        return Message(topic(name, STATUS), orjson.dumps(told))

    return status


class Gateway:
    """Carries the readings of one site's lifts to the platform, through broken lines and restarts.

    The bus must subscribe to `subscriptions(name)` and should carry `last_will` and `birth`. `accept`, `urgent` and
    `flush` may be called from any thread, everything else from one. Readings that come faster than one batch in
    `collect_s` are written together within that time. `elapsed` gives monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        bus: Bus,
        spool: Spool,
        clock: Timepiece,
        *,
        encoding: Encoding = "arrow",
        window: int = WINDOW,
        resend_after_s: float = RESEND_AFTER_S,
        backfill_a_second: float = BACKFILL_A_SECOND,
        collect_s: float = COLLECT_S,
        version: str = "",
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        if not GATEWAY_NAME.fullmatch(name):
            raise Invalid("gateway", f"{name!r} is not 1 to 64 letters, digits, - or _")
        self.name = name
        self._bus = bus
        self._spool = spool
        self._clock = clock
        self._encode = arrow.encode if encoding == "arrow" else json.encode
        self._elapsed = elapsed
        self._status = birth(name, spool, clock, version=version)
        self._sender = Sender(
            spool,
            self._publish,
            window=window,
            resend_after_s=resend_after_s,
            backfill_a_second=backfill_a_second,
            elapsed=elapsed,
        )
        self._requests: Requests | None = None
        self._tell: Callable[[], Mapping[str, Any]] = dict

        # Readings not yet on the disk, by kind of message, and when others were written last.
        self._collecting = threading.Lock()
        self._collect_s = collect_s
        self._collected: dict[str, list[Batch]] = {}
        self._collected_count = 0
        self._written_at = elapsed() - collect_s

        self._was_connected = False
        self._epoch = spool.epoch
        self._status_due = 0.0
        self._hours_due = 0.0
        self._clock_error = clock.now() - round(elapsed() * 1e6)
        self._clock_steps = 0
        self._receipts_refused = 0
        self._requests_refused = 0
        self._readings_refused = 0
        self._readings_unspooled = 0

    @staticmethod
    def subscriptions(name: str) -> tuple[str, ...]:
        """Give the topics that a gateway's bus must subscribe to."""
        return topic(name, RECEIPT), topic(name, REQUEST)

    def answer_with(self, requests: Requests, tell: Callable[[], Mapping[str, Any]]) -> None:
        """Take requests from now on; without this all are refused. `tell` gives what the status says beside its own."""
        self._requests, self._tell = requests, tell

    # ------------------------------------------------------------------------------------- readings

    @property
    def epoch(self) -> str:
        """The name of the spool's numbering."""
        return self._spool.epoch

    @property
    def spooled(self) -> int:
        """Readings without a receipt, those that are about to be written among them."""
        return self._spool.pending.readings + self._collected_count

    def waits(self, seq: int) -> bool:
        """Whether a message still waits for its receipt."""
        return self._spool.message(seq) is not None

    def accept(self, batch: Batch, *, kind: str = TELEMETRY, urgent: Mask | None = None) -> None:
        """Take readings over: on the disk when this returns, or within `collect_s` where they come in quick succession.

        Readings of an emergency, those that `urgent` names or that tell of one by themselves, become a message of
        their own, on the disk when this returns. Raises Unavailable when the disk refuses; the readings have then
        been published without a number if the line is there, and nobody may count on them.
        """
        if urgent is None:
            urgent = emergencies(batch) if kind == TELEMETRY else np.zeros(len(batch), np.bool_)
        refusal: LiftError | None = None
        if urgent.any():
            try:
                self.urgent(batch.take(urgent), kind=kind)
            except LiftError as error:
                refusal = error
            batch = batch.take(~urgent)
        if len(batch):
            self._collect(batch, kind)
        if refusal is not None:
            raise refusal

    def urgent(self, batch: Batch, *, kind: str = TELEMETRY) -> int:
        """Take readings of an emergency over: on the disk when this returns. Gives the number of the last message.

        Raises Unavailable as `accept` does.
        """
        return self._write(batch, kind, emergency=True)

    def flush(self) -> None:
        """Write what has been collected; on the disk when this returns. Raises Unavailable as `accept` does."""
        with self._collecting:
            self._flush()

    def _collect(self, batch: Batch, kind: str) -> None:
        with self._collecting:
            self._collected.setdefault(kind, []).append(batch)
            self._collected_count += len(batch)
            # The first after a pause is written at once, so a site with a batch a second waits for nothing.
            if self._collected_long() or self._collected_count >= COLLECT_READINGS_MAX:
                self._flush()

    def _collected_long(self) -> bool:
        return self._elapsed() - self._written_at >= self._collect_s

    def _flush(self) -> None:
        collected, self._collected, self._collected_count = self._collected, {}, 0
        refusal: LiftError | None = None
        for kind, parts in collected.items():
            try:
                self._write(batches.concat(parts), kind, emergency=False)
            except LiftError as error:
                refusal = error
        self._written_at = self._elapsed()
        if refusal is not None:
            raise refusal

    def _flush_in_time(self) -> None:
        """Write what has been collected for long enough; a disk that refuses is no reason to publish nothing."""
        try:
            with self._collecting:
                if self._collected and self._collected_long():
                    self._flush()
        except LiftError as error:
            log.warning("%s", error)

    def _write(self, batch: Batch, kind: str, *, emergency: bool) -> int:
        def encode(stamp: Stamp) -> bytes:
            payload = self._encode(batch, stamp)
            if len(payload) > PAYLOAD_BYTES_MAX:
                raise _TooLarge
            return payload

        if len(batch) > READINGS_MAX:
            return self._write_halves(batch, kind, emergency=emergency)
        try:
            stamp = self._spool.append(kind, encode, readings=len(batch), at=self._clock.now(), emergency=emergency)
        except _TooLarge:
            return self._write_halves(batch, kind, emergency=emergency)
        except LiftError as error:
            self._readings_refused += len(batch)
            if isinstance(error, Unavailable):
                self._send_unspooled(batch, kind)
            raise
        if self._bus.connected and not emergency:
            self._sender.written(stamp.seq)
        return stamp.seq

    def _write_halves(self, batch: Batch, kind: str, *, emergency: bool) -> int:
        middle = len(batch) // 2
        self._write(batch.take(np.arange(middle)), kind, emergency=emergency)
        return self._write(batch.take(np.arange(middle, len(batch))), kind, emergency=emergency)

    def _send_unspooled(self, batch: Batch, kind: str) -> None:
        """Publish what the disk refuses, without a number: a broken card must not hide somebody who is trapped."""
        if self._bus.connected:
            try:
                self._bus.publish(topic(self.name, kind), self._encode(batch))
                self._readings_unspooled += len(batch)
            except LiftError as error:
                log.warning("%d readings are lost: %s", len(batch), error)

    # ----------------------------------------------------------------------------------- the bus

    def run(self, stop: threading.Event) -> None:
        """Pump until told to stop."""
        while not stop.is_set():
            try:
                self.pump()
            except Unavailable as error:
                log.warning("%s", error)
                stop.wait(1.0)

    def pump(self, wait_s: float = PUMP_WAIT_S) -> None:
        """Write what was collected, take in what has arrived, waiting up to `wait_s` for it, and publish what is due.

        Raises Unavailable when the broker refuses; what is spooled stays spooled.
        """
        self._flush_in_time()
        messages = self._bus.receive(wait_s=wait_s, most=INCOMING_MOST)
        for message in messages:
            self._take_in(message)
        self._bus.done(messages)
        connected = self._bus.connected
        if connected != self._was_connected or self._spool.epoch != self._epoch:
            self._epoch = self._spool.epoch
            self._sender.begin_again()
            self._status_due = self._hours_due = 0.0
        self._was_connected = connected
        if connected:
            self._tell_status()
            self._sender.turn()
        else:
            self._say_hours()

    def close(self) -> None:
        """Write what was collected and say that we are leaving; what is spooled waits for the next start.

        The bus and the spool stay open.
        """
        try:
            self.flush()
        except LiftError as error:
            log.error("readings are lost: %s", error)  # noqa: TRY400 - the sentence says it all
        if self._bus.connected:
            will = last_will(self.name)
            try:
                self._bus.publish(will.topic, will.payload, retain=True)
            except Unavailable as error:
                log.warning("could not say that gateway %s is leaving: %s", self.name, error)

    def _tell_status(self) -> None:
        now = self._elapsed()
        if now >= self._status_due:
            status = self._status()
            told = {**orjson.loads(status.payload), "clock": self._clock_state(), **self._tell()}
            if self._requests is not None:
                told["requests"] = [asdict(answer) for answer in self._requests.newest()]
            self._bus.publish(status.topic, orjson.dumps(told), retain=True)
            self._status_due = now + STATUS_EVERY_S

    def _clock_state(self) -> str:
        """Say whether the clock can be believed: `ok`, `unset`, or `stepped` since the last status."""
        wall = self._clock.now()
        error = wall - round(self._elapsed() * 1e6)
        stepped = abs(error - self._clock_error) > _CLOCK_STEP_US
        self._clock_error = error
        self._clock_steps += stepped
        return "unset" if wall < _CLOCK_SET_FROM else "stepped" if stepped else "ok"

    def _say_hours(self) -> None:
        now = self._elapsed()
        if now >= self._hours_due:
            hours = self._spool.hours_left(self._clock.now())
            waiting = self._spool.pending.readings
            log.warning(
                "gateway %s has no line: %d readings wait, and %.1f hours more fit at this rate",
                self.name,
                waiting,
                hours,
            )
            self._hours_due = now + _SAY_HOURS_EVERY_S

    def _publish(self, message: Spooled) -> None:
        self._bus.publish(topic(self.name, message.kind), message.payload)

    # ------------------------------------------------------------------------------- what arrives

    def _take_in(self, message: Message) -> None:
        try:
            gateway, kind = parse(message.topic)
            # There are brokers that hand out what nobody here has subscribed to.
            if gateway == self.name and kind == RECEIPT:
                self._take_receipt(message.payload)
            elif gateway == self.name and kind == REQUEST:
                self._take_request(message.payload)
        except LiftError as error:
            log.warning("ignored a message on %s: %s", message.topic, error)

    def _take_receipt(self, payload: bytes) -> None:
        try:
            epoch, ranges = parse_receipt(payload)
            self._spool.receipted(epoch, ranges)
        except Invalid:
            self._receipts_refused += 1
            raise
        self._sender.receipted(ranges)

    def _take_request(self, payload: bytes) -> None:
        if self._requests is None:
            self._requests_refused += 1
            raise Invalid("request", "is refused: there is nothing here that could do it")
        try:
            answer = self._requests.take(payload)
        except LiftError:
            self._requests_refused += 1
            raise
        self._requests_refused += not answer.done
        self._status_due = 0.0

    # ------------------------------------------------------------------------------------- figures

    def metrics(self) -> list[Metric]:
        """Give the gateway's figures; counts of readings are since the spool was made, the rest since start."""
        now, pending, counts = self._clock.now(), self._spool.pending, self._spool.counts
        age_s = 0.0 if pending.oldest_at is None else max(0, now - pending.oldest_at) / 1e6
        figures: list[tuple[str, Literal["counter", "gauge"], str, float]] = [
            ("connected", "gauge", "1 while the broker is reachable", self._bus.connected),
            ("spooled_messages", "gauge", "Messages without a receipt", pending.messages),
            ("spooled_readings", "gauge", "Readings without a receipt", pending.readings),
            ("spooled_bytes", "gauge", "Bytes of payload without a receipt", pending.bytes),
            ("spooled_emergencies", "gauge", "Messages of emergencies without a receipt", pending.emergencies),
            ("spool_age_seconds", "gauge", "Age of the oldest message without a receipt", age_s),
            ("spool_hours_left", "gauge", "Hours that still fit at the present rate", self._spool.hours_left(now)),
            ("spool_damaged_total", "counter", "Spool files set aside as damaged", self._spool.damaged),
            ("disk_full", "gauge", "1 while the disk has room for emergencies only", self._spool.disk_full),
            ("clock_steps_total", "counter", "Times the clock was set by more than 2 s", self._clock_steps),
            ("readings_accepted_total", "counter", "Readings written to the spool", counts.accepted),
            ("readings_receipted_total", "counter", "Readings that the platform has stored", counts.receipted),
            ("readings_dropped_total", "counter", "Readings given up for want of room or for age", counts.dropped),
            ("readings_refused_total", "counter", "Readings that the disk refused", self._readings_refused),
            ("readings_unspooled_total", "counter", "Of these, published all the same", self._readings_unspooled),
            ("messages_published_total", "counter", "Messages published, also again", self._sender.published),
            ("messages_resent_total", "counter", "Messages published again for want of a receipt", self._sender.resent),
            ("receipts_refused_total", "counter", "Receipts malformed or not ours", self._receipts_refused),
            ("requests_refused_total", "counter", "Requests refused", self._requests_refused),
        ]
        label = {"gateway": self.name}
        return [
            Metric(f"liftwatch_gateway_{name}", kind, text, ((label, value),)) for name, kind, text, value in figures
        ]


class _TooLarge(Exception):
    """A message would be refused for its size."""


def parse_receipt(payload: bytes) -> tuple[str, list[tuple[int, int]]]:
    """Read a receipt: its epoch and the ranges of message numbers, both ends included; raises Invalid.

    >>> parse_receipt(b'{"epoch": "5f1c", "stored": [[1200, 1234]]}')
    ('5f1c', [(1200, 1234)])
    """
    body = json_object(payload)
    epoch, stored = body.get("epoch"), body.get("stored")
    if not isinstance(epoch, str):
        raise Invalid("epoch", "must be a text")
    if not isinstance(stored, list) or len(stored) > RANGES_MAX:
        raise Invalid("stored", f"must be a list of at most {RANGES_MAX} ranges")
    for pair in stored:
        if not isinstance(pair, list) or [type(end) for end in pair] != [int, int]:
            raise Invalid("stored", f"{str(pair)[:40]} is not a pair of message numbers")
    return epoch, [(first, last) for first, last in stored]
