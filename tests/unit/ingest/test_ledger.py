"""The books balance for each gateway at every moment, whatever happens to the readings."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.records_sql import SqlRecords
from ingest import keeper
from ingest.intake import CATALOGUES
from ingest.pipeline import Ingest
from ingest.report import saved
from lift import topics
from lift.batch import Batch, from_rows
from lift.errors import Unavailable
from lift.ports import Message, Stored
from lift.wire import Stamp, arrow, json
from tests.small_city import StandingClock
from tests.unit.ingest.line import FLEET, NOW, SECOND, Line, Store

LIFTS = {"a": ("000001", "000002"), "b": ("000003",), "stranger": ("000009",)}


class Town:
    """An ingest that can be restarted, the gateways' spools, and what the books say over all starts."""

    def __init__(self, records: SqlRecords) -> None:
        """Start ingest for the first time."""
        self.records = records
        self.store, self.bus, self.clock = Store(), Line(), StandingClock()
        self.spool: dict[tuple[str, int], Message] = {}
        self.numbers = 0
        self.before: list[dict[str, dict[str, Any]]] = []
        self.start()

    def start(self) -> None:
        """Start ingest anew, over the same store."""
        self.ingest = Ingest(
            bus=self.bus,
            telemetry=self.store,
            records=self.records,
            clock=self.clock,
            fleet=FLEET,
            on_batch=lambda _: None,
            rate_per_lift=1e6,
            burst_per_lift=1e6,
        )

    def stop(self) -> None:
        """Stop ingest as far as it can in no time, and keep its books."""
        self.ingest.close(within_s=5)
        self.before.append(self.books())

    def send(self, gateway: str, kind: str, payload: bytes, seq: int) -> None:
        """Put a message into the spool, if it is numbered, and on the line."""
        self.numbers += 1
        message = Message(topics.topic(gateway, kind), payload, self.numbers)
        if seq:
            self.spool[gateway, seq] = message
        self.bus.inbox.append(message)

    def resend(self) -> None:
        """Send all that has no receipt again."""
        for message in self.bus.published:
            receipt = orjson.loads(message.payload)
            for first, last in receipt["stored"]:
                for seq in range(first, last + 1):
                    self.spool.pop((topics.parse(message.topic).gateway, seq), None)
        self.bus.published.clear()
        self.bus.inbox.extend(self.spool.values())

    def books(self) -> dict[str, dict[str, Any]]:
        """Give the counts of this moment and check that nothing is missing from them."""
        found = {kind: ledger.snapshot() for kind, ledger in self.ingest._ledgers.items()}
        for counts in found.values():
            assert not counts["missing"].any(), counts
            assert (counts["waiting"] >= 0).all()
        return found

    def until(self, reached: Callable[[], bool]) -> None:
        """Let ingest work until something is so, looking at the books all the while."""
        deadline = time.monotonic() + 20
        while not reached():
            assert time.monotonic() < deadline
            self.ingest.step(wait_s=0)
            self.books()
            time.sleep(0.001)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401
    """Open records that last for all examples: they only keep quarantine."""
    with closing(SqlRecords(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/records.db")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the keeper wait for nothing, and its queue be small."""
    monkeypatch.setattr(keeper, "_GATHER_S", 0.0)
    monkeypatch.setattr(keeper, "_ROOM_S", 0.0)
    monkeypatch.setattr(keeper, "_RETRY_FIRST_S", 0.001)
    monkeypatch.setattr(keeper, "_RETRY_S_MAX", 0.001)
    monkeypatch.setattr(keeper, "QUEUE_READINGS_MAX", 6)


readings = st.tuples(
    st.integers(0, 1),
    st.sampled_from([NOW, NOW - 1, NOW - SECOND, NOW - 300 * SECOND, NOW + 3600 * SECOND]),
    st.integers(0, 2),
)
sendings = st.tuples(
    st.sampled_from(["a", "b", "stranger"]),
    st.sampled_from(sorted(CATALOGUES)),
    st.lists(readings, max_size=4),
    st.booleans(),
    st.sampled_from(["arrow", "json", "junk"]),
)
happenings = st.one_of(
    sendings, sendings, st.sampled_from(["shut", "open", "refuse", "choke", "heal", "resend", "restart"])
)


def payload_of(gateway: str, rows: list[tuple[int, int, int]], encoding: str, seq: int) -> bytes:
    """Encode readings; the third figure of each is a door cycle count, or for junk nothing is readable."""
    lifts = LIFTS[gateway]
    batch = from_rows([{"lift": lifts[i % len(lifts)], "at": at, "run_count": count} for i, at, count in rows])
    stamp = Stamp("e", seq) if seq else None
    if encoding == "junk":
        return b'{"epoch":"e","seq":%d,"readings":7}' % seq if seq else b"junk"
    return arrow.encode(batch, stamp) if encoding == "arrow" else json.encode(batch, stamp)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(happenings, min_size=1, max_size=15))
def test_nothing_is_ever_missing(records: SqlRecords, history: list[Any]) -> None:
    """Duplicates, refusals, a full queue, a store that is away or chokes, restarts: the sum holds at every look.

    At the end each stored reading is in the store once, and was counted once as stored.
    """
    town = Town(records)
    try:
        for number, what in enumerate(history, 1):
            happen(town, what, number)
            town.ingest.step(wait_s=0)
            town.books()
            if what == "choke":
                # One that the store is sure to see.
                town.send("a", topics.TELEMETRY, payload_of("a", [(0, NOW - number, 1)], "arrow", number), number)
                town.ingest.step(wait_s=0)
            if town.store.open.is_set() and not isinstance(town.store.mood, Unavailable):
                town.until(lambda: not any(counts["waiting"].any() for counts in town.books().values()))
        happen(town, "heal", 0)
        happen(town, "open", 0)
        town.until(lambda: not any(counts["waiting"].any() for counts in town.books().values()))
    finally:
        town.store.open.set()
        town.store.mood = None
        town.stop()
    for kind, shelf in ((topics.TELEMETRY, town.store.readings), (topics.TRIPS, town.store.trips)):
        stored = np.zeros(3, np.int64)
        for row in shelf.rows():
            stored[FLEET.gateway[FLEET.slot(row["lift"])]] += 1
        assert sum(books[kind]["stored"] for books in town.before).tolist() == stored.tolist()


def happen(town: Town, what: Any, number: int) -> None:  # noqa: ANN401
    """Let one thing happen."""
    match what:
        case "shut":
            town.store.open.clear()
        case "open":
            town.store.open.set()
        case "refuse":
            town.store.mood = Unavailable("store", "away")
        case "choke":
            town.store.mood = TypeError("a fault of ours")
        case "heal":
            town.store.mood = None
        case "resend":
            town.resend()
        case "restart":
            town.store.open.set()
            town.stop()
            town.start()
        case (gateway, kind, rows, has_number, encoding):
            seq = number if has_number else 0
            town.send(gateway, kind, payload_of(gateway, rows, encoding, seq), seq)
        case _:
            raise ValueError(what)


def test_a_store_that_does_not_say_which_are_duplicates_is_found_out(records: SqlRecords) -> None:
    """The sum is a check and not arithmetic: what nobody accounts for is shown as missing."""
    town = Town(records)
    silent = Stored(1, 1)
    town.store.append = lambda batch: silent  # type: ignore[method-assign]
    town.send("a", topics.TELEMETRY, payload_of("a", [(0, NOW, 0), (0, NOW - 1, 0)], "arrow", 1), 1)
    ledger = town.ingest._ledgers[topics.TELEMETRY]
    town.ingest.step(wait_s=0)
    deadline = time.monotonic() + 20
    while ledger.total("waiting") and time.monotonic() < deadline:
        time.sleep(0.001)
    assert ledger.snapshot()["missing"].tolist() == [2, 0, -2]
    town.ingest.close(within_s=5)


def test_looking_from_another_thread_never_sees_half_a_change(records: SqlRecords) -> None:
    """Whoever scrapes the figures while readings come and go sees sums that hold."""
    town = Town(records)
    wrong: list[Any] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            wrong.extend(
                counts for ledger in town.ingest._ledgers.values() if (counts := ledger.snapshot())["missing"].any()
            )

    looker = threading.Thread(target=look)
    looker.start()
    for seq in range(1, 300):
        town.send("a", topics.TELEMETRY, payload_of("a", [(0, NOW - seq % 7, 0), (1, NOW, 0)], "arrow", seq), seq)
        town.ingest.step(wait_s=0)
    done.set()
    looker.join(5)
    town.ingest.close(within_s=5)
    assert wrong == []


def test_the_report_of_all_gateways_comes_back_as_it_was_written(records: SqlRecords) -> None:
    """What ingest knows is written into the records, for whichever process serves the API."""
    town = Town(records)
    town.send("a", topics.TELEMETRY, payload_of("a", [(0, NOW, 0), (0, NOW, 0)], "json", 1), 1)
    town.send("a", topics.STATUS, orjson.dumps({"online": True, "at": NOW, "version": "1", "spooled": 4}), 0)
    town.send("stranger", topics.TELEMETRY, b"junk", 0)
    town.until(lambda: town.ingest._ledgers[topics.TELEMETRY].total("stored") == 1)
    report = town.ingest.report()
    with records.write() as tx:
        report.save(tx)
    with records.read() as tx:
        assert saved(tx) == report
    first, second, others = report.gateways
    assert (first.name, first.lifts, first.online, first.heard_at) == ("a", 2, True, NOW)
    assert first.readings == {"messages": 1, "received": 2, "stored": 1, "duplicate": 1}
    assert (first.status.spooled if first.status else None) == 4
    assert (second.name, second.online, second.readings) == ("b", None, {})
    assert (others.name, others.readings["refused"]) == ("(others)", 1)
    town.ingest.close(within_s=5)


def test_batches_of_trips_and_of_readings_are_stored_apart(records: SqlRecords) -> None:
    """A trip and a reading of one moment are two things, and one numbering receipts both."""
    town = Town(records)
    seen: list[Batch] = []
    town.ingest._feeds[topics.TRIPS] = seen.append
    town.send("a", topics.TELEMETRY, payload_of("a", [(0, NOW, 5)], "arrow", 1), 1)
    town.send("a", topics.TRIPS, payload_of("a", [(0, NOW, 6)], "json", 2), 2)
    town.until(lambda: len(town.bus.published) > 0 and not town.bus.inbox and len(town.bus.answered) == 2)
    assert [row["run_count"] for row in town.store.readings.rows()] == [5]
    assert [row["run_count"] for row in town.store.trips.rows()] == [6]
    assert [row["run_count"] for batch in seen for row in batch.rows()] == [6]
    town.resend()
    assert town.spool == {}
    town.ingest.close(within_s=5)
