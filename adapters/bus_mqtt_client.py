"""A paho client that its owner drives, made fast where a busy subscriber spends its time.

paho reads a packet with three system calls and builds an object with a lock of its own for each message. Here
one read takes what there is, messages are cut straight out of it, and their acknowledgements leave in one
write; every other packet, and the whole protocol around them, stays paho's. Measured with 300-byte messages
from mosquitto: 3 to 6 µs of processor time for each, where paho alone takes 24.
"""

from __future__ import annotations

import ssl
import struct
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

# One read takes some 800 JSON readings, or a whole Arrow message of 2,000 lifts.
READ_BYTES: Final = 256 * 1024

_PUBLISH: Final = 0x30
_TYPE: Final = 0xF0
_QOS: Final = 0x06
_QOS_1: Final = 0x02
_QOS_2: Final = 0x04
_MORE: Final = 0x80
_LENGTH_BYTES_MAX: Final = 4
_PUBACK_HEAD: Final = 0x4002  # a PUBACK whose rest is the two bytes of the message's number


class Arrival(NamedTuple):
    """A message as it came. `mid` is what an acknowledgement names, 0 for a message that wants none."""

    topic: str
    payload: bytes
    mid: int


class Malformed(Exception):
    """The broker sent what is not MQTT."""


class Wire:
    """A socket with one buffer, from which messages are cut and paho reads the rest."""

    def __init__(self, inner: mqtt.SocketLike, *, properties: bool) -> None:
        self._inner = inner
        self._properties = properties
        self._held = b""
        self._position = 0
        # What has come of a packet that is not complete yet; joined once, when it is.
        self._parts: list[bytes] = []
        self._missing = 0

    # ------------------------------------------------------------------- what paho asks of a socket

    def recv(self, buffer_size: int) -> bytes:
        """Give bytes of a packet that `waiting` has found complete."""
        start = self._position
        self._position = min(start + buffer_size, len(self._held))
        if start == self._position:
            raise BlockingIOError
        return self._held[start : self._position]

    def send(self, buffer: bytes | bytearray) -> int:
        """Pass bytes on."""
        return self._inner.send(buffer)

    def close(self) -> None:
        """Close the socket."""
        self._inner.close()

    def fileno(self) -> int:
        """Give the system's number of the socket."""
        return self._inner.fileno()

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - paho's own signature
        """Pass the choice on."""
        self._inner.setblocking(flag)

    # ------------------------------------------------------------------------------- what we ask

    def fill(self) -> None:
        """Read once; raises OSError (BlockingIOError, SSLWantReadError: nothing there now) or EOFError."""
        part = self._inner.recv(max(READ_BYTES, self._missing))
        if not part:
            raise EOFError
        self._parts.append(part)
        self._missing -= len(part)
        if self._missing <= 0:
            self._held = b"".join((self._held[self._position :], *self._parts))
            self._position = 0
            self._parts.clear()
            self._missing = 0

    def cut(self, most: int) -> list[Arrival]:
        """Give up to `most` messages from the front of what has been read, up to another kind of packet.

        QoS 2 does not come: we subscribe at QoS 1.
        """
        arrivals: list[Arrival] = []
        while len(arrivals) < most and (bounds := self._next()) is not None:
            body, end = bounds
            head = self._held[self._position]
            if head & _TYPE != _PUBLISH or head & _QOS >= _QOS_2:
                break
            arrivals.append(self._arrival(body, end, acknowledged=bool(head & _QOS_1)))
            self._position = end
        return arrivals

    def waiting(self) -> bool:
        """Whether a complete packet has been read and not taken."""
        return self._next() is not None

    def _next(self) -> tuple[int, int] | None:
        """Give where the next packet's body begins and ends, None when it has not all come."""
        held, at = self._held, self._position
        have = len(held) - at
        if have < 2 or self._missing > 0:  # noqa: PLR2004 - no packet is shorter
            return None
        length, body, shift = held[at + 1] & ~_MORE, at + 2, 7
        while held[body - 1] & _MORE:
            if body - at > _LENGTH_BYTES_MAX:
                raise Malformed
            if body == len(held):
                return None
            length |= (held[body] & ~_MORE) << shift
            body, shift = body + 1, shift + 7
        end = body + length
        if end > len(held):
            self._missing = end - len(held)
            return None
        return body, end

    def _arrival(self, body: int, end: int, *, acknowledged: bool) -> Arrival:
        held = self._held
        if end - body < 2:  # noqa: PLR2004 - the two bytes of the topic's length
            raise Malformed
        at = body + 2 + (held[body] << 8 | held[body + 1])
        topic = held[body + 2 : at].decode("utf-8", "replace")
        mid = 0
        if acknowledged:
            mid = int.from_bytes(held[at : at + 2], "big")
            at += 2
        if self._properties and at < end:
            # MQTT 5: a length, in the same spelling as a packet's, and properties that mean nothing to us.
            length, shift = held[at] & ~_MORE, 7
            while held[at] & _MORE and at + 1 < end:
                at += 1
                length |= (held[at] & ~_MORE) << shift
                shift += 7
            at += 1 + length
        if at > end:
            raise Malformed
        return Arrival(topic, held[at:end], mid)


class Client(mqtt.Client):
    """A paho client without a thread: its owner dials, reads with `take` and writes with `loop_write`."""

    def __init__(self, client_id: str, version: MQTTProtocolVersion) -> None:
        self._version5 = version is MQTTProtocolVersion.MQTTv5
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            # MQTT 5 has no such flag: there the session's expiry says it.
            clean_session=None if self._version5 else False,
            protocol=version,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        # The bus's own window bounds both. paho's forgets its limit at a reconnection and can then stall for good.
        self.max_inflight_messages = 0
        self.max_queued_messages = 0
        # Its presence tells paho that writing is the owner's: an acknowledgement costs no write of its own.
        self.on_socket_register_write = lambda _client, _data, _socket: None
        self._wire: Wire | None = None

    def dial(self) -> None:
        """Open the next connection's socket for `reconnect`; may take seconds and raise OSError, so hold no lock."""
        self._wire = Wire(super()._create_socket(), properties=self._version5)

    def _create_socket(self) -> mqtt.SocketLike:
        assert self._wire is not None, "dial first"
        return self._wire

    def take(self, most: int) -> list[Arrival]:
        """Give up to `most` messages without waiting, and let paho handle whatever else arrives between them."""
        arrivals: list[Arrival] = []
        try:
            while len(arrivals) < most and (wire := self._wire) is not None and self.socket() is not None:
                cut = wire.cut(most - len(arrivals))
                if cut:
                    arrivals += cut
                    self.heard()
                elif wire.waiting():
                    # Not loop_read, which would take several packets and messages among them.
                    self._loop_rc_handle(self._packet_read())
                else:
                    wire.fill()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except (OSError, EOFError):
            self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        except Malformed:
            self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_PROTOCOL)
        return arrivals

    def acknowledge(self, mids: Sequence[int]) -> None:
        """Queue the PUBACKs of many messages as one write."""
        packets = struct.pack(f"!{2 * len(mids)}H", *(half for mid in mids for half in (_PUBACK_HEAD, mid)))
        self._packet_queue(mqtt.PUBACK, packets, mids[-1], 1)

    def heard(self) -> None:
        """Count the broker as alive: it has spoken, or it could not because we do not listen."""
        with self._msgtime_mutex:
            self._last_bytes_received = time.monotonic()
        self._ping_t = 0.0

    def hang_up(self) -> None:
        """Drop the connection without a word."""
        self._sock_close()
        if self._wire is not None:
            self._wire.close()  # dialled, and perhaps never handed to paho
