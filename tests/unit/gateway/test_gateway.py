"""The gateway: every accepted reading arrives, through a dead broker and a restart, and it moves no lift."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from adapters.bus_mqtt import MqttBus
from gateway.gateway import Gateway, birth, emergencies, last_will, parse_receipt
from gateway.spool import Spool
from lift.batch import Batch, from_rows
from lift.errors import Invalid, Unavailable
from lift.ports import Message
from lift.signals import CAR_HEIGHT, SIGNALS
from lift.topics import RECEIPT, REQUEST, STATUS, TELEMETRY, topic
from lift.wire import PAYLOAD_BYTES_MAX, Stamp, arrow, json
from tests import servers

NAME = "site1"
NOW = 1_795_000_000_000_000
WITHIN_S = 30.0


class Watch:
    """A clock that stands still."""

    def now(self) -> int:
        """Give always the same time."""
        return NOW


class Line:
    """A bus in memory: what was published, and what is to be received."""

    def __init__(self) -> None:
        self.connected = True
        self.published: list[Message] = []
        self.incoming: list[Message] = []

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Remember a message."""
        self.published.append(Message(topic, payload, int(retain)))

    def receive(self, *, wait_s: float, most: int) -> list[Message]:
        """Give what has come."""
        taken, self.incoming = self.incoming[:most], self.incoming[most:]
        return taken

    def done(self, messages: Sequence[Message]) -> None:
        """Forget them."""

    def close(self) -> None:
        """Close."""

    def tell(self, kind: str, body: Any) -> None:  # noqa: ANN401 - any JSON
        """Let a message arrive."""
        payload = body if isinstance(body, bytes) else orjson.dumps(body)
        self.incoming.append(Message(topic(NAME, kind), payload, 1))

    def telemetry(self) -> list[Message]:
        """Give the telemetry published so far."""
        return [message for message in self.published if message.topic.endswith(TELEMETRY)]

    def seqs(self) -> list[int]:
        """Give the numbers of the telemetry published so far."""
        return [stamp_of(message.payload).seq for message in self.telemetry()]

    def status(self) -> list[dict[str, Any]]:
        """Give the statuses published so far."""
        assert all(message.token for message in self.published if message.topic.endswith(STATUS)), "not retained"
        return [orjson.loads(message.payload) for message in self.published if message.topic.endswith(STATUS)]


def stamp_of(payload: bytes) -> Stamp:
    """Give a message's number."""
    stamp = arrow.decode(payload).stamp
    assert stamp is not None
    return stamp


def batch(at: int, *lifts: str) -> Batch:
    """Make a batch of one reading a lift."""
    return from_rows([{"lift": lift, "at": at, "passenger": 0} for lift in lifts or ("063577",)])


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """Give a spool of ordinary size."""
    with contextlib.closing(Spool(tmp_path / "s.db", bytes_max=10**8, age_max_us=10**15, fresh_epoch="e1")) as made:
        yield made


@pytest.fixture
def line() -> Line:
    """Give a bus in memory."""
    return Line()


def test_readings_are_published_in_order_within_the_window_and_deleted_only_by_receipt(
    spool: Spool, line: Line
) -> None:
    """Without receipts the gateway stops at its window; each receipt makes room for the next in order."""
    gateway = Gateway(NAME, line, spool, Watch(), window=4)
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
    gateway = Gateway(NAME, line, spool, Watch(), resend_after_s=0)
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
    gateway = Gateway(NAME, line, spool, Watch())
    for i in range(3):
        gateway.accept(batch(i))
    gateway.pump(0)
    line.connected = False
    gateway.pump(0)
    line.connected = True
    gateway.pump(0)
    assert line.seqs() == [1, 2, 3, 1, 2, 3]


def test_new_readings_overtake_a_backlog(spool: Spool, line: Line) -> None:
    """After hours without a line, somebody trapped now must not wait until the old readings are through."""
    line.connected = False
    gateway = Gateway(NAME, line, spool, Watch(), window=4)
    for i in range(20):
        gateway.accept(batch(i))
    line.connected = True
    gateway.pump(0)
    gateway.accept(batch(99))
    line.tell(RECEIPT, {"epoch": "e1", "stored": [[1, 4]]})
    gateway.pump(0)
    assert line.seqs() == [1, 2, 3, 4, 21, 5, 6, 7]
    for seq in range(5, 22):
        line.tell(RECEIPT, {"epoch": "e1", "stored": [[seq, seq]]} if seq in line.seqs() else {})
        gateway.pump(0)
    assert sorted(line.seqs()) == list(range(1, 22))


def test_a_restart_goes_on_with_what_is_on_the_disk(spool: Spool, line: Line) -> None:
    """The process dies after `accept`: the next one publishes the readings under their old numbers."""
    Gateway(NAME, line, spool, Watch()).accept(batch(1, "a", "b"))
    Gateway(NAME, line, spool, Watch()).pump(0)
    assert line.seqs() == [1]
    assert len(arrow.decode(line.telemetry()[0].payload).batch) == 2


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
def test_a_receipt_that_is_not_ours_deletes_nothing_and_is_counted(spool: Spool, line: Line, receipt: Any) -> None:  # noqa: ANN401 - any JSON
    """Another epoch, numbers never given, or not a receipt at all."""
    gateway = Gateway(NAME, line, spool, Watch())
    for i in range(3):
        gateway.accept(batch(i))
    gateway.pump(0)
    line.tell(RECEIPT, receipt)
    gateway.pump(0)
    assert spool.pending.messages == 3
    assert figures(gateway)["receipts_refused_total"] == 1


def test_requests_are_refused_unless_they_are_on_the_short_list(
    spool: Spool, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    """The gateway watches. Whatever asks for motion is logged, counted and done by nobody."""
    asked: list[tuple[str, Mapping[str, Any]]] = []
    gateway = Gateway(NAME, line, spool, Watch(), on_request=lambda kind, body: asked.append((kind, body)))
    refused: list[Any] = [{"kind": "move", "to": 3}, {"kind": "open_door"}, {"kind": ["test_call"]}, {}, [], b"\xff"]
    for body in refused:
        line.tell(REQUEST, body)
    line.tell(REQUEST, {"kind": "test_call", "number": "96333"})
    gateway.pump(0)
    assert asked == [("test_call", {"kind": "test_call", "number": "96333"})]
    assert figures(gateway)["requests_refused_total"] == 6
    assert "this gateway only watches" in caplog.text


def test_a_gateway_without_a_hand_for_requests_refuses_all(spool: Spool, line: Line) -> None:
    """Nothing is promised that nobody does."""
    gateway = Gateway(NAME, line, spool, Watch())
    line.tell(REQUEST, {"kind": "test_call"})
    gateway.pump(0)
    assert figures(gateway)["requests_refused_total"] == 1


def test_a_batch_beyond_the_payload_limit_is_split(spool: Spool, line: Line) -> None:
    """Every part fits, and together they are the batch."""
    rows = 60_000
    rng = np.random.default_rng(1)
    noise = {s: rng.uniform(0, 1, rows).astype(s.dtype) for s in SIGNALS if not s.whole}
    large = Batch([f"{i:06d}" for i in range(rows)], np.arange(rows, dtype=np.int32), np.full(rows, NOW), noise)
    assert len(arrow.encode(large)) > PAYLOAD_BYTES_MAX
    gateway = Gateway(NAME, line, spool, Watch())
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
    spool = Spool(tmp_path / "s.db", bytes_max=20_000, age_max_us=10**15, fresh_epoch="e1")
    gateway = Gateway(NAME, line, spool, Watch())
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


def test_emergencies_are_the_alarm_button_and_the_codes_of_danger() -> None:
    """Silence is not an emergency, nor is an ordinary fault."""
    codes: list[dict[str, Any]] = [{"message_codes": [2]}, {"message_codes": []}, {"message_codes": [2, 90]}]
    rows = [*codes, {}, {"alarm_button": 1}, {"alarm_button": 0}]
    mask = emergencies(from_rows([{"lift": str(i), "at": 1, **row} for i, row in enumerate(rows)]))
    assert mask.tolist() == [False, False, True, False, True, False]


def test_json_is_published_where_asked_for(spool: Spool, line: Line) -> None:
    """A site with few lifts may prefer what a person can read."""
    gateway = Gateway(NAME, line, spool, Watch(), encoding="json")
    gateway.accept(batch(5))
    gateway.pump(0)
    frame = json.decode(line.telemetry()[0].payload)
    assert frame.stamp == Stamp("e1", 1)
    assert [row["lift"] for row in frame.batch.rows()] == ["063577"]


def test_the_status_is_retained_says_what_is_spooled_and_ends_with_offline(spool: Spool, line: Line) -> None:
    """Online at the connection, with time and version; offline when leaving in order."""
    gateway = Gateway(NAME, line, spool, Watch(), version="0.1.0")
    gateway.accept(batch(1))
    gateway.pump(0)
    gateway.pump(0)
    gateway.close()
    assert line.status() == [
        {"online": True, "at": NOW, "version": "0.1.0", "spooled": 1},
        {"online": False},
    ]


def test_a_disk_that_refuses_is_told_to_the_caller_and_counted(tmp_path: Path, line: Line) -> None:
    """`accept` raises when readings are not safe; nobody may believe they are."""
    spool = Spool(tmp_path / "s.db", bytes_max=1000, age_max_us=10**15, fresh_epoch="e1")
    gateway = Gateway(NAME, line, spool, Watch())
    with pytest.raises(Invalid, match="in a spool of 1000"):
        gateway.accept(batch(1, *map(str, range(100))))
    spool._db.close()
    with pytest.raises(Unavailable, match="the spool"):
        gateway.accept(batch(1))
    assert gateway._readings_refused == 101


@pytest.mark.parametrize("name", ["", "a/b", "a+", "x" * 65, "城"])
def test_a_name_that_is_no_topic_level_is_refused(spool: Spool, line: Line, name: str) -> None:
    """Before anything is published under it."""
    with pytest.raises(Invalid, match="gateway"):
        Gateway(name, line, spool, Watch())


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
    status = birth(NAME, spool, Watch(), version="1")
    bus = MqttBus(
        url,
        client_id=NAME,
        subscribe=Gateway.subscriptions(NAME),
        will=last_will(NAME),
        on_connect_publish=status,
    )
    gateway = Gateway(NAME, bus, spool, Watch(), resend_after_s=1)
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
