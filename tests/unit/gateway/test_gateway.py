"""The gateway: every accepted reading arrives, through a dead broker and a restart, and it moves no lift."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from adapters.bus_mqtt import MqttBus
from adapters.clock import SystemClock
from gateway.gateway import Gateway, birth, last_will, parse_receipt
from gateway.spool import Spool
from lift.batch import Batch, from_rows
from lift.errors import Invalid, Unavailable
from lift.signals import CAR_HEIGHT, SIGNALS
from lift.topics import RECEIPT, REQUEST, STATUS, TELEMETRY, TRIPS, topic
from lift.trips import TRIP_BY_NAME
from lift.wire import PAYLOAD_BYTES_MAX, Stamp, arrow, json
from tests import servers
from tests.gateway_line import NAME, NOW, Line, Moving, batch, stamp_of

WITHIN_S = 30.0


def at_once(spool: Spool, line: Line, **options: Any) -> Gateway:  # noqa: ANN401 - whatever a gateway takes
    """Make a gateway that collects nothing, on a clock that stands still."""
    clock = Moving()
    return Gateway(NAME, line, spool, clock, collect_s=0, elapsed=clock.elapsed, **options)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """Give a spool of ordinary size."""
    file = tmp_path / "s.db"
    with contextlib.closing(Spool(file, bytes_max=10**8, age_max_us=10**15, fresh_epoch="e1", ballast_bytes=0)) as made:
        yield made


@pytest.fixture
def line() -> Line:
    """Give a bus in memory."""
    return Line()


def test_readings_are_published_in_order_within_the_window_and_deleted_only_by_receipt(
    spool: Spool, line: Line
) -> None:
    """Without receipts the gateway stops at its window; each receipt makes room for the next in order."""
    gateway = at_once(spool, line, window=4)
    for i in range(10):
        gateway.accept(batch(i))
    gateway.pump(0)
    gateway.pump(0)
    assert line.seqs() == [1, 2, 3, 4]
    assert spool.pending.messages == 10
    line.tell(RECEIPT, {"epoch": "e1", "stored": [[2, 3]]})
    gateway.pump(0)
    assert line.seqs() == [1, 2, 3, 4, 5, 6]
    assert spool.pending.messages == 8
    assert {message.topic for message in line.telemetry()} == {"lifts/v1/site1/telemetry"}


def test_what_gets_no_receipt_is_sent_again(spool: Spool, line: Line) -> None:
    """The platform may have lost it: the same bytes under the same number go out again."""
    gateway = at_once(spool, line, resend_after_s=0)
    gateway.accept(batch(1))
    gateway.pump(0)
    gateway.pump(0)
    first, second = line.telemetry()
    assert first.payload == second.payload
    line.tell(RECEIPT, {"epoch": "e1", "stored": [[1, 1]]})
    gateway.pump(0)
    assert len(line.telemetry()) == 2


def test_after_a_reconnection_everything_without_a_receipt_goes_out_again(spool: Spool, line: Line) -> None:
    """What was on its way when the line broke may never have arrived."""
    gateway = at_once(spool, line)
    for i in range(3):
        gateway.accept(batch(i))
    gateway.pump(0)
    line.connected = False
    gateway.pump(0)
    line.connected = True
    gateway.pump(0)
    assert line.seqs() == [1, 2, 3, 1, 2, 3]


def test_new_readings_overtake_a_backlog(spool: Spool, line: Line) -> None:
    """After hours without a line, what happens now does not wait until the old readings are through."""
    line.connected = False
    gateway = at_once(spool, line, window=4)
    for i in range(20):
        gateway.accept(batch(i))
    line.connected = True
    gateway.pump(0)
    assert line.seqs() == [1, 2], "half of the window stays free"
    gateway.accept(batch(99))
    gateway.pump(0)
    assert line.seqs() == [1, 2, 21]
    for _ in range(20):
        line.receipt(*line.seqs())
        gateway.pump(0)
    assert line.seqs() == [1, 2, 21, *range(3, 21)]


def test_emergencies_of_a_broken_line_go_first_when_it_is_back(spool: Spool, line: Line) -> None:
    """Hours of ordinary readings wait, and somebody is trapped: that goes first, whatever the window and the rate."""
    line.connected = False
    gateway = at_once(spool, line, window=2, backfill_a_second=0.0)
    for i in range(10):
        gateway.accept(batch(i))
    for i in range(5):
        gateway.accept(from_rows([{"lift": "063577", "at": 100 + i, "alarm_button": 1}]))
    line.connected = True
    gateway.accept(batch(99))
    gateway.pump(0)
    assert line.seqs() == [11, 12, 13, 14, 15, 16]


def test_a_backlog_comes_back_at_its_rate_and_delays_nothing(spool: Spool, line: Line) -> None:
    """A quarter of an hour of 200 lifts is back in its share of the hour that a day may take; live goes at once."""
    line.connected = False
    clock = Moving()
    gateway = Gateway(NAME, line, spool, clock, collect_s=0, elapsed=clock.elapsed)
    lifts = [f"{i:06d}" for i in range(200)]
    seconds = 24 * 36  # a hundredth of a day
    for i in range(seconds):
        gateway.accept(batch(i, *lifts))
    line.connected = True
    on_the_way: list[tuple[float, int]] = []
    for tenth in range(360):
        clock.move(0.1)
        known = len(line.published)
        if tenth % 10 == 0:
            gateway.accept(batch(10**6 + tenth, *lifts))
        gateway.pump(0)
        fresh = [stamp_of(message.payload).seq for message in line.published[known:] if "telemetry" in message.topic]
        if tenth % 10 == 0:
            assert spool.last_seq in fresh, "a live message waits for no backlog"
        on_the_way += [(clock.elapsed() + 1.0, seq) for seq in fresh]
        back = [seq for due, seq in on_the_way if due <= clock.elapsed()]
        on_the_way = [(due, seq) for due, seq in on_the_way if due > clock.elapsed()]
        line.receipt(*back)
        sent = sum(seq <= seconds for seq in fresh) * 200
        assert sent <= 6_000 + 200, "never more than a second's worth at once"
    gateway.pump(0)
    assert set(range(1, seconds + 1)) <= set(line.seqs())
    assert spool.pending.messages <= len(on_the_way)


def test_a_restart_goes_on_with_what_is_on_the_disk(spool: Spool, line: Line) -> None:
    """The process dies after `accept`: the next one publishes the readings under their old numbers."""
    at_once(spool, line).accept(batch(1, "a", "b"))
    at_once(spool, line).pump(0)
    assert line.seqs() == [1]
    assert len(arrow.decode(line.telemetry()[0].payload).batch) == 2


def test_readings_in_quick_succession_are_written_together_and_in_time(spool: Spool, line: Line) -> None:
    """The first after a pause is written at once; what follows within 50 ms is one message, by the pump at last."""
    clock = Moving()
    gateway = Gateway(NAME, line, spool, clock, elapsed=clock.elapsed)
    gateway.accept(batch(1))
    assert spool.pending.messages == 1
    for i in range(2, 10):
        clock.move(0.005)
        gateway.accept(batch(i))
    assert (spool.pending.messages, gateway.spooled) == (1, 9)
    gateway.accept(from_rows([{"lift": "063577", "at": 50, "alarm_button": 1}]))
    assert spool.pending.emergencies == 1, "an emergency waits for nobody"
    clock.move(0.02)
    gateway.pump(0)
    assert (spool.pending.messages, spool.pending.readings) == (3, 10)
    gateway.accept(batch(11))
    gateway.close()
    assert spool.pending.readings == 11, "leaving writes what is left"


def test_trips_travel_under_their_own_kind_with_the_same_numbers(spool: Spool, line: Line) -> None:
    """One numbering for both, so that one receipt serves both; what was collected keeps its kind."""
    clock = Moving()
    gateway = Gateway(NAME, line, spool, clock, elapsed=clock.elapsed)
    trip = from_rows([{"lift": "063577", "at": 5, "flight_time": 12.5}], TRIP_BY_NAME)
    gateway.accept(batch(1))
    gateway.accept(batch(2))
    gateway.accept(trip, kind=TRIPS)
    gateway.flush()
    gateway.pump(0)
    (sent,) = line.trips()
    frame = arrow.decode(sent.payload, TRIP_BY_NAME)
    assert list(frame.batch.rows()) == list(trip.rows())
    assert sent.topic == "lifts/v1/site1/trips"
    assert sorted([*line.seqs(), stamp_of(sent.payload).seq]) == [1, 2, 3]


def test_a_damaged_spool_begins_a_new_numbering_that_the_platform_hears_of(tmp_path: Path, line: Line) -> None:
    """The card goes bad: from then on receipts name the new epoch, and those of the old delete nothing."""
    path = tmp_path / "s.db"
    spool = Spool(path, bytes_max=10**6, age_max_us=10**15, fresh_epoch="e1", ballast_bytes=0)
    gateway = at_once(spool, line)
    for i in range(3):
        gateway.accept(batch(i))
    gateway.pump(0)
    spool._broken = True  # as SQLite would have said
    gateway.accept(batch(9))
    gateway.pump(0)
    assert stamp_of(line.telemetry()[-1].payload) == Stamp("e1.1", 1)
    line.receipt(1, epoch="e1")
    gateway.pump(0)
    assert spool.pending.messages == 1
    assert figures(gateway)["spool_damaged_total"] == 1
    spool.close()


@pytest.mark.parametrize(
    "receipt",
    [
        {"epoch": "other", "stored": [[1, 3]]},
        {"epoch": "e1", "stored": [[1, 4]]},
        {"epoch": "e1", "stored": [[0, 2]]},
        {"epoch": "e1", "stored": [[3, 1]]},
        {"epoch": "e1", "stored": [[1, 3], "x"]},
        {"epoch": "e1", "stored": [[True, 3]]},
        {"epoch": "e1", "stored": [[1, 2.5]]},
        {"epoch": "e1", "stored": {"1": 3}},
        {"epoch": "e1", "stored": [[1, 1]] * 10_001},
        {"stored": [[1, 3]]},
        [1, 3],
        b"\xff\xfe",
        b"",
    ],
)
def test_a_receipt_that_is_not_ours_deletes_nothing_and_is_counted(spool: Spool, line: Line, receipt: object) -> None:
    """Another epoch, numbers never given, or not a receipt at all."""
    gateway = at_once(spool, line)
    for i in range(3):
        gateway.accept(batch(i))
    gateway.pump(0)
    line.tell(RECEIPT, receipt)
    gateway.pump(0)
    assert spool.pending.messages == 3
    assert figures(gateway)["receipts_refused_total"] == 1


def test_a_gateway_without_a_hand_for_requests_refuses_all(spool: Spool, line: Line) -> None:
    """Nothing is promised that nobody does."""
    gateway = at_once(spool, line)
    line.tell(REQUEST, {"kind": "test_call", "id": "1"})
    gateway.pump(0)
    assert figures(gateway)["requests_refused_total"] == 1


def test_a_batch_beyond_the_payload_limit_is_split(spool: Spool, line: Line) -> None:
    """Every part fits, and together they are the batch."""
    rows = 60_000
    rng = np.random.default_rng(1)
    noise = {s: rng.uniform(0, 1, rows).astype(s.dtype) for s in SIGNALS if not s.whole}
    large = Batch([f"{i:06d}" for i in range(rows)], np.arange(rows, dtype=np.int32), np.full(rows, NOW), noise)
    assert len(arrow.encode(large)) > PAYLOAD_BYTES_MAX
    gateway = at_once(spool, line)
    gateway.accept(large)
    gateway.pump(0)
    parts = [arrow.decode(message.payload).batch for message in line.telemetry()]
    assert len(parts) > 1
    assert all(len(message.payload) <= PAYLOAD_BYTES_MAX for message in line.telemetry())
    heights = np.concatenate([part.column(CAR_HEIGHT) for part in parts])
    assert np.array_equal(heights, large.column(CAR_HEIGHT))
    assert line.seqs() == list(range(1, len(parts) + 1))


def test_readings_of_an_emergency_are_the_last_that_a_full_spool_gives_up(tmp_path: Path, line: Line) -> None:
    """They travel in a message of their own, so that keeping them does not mean keeping everything."""
    line.connected = False
    spool = Spool(tmp_path / "s.db", bytes_max=20_000, age_max_us=10**15, fresh_epoch="e1", ballast_bytes=0)
    gateway = at_once(spool, line)
    rows = [{"lift": str(i), "at": 1, "alarm_button": int(i == 7), "message_codes": [11] * (i == 8)} for i in range(50)]
    gateway.accept(from_rows(rows))
    for i in range(2, 100):
        gateway.accept(batch(i, *map(str, range(50))))
    line.connected = True
    gateway.pump(0)
    oldest = arrow.decode(line.telemetry()[0].payload)
    assert [row["lift"] for row in oldest.batch.rows()] == ["7", "8"]
    told = figures(gateway)
    assert told["readings_dropped_total"] > 0
    assert told["readings_accepted_total"] == told["readings_dropped_total"] + told["spooled_readings"] == 99 * 50
    spool.close()


def test_json_is_published_where_asked_for(spool: Spool, line: Line) -> None:
    """A site with few lifts may prefer what a person can read."""
    gateway = at_once(spool, line, encoding="json")
    gateway.accept(batch(5))
    gateway.pump(0)
    frame = json.decode(line.telemetry()[0].payload)
    assert frame.stamp == Stamp("e1", 1)
    assert [row["lift"] for row in frame.batch.rows()] == ["063577"]


def test_the_status_is_retained_says_what_is_spooled_and_ends_with_offline(spool: Spool, line: Line) -> None:
    """Online at the connection, with time, version and the spool; offline when leaving in order."""
    gateway = at_once(spool, line, version="0.1.0")
    gateway.accept(batch(1))
    gateway.pump(0)
    gateway.pump(0)
    gateway.close()
    online, offline = line.status()
    assert 100 < online.pop("hours_left") < 10_000
    assert online == {
        "online": True,
        "at": NOW,
        "version": "0.1.0",
        "spooled": 1,
        "dropped": 0,
        "oldest": NOW,
        "disk_full": False,
        "clock": "ok",
    }
    assert offline == {"online": False}


def test_the_status_says_when_the_clock_cannot_be_believed(spool: Spool, line: Line) -> None:
    """A machine without a battery wakes in 1970; one that finds its time server steps."""
    clock = Moving(0)
    gateway = Gateway(NAME, line, spool, clock, elapsed=clock.elapsed)
    gateway.pump(0)
    for step in (NOW, 0, 0):
        clock.at += step
        clock.move(61)
        gateway.pump(0)
    assert [status["clock"] for status in line.status()] == ["unset", "stepped", "ok", "ok"]


def test_a_broken_line_is_logged_with_the_hours_that_still_fit(
    spool: Spool, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever looks at the box learns how long it may stay so."""
    line.connected = True
    gateway = at_once(spool, line)
    gateway.pump(0)
    line.connected = False
    gateway.accept(batch(1))
    gateway.pump(0)
    assert "no line: 1 readings wait, and" in caplog.text
    assert "hours more fit" in caplog.text


def test_a_disk_that_refuses_is_told_to_the_caller_and_counted(tmp_path: Path, line: Line) -> None:
    """`accept` raises when readings are not safe; with a line they are published all the same, without a number."""
    spool = Spool(tmp_path / "s.db", bytes_max=1200, age_max_us=10**15, fresh_epoch="e1", ballast_bytes=0)
    gateway = at_once(spool, line)
    with pytest.raises(Invalid, match="in a spool of 900"):
        gateway.accept(batch(1, *map(str, range(100))))
    spool._db.close()
    pressed = {"lift": "063577", "at": 2, "alarm_button": 1}
    with pytest.raises(Unavailable, match="the spool"):
        gateway.accept(from_rows([pressed, {"lift": "100245", "at": 2, "alarm_button": 0}]))
    assert gateway._readings_refused == 102
    assert gateway._readings_unspooled == 2
    first, second = [arrow.decode(message.payload) for message in line.published]
    assert (first.stamp, second.stamp) == (None, None)
    assert list(first.batch.rows()) == [pressed], "the emergency first"
    line.connected = False
    with pytest.raises(Unavailable, match="the spool"):
        gateway.accept(batch(3))
    assert len(line.published) == 2


def test_a_disk_that_refuses_does_not_stop_the_line(spool: Spool, line: Line) -> None:
    """Readings that cannot be written are refused; the pump goes on with requests, receipts and what is spooled."""
    clock = Moving()
    gateway = Gateway(NAME, line, spool, clock, elapsed=clock.elapsed)
    gateway.accept(batch(1))
    gateway.accept(batch(2))
    clock.move(1)
    spool._db.execute("PRAGMA query_only = 1")
    gateway.pump(0)
    assert [stamp_of(m.payload) for m in line.telemetry()[1:]] == [Stamp("e1", 1)]
    line.receipt(1)
    gateway.pump(0)
    assert spool.pending.messages == 1
    spool._db.execute("PRAGMA query_only = 0")


@pytest.mark.parametrize("name", ["", "a/b", "a+", "x" * 65, "城"])
def test_a_name_that_is_no_topic_level_is_refused(spool: Spool, line: Line, name: str) -> None:
    """Before anything is published under it."""
    with pytest.raises(Invalid, match="gateway"):
        Gateway(name, line, spool, Moving())


def figures(gateway: Gateway) -> dict[str, float]:
    """Give the gateway's figures by short name."""
    return {m.name.removeprefix("liftwatch_gateway_"): m.samples[0][1] for m in gateway.metrics()}


# ------------------------------------------------------------------------------- a real broker


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that must come true."""
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


class Platform(threading.Thread):
    """Stores whatever arrives and sends receipts, as ingest does."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.bus = MqttBus(url, client_id="platform", subscribe=[topic(NAME, TELEMETRY)])
        self.stored: set[tuple[str, int]] = set()
        self.stop = threading.Event()

    def run(self) -> None:
        """Take, store, receipt, acknowledge."""
        while not self.stop.is_set():
            messages = self.bus.receive(wait_s=0.1, most=50)
            for message in messages:
                stamp, frame = stamp_of(message.payload), arrow.decode(message.payload)
                self.stored |= {(row["lift"], row["at"]) for row in frame.batch.rows()}
                _, ranges = parse_receipt(orjson.dumps({"epoch": stamp.epoch, "stored": [[stamp.seq, stamp.seq]]}))
                with contextlib.suppress(Unavailable):
                    self.bus.publish(topic(NAME, RECEIPT), orjson.dumps({"epoch": stamp.epoch, "stored": ranges}))
            self.bus.done(messages)
        self.bus.close()


@pytest.mark.integration
def test_a_broker_killed_while_publishing_costs_no_reading(mosquitto: servers.Server, spool: Spool) -> None:
    """The broker dies twice in mid-stream: every accepted reading arrives, and receipts empty the spool."""
    url = f"mqtt://{mosquitto.host}:{mosquitto.port}"
    platform = Platform(url)
    platform.start()
    status = birth(NAME, spool, SystemClock(), version="1")
    bus = MqttBus(
        url,
        client_id=NAME,
        subscribe=Gateway.subscriptions(NAME),
        will=last_will(NAME),
        on_connect_publish=status,
    )
    gateway = Gateway(NAME, bus, spool, SystemClock(), resend_after_s=1)
    stop = threading.Event()
    pumping = threading.Thread(target=gateway.run, args=(stop,))
    pumping.start()
    accepted: set[tuple[str, int]] = set()
    for i in range(600):
        gateway.accept(batch(i, "a", "b", "c"))
        accepted |= {(lift, i) for lift in "abc"}
        if i in (150, 400):
            mosquitto.kill()
        if i in (250, 500):
            mosquitto.start()
    until(lambda: not spool.pending.messages)
    assert accepted <= platform.stored
    assert spool.counts.accepted == spool.counts.receipted == 1800
    watcher = MqttBus(url, client_id="watcher", subscribe=[topic(NAME, STATUS)])
    until(lambda: bool(seen := watcher.receive(wait_s=0.5, most=1)) and orjson.loads(seen[0].payload)["online"])
    stop.set()
    pumping.join()
    gateway.close()
    bus.close()
    until(lambda: bool(seen := watcher.receive(wait_s=0.5, most=1)) and not orjson.loads(seen[0].payload)["online"])
    watcher.close()
    platform.stop.set()
    platform.join()
