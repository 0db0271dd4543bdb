"""A gateway gone mad is held to its rate and named, and delays nobody else's emergencies: on a real broker."""

import logging
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from adapters.bus_mqtt import MqttBus
from adapters.clock import SystemClock
from adapters.records_sql import SqlRecords
from ingest import share
from ingest.ledger import STRANGERS
from ingest.pipeline import SUBSCRIPTIONS, Ingest
from lift import topics
from lift.batch import Batch
from lift.fleet import Fleet
from lift.signals import ALARM_BUTTON
from tests import servers
from tests.small_city import lift
from tests.unit.ingest.line import Store

# A gateway of one lift may send 10 readings a second, and here 600 at once; its lift has one a second to say.
BURST = 600
FLOOD = 8_000
EMERGENCIES = 40


@dataclass
class Scene:
    """An ingest at work in a thread, and when each emergency reached the alarm path, by its time."""

    broker: servers.Server
    ingest: Ingest
    records: SqlRecords
    names: dict[str, str]
    seen: dict[int, float]

    def mad(self, gateway: str, messages: int) -> list[str]:
        """Give the command that makes a gateway go mad."""
        host, port = self.broker.host, str(self.broker.port)
        return [sys.executable, "-m", "tests.unit.ingest.mad", host, port, gateway, "000001", str(messages)]

    def figure(self, name: str, gateway: str) -> float:
        """Give one gateway's figure of /metrics."""
        found = (one.samples for one in self.ingest.metrics() if one.name == name)
        return sum(value for samples in found for labels, value in samples if labels["gateway"] == gateway)


@pytest.fixture
def scene(mosquitto: servers.Server, tmp_path: Path) -> Iterator[Scene]:
    """Set up ingest on mosquitto, with gateways that nobody else uses there."""
    run = uuid.uuid4().hex[:8]
    names = {name: f"{name}-{run}" for name in ("mad", "good", "stranger")}
    url = f"mqtt://{mosquitto.host}:{mosquitto.port}"
    fleet = Fleet([lift("000001", gateway=names["mad"]), lift("000002", gateway=names["good"])])
    subscriptions = [one.replace("+", name) for one in SUBSCRIPTIONS for name in names.values()]
    with (
        closing(SqlRecords(f"sqlite:///{tmp_path}/records.db")) as records,
        closing(MqttBus(url, client_id=f"ingest-{run}", subscribe=subscriptions)) as bus,
    ):
        seen: dict[int, float] = {}

        def judge(batch: Batch) -> None:
            """Be the alarm path: note when each emergency is here, by its own time."""
            for at in batch.at[batch.column(ALARM_BUTTON) == 1].tolist():
                seen[at] = time.time() - at / 1e6

        ingest = Ingest(
            bus=bus,
            telemetry=Store(),
            records=records,
            clock=SystemClock(),
            fleet=fleet,
            on_batch=judge,
            burst_per_lift=BURST,
        )
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                ingest.step(wait_s=0.1)

        worker = threading.Thread(target=work)
        worker.start()
        try:
            yield Scene(mosquitto, ingest, records, names, seen)
        finally:
            stop.set()
            worker.join(10)
            ingest.close(within_s=10)


def wait_until(reached: object, within_s: float = 30) -> bool:
    """Wait until something is so."""
    assert callable(reached)
    deadline = time.monotonic() + within_s
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.integration
def test_a_mad_gateway_delays_nobody_elses_emergency(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of times its rate, some of it nonsense: others are judged within a second, and the books balance."""
    caplog.set_level(logging.WARNING)
    mad, good = scene.names["mad"], scene.names["good"]
    assert wait_until(lambda: scene.ingest.connected)
    flood = subprocess.Popen(scene.mad(mad, FLOOD))
    with closing(MqttBus(f"mqtt://{scene.broker.host}:{scene.broker.port}", client_id=good)) as bus:
        assert wait_until(lambda: bus.connected)
        assert wait_until(lambda: scene.figure("liftwatch_readings_received_total", mad) > 0)
        sent = 0
        while flood.poll() is None or sent < EMERGENCIES:
            at = time.time_ns() // 1_000_000
            body = orjson.dumps({"lift": "000002", "at": at, "alarm_button": 1})
            bus.publish(topics.topic(good, topics.TELEMETRY), body)
            sent += 1
            flood_over = flood.poll() is not None
            time.sleep(0.01 if flood_over else 0.05)
        assert flood.wait(60) == 0
        assert wait_until(lambda: len(scene.seen) == sent)
    # The one promise about time that is tested: it is what the gate is for.
    assert max(scene.seen.values()) < 1.0
    assert wait_until(lambda: scene.figure("liftwatch_readings_stored_total", good) == sent)
    assert scene.figure("liftwatch_gateway_limited_total", mad) > FLOOD / 2
    assert scene.figure("liftwatch_gateway_limited_total", good) == 0
    assert scene.figure("liftwatch_readings_received_total", mad) < FLOOD / 2
    assert wait_until(lambda: mad in scene.ingest.limited)
    with scene.records.read() as tx:
        kept = [item for item in tx.quarantined(most=1000) if item.gateway == mad]
    assert len(kept) <= share.MESSAGES_AN_HOUR
    assert [mad in record.message for record in caplog.records if "sends more than" in record.message] == [True]
    for ledger in scene.ingest._ledgers.values():
        assert not ledger.snapshot()["missing"].any()


@pytest.mark.integration
def test_strangers_cost_little_and_are_named_together(scene: Scene) -> None:
    """Whoever is not in the register is refused; names from outside become no lines of their own."""
    assert wait_until(lambda: scene.ingest.connected)
    assert subprocess.run(scene.mad(scene.names["stranger"], 3000), timeout=60, check=False).returncode == 0
    assert wait_until(lambda: scene.figure("liftwatch_gateway_limited_total", STRANGERS) > 0)
    received = scene.figure("liftwatch_readings_received_total", STRANGERS)
    assert 0 < received == scene.figure("liftwatch_readings_refused_total", STRANGERS)
    assert scene.figure("liftwatch_readings_received_total", scene.names["stranger"]) == 0
