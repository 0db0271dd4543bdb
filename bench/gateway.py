"""A gateway alone: readings a second to its disk, and what its process takes of a machine at one sample a second.

The samples come from a simulated city in an ordinary evening, made beforehand; the broker is a real mosquitto on
loopback, and a stand-in for the platform sends receipts. Trips are not in it.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table

from adapters.bus_mqtt import MqttBus
from adapters.clock import SystemClock
from bench.processes import Worker, running
from bench.site import AGE_US, NAME, SPOOL_BYTES
from gateway.gateway import Gateway
from gateway.spool import Spool
from lift import topics
from lift.batch import Batch
from lift.wire import Stamp, arrow
from tests import servers

SIZES: Final = (8, 200, 2_000)
SITES: Final = (8, 200)
BAR_READINGS_A_SECOND: Final = 50_000
_SECONDS_KEPT: Final = 60


def run(quick: bool) -> dict[str, Any]:  # noqa: FBT001
    """Measure both."""
    result: dict[str, Any] = {"spool": {}, "process": {}}
    table = Table("lifts a batch", "readings/s of one core", "by the clock", "bytes a reading", title="to the disk")
    for lifts in SIZES:
        one = result["spool"][lifts] = _to_disk(lifts, 20_000 if quick else 300_000)
        table.add_row(
            f"{lifts:,}",
            f"{one['readings_a_cpu_second']:,.0f}",
            f"{one['readings_a_second']:,.0f}",
            f"{one['bytes_a_reading']:.0f}",
        )
    Console().print(table)
    Console().print(f"bar: {BAR_READINGS_A_SECOND:,} readings/s")
    table = Table("lifts", "CPU, % of a core", "memory, MB", "reported, %", "spool holds, h", title="a sample a second")
    for lifts in SITES:
        one = result["process"][lifts] = _process(lifts, 8 if quick else 60)
        table.add_row(
            f"{lifts:,}",
            f"{one['cpu_percent']:.1f}",
            f"{one['memory_mb']:.0f}",
            f"{one['reported_percent']:.0f}",
            f"{one['hours_held']:.0f}",
        )
    Console().print(table)
    return result


def _samples(lifts: int, seconds: int) -> list[Batch]:
    """Give seconds of a city in the evening, one lift after another."""
    # Imported here: a gateway's own process has no simulator in its memory.
    from bench.load import SEED  # noqa: PLC0415
    from simulator.city import build_city  # noqa: PLC0415
    from simulator.simulation import Simulation  # noqa: PLC0415

    evening = 1_795_000_000_000_000
    simulation = Simulation(build_city(lifts=lifts, seed=SEED, gateways=1), seed=SEED, start=evening)
    for _ in range(600):  # until people are about
        simulation.live()
    return [simulation.step() for _ in range(seconds)]


def _to_disk(lifts: int, readings: int) -> dict[str, float]:
    """Accept batches as fast as it goes, until every one is on the disk."""
    batches = _samples(lifts, _SECONDS_KEPT)
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder) / "s.db", bytes_max=SPOOL_BYTES, age_max_us=AGE_US, fresh_epoch="bench")
        gateway = Gateway(NAME, _NoLine(), spool, SystemClock())
        count = -(-readings // lifts)
        began, began_cpu = time.perf_counter(), time.process_time()
        for turn in range(count):
            gateway.accept(batches[turn % len(batches)])
        gateway.flush()
        cpu_s, wall_s = time.process_time() - began_cpu, time.perf_counter() - began
        written = spool.counts.accepted
        assert written == count * lifts, "every reading is on the disk"
        size = spool.pending.bytes
        spool.close()
    return {
        "readings_a_cpu_second": written / cpu_s,
        "readings_a_second": written / wall_s,
        "bytes_a_reading": size / written,
    }


def _process(lifts: int, seconds: int) -> dict[str, float]:
    """Run a gateway in a process of its own against a real broker."""
    with tempfile.TemporaryDirectory() as folder, servers.mosquitto() as broker:
        url = f"mqtt://{broker.host}:{broker.port}"
        samples = [arrow.encode(batch) for batch in _samples(lifts, seconds)]
        file = Path(folder) / "samples"
        file.write_bytes(b"".join(len(one).to_bytes(4, "little") + one for one in samples))
        platform = _Platform(url)
        platform.start()
        site = Worker("bench.site", folder, url)
        with running(site):
            heard = site.hear()
        platform.stop.set()
        platform.join()
        return {**heard, "received_readings": platform.readings}


class _Platform(threading.Thread):
    """Sends a receipt for whatever arrives."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._bus = MqttBus(url, client_id="bench-platform", subscribe=[topics.topic(NAME, topics.TELEMETRY)])
        self.readings = 0
        self.stop = threading.Event()

    def run(self) -> None:
        """Receive, receipt, acknowledge."""
        while not self.stop.is_set():
            messages = self._bus.receive(wait_s=0.2, most=100)
            for message in messages:
                frame = arrow.decode(message.payload)
                self.readings += len(frame.batch)
                if isinstance(frame.stamp, Stamp):
                    stored = [[frame.stamp.seq, frame.stamp.seq]]
                    receipt = orjson.dumps({"epoch": frame.stamp.epoch, "stored": stored})
                    self._bus.publish(topics.topic(NAME, topics.RECEIPT), receipt)
            self._bus.done(messages)
        self._bus.close()


class _NoLine:
    """A bus whose broker is away."""

    connected = False

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Take a message nowhere."""

    def receive(self, *, wait_s: float, most: int) -> list[Any]:  # noqa: ARG002 - the port's own names
        """Give nothing."""
        return []

    def done(self, messages: Any) -> None:  # noqa: ANN401 - as above
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
