"""The two subscribers that ours is compared with, each in a process of its own.

Usage: python -m bench.subscribers bare|plain HOST PORT MESSAGES. `bare` is a paho client that does nothing with
what it gets. `plain` is the loop one writes first: paho's callback, `json`, one rule in Python, one insert a
reading. Prints "ready", then the seconds from the first message to the last, and the CPU they took.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
import orjson
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from lift import topics
from lift.signals import SIGNALS


class Subscriber:
    """Counts messages on paho's own thread, as its documentation shows it."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.count = 0
        self.first = self.last = 0.0
        self.done = threading.Event()

    def on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        """Take one message."""
        if not self.count:
            self.first = time.monotonic()
        self.handle(bytes(message.payload))
        self.count += 1
        self.last = time.monotonic()
        if self.count >= self.wanted:
            self.done.set()

    def handle(self, payload: bytes) -> None:
        """Do nothing."""


class PlainLoop(Subscriber):
    """Does by hand, a reading at a time, a small part of what ingest and the engine do."""

    def __init__(self, wanted: int) -> None:
        super().__init__(wanted)
        self.folder = tempfile.TemporaryDirectory()
        self.store = duckdb.connect(str(Path(self.folder.name) / "plain.duckdb"))
        columns = ", ".join(f"{signal.name} DOUBLE" for signal in SIGNALS)
        self.store.execute(f'CREATE TABLE telemetry (lift VARCHAR, "at" VARCHAR, {columns})')
        self.insert = f"INSERT INTO telemetry VALUES (?, ?{', ?' * len(SIGNALS)})"  # noqa: S608 - our own names
        self.since: dict[str, str] = {}
        self.alarms = 0

    def handle(self, payload: bytes) -> None:
        """Parse, ask one rule, insert one row."""
        reading: dict[str, Any] = json.loads(payload)
        lift = reading["lift"]
        if reading.get("car_status") == 0 and reading.get("door_zone") == 0 and reading.get("passenger") == 1:
            self.alarms += self.since.setdefault(lift, reading["at"]) < reading["at"]
        else:
            self.since.pop(lift, None)
        self.store.execute(self.insert, [lift, reading["at"], *(reading.get(signal.name) for signal in SIGNALS)])


def main() -> None:
    """Subscribe once, count to the end, print."""
    kind, host, port, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    subscriber = PlainLoop(wanted) if kind == "plain" else Subscriber(wanted)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"bench-{kind}", clean_session=True)
    client.on_message = subscriber.on_message
    client.on_subscribe = lambda *_: _say({"ready": 1})
    client.connect(host, port)
    client.subscribe(topics.topic("+", topics.TELEMETRY), qos=1)
    client.loop_start()
    subscriber.done.wait(300)
    _say({"messages": subscriber.count, "wall_s": subscriber.last - subscriber.first, "cpu_s": time.process_time()})


def _say(what: dict[str, float]) -> None:
    sys.stdout.write(orjson.dumps(what).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
