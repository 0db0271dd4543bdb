"""A gateway gone mad, in a process of its own: it writes to the broker's socket as fast as that is read.

Usage: python -m tests.unit.ingest.mad HOST PORT GATEWAY LIFT MESSAGES. Speaks just enough MQTT 3.1.1 for that.
"""

import random
import socket
import sys
import threading
import time

import orjson

from lift import topics
from lift.batch import from_rows
from lift.wire import Stamp, arrow


def main() -> None:
    """Publish once, at QoS 1, and leave when the last message is acknowledged."""
    host, port, gateway, lift, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
    topic = topics.topic(gateway, topics.TELEMETRY).encode()
    now = time.time_ns() // 1000
    chance = random.Random(96_333)
    flood = b"".join(_publish(topic, seq, _payload(chance, lift, now, seq)) for seq in range(1, count + 1))
    with socket.create_connection((host, port)) as wire:
        name = f"mad-{gateway}".encode()
        wire.sendall(_packet(0x10, b"\0\4MQTT\4\2\0\0" + _text(name)))
        answers = threading.Thread(target=_listen, args=(wire, 4 + 4 * count))
        answers.start()
        wire.sendall(flood)
        answers.join(120)
        wire.sendall(_packet(0xE0, b""))


def _payload(chance: random.Random, lift: str, now: int, seq: int) -> bytes:
    """Give sense and nonsense in turn: numbered Arrow and JSON of one reading, random bytes, now and then many."""
    if seq % 400 == 2:
        return b"\xff\xff\xff\xff" + chance.randbytes(200_000)
    if seq % 4 == 0:
        return chance.randbytes(200)
    if seq % 4 == 1:
        return arrow.encode(from_rows([{"lift": lift, "at": now + seq, "passenger": 0}]), Stamp("mad", seq))
    reading = {"lift": lift, "at": (now + seq) / 1000, "passenger": 0}
    return orjson.dumps({"epoch": "mad", "seq": seq, "readings": [reading]})


def _publish(topic: bytes, seq: int, payload: bytes) -> bytes:
    return _packet(0x32, _text(topic) + (seq % 65_535 + 1).to_bytes(2, "big") + payload)


def _text(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text


def _packet(kind: int, body: bytes) -> bytes:
    length, spelled = len(body), bytearray()
    while True:
        length, low = divmod(length, 128)
        spelled.append(low | (128 if length else 0))
        if not length:
            return bytes([kind, *spelled]) + body


def _listen(wire: socket.socket, wanted: int) -> None:
    """Read the broker's acknowledgements, so that it need not keep them."""
    while wanted > 0 and (part := wire.recv(1 << 16)):
        wanted -= len(part)


if __name__ == "__main__":
    main()
