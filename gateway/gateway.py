"""The gateway: spools readings, publishes them within a window, and deletes only what a receipt names."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import numpy as np
import orjson

from gateway.spool import Spool, Spooled
from lift import codes as code_sets
from lift.batch import Batch, Mask
from lift.codes import Code
from lift.errors import Invalid, LiftError, Unavailable
from lift.metrics import Metric
from lift.ports import Bus, Message, Timepiece
from lift.signals import ALARM_BUTTON
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

# Readings that the spool gives up last: somebody may be trapped or hurt.
EMERGENCY_CODES: Final = code_sets.pack(
    [Code.ENTRAPMENT, Code.ENTRAPMENT_AT_LANDING_LOCAL, Code.ALARM_BUTTON, Code.UNINTENDED_CAR_MOVEMENT]
)

# Everything that may be asked of a gateway. It watches; nothing that reaches it may move a lift.
ALLOWED_REQUESTS: Final = frozenset({"comfort_message", "test_call", "report_interval"})


def last_will(name: str) -> Message:
    """Give what the broker shall publish, retained, when a gateway vanishes."""
    return Message(topic(name, STATUS), orjson.dumps({"online": False}))


def birth(name: str, spool: Spool, clock: Timepiece, *, version: str) -> Callable[[], Message]:
    """Give what makes a gateway's retained status at each connection, taking its last will back."""

    def status() -> Message:
        told = {"online": True, "at": clock.now(), "version": version, "spooled": spool.pending.messages}
        return Message(topic(name, STATUS), orjson.dumps(told))

    return status


class Gateway:
    """Carries the readings of one site's lifts to the platform, through broken lines and restarts.

    The bus must subscribe to `subscriptions(name)` and should carry `last_will` and `birth`. The window is in
    messages. `accept` may be called from any thread, everything else from one. `on_request` is handed the kind
    and body of each allowed request; without it all are refused.
    """

    def __init__(
        self,
        name: str,
        bus: Bus,
        spool: Spool,
        clock: Timepiece,
        *,
        encoding: Encoding = "arrow",
        window: int = 64,
        resend_after_s: float = 30.0,
        version: str = "",
        on_request: Callable[[str, Mapping[str, Any]], None] | None = None,
    ) -> None:
        if not GATEWAY_NAME.fullmatch(name):
            raise Invalid("gateway", f"{name!r} is not 1 to 64 letters, digits, - or _")
        self.name = name
        self._bus = bus
        self._spool = spool
        self._clock = clock
        self._encode = arrow.encode if encoding == "arrow" else json.encode
        self._window = window
        self._resend_after_s = resend_after_s
        self._status = birth(name, spool, clock, version=version)
        self._on_request = on_request

        # Numbers published and not yet receipted, with when (monotonic s), in order of publication.
        self._sent: dict[int, float] = {}
        # Numbers written while connected: they go before a backlog, for somebody may be trapped now.
        self._live: deque[int] = deque(maxlen=4 * window)
        self._cursor = 0
        self._was_connected = False
        self._status_due = 0.0
        self._published = 0
        self._resent = 0
        self._receipts_refused = 0
        self._requests_refused = 0
        self._readings_refused = 0

    @staticmethod
    def subscriptions(name: str) -> tuple[str, ...]:
        """Give the topics that a gateway's bus must subscribe to."""
        return topic(name, RECEIPT), topic(name, REQUEST)

    # ------------------------------------------------------------------------------------- readings

    def accept(self, batch: Batch) -> None:
        """Take readings over: they are on the disk when this returns. Raises Unavailable when it refuses them.

        Readings of an emergency become a message of their own, which the spool gives up last.
        """
        urgent = emergencies(batch)
        if urgent.any() and not urgent.all():
            self._write(batch.take(urgent), emergency=True)
            self._write(batch.take(~urgent), emergency=False)
        elif len(batch):
            self._write(batch, emergency=bool(urgent.any()))

    def _write(self, batch: Batch, *, emergency: bool) -> None:
        def encode(stamp: Stamp) -> bytes:
            payload = self._encode(batch, stamp)
            if len(payload) > PAYLOAD_BYTES_MAX:
                raise _TooLarge
            return payload

        if len(batch) > READINGS_MAX:
            self._write_halves(batch, emergency=emergency)
            return
        try:
            stamp = self._spool.append(
                TELEMETRY, encode, readings=len(batch), at=self._clock.now(), emergency=emergency
            )
        except _TooLarge:
            self._write_halves(batch, emergency=emergency)
            return
        except LiftError:
            self._readings_refused += len(batch)
            raise
        if self._bus.connected:
            self._live.append(stamp.seq)

    def _write_halves(self, batch: Batch, *, emergency: bool) -> None:
        middle = len(batch) // 2
        self._write(batch.take(np.arange(middle)), emergency=emergency)
        self._write(batch.take(np.arange(middle, len(batch))), emergency=emergency)

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
        """Take in what has arrived, waiting up to `wait_s` for it, then publish what is due.

        Raises Unavailable when the disk or the broker refuses; what is spooled stays spooled.
        """
        messages = self._bus.receive(wait_s=wait_s, most=INCOMING_MOST)
        for message in messages:
            self._take_in(message)
        self._bus.done(messages)
        connected = self._bus.connected
        if connected and not self._was_connected:
            # What was on its way may be lost: begin again with the oldest.
            self._sent.clear()
            self._cursor = 0
            self._status_due = 0.0
        self._was_connected = connected
        if connected:
            self._tell_status()
            self._publish_due()

    def close(self) -> None:
        """Say that we are leaving; what is spooled waits for the next start. The bus and the spool stay open."""
        if self._bus.connected:
            will = last_will(self.name)
            try:
                self._bus.publish(will.topic, will.payload, retain=True)
            except Unavailable as error:
                log.warning("could not say that gateway %s is leaving: %s", self.name, error)

    def _tell_status(self) -> None:
        now = time.monotonic()
        if now >= self._status_due:
            status = self._status()
            self._bus.publish(status.topic, status.payload, retain=True)
            self._status_due = now + STATUS_EVERY_S

    def _publish_due(self) -> None:
        """Publish first what stayed without a receipt, then what is new, then the backlog, oldest first."""
        now = time.monotonic()
        for seq in [seq for seq, at in self._sent.items() if now - at >= self._resend_after_s]:
            del self._sent[seq]
            if (message := self._spool.message(seq)) is not None:
                self._publish(message)
                self._resent += 1
        while self._live and len(self._sent) < self._window:
            seq = self._live.popleft()
            if seq not in self._sent and (message := self._spool.message(seq)) is not None:
                self._publish(message)
        while (room := self._window - len(self._sent)) > 0:
            backlog = self._spool.unsent(self._cursor, room)
            for message in backlog:
                if message.seq not in self._sent:
                    self._publish(message)
                self._cursor = message.seq
            if not backlog:
                break

    def _publish(self, message: Spooled) -> None:
        self._bus.publish(topic(self.name, message.kind), message.payload)
        self._sent[message.seq] = time.monotonic()
        self._published += 1

    # ------------------------------------------------------------------------------- what arrives

    def _take_in(self, message: Message) -> None:
        try:
            gateway, kind = parse(message.topic)
            # There are brokers that hand out what nobody here has subscribed to.
            if gateway == self.name and kind == RECEIPT:
                self._take_receipt(message.payload)
            elif gateway == self.name and kind == REQUEST:
                self._take_request(message.payload)
        except Invalid as error:
            log.warning("ignored a message on %s: %s", message.topic, error)

    def _take_receipt(self, payload: bytes) -> None:
        try:
            epoch, ranges = parse_receipt(payload)
            self._spool.receipted(epoch, ranges)
        except Invalid:
            self._receipts_refused += 1
            raise
        for first, last in ranges:
            named = range(first, last + 1)
            for seq in [seq for seq in self._sent if seq in named]:
                del self._sent[seq]

    def _take_request(self, payload: bytes) -> None:
        try:
            kind, body = parse_request(payload)
        except Invalid:
            self._requests_refused += 1
            raise
        if self._on_request is None:
            self._requests_refused += 1
            raise Invalid("kind", f"{kind} is refused: there is nothing here that could do it")
        self._on_request(kind, body)

    # ------------------------------------------------------------------------------------- figures

    def metrics(self) -> list[Metric]:
        """Give the gateway's figures; counts of readings are since the spool was made, the rest since start."""
        pending, counts = self._spool.pending, self._spool.counts
        age_s = 0.0 if pending.oldest_at is None else max(0, self._clock.now() - pending.oldest_at) / 1e6
        figures: list[tuple[str, Literal["counter", "gauge"], str, float]] = [
            ("connected", "gauge", "1 while the broker is reachable", self._bus.connected),
            ("spooled_messages", "gauge", "Messages without a receipt", pending.messages),
            ("spooled_readings", "gauge", "Readings without a receipt", pending.readings),
            ("spooled_bytes", "gauge", "Bytes of payload without a receipt", pending.bytes),
            ("spool_age_seconds", "gauge", "Age of the oldest message without a receipt", age_s),
            ("readings_accepted_total", "counter", "Readings written to the spool", counts.accepted),
            ("readings_receipted_total", "counter", "Readings that the platform has stored", counts.receipted),
            ("readings_dropped_total", "counter", "Readings given up for want of room or for age", counts.dropped),
            ("readings_refused_total", "counter", "Readings that the disk refused", self._readings_refused),
            ("messages_published_total", "counter", "Messages published, again or for the first time", self._published),
            ("messages_resent_total", "counter", "Messages published again for want of a receipt", self._resent),
            ("receipts_refused_total", "counter", "Receipts malformed or not ours", self._receipts_refused),
            ("requests_refused_total", "counter", "Requests refused", self._requests_refused),
        ]
        label = {"gateway": self.name}
        return [
            Metric(f"liftwatch_gateway_{name}", kind, text, ((label, value),)) for name, kind, text, value in figures
        ]


class _TooLarge(Exception):
    """A message would be refused for its size."""


def emergencies(batch: Batch) -> Mask:
    """Say which readings tell of somebody in danger: the alarm button, or a code that means it."""
    pressed: Mask = batch.column(ALARM_BUTTON) == 1
    sets = batch.code_sets()
    coded: Mask = (sets != code_sets.NOT_REPORTED) & ((sets & EMERGENCY_CODES) != 0)
    return pressed | coded


def parse_receipt(payload: bytes) -> tuple[str, list[tuple[int, int]]]:
    """Read a receipt: its epoch and the ranges of message numbers, both ends included; raises Invalid.

    >>> parse_receipt(b'{"epoch": "5f1c", "stored": [[1200, 1234]]}')
    ('5f1c', [(1200, 1234)])
    """
    body = _json_object(payload)
    epoch, stored = body.get("epoch"), body.get("stored")
    if not isinstance(epoch, str):
        raise Invalid("epoch", "must be a text")
    if not isinstance(stored, list) or len(stored) > RANGES_MAX:
        raise Invalid("stored", f"must be a list of at most {RANGES_MAX} ranges")
    for pair in stored:
        if not isinstance(pair, list) or [type(end) for end in pair] != [int, int]:
            raise Invalid("stored", f"{str(pair)[:40]} is not a pair of message numbers")
    return epoch, [(first, last) for first, last in stored]


def parse_request(payload: bytes) -> tuple[str, Mapping[str, Any]]:
    """Read a request: its kind and all it says; raises Invalid for every kind that is not allowed."""
    body = _json_object(payload)
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in ALLOWED_REQUESTS:
        allowed = ", ".join(sorted(ALLOWED_REQUESTS))
        raise Invalid("kind", f"{str(kind)[:40]!r} is refused: this gateway only watches. Allowed: {allowed}")
    return kind, body


def _json_object(payload: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Invalid("payload", f"not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Invalid("payload", f"must be a JSON object; got {str(body)[:40]}")
    return body
