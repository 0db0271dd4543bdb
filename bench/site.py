"""A gateway in a process of its own, with nothing else in its memory: `python -m bench.site FOLDER BROKER`.

Takes the samples of the file `samples` in the folder, a second each, and writes a line of what that took.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Final

import orjson

from adapters.bus_mqtt import MqttBus
from adapters.clock import SystemClock
from gateway.edge import Edge
from gateway.gateway import Gateway, birth, last_will
from gateway.memory import Memory
from gateway.spool import Spool
from lift.wire import arrow

NAME: Final = "bench"
SPOOL_BYTES: Final = 1 << 30
AGE_US: Final = 7 * 24 * 3600 * 1_000_000
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def be_a_site(folder: Path, url: str) -> None:
    """Be the gateway process: a sample of each lift a second, and in the end a line of what that took."""
    samples = _read(folder / "samples")
    clock = SystemClock()
    spool = Spool(folder / "s.db", bytes_max=SPOOL_BYTES, age_max_us=AGE_US, fresh_epoch="bench")
    status = birth(NAME, spool, clock, version="bench")
    subscribe = Gateway.subscriptions(NAME)
    bus = MqttBus(url, client_id=NAME, subscribe=subscribe, will=last_will(NAME), on_connect_publish=status)
    gateway = Gateway(NAME, bus, spool, clock)
    edge = Edge(arrow.decode(samples[0]).batch.names, gateway, Memory(folder / "memory.db"), clock)
    stop = threading.Event()
    pump = threading.Thread(target=gateway.run, args=(stop,))
    pump.start()
    for payload in samples[:2]:
        edge.take(arrow.decode(payload).batch)
    began, began_cpu = time.monotonic(), time.process_time()
    for second, payload in enumerate(samples[2:], 1):
        edge.take(arrow.decode(payload).batch)
        time.sleep(max(0.0, began + second - time.monotonic()))
    cpu_s, wall_s = time.process_time() - began_cpu, time.monotonic() - began
    figures = {metric.name: metric.samples[0][1] for metric in [*edge.metrics(), *gateway.metrics()]}
    hours = spool.hours_left(clock.now())
    stop.set()
    pump.join()
    gateway.close()
    bus.close()
    told = {
        "lifts": edge.tell()["lifts"],
        "seconds": wall_s,
        "cpu_percent": 100.0 * cpu_s / wall_s,
        "memory_mb": int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 1e6,
        "memory_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "reported_percent": 100.0
        * figures["liftwatch_gateway_reports_total"]
        / figures["liftwatch_gateway_samples_total"],
        "accepted_readings": figures["liftwatch_gateway_readings_accepted_total"],
        "hours_held": hours,
    }
    spool.close()
    sys.stdout.buffer.write(orjson.dumps(told) + b"\n")


def _read(file: Path) -> list[bytes]:
    content, found, at = file.read_bytes(), [], 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "little")
        found.append(content[at + 4 : at + 4 + size])
        at += 4 + size
    return found


if __name__ == "__main__":
    be_a_site(Path(sys.argv[1]), sys.argv[2])
