"""The edge: what a site sees reaches the platform in time, thinned by nothing that an alarm needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alarms.engine import Engine
from alarms.rules import load as load_rules
from gateway.edge import Edge
from gateway.gateway import Gateway
from gateway.memory import Memory
from gateway.raw_block import RawBlock
from gateway.spool import Spool
from gateway.watch import Emergency, Sighting
from lift.alarm import Change, Transition
from lift.batch import EMPTY, Batch, Mask, concat, from_rows
from lift.errors import Conflict, Invalid, Unavailable
from lift.fleet import Fleet
from lift.signals import TEST_CALL_AGE
from lift.topics import REQUEST, TELEMETRY
from lift.trips import TRIP_BY_NAME
from lift.wire import arrow
from simulator.city import City, build_city
from simulator.simulation import Simulation
from tests.gateway_line import NAME, NOW, SECOND, Line, Moving

LIFTS = ("063577", "100245")
SOME_LIFTS = build_city(lifts=2, seed=1).register.lifts[:2]
IDLE: dict[str, Any] = {"car_status": 0, "car_speed": 0.0, "passenger": 0, "door_closed": 1, "door_zone": 1}
SHUT_IN = IDLE | {"passenger": 1, "door_zone": 0}


class Site:
    """A whole site in memory but for its disk: edge, gateway, spool, line and clock."""

    def __init__(self, folder: Path, lifts: tuple[str, ...] = LIFTS, **options: Any) -> None:  # noqa: ANN401
        self.clock = Moving()
        self.line = Line()
        self.memory = Memory(folder / "memory.db")
        self.spool = Spool(folder / "s.db", bytes_max=10**9, age_max_us=10**15, fresh_epoch="e1", ballast_bytes=0)
        self.gateway = Gateway(NAME, self.line, self.spool, self.clock, collect_s=0, elapsed=self.clock.elapsed)
        self.edge = Edge(lifts, self.gateway, self.memory, self.clock, **options)

    def second(self, *rows: Mapping[str, Any]) -> None:
        """Let a second pass and take a sample of each lift named; a row without a name is of the first lift."""
        self.clock.move(1)
        self.edge.take(from_rows([{"lift": LIFTS[0], "at": self.clock.at, **row} for row in rows]))

    def pump(self) -> None:
        """Let the gateway work."""
        self.gateway.pump(0)

    def arrived(self) -> list[Batch]:
        """Give what the broker has, message by message in the order of arrival."""
        return [arrow.decode(message.payload).batch for message in self.line.telemetry()]

    def rows(self) -> list[dict[str, Any]]:
        """Give the readings of lifts that the broker has, without test calls."""
        found = [row for batch in self.arrived() for row in batch.rows()]
        return [row for row in found if set(row) - {"lift", "at", "test_call_age"}]

    def figure(self, name: str) -> float:
        """Give one of the edge's figures."""
        return next(m.samples[0][1] for m in self.edge.metrics() if m.name == f"liftwatch_gateway_{name}")

    def close(self) -> None:
        """Let go."""
        self.spool.close()
        self.memory.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Give a site of two lifts."""
    made = Site(tmp_path)
    yield made
    made.close()


# ------------------------------------------------------------------------------ nothing is thinned away


class Hears(Gateway):
    """A gateway without a disk: what it accepts has arrived, emergencies first."""

    def __init__(self, site: Site) -> None:
        super().__init__(NAME, site.line, site.spool, site.clock)
        self.heard: list[Batch] = []

    def accept(self, batch: Batch, *, kind: str = TELEMETRY, urgent: Mask | None = None) -> None:
        """Take readings over."""
        assert urgent is not None
        self.heard += [batch.take(urgent), batch.take(~urgent)]

    def urgent(self, batch: Batch, *, kind: str = TELEMETRY) -> int:
        """Take an emergency over."""
        self.heard.append(batch)
        return 1


def alarms_of(city: City, seconds: int, folder: Path, *, fault_rate: float) -> tuple[list[Transition], ...]:
    """Run a city twice over: every sample into one engine, what an edge sends into another."""
    fleet = Fleet(city.register.lifts)
    simulation = Simulation(city, seed=11, start=NOW, fault_rate=fault_rate)
    whole, thinned = Engine(fleet, load_rules()), Engine(fleet, load_rules())
    site = Site(folder)
    gateway = Hears(site)
    edge = Edge(fleet.codes, gateway, site.memory, site.clock)
    raised: tuple[list[Transition], ...] = ([], [])
    sampled = reported = 0
    for _ in range(seconds):
        samples = fleet.in_slots(simulation.step())
        site.clock.move((simulation.now - site.clock.at) / SECOND)
        edge.take(samples)
        reports, gateway.heard = gateway.heard, []
        sampled, reported = sampled + len(samples), reported + sum(map(len, reports))
        for found, engine, parts in ((raised[0], whole, [samples]), (raised[1], thinned, reports)):
            found.extend(one for part in parts for one in engine.take(fleet.in_slots(part)))
            found.extend(engine.advance(simulation.now - SECOND // 2))
    assert reported < 0.7 * sampled, "it thins"
    site.close()
    return raised


def test_the_cadence_thins_nothing_that_an_alarm_needs(tmp_path: Path) -> None:
    """A city full of faults: every alarm is raised and returns by what the edge sends as by every sample, in time."""
    whole, thinned = alarms_of(build_city(lifts=150, seed=7, gateways=1), 1_200, tmp_path, fault_rate=40_000.0)
    assert len({one.rule for one in whole if one.change is Change.RAISED}) >= 6
    assert len([one for one in whole if one.change is Change.RAISED]) >= 20
    every, sent = dict(enumerated(whole)), dict(enumerated(thinned))
    assert every.keys() == sent.keys()
    assert max(abs(every[one] - sent[one]) for one in every) <= SECOND


def enumerated(found: list[Transition]) -> Iterator[tuple[tuple[str, str, Change, int], int]]:
    """Give when each alarm was raised or returned, the first of its kind at its lift, the second …."""
    counts: dict[tuple[str, str, Change], int] = {}
    for one in found:
        key = (one.lift, one.rule, one.change)
        counts[key] = counts.get(key, 0) + 1
        yield (*key, counts[key]), one.at


# ------------------------------------------------------------------------------------ emergencies


def test_somebody_trapped_while_the_line_is_down_is_the_first_thing_the_platform_hears(tmp_path: Path) -> None:
    """Ten minutes without a line, an hour of readings behind it: the rule finds the person, and then their release."""
    told: list[Sighting] = []
    site = Site(tmp_path, on_emergency=told.append)
    site.line.connected = False
    for second in range(600):
        # Freed: the door stands open at a landing for a while.
        now = SHUT_IN if 100 <= second < 500 else {**IDLE, "door_closed": 0} if 500 <= second < 520 else IDLE
        site.second(now, {"lift": LIFTS[1], **IDLE})
        site.pump()
    assert [(one.emergency, one.begins) for one in told] == [
        (Emergency.ENTRAPMENT, True),
        (Emergency.ENTRAPMENT, False),
    ]
    assert [one.at for one in told] == [NOW + 131 * SECOND, NOW + 501 * SECOND], "the site knew it by itself"
    site.line.connected = True
    site.second(IDLE)
    site.pump()
    first = [row for batch in site.arrived() for row in batch.rows()][:120]
    assert {row["lift"] for row in first if set(row) - {"lift", "at", "test_call_age"}} == {LIFTS[0]}
    fleet = Fleet([replace(lift, rescue_code=code) for lift, code in zip(SOME_LIFTS, LIFTS, strict=True)])
    engine = Engine(fleet, load_rules())
    raised = [one for batch in site.arrived() for one in engine.take(fleet.in_slots(batch))]
    entrapments = [one.change for one in raised if one.rule == "entrapment_between_landings"]
    assert entrapments == [Change.RAISED, Change.RETURNED]
    site.close()


def test_the_readings_of_an_emergency_say_no_more_than_the_lift_did(site: Site) -> None:
    """A code is the controller's word; ours is that the message is an emergency's."""
    for _ in range(40):
        site.second(SHUT_IN)
    assert site.spool.pending.emergencies >= 10
    site.pump()
    assert all("message_codes" not in row for row in site.rows())
    assert site.edge.tell()["emergencies"] == 1


def test_every_sample_of_the_first_minutes_of_an_emergency_is_sent(site: Site) -> None:
    """Somebody calls from a car that stands and looks empty: the cadence alone would be silent for twenty seconds."""
    for _ in range(10):
        site.second({"alarm_button": 1, **IDLE})
    readings = [arrow.decode(message.payload).batch for message in site.spool.emergencies(0, 100)]
    assert sum(row.get("alarm_button", 0) for batch in readings for row in batch.rows()) == 10


def test_the_sites_own_log_outlives_the_process_and_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the caretaker is shown after a restart."""
    site = Site(tmp_path)
    for second in range(20):
        site.second({"alarm_button": second % 2})
    first = site.edge.sightings()
    assert [one.begins for one in first] == [True, False] * 9 + [True]
    with monkeypatch.context() as patched:
        patched.setattr("gateway.edge.LOG_MAX", 5)
        site.second({"alarm_button": 0})
    first = site.edge.sightings()
    assert [one.at for one in first] == [NOW + k * SECOND for k in range(17, 22)]
    site.close()
    again = Site(tmp_path)
    assert again.edge.sightings() == first
    again.close()


def test_a_siren_that_fails_keeps_nothing_from_the_platform(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a site hangs on to `on_emergency`, and whatever the trips do: the readings go on."""

    class Careless:
        def take(self, _batch: Batch) -> Batch:
            raise ZeroDivisionError

        def take_raw(self, _block: RawBlock) -> None:
            raise ZeroDivisionError

        def flush(self) -> Batch:
            raise ZeroDivisionError

    def siren(_: Sighting) -> None:
        raise OSError("no such loudspeaker")

    site = Site(tmp_path, on_emergency=siren, segmenter=Careless())
    site.second({"alarm_button": 1})
    site.second({"alarm_button": 0})
    site.edge.close()
    site.pump()
    assert [row["alarm_button"] for row in site.rows()] == [1, 0]
    failures = next(m for m in site.edge.metrics() if m.name.endswith("failures_total"))
    assert {labels["part"]: count for labels, count in failures.samples} == {
        "trips": 3,
        "test_calls": 0,
        "log": 0,
        "on_emergency": 2,
    }
    assert "no such loudspeaker" in caplog.text
    site.close()


def test_what_the_disk_refuses_is_reported_anew(site: Site) -> None:
    """An idle lift whose change was refused does not keep it for itself until its next turn."""
    site.second(IDLE)
    site.second(IDLE)
    site.line.connected = False
    site.spool._db.execute("PRAGMA query_only = 1")
    with pytest.raises(Unavailable, match="the spool"):
        site.second(IDLE | {"door_closed": 0})
    site.spool._db.execute("PRAGMA query_only = 0")
    site.second(IDLE | {"door_closed": 0})
    site.line.connected = True
    site.pump()
    assert [row["door_closed"] for row in site.rows()] == [1, 0]


# -------------------------------------------------------------------------------- trips, other lifts


def test_finished_trips_go_out_as_trips(tmp_path: Path) -> None:
    """The segmenter sees every sample, also those that the cadence drops, and what waits goes at the end."""

    class Counts:
        def __init__(self) -> None:
            self.seen: list[Batch] = []

        def take(self, batch: Batch) -> Batch:
            self.seen.append(batch)
            return trip(len(self.seen)) if len(self.seen) % 5 == 0 else EMPTY

        def take_raw(self, _block: RawBlock) -> None:
            raise NotImplementedError

        def flush(self) -> Batch:
            return trip(999)

    segmenter = Counts()
    site = Site(tmp_path, segmenter=segmenter)
    for _ in range(12):
        site.second(IDLE)
    site.edge.close()
    site.pump()
    sent = concat([arrow.decode(message.payload, TRIP_BY_NAME).batch for message in site.line.trips()])
    assert len(concat(segmenter.seen)) == 12
    assert [row["run_count"] for row in sent.rows()] == [5, 10, 999]
    assert site.figure("trips_total") == 3
    site.close()


def test_raw_acceleration_is_counted_and_what_is_refused_too(tmp_path: Path, site: Site) -> None:
    """An operator sees by three figures whether a sensor's blocks come, are taken, and become ride quality."""

    class Rides:
        def take(self, _batch: Batch) -> Batch:
            return from_rows([{"lift": LIFTS[0], "at": NOW, "jerk_max": 1.0}], TRIP_BY_NAME)

        def take_raw(self, block: RawBlock) -> None:
            if not len(block.acceleration):
                raise Invalid("acceleration", "is empty")

        def flush(self) -> Batch:
            return trip(1)

    rides = Site(tmp_path / "rides", segmenter=Rides())
    block = RawBlock(LIFTS[0], NOW, 256, np.zeros((1, 3)))
    rides.edge.take_raw(block)
    with pytest.raises(Invalid, match="is empty"):
        rides.edge.take_raw(block._replace(acceleration=np.empty((0, 3))))
    rides.second(IDLE)
    rides.edge.close()
    figures = ("raw_blocks_total", "raw_blocks_refused_total", "trips_total", "rides_total")
    assert [rides.figure(name) for name in figures] == [2, 1, 2, 1]
    rides.close()
    with pytest.raises(Invalid, match="nothing here finds trips"):
        site.edge.take_raw(block)


def trip(number: int) -> Batch:
    """Make a finished trip."""
    return from_rows([{"lift": LIFTS[0], "at": NOW + number, "run_count": number}], TRIP_BY_NAME)


def test_lifts_that_nobody_told_the_edge_of_are_passed_on_unthinned(site: Site) -> None:
    """The platform quarantines what it does not know; here nothing is lost, and an alarm button is an emergency."""
    for _ in range(5):
        site.second({"lift": "stranger", **IDLE}, IDLE)
    site.second({"lift": "stranger", "alarm_button": 1})
    site.pump()
    found = [row["lift"] for row in site.rows()]
    assert found.count("stranger") == 6
    assert found.count(LIFTS[0]) == 1
    assert site.rows()[0] == {"lift": "stranger", "at": site.clock.at, "alarm_button": 1}, "the emergency first"


def test_several_samples_of_a_lift_in_one_batch_are_taken_in_order(site: Site) -> None:
    """A source that hands over ten seconds at once."""
    rows = [{"lift": LIFTS[0], "at": NOW + k * SECOND, **IDLE, "door_closed": int(k < 5)} for k in range(10)]
    site.clock.move(10)
    site.edge.take(from_rows(rows[::-1]))
    site.pump()
    assert sorted((row["at"] - NOW) // SECOND for row in site.rows()) == [0, 5]


def test_too_many_lifts_or_one_twice_is_refused(tmp_path: Path) -> None:
    """State is a few hundred bytes a lift, and bounded."""
    with pytest.raises(Invalid, match="each once"):
        Site(tmp_path, ("a", "a"))


# ------------------------------------------------------------------------------ requests and test calls


def ask(site: Site, **body: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Send a request and give the answer in the status."""
    site.line.tell(REQUEST, body)
    site.pump()
    answers: list[dict[str, Any]] = site.line.status()[-1]["requests"]
    return answers[-1]


def test_the_report_interval_can_be_set_within_its_bounds(site: Site) -> None:
    """Asked for 10 s, an idle lift reports six times a minute; asked for a second, it goes on as it was."""
    assert ask(site, kind="report_interval", id="1", seconds=10)["done"]
    refused = ask(site, kind="report_interval", id="2", seconds=1)
    assert (refused["done"], refused["text"]) == (False, "seconds: 1 is outside 10 to 30 s")
    assert not ask(site, kind="report_interval", id="3", seconds="often")["done"]
    for _ in range(60):
        site.second(IDLE)
    site.pump()
    assert len(site.rows()) == 6
    assert site.line.status()[-1]["report_interval_s"] == 10


def test_a_comfort_message_is_played_once_where_there_is_a_speaker(tmp_path: Path) -> None:
    """Bounded, one line, at a lift of ours; what the speaker refuses is answered."""
    played: list[tuple[str, str]] = []

    def speaker(lift: str, text: str) -> None:
        if lift == LIFTS[1]:
            raise Conflict("its amplifier is dead")
        played.append((lift, text))

    site = Site(tmp_path, speaker=speaker)
    words = "Help is on its way. 救援人员正在赶来。"
    assert ask(site, kind="comfort_message", id="1", lift=LIFTS[0], text=words)["done"]
    assert ask(site, kind="comfort_message", id="1", lift=LIFTS[0], text=words)["done"]
    assert played == [(LIFTS[0], words)]
    assert ask(site, kind="comfort_message", id="2", lift=LIFTS[1], text=words)["text"] == "its amplifier is dead"
    for text in ("", "x" * 201, "two\nlines", 7, None):
        assert not ask(site, kind="comfort_message", id=f"3{text}"[:60], lift=LIFTS[0], text=text)["done"]
    assert not ask(site, kind="comfort_message", id="4", lift="stranger", text=words)["done"]
    assert len(played) == 1
    site.close()


def test_without_a_speaker_a_comfort_message_is_refused(site: Site) -> None:
    """Nobody is told that something was played."""
    assert "nothing here that could do it" in ask(site, kind="comfort_message", id="1", lift=LIFTS[0])["text"]


def test_a_request_for_motion_is_refused_counted_and_done_by_nobody(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """The gateway watches."""
    site.line.tell(REQUEST, {"kind": "move", "id": "1", "to": 3})
    site.pump()
    refused = {m.name: m.samples[0][1] for m in site.gateway.metrics()}["liftwatch_gateway_requests_refused_total"]
    assert refused == 1
    assert "this gateway only watches" in caplog.text
    assert site.line.status()[-1]["requests"] == []


def test_a_test_call_goes_the_way_of_an_alarm_and_begins_the_age_anew(site: Site) -> None:
    """Asked for, written as an emergency, receipted; then the lift's next report says that it got through."""
    lift = LIFTS[1]
    site.second({"lift": lift, **IDLE})
    assert ask(site, kind="test_call", id="1", lift=lift)["done"]
    (written,) = site.spool.emergencies(0, 10)
    call = arrow.decode(written.payload).batch
    assert list(call.rows()) == [{"lift": lift, "at": site.clock.at + 1, "test_call_age": pytest.approx(0, abs=0.01)}]
    for _ in range(370):
        site.clock.move(9)
        site.second({"lift": lift, **IDLE})
    site.line.receipt(*range(1, site.spool.last_seq + 1))
    site.pump()
    site.line.published.clear()
    for _ in range(25):
        site.second({"lift": lift, **IDLE})
    site.pump()
    assert [row["test_call_age"] for row in site.rows() if "test_call_age" in row] == [0.0]
    assert not ask(site, kind="test_call", id="2", lift="stranger")["done"]


def test_overdue_test_calls_show_in_the_status(site: Site) -> None:
    """Three days without a receipt: the platform, and whoever reads the figures, hears of it."""
    site.second(IDLE)
    site.line.connected = False
    for _ in range(80):
        site.clock.move(3600)
        site.second(IDLE)
    assert site.figure("test_calls_overdue") == 2
    site.line.connected = True
    site.pump()
    assert site.line.status()[-1]["test_calls_overdue"] == 2
    ages = [arrow.decode(m.payload).batch.column(TEST_CALL_AGE) for m in site.spool.unsent(0, 1000)]
    assert np.nanmax(np.concatenate(ages)) > 72
