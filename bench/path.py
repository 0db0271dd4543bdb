"""The whole path: broker, ingest, all rules, store. Ours on both encodings, against the two plain subscribers."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from bench.processes import Server, Worker, running
from tests import servers

# Telemetry floods here; mosquitto must not drop what its slow reader has not fetched yet.
BROKER = "max_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\n"
WITHIN_S = 300.0


def ours(encoding: str, lifts: int, seconds: int) -> dict[str, Any]:
    """Measure `liftwatch serve` from the first message published to the last reading durably stored."""
    with tempfile.TemporaryDirectory() as folder, servers.mosquitto(BROKER) as broker:
        url = f"mqtt://{broker.host}:{broker.port}?version=5"
        publisher = Worker("bench.publisher", url, encoding, lifts, seconds)
        with running(publisher):
            load = publisher.hear()
            server = Server(Path(folder), lifts, url)
            with running(server):
                return _measure(publisher, server, load, lifts * seconds)


def _measure(publisher: Worker, server: Server, load: dict[str, Any], readings: int) -> dict[str, Any]:
    cpu = server.cpu_s()
    publisher.go()
    memory, took_s = _until_stored(server, readings, time.monotonic())
    cpu = server.cpu_s() - cpu
    counters = server.api.figures()
    return {
        "readings": readings,
        "messages": load["messages"],
        "readings_a_second": readings / took_s,
        "messages_a_second": load["messages"] / took_s,
        "megabytes_a_second": load["bytes"] / took_s / 1e6,
        "server_cpu_us_a_reading": cpu / readings * 1e6,
        "publisher_cpu_s": publisher.hear()["cpu_s"],
        "memory_mb": memory,
        "stored": counters["liftwatch_readings_stored_total"],
        "judged": counters["liftwatch_engine_readings_total"],
        "took_s": took_s,
    }


def _until_stored(server: Server, readings: int, started: float) -> tuple[list[float], float]:
    """Wait until all is stored; gives the memory at each tenth of the way, and how long it took."""
    memory: list[float] = []
    stored = 0.0
    while time.monotonic() - started < WITHIN_S:
        stored = server.api.figures().get("liftwatch_readings_stored_total", 0.0)
        took_s = time.monotonic() - started
        while len(memory) < int(10 * stored / readings):
            memory.append(round(server.memory_mb()))
        if stored >= readings:
            return memory, took_s
        time.sleep(0.3)
    message = f"only {stored:,.0f} of {readings:,} readings stored within {WITHIN_S:.0f} s"
    raise TimeoutError(message)


def theirs(kind: str, lifts: int, seconds: int) -> dict[str, Any]:
    """Measure a subscriber that does nothing (bare), or the plain loop, on one JSON reading a message."""
    with servers.mosquitto(BROKER) as broker:
        url = f"mqtt://{broker.host}:{broker.port}?version=5"
        publisher = Worker("bench.publisher", url, "json", lifts, seconds)
        with running(publisher):
            wanted = publisher.hear()["messages"]
            subscriber = Worker("bench.subscribers", kind, broker.host, broker.port, wanted)
            with running(subscriber):
                subscriber.hear()
                publisher.go()
                started = time.monotonic()
                heard = subscriber.hear()
                took_s = time.monotonic() - started
        assert heard["messages"] == wanted, f"{kind} got {heard['messages']} of {wanted}"
        return {
            "messages": wanted,
            "messages_a_second": wanted / took_s,
            "readings_a_second": wanted / took_s,
            "cpu_us_a_message": heard["cpu_s"] / wanted * 1e6,
            "took_s": took_s,
        }
