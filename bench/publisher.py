"""A publisher in a process of its own: encodes first, says so, then publishes as fast as the broker takes it.

Usage: python -m bench.publisher URL arrow|json LIFTS SECONDS. Prints the number of messages and their bytes,
waits for a line on standard input, publishes, and prints how long that took.
"""

from __future__ import annotations

import os
import sys
import time

import orjson

from adapters.bus_mqtt import MqttBus
from bench import load

_WINDOW = {"arrow": 200, "json": 5000}


def main() -> None:
    """Publish once."""
    url, encoding, lifts, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    messages = list((load.arrow_messages if encoding == "arrow" else load.json_messages)(lifts, count))
    bus = MqttBus(url, client_id=f"bench-publisher-{os.getpid()}", inflight_max=_WINDOW[encoding], publish_wait_s=120)
    while not bus.connected:
        bus.receive(wait_s=0.05, most=1)
    _say({"messages": len(messages), "bytes": sum(len(message.payload) for message in messages)})
    sys.stdin.readline()
    started, cpu = time.monotonic(), time.process_time()
    # The last second is of now: readings from the future are refused, and what is long ago counts as lost contact.
    begin = time.time_ns() // 1000 - count * load.SECOND
    for message in messages:
        bus.publish(message.topic, message.stamped(begin + message.second * load.SECOND))
    bus.close()
    _say({"wall_s": time.monotonic() - started, "cpu_s": time.process_time() - cpu})


def _say(what: dict[str, float]) -> None:
    sys.stdout.write(orjson.dumps(what).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
