"""Retention as a role: it works in steps with rests, keeps what it must, and says what it did."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.records_sql import SqlRecords
from adapters.telemetry_duckdb import DuckDBTelemetry
from lift.alarm import Alarm, Priority
from lift.batch import from_rows
from lift.errors import Unavailable
from lift.register import Register
from lift.signals import PASSENGER
from runtime.retention import Keep, Retention
from tests.small_city import StandingClock

SECOND = 1_000_000
DAY = 86_400 * SECOND
START = 20_000 * DAY
KEEP = Keep(raw_days=3, long_days=10, feed_days=5, sent_days=5)


class Site:
    """Stores, a clock, and retention with a wall of its own for its rests."""

    def __init__(self, folder: Path) -> None:
        self.records = SqlRecords(f"sqlite:///{folder}/records.db")
        self.telemetry = DuckDBTelemetry(folder / "telemetry")
        self.clock = StandingClock(START)
        self.seconds = 0.0
        self.retention = Retention(self.telemetry, self.records, self.clock, KEEP, monotonic=lambda: self.seconds)

    def round(self) -> None:
        """Step until a round is complete, with time enough between steps."""
        before = self.retention.rounds
        for _ in range(1000):
            self.seconds += 120
            self.retention.step()
            if self.retention.rounds > before:
                return
        pytest.fail("a round has no end")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Give an empty site."""
    opened = Site(tmp_path)
    yield opened
    opened.telemetry.close()
    opened.records.close()


def an_hour(lift: str, start: int) -> list[dict[str, object]]:
    """Tell a reading a second for an hour."""
    return [{"lift": lift, "at": start + i * SECOND, "passenger": i % 2} for i in range(3600)]


def test_old_readings_go_but_not_those_around_an_alarm(site: Site) -> None:
    """Five minutes before its onset to ten after it was raised stay; files go, and the figures say so."""
    onset = START + 1800 * SECOND
    alarm = Alarm(
        key=f"a:rule:{onset}",
        lift="a",
        rule="rule",
        code=None,
        priority=Priority.HIGH,
        latching=False,
        onset=onset,
        raised_at=onset + 30 * SECOND,
    )
    with site.records.write() as tx:
        tx.register(Register())
        tx.add_alarms([alarm])
        for day in range(8):
            tx.announce(kind="k", at=START + day * DAY, lift="", firm_id="", data={})
    site.telemetry.append(from_rows([*an_hour("a", START), *an_hour("b", START)]))
    site.round()
    for day in (2, 4, 9):
        site.clock.at = START + day * DAY
        site.round()
    kept = site.telemetry.history("a", [PASSENGER], start=0, end=START + DAY)
    assert (kept.at[0], kept.at[-1]) == (onset - 300 * SECOND, onset + 30 * SECOND + 600 * SECOND - SECOND)
    assert len(kept.at) == 930
    assert len(site.telemetry.history("b", [PASSENGER], start=0, end=START + DAY).at) == 0
    by_minute = site.telemetry.history("b", [PASSENGER], start=0, end=START + DAY, resolution_us=60 * SECOND)
    assert len(by_minute.at) == 60
    samples = {one.name: one.samples for one in site.retention.metrics()}
    removed = {labels["what"]: value for labels, value in samples["liftwatch_retention_removed_total"]}
    assert removed == {
        "readings": 7200 - 930,
        "minutes": 0,
        "trips": 0,
        "events": 4,
        "notifications": 0,
        "quarantined": 0,
    }
    assert samples["liftwatch_retention_minutes_made_total"][0][1] == 120
    assert samples["liftwatch_retention_freed_bytes_total"][0][1] > 0


def test_it_rests_between_steps(site: Site) -> None:
    """After a round nothing happens for a minute, however often the role steps."""
    site.round()
    for _ in range(10):
        site.seconds += 1
        site.retention.step()
    assert site.retention.rounds == 1
    site.seconds += 60
    site.retention.step()
    assert site.retention.rounds == 2


def test_a_store_that_is_away_is_tried_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure reaches the role, which repeats the step; the round then goes through."""
    with monkeypatch.context() as patch:
        patch.setattr(site.telemetry, "tidy", lambda **_: (_ for _ in ()).throw(Unavailable("store", "away")))
        site.seconds += 120
        with pytest.raises(Unavailable):
            site.retention.step()
    site.round()
    assert site.retention.rounds == 1
