"""Ingest over a real broker: what is receipted is stored, what is refused is kept, and alarms never wait."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.broker_amqtt import EmbeddedBroker
from adapters.bus_mqtt import MqttBus
from adapters.records_sql import SqlRecords
from adapters.telemetry_memory import MemoryTelemetry
from ingest import keeper
from ingest.pipeline import SUBSCRIPTIONS, Ingest
from ingest.replay import ReplayResult, replay
from lift import topics
from lift.batch import Batch, from_rows
from lift.errors import Unavailable
from lift.fleet import Fleet
from lift.ports import Quarantined, Stored
from lift.register import Lift
from lift.wire import Stamp, arrow
from tests import servers

NOW = 1_795_000_000_000_000
SECOND = 1_000_000


def make_lift(code: str, gateway: str) -> Lift:
    """Make a lift of which only code and gateway matter."""
    return Lift(
        rescue_code=code, registration_code=f"3110{code}", use_registration="", factory_number="", building_id="b",
        firm_id="f", gateway=gateway, make="", model="", installed="2020-01-01", rated_speed=1.75,
        rated_load_kg=1000, landings=20,
    )  # fmt: skip


FLEET = Fleet([make_lift("000001", "a"), make_lift("000002", "a")])


@dataclass
class Hands:
    """A clock that a test sets by hand."""

    at: int = NOW

    def now(self) -> int:
        """Tell the time."""
        return self.at


class Moody(MemoryTelemetry):
    """The real store in memory, behind a door that a test can shut or break."""

    def __init__(self) -> None:
        """Open the door."""
        super().__init__()
        self.open = threading.Event()
        self.open.set()
        self.mood: Exception | None = None

    def append(self, batch: Batch) -> Stored:
        """Store, unless the door is shut or the mood is bad."""
        self.open.wait(20)
        if self.mood is not None:
            raise self.mood
        return super().append(batch)


@dataclass
class Site:
    """An ingest, a broker and one gateway's end of the line."""

    ingest: Ingest
    bus: MqttBus
    store: Moody
    records: SqlRecords
    clock: Hands
    judged: list[dict[str, Any]] = field(default_factory=list)
    receipts: list[dict[str, Any]] = field(default_factory=list)

    def send(self, *readings: dict[str, Any], seq: int = 0, gateway: str = "a") -> None:
        """Publish readings, numbered when a number is given."""
        stamp = Stamp("e", seq) if seq else None
        self.bus.publish(topics.topic(gateway, topics.TELEMETRY), arrow.encode(from_rows(list(readings)), stamp))

    def until(self, reached: Callable[[], object]) -> bool:
        """Let ingest work until something is so; False after a bounded while."""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            self.ingest.step(wait_s=0.02)
            heard = self.bus.receive(wait_s=0.02, most=100)
            self.receipts += [orjson.loads(message.payload) for message in heard]
            self.bus.done(heard)
            if reached():
                return True
        return False

    @property
    def stored(self) -> list[dict[str, Any]]:
        """What the store holds."""
        return [row for batch in self.store.replay(start=0, end=2**60) for row in batch.rows()]

    def replay(self, item: Quarantined) -> ReplayResult:
        """Try a refused message again."""
        return replay(item.quarantine_id, telemetry=self.store, records=self.records, clock=self.clock, fleet=FLEET)

    def waiting(self) -> list[Any]:
        """Give what waits in quarantine."""
        with self.records.read() as tx:
            return tx.quarantined(waiting=True)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Set up the line on a free port."""
    broker = EmbeddedBroker("127.0.0.1", servers.free_port())
    broker.start()
    store, clock, judged = Moody(), Hands(), list[dict[str, Any]]()
    records = SqlRecords(f"sqlite:///{tmp_path / 'records.db'}")
    inbound = MqttBus(broker.url, client_id="ingest", subscribe=SUBSCRIPTIONS)
    gateway = MqttBus(broker.url, client_id="gateway", subscribe=[topics.topic("a", topics.RECEIPT)])
    ingest = Ingest(
        bus=inbound,
        telemetry=store,
        records=records,
        clock=clock,
        fleet=FLEET,
        on_batch=lambda batch: judged.extend(batch.rows()),
    )
    there = Site(ingest, gateway, store, records, clock, judged)
    assert there.until(lambda: inbound.connected and gateway.connected)
    yield there
    store.open.set()
    ingest.close(within_s=5)
    inbound.close()
    gateway.close()
    broker.stop()
    records.close()


def _judged(site: Site, count: int) -> bool:
    return len(site.judged) == count


def reading(lift: str = "000001", at: int = NOW, **signals: float) -> dict[str, Any]:
    """Make one reading."""
    return {"lift": lift, "at": at, **signals}


def test_a_receipt_names_only_what_the_store_has(site: Site) -> None:
    """While the store is busy nothing is receipted, yet the alarm path has seen the reading already."""
    site.store.open.clear()
    site.send(reading(passenger=1), seq=1)
    site.send(reading(at=NOW + 1, passenger=1), seq=2)
    assert site.until(lambda: len(site.judged) == 2)
    assert (site.receipts, site.stored) == ([], [])
    site.store.open.set()
    assert site.until(lambda: site.receipts)
    named = [tuple(span) for receipt in site.receipts for span in receipt["stored"]]
    assert site.until(lambda: len(site.stored) == 2)
    assert named in ([(1, 2)], [(1, 1), (2, 2)], [(1, 1)])


def test_a_store_that_refuses_costs_time_and_nothing_else(site: Site) -> None:
    """Readings wait while the store is away, health says so, and all is stored when it comes back."""
    site.store.mood = Unavailable("store", "disk full")
    site.send(reading(), seq=1)
    assert site.until(lambda: site.ingest.failing)
    assert site.receipts == []
    site.store.mood = None
    assert site.until(lambda: site.receipts)
    assert site.ingest.failing is None
    assert site.stored == [reading()]


def test_a_batch_the_store_chokes_on_is_kept_whole_and_stops_nothing(site: Site) -> None:
    """Its messages go to quarantine with their bytes; those behind it are stored; a replay brings them back."""
    site.store.mood = TypeError("a fault of ours")
    site.send(reading(passenger=1), seq=1)
    assert site.until(site.waiting)
    site.store.mood = None
    site.send(reading("000002"), seq=2)
    assert site.until(lambda: site.stored == [reading("000002")])
    item = site.waiting()[0]
    assert item.reasons == ("every reading, store: TypeError: a fault of ours",)
    assert site.replay(item).stored == 1
    assert site.waiting() == []
    assert len(site.stored) == 2


def test_a_refused_reading_waits_in_quarantine_until_a_replay_takes_it(site: Site) -> None:
    """A future-dated reading is refused with its raw bytes; once it is no longer the future it can be replayed."""
    late = reading(at=NOW + 3600 * SECOND, passenger=1)
    site.send(reading(), late, seq=1)
    assert site.until(lambda: site.receipts and site.waiting())
    item = site.waiting()[0]
    assert arrow.decode(item.payload).stamp == Stamp("e", 1)
    assert (item.gateway, item.readings_refused, site.stored) == ("a", 1, [reading()])
    assert site.replay(item).refused == 1
    assert site.waiting() == [item]
    site.clock.at += 7200 * SECOND
    result = site.replay(item)
    assert (result.stored, result.duplicate, result.refused) == (1, 1, 0)
    assert (site.stored, site.waiting()) == ([reading(), late], [])


def test_a_full_queue_sheds_to_the_spools_and_alarms_go_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no room left, numbered readings are judged, not stored and not receipted: their gateway sends them again."""
    monkeypatch.setattr(keeper, "QUEUE_READINGS_MAX", 2)
    site.store.open.clear()
    for seq in range(1, 6):
        site.send(reading(at=NOW + seq), seq=seq)
        assert site.until(partial(_judged, site, seq))
    assert site.ingest.counters.shed > 0
    site.store.open.set()
    assert site.until(lambda: site.receipts)
    receipted = {n for receipt in site.receipts for a, b in receipt["stored"] for n in range(a, b + 1)}
    assert site.until(lambda: len(site.stored) >= len(receipted))
    assert len(receipted) < 5


def test_an_alarm_path_that_fails_costs_no_reading(site: Site) -> None:
    """A fault in a rule is counted and shown; what it was shown is stored all the same."""
    site.ingest._on_batch = lambda _: 1 / 0  # type: ignore[assignment]
    site.send(reading(), seq=1)
    assert site.until(lambda: site.receipts)
    assert site.stored == [reading()]
    assert site.ingest.counters.alarm_path_failures == 1
    assert site.ingest.alarm_path_failing == "ZeroDivisionError: division by zero"


def test_the_counters_add_up(site: Site) -> None:
    """Received is stored plus duplicate plus refused, a gateway at a time and over all."""
    site.send(reading(), reading("000002"), seq=1)
    site.send(reading(), reading("000009"), seq=2)
    site.send(reading(), gateway="b")
    counters = site.ingest.counters
    assert site.until(lambda: counters.messages.total() == 3 and counters.stored + counters.duplicate == 3)
    assert (counters.received["a"], counters.refused["a"]) == (4, 1)
    assert (counters.received["b"], counters.refused["b"]) == (1, 1)
    assert (counters.stored, counters.duplicate) == (2, 1)
    assert counters.received.total() == counters.stored + counters.duplicate + counters.refused.total()
