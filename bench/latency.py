"""Sensor to eye: from `publish` in a gateway to the event in a dispatcher's stream, under a city's steady load."""

from __future__ import annotations

import tempfile
import threading
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from adapters.bus_mqtt import MqttBus
from bench import load
from bench.path import BROKER
from bench.processes import Server, running
from lift import topics
from lift.codes import Code, bit
from lift.wire import Stamp, arrow
from simulator.city import City
from simulator.simulation import Simulation
from tests import servers

# The rule under test waits this long by itself: the controller's own report of an entrapment.
RULE = "controller_reported_11"
RULE_DELAY_S = 5.0
_REPORTED_FOR_S = 12


class _Stream(threading.Thread):
    """A dispatcher's event stream: notes when each alarm of the rule arrives."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.arrived: dict[str, float] = {}
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.api.port}/v1/events",
            headers={"Authorization": f"Bearer {server.api.token}"},
        )
        self._answer = urllib.request.urlopen(request, timeout=60)  # noqa: S310 - loopback

    def run(self) -> None:
        """Read until the server ends."""
        for line in self._answer:
            if line.startswith(b"data: "):
                event = orjson.loads(line[6:])
                if event.get("kind") == "alarm.raised" and event["data"]["rule"] == RULE:
                    self.arrived.setdefault(event["lift"], time.time())


def measure(lifts: int, seconds: int, alarms_a_second: float = 4.0) -> dict[str, Any]:
    """Run a city for some seconds at one reading a lift and second; gives latencies beyond the rule's delay."""
    city = load.city_of(lifts)
    with tempfile.TemporaryDirectory() as folder, servers.mosquitto(BROKER) as broker:
        url = f"mqtt://{broker.host}:{broker.port}?version=5"
        server = Server(Path(folder), lifts, url)
        with running(server):
            stream = _Stream(server)
            stream.start()
            published = _publish(city, url, seconds, alarms_a_second)
            time.sleep(RULE_DELAY_S + 3)
            waited = [
                stream.arrived[lift] - at - RULE_DELAY_S for lift, at in published.items() if lift in stream.arrived
            ]
            counters = server.api.figures()
            return {
                "lifts": lifts,
                "alarms": len(published),
                "seen": len(waited),
                "p50_ms": float(np.percentile(waited, 50)) * 1e3,
                "p99_ms": float(np.percentile(waited, 99)) * 1e3,
                "worst_ms": max(waited) * 1e3,
                "received": counters["liftwatch_readings_received_total"],
                "memory_mb": server.memory_mb(),
            }


def _publish(city: City, url: str, seconds: int, alarms_a_second: float) -> dict[str, float]:
    """Publish at life's pace; now and then a controller begins to report an entrapment. Gives when each began."""
    bus = MqttBus(url, client_id="bench-city", inflight_max=500)
    chance = np.random.default_rng(load.SEED)
    simulation = Simulation(city, seed=load.SEED, start=time.time_ns() // 1000)
    reported = np.zeros(len(city), np.int64)
    published: dict[str, float] = {}
    share = alarms_a_second / len(city)
    started = time.monotonic()
    for second in range(1, seconds + 1):
        batch = simulation.step()
        begin = (
            (chance.random(len(city)) < share) & (reported == 0)
            if second <= seconds - _REPORTED_FOR_S
            else reported < 0
        )
        reported[begin] = second
        codes = np.zeros(len(batch), np.int64)
        codes[(reported > 0) & (second - reported < _REPORTED_FOR_S)] = bit(Code.ENTRAPMENT)
        gateways = list(city.by_gateway(batch))
        for number, (name, part) in enumerate(gateways):
            pause_s = started + second - 1 + number / len(gateways) - time.monotonic()
            if pause_s > 0:
                time.sleep(pause_s)
            now = time.time()
            stamped = replace(part, at=np.full(len(part), int(now * 1e6)), codes=codes[part.lift])
            bus.publish(topics.topic(name, topics.TELEMETRY), arrow.encode(stamped, Stamp("bench", second)))
            published |= {part.names[slot]: now for slot in part.lift[begin[part.lift]].tolist()}
    bus.close()
    return published
