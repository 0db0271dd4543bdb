"""Ingest over a real broker: what is receipted is stored, what is refused is kept, and alarms never wait."""

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
from ingest import keeper
from ingest.pipeline import SUBSCRIPTIONS, Ingest
from ingest.replay import ReplayResult, replay
from ingest.statuses import Status
from lift import topics
from lift.batch import Batch, from_rows
from lift.errors import Unavailable
from lift.ports import Quarantined
from lift.trips import TRIP_BY_NAME
from lift.wire import Stamp, arrow, json
from tests import servers
from tests.small_city import StandingClock
from tests.unit.ingest.line import FLEET, NOW, SECOND, Store


@dataclass
class Site:
    """An ingest, a broker and one gateway's end of the line."""

    ingest: Ingest
    bus: MqttBus
    store: Store
    records: SqlRecords
    clock: StandingClock
    judged: list[dict[str, Any]]
    trips: list[dict[str, Any]]
    told: list[tuple[str, bool, int]]
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
        return list(self.store.readings.rows())

    def replay(self, item: Quarantined) -> ReplayResult:
        """Try a refused message again."""
        return replay(item.quarantine_id, telemetry=self.store, records=self.records, clock=self.clock, fleet=FLEET)

    def counts(self, kind: str = topics.TELEMETRY) -> dict[str, Any]:
        """Give the counts of one kind, an array a name with one entry a gateway."""
        return dict(self.ingest._ledgers[kind].snapshot())

    def count(self, name: str) -> int:
        """Give one count of readings over all gateways."""
        return int(self.counts()[name].sum())

    def figure(self, name: str) -> float:
        """Give a figure of /metrics, its samples added up."""
        return sum(value for one in self.ingest.metrics() if one.name == name for _, value in one.samples)

    def waiting(self) -> list[Any]:
        """Give what waits in quarantine."""
        with self.records.read() as tx:
            return tx.quarantined(waiting=True)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Set up the line on a free port."""
    broker = EmbeddedBroker("127.0.0.1", servers.free_port())
    broker.start()
    store, clock, judged, trips = Store(), StandingClock(), list[dict[str, Any]](), list[dict[str, Any]]()
    told: list[tuple[str, bool, int]] = []
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
        on_trips=lambda batch: trips.extend(batch.rows()),
        on_gateway=lambda name, online, at: told.append((name, online, at)),
    )
    there = Site(ingest, gateway, store, records, clock, judged, trips, told)
    assert there.until(lambda: inbound.connected and gateway.connected)
    yield there
    store.open.set()
    ingest.close(within_s=5)
    inbound.close()
    gateway.close()
    broker.stop()
    records.close()


def _receipted(site: Site, count: int) -> bool:
    return len(site.receipts) >= count


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
    assert site.count("shed") > 0
    site.store.open.set()
    assert site.until(lambda: site.receipts)
    receipted = {n for receipt in site.receipts for a, b in receipt["stored"] for n in range(a, b + 1)}
    assert site.until(lambda: len(site.stored) >= len(receipted))
    assert len(receipted) < 5


def test_an_alarm_path_that_fails_costs_no_reading(site: Site) -> None:
    """A fault in a rule is counted and shown; what it was shown is stored all the same."""
    site.ingest._feeds[topics.TELEMETRY] = lambda _: 1 / 0  # type: ignore[assignment]
    site.send(reading(), seq=1)
    assert site.until(lambda: site.receipts)
    assert site.stored == [reading()]
    assert site.figure("liftwatch_alarm_path_failures_total") == 1
    assert site.ingest.alarm_path_failing == "ZeroDivisionError: division by zero"


def test_the_counters_add_up(site: Site) -> None:
    """Received is stored plus duplicate plus refused, a gateway at a time and over all."""
    site.send(reading(), reading("000002"), seq=1)
    site.send(reading(), reading("000009"), seq=2)
    site.send(reading(), gateway="b")
    assert site.until(lambda: site.count("messages") == 3 and site.count("waiting") == 0)
    counts = site.counts()
    assert {name: counts[name][0] for name in ("received", "stored", "duplicate", "refused")} == {
        "received": 4, "stored": 2, "duplicate": 1, "refused": 1,
    }  # fmt: skip
    assert (counts["received"][1], counts["refused"][1]) == (1, 1)
    assert not counts["missing"].any()


def trip(lift: str = "000001", at: int = NOW, **signals: float) -> dict[str, Any]:
    """Make one finished trip."""
    return {"lift": lift, "at": at, **signals}


@pytest.mark.parametrize("encode", [arrow.encode, json.encode], ids=["arrow", "json"])
def test_trips_go_the_way_of_readings(site: Site, encode: Callable[[Batch, Stamp], bytes]) -> None:
    """Checked, shown to the condition monitor, stored once, receipted, and what is wrong with them in quarantine."""
    good, odd = trip(flight_time=12.5, top_speed=1.75), trip("000002", flight_time=9e9, top_speed=1.0)
    batch = from_rows([good, odd, trip("000009", top_speed=1.0)], TRIP_BY_NAME)
    for _ in range(2):
        site.bus.publish(topics.topic("a", topics.TRIPS), encode(batch, Stamp("e", 7)))
        assert site.until(partial(_receipted, site, len(site.receipts) + 1))
    assert site.receipts[0] == {"epoch": "e", "stored": [[7, 7]]}
    kept = [good, trip("000002", top_speed=1.0)]
    assert (list(site.store.trips.rows()), site.trips[:2], site.stored, site.judged) == (kept, kept, [], [])
    reasons = site.waiting()[0].reasons
    assert [reason.split(":")[0] for reason in reasons] == ["reading 2, lift", "reading 1, flight_time"]
    counts = site.counts(topics.TRIPS)
    assert {name: int(counts[name][0]) for name in ("received", "stored", "duplicate", "refused", "missing")} == {
        "received": 6, "stored": 2, "duplicate": 2, "refused": 2, "missing": 0,
    }  # fmt: skip
    assert site.count("received") == 0


def test_quarantined_trips_are_replayed_as_trips(site: Site) -> None:
    """A replay goes by the topic that the message came on."""
    late = trip(at=NOW + 3600 * SECOND, top_speed=1.5)
    payload = json.encode(from_rows([late], TRIP_BY_NAME), Stamp("e", 1))
    site.bus.publish(topics.topic("a", topics.TRIPS), payload)
    assert site.until(site.waiting)
    site.clock.at += 7200 * SECOND
    assert site.replay(site.waiting()[0]).stored == 1
    assert (list(site.store.trips.rows()), site.stored) == ([late], [])


def test_a_numbered_message_that_cannot_be_read_is_receipted_once_it_is_in_quarantine(site: Site) -> None:
    """Otherwise its gateway would send it again for ever, in the place of what could be read."""
    site.bus.publish(topics.topic("a", topics.TELEMETRY), b'{"epoch":"e","seq":3,"readings":"none"}')
    assert site.until(lambda: site.receipts)
    assert site.receipts == [{"epoch": "e", "stored": [[3, 3]]}]
    assert len(site.waiting()) == 1


def test_a_gateways_will_and_its_return_are_told_once_each(site: Site) -> None:
    """One lost gateway is one message, with since when; what it said last is there to see."""
    status = topics.topic("a", topics.STATUS)
    site.bus.publish(status, b'{"online":true,"at":1,"version":"1.2","spooled":4,"colour":"red"}', retain=True)
    site.send(reading(), seq=1)
    assert site.until(lambda: site.receipts and site.figure("liftwatch_gateways_online") == 1)
    site.bus.publish(status, b'{"online":false}', retain=True)
    assert site.until(lambda: site.ingest.report().gateways[0].status == Status(online=False))
    site.clock.at += 10 * SECOND
    assert site.until(lambda: site.told)
    site.clock.at += 600 * SECOND
    site.send(reading(at=NOW + 1), seq=2)
    assert site.until(lambda: len(site.told) > 1)
    assert site.told == [("a", False, NOW), ("a", True, site.clock.at)]


def test_a_callback_that_fails_costs_nothing_else(site: Site) -> None:
    """What is told of gateways, and the condition monitor, may fail; readings and trips are stored all the same."""
    site.ingest._feeds[topics.TRIPS] = lambda _: 1 / 0  # type: ignore[assignment]
    site.ingest._gateways._on_gateway = lambda *_: 1 / 0  # type: ignore[assignment]
    site.bus.publish(topics.topic("a", topics.TRIPS), json.encode(from_rows([trip()], TRIP_BY_NAME), Stamp("e", 1)))
    assert site.until(lambda: site.receipts)
    site.clock.at += 200 * SECOND
    assert site.until(lambda: site.figure("liftwatch_gateway_path_failures_total") == 1)
    assert site.ingest.trip_path_failing == "ZeroDivisionError: division by zero"
    assert site.ingest.alarm_path_failing is None
