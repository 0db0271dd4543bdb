"""The bus over MQTT, on paho-mqtt.

The caller's own thread reads the socket inside `receive`: a thread that only moved messages to a queue would
wait for the interpreter lock at each read while the consumer computes. A keeper thread connects, and turns
the loop once a second while nobody else does, so that the broker hears from us however long a caller is busy.

MQTT 3.1.1 unless the address ends in `?version=5`; 5 lifts the limit that brokers set on unacknowledged
messages (mosquitto: 20 unless configured, EMQX: 32), and is slower to parse.
"""

from __future__ import annotations

import contextlib
import logging
import math
import select
import socket
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from adapters.bus_mqtt_client import Arrival, Client
from lift.errors import Invalid, LiftError, Unavailable
from lift.ports import Message
from lift.wire import PAYLOAD_BYTES_MAX

log = logging.getLogger(__name__)

PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
VERSIONS: Final = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}

# Bytes that wait for `receive` at most, beside its limit in messages: ten Arrow messages of the largest size.
INBOX_BYTES_MAX: Final = 10 * PAYLOAD_BYTES_MAX
# How long the broker keeps our session while we are away; MQTT 3.1.1 leaves that to the broker.
SESSION_EXPIRY_S: Final = 7 * 24 * 3600
CONNECT_WITHIN_S: Final = 10.0
RECONNECT_FIRST_S: Final = 0.2
RECONNECT_MOST_S: Final = 15.0
KEEPER_TURN_S: Final = 1.0
# A connection that lasts shorter counts as another failed attempt: two clients of one name throw each other out.
STEADY_S: Final = 10.0
CLOSE_WITHIN_S: Final = 3.0
FULL_LOOK_S: Final = 0.1

_MID_BITS: Final = 16
_MID_MASK: Final = (1 << _MID_BITS) - 1
_INFLIGHT_MOST: Final = 60_000  # of the 65,535 numbers that MQTT has for unacknowledged messages


class MqttBus:
    """A client of an MQTT broker with a persistent session; see `lift.ports.Bus`.

    `url` is mqtt://host[:port] or mqtts://…, with `?version=5` for MQTT 5. `will` is what the broker publishes,
    retained, if we vanish; `on_connect_publish` is asked at every connection for what we publish, retained, to
    take the will back. At most `inbox_max` messages (and INBOX_BYTES_MAX bytes) wait for `receive`; beyond that the
    socket is left unread and the broker has to wait. At most `inflight_max` publications are unacknowledged;
    beyond that `publish` waits `publish_wait_s`, then raises Unavailable. Larger messages than
    `payload_bytes_max` are refused on the way out and handed up on the way in.
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        subscribe: Sequence[str] = (),
        will: Message | None = None,
        on_connect_publish: Callable[[], Message] | None = None,
        username: str | None = None,
        password: str | None = None,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        inbox_max: int = 10_000,
        inflight_max: int = 1_000,
        payload_bytes_max: int = PAYLOAD_BYTES_MAX,
        publish_wait_s: float = 4.0,
        keep_alive_s: int = 10,
    ) -> None:
        if not client_id:
            raise Invalid("client_id", "must not be empty: the broker keeps the session under this name")
        if not 0 < inflight_max <= _INFLIGHT_MOST:
            raise Invalid("inflight_max", f"{inflight_max} is not between 1 and {_INFLIGHT_MOST}")
        if inbox_max < 1:
            raise Invalid("inbox_max", f"{inbox_max} is not at least 1")
        self._subscriptions = [(topic, 1) for topic in subscribe]
        self._birth = on_connect_publish
        self._inbox_max = inbox_max
        self._inflight_max = inflight_max
        self._payload_bytes_max = payload_bytes_max
        self._publish_wait_s = publish_wait_s

        # Guards everything below and the client; notified whenever something that one may wait for has happened.
        self._changed = threading.Condition()
        self._inbox: deque[Message] = deque()
        self._inbox_bytes = 0
        self._unacknowledged: set[int] = set()
        self._generation = 0
        self._connected = False
        self._answered = False
        self._closing = False
        self._polling = False
        self._turned_at = 0.0
        self.failure = ""

        secure, host, port, version = _parse(url)
        self.broker = f"{host}:{port}"
        self._client = Client(client_id, version)
        if secure:
            _set_tls(self._client, ca, cert, key)
        elif ca or cert or key:
            raise Invalid("url", f"{url!r} with certificates: TLS needs mqtts://")
        if username is not None:
            self._client.username_pw_set(username, password)
        if will is not None:
            self._client.will_set(will.topic, will.payload, qos=1, retain=True)
        self._listen()
        _aim(self._client, host, port, keep_alive_s, version)

        # Wakes the thread that polls.
        self._poke_read, self._poke_write = socket.socketpair()
        self._poke_read.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        self._poke_write.setblocking(False)  # noqa: FBT003

        # Spread by name, so that a city's gateways do not all knock at once when their broker comes back.
        self._spread = 0.75 + zlib.crc32(client_id.encode()) / 2**33
        self._lost = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=f"mqtt-{client_id}", daemon=True)
        self._keeper.start()

    # ------------------------------------------------------------------------------------- the port

    @property
    def connected(self) -> bool:
        """Whether the broker is there at this moment."""
        return self._connected

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message over at QoS 1; waits while too many are unacknowledged, raises Unavailable.

        Without a connection the message waits in the window and goes out with the next one.
        """
        if len(payload) > self._payload_bytes_max:
            raise Invalid("payload", f"{len(payload)} bytes, at most {self._payload_bytes_max} accepted")
        deadline = time.monotonic() + self._publish_wait_s
        with self._changed:
            while len(self._unacknowledged) >= self._inflight_max:
                if self._closing or not self._progress(deadline):
                    why = self.failure or f"{self._inflight_max} messages are unacknowledged"
                    raise Unavailable(f"MQTT broker {self.broker}", why)
            if self._closing:
                raise Unavailable(f"MQTT broker {self.broker}", "this client is closed")
            self._send(topic, payload, retain=retain)
            self._client.loop_write()
            while self._connected and self._client.want_write() and self._progress(deadline):
                pass

    def receive(self, *, wait_s: float, most: int) -> list[Message]:
        """Take up to `most` messages in order of arrival, waiting at most `wait_s` for the first."""
        deadline = time.monotonic() + wait_s
        with self._changed:
            self._turn(most)
            while not self._inbox and not self._closing and self._progress(deadline, most):
                pass
            taken = [self._inbox.popleft() for _ in range(min(most, len(self._inbox)))]
            self._inbox_bytes -= sum(len(message.payload) for message in taken)
            return taken

    def done(self, messages: Sequence[Message]) -> None:
        """Acknowledge messages; those of an earlier connection are the broker's to send again."""
        with self._changed:
            current = self._generation
            mids = [m.token & _MID_MASK for m in messages if m.token and m.token >> _MID_BITS == current]
            if mids and self._connected:
                self._client.acknowledge(mids)
                self._client.loop_write()

    def close(self) -> None:
        """Wait a few seconds for what is unacknowledged, then leave; the will is not published."""
        deadline = time.monotonic() + CLOSE_WITHIN_S
        with self._changed:
            if self._closing:
                return
            while self._connected and (self._unacknowledged or self._client.want_write()):
                if not self._progress(deadline):
                    break
            self._closing = True
            if self._unacknowledged:
                log.warning("leaving %s with %d messages unacknowledged", self.broker, len(self._unacknowledged))
            if self._connected:
                self._client.disconnect()
                while self._client.want_write() and self._progress(deadline):
                    pass
            self._client.hang_up()
            self._connected = False
            self._changed.notify_all()
        self._lost.set()
        self._keeper.join(KEEPER_TURN_S)
        self._poke_read.close()
        self._poke_write.close()

    # ------------------------------------------------------------- the network; `_changed` is held

    def _turn(self, fill: int) -> None:
        """Do what the network allows without waiting: write, read until `fill` messages wait, keep alive."""
        client = self._client
        self._turned_at = time.monotonic()
        if client.want_write():
            client.loop_write()
        room = min(fill, self._inbox_max) - len(self._inbox)
        if room <= 0 or self._inbox_bytes >= INBOX_BYTES_MAX:
            client.heard()
        else:
            self._put(client.take(room))
        client.loop_misc()
        if client.want_write():
            client.loop_write()

    def _put(self, arrivals: Sequence[Arrival]) -> None:
        generation = self._generation << _MID_BITS
        for topic, payload, mid in arrivals:
            self._inbox.append(Message(topic, payload, generation | mid if mid else 0))
            self._inbox_bytes += len(payload)

    def _progress(self, deadline: float, fill: int | None = None) -> bool:
        """Wait for the network or for another thread's news, then take a turn; False when time is up."""
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        wire = self._client.socket()
        if wire is None:
            self._changed.wait(left)
        elif self._polling:
            if self._client.want_write():
                self._poke()
            self._changed.wait(left)
        else:
            self._poll(wire.fileno(), left)
        self._turn(self._inbox_max if fill is None else fill)
        return True

    def _poll(self, number: int, wait_s: float) -> None:
        """Wait for the socket with the lock let go, as the only thread that does."""
        room = len(self._inbox) < self._inbox_max and self._inbox_bytes < INBOX_BYTES_MAX
        events = (select.POLLIN if room else 0) | (select.POLLOUT if self._client.want_write() else 0)
        if not events:
            # Whoever takes from the inbox tells nobody: that is the fast path.
            self._changed.wait(min(wait_s, FULL_LOOK_S))
            return
        poller = select.poll()
        poller.register(number, events)
        poller.register(self._poke_read, select.POLLIN)
        self._polling = True
        self._changed.release()
        try:
            poller.poll(math.ceil(wait_s * 1000))
        finally:
            self._changed.acquire()
            self._polling = False
            with contextlib.suppress(BlockingIOError):
                self._poke_read.recv(4096)
            self._changed.notify_all()

    def _poke(self) -> None:
        """Make the thread that polls look again."""
        with contextlib.suppress(BlockingIOError):
            self._poke_write.send(b"!")

    def _send(self, topic: str, payload: bytes, *, retain: bool) -> None:
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            raise Unavailable(f"MQTT broker {self.broker}", "no message number is free")
        self._unacknowledged.add(info.mid)

    # ----------------------------------------------------------------- paho's callbacks; lock held

    def _listen(self) -> None:
        client = self._client
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish

    def _on_connect(
        self,
        client: mqtt.Client,
        _data: object,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        _props: Properties | None,
    ) -> None:
        self._answered = True
        if reason.is_failure:
            self.failure = f"it refuses the connection: {reason}"
            return
        self._generation += 1
        self._connected = True
        self.failure = ""
        if self._subscriptions:
            client.subscribe(self._subscriptions)
        if self._birth is not None:
            self._announce(self._birth)
        log.info("connected to MQTT broker %s", self.broker)
        self._changed.notify_all()

    def _announce(self, birth: Callable[[], Message]) -> None:
        try:
            message = birth()
            self._send(message.topic, message.payload, retain=True)
        except LiftError as error:
            log.error("cannot take back the last will at MQTT broker %s: %s", self.broker, error)  # noqa: TRY400

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _data: object,
        _flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        _props: Properties | None,
    ) -> None:
        if self._connected and not self._closing:
            self.failure = f"the connection is lost: {reason}"
            log.warning("MQTT broker %s: %s", self.broker, self.failure)
        self._connected = False
        self._lost.set()
        self._changed.notify_all()

    def _on_subscribe(
        self, _client: mqtt.Client, _data: object, _mid: int, reasons: list[ReasonCode], _props: Properties | None
    ) -> None:
        refused = [topic for (topic, _), reason in zip(self._subscriptions, reasons, strict=False) if reason.is_failure]
        if refused:
            self.failure = f"it refuses the subscription to {', '.join(refused)}"
            log.error("MQTT broker %s: %s", self.broker, self.failure)

    def _on_publish(
        self, _client: mqtt.Client, _data: object, mid: int, reason: ReasonCode, _props: Properties | None
    ) -> None:
        if reason.is_failure:
            log.error("MQTT broker %s refuses a message: %s", self.broker, reason)
        self._unacknowledged.discard(mid)

    # ---------------------------------------------------------------------------------- the keeper

    def _keep(self) -> None:
        """Connect whenever there is no connection, and look after the one there is."""
        pause = RECONNECT_FIRST_S
        while not self._closing:
            began = time.monotonic()
            if self._connect():
                self._attend()
            lasted = time.monotonic() - began
            pause = RECONNECT_FIRST_S if lasted > STEADY_S else min(2 * pause, RECONNECT_MOST_S)
            self._lost.clear()
            if not self._closing:
                self._lost.wait(pause * self._spread)

    def _attend(self) -> None:
        """Turn the loop while nobody else does, until the connection is lost."""
        while self._client.socket() is not None and not self._closing:
            self._lost.wait(KEEPER_TURN_S)
            self._lost.clear()
            with self._changed:
                if time.monotonic() - self._turned_at >= KEEPER_TURN_S and not self._closing:
                    self._turn(self._inbox_max)

    def _connect(self) -> bool:
        """Make one attempt of at most CONNECT_WITHIN_S after the network's own; True when it succeeded."""
        before = self.failure
        try:
            self._client.dial()
            with self._changed:
                if self._closing:
                    self._client.hang_up()
                    return False
                deadline = time.monotonic() + CONNECT_WITHIN_S
                self._answered = False
                self._client.reconnect()
                while self._client.socket() is not None and not self._connected and not self._closing:
                    if not self._progress(deadline):
                        self.failure = f"no answer within {CONNECT_WITHIN_S:g} s"
                        self._client.hang_up()
                        break
                else:
                    if not self._answered and not self._closing:
                        # With TLS 1.3 a server looks at our certificate only after we think that all is well.
                        self.failure = "it hangs up before it answers; over TLS it may want a certificate it knows"
        except (OSError, ValueError) as error:
            self.failure = str(error)
        if not self._connected and self.failure != before:
            log.warning("MQTT broker %s: %s", self.broker, self.failure)
        return self._connected


def _parse(url: str) -> tuple[bool, str, int, MQTTProtocolVersion]:
    """Take a broker's address apart; raises Invalid naming what is wrong with it."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise Invalid("url", f"{url!r} is not mqtt://host[:port] or mqtts://host[:port]")
    if parts.username is not None or parts.password is not None:
        raise Invalid("url", "user name and password have settings of their own; an address gets logged")
    try:
        port = parts.port or PORTS[parts.scheme]
    except ValueError as error:
        raise Invalid("url", f"{url!r}: {error}") from error
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    version = options.pop("version", "3.1.1")
    if options or version not in VERSIONS:
        raise Invalid("url", f"{url!r}: after ? only version={' or version='.join(VERSIONS)} is accepted")
    return parts.scheme == "mqtts", parts.hostname, port, VERSIONS[version]


def _set_tls(client: Client, ca: str | None, cert: str | None, key: str | None) -> None:
    try:
        client.tls_set(ca, cert, key)
    except (OSError, ValueError) as error:
        raise Invalid("ca, cert, key", f"{ca}, {cert}, {key}: {error}") from error


def _aim(client: Client, host: str, port: int, keep_alive_s: int, version: MQTTProtocolVersion) -> None:
    if version is MQTTProtocolVersion.MQTTv5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        client.connect_async(host, port, keep_alive_s, clean_start=False, properties=properties)
    else:
        client.connect_async(host, port, keep_alive_s)
