"""The condition path: what people mend begins a new baseline, also in the next process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from adapters.records_sql import SqlRecords
from adapters.telemetry_memory import MemoryTelemetry
from alarms.condition.baselines import BASELINE_DAYS
from alarms.condition.monitor import DAY_US, ConditionMonitor
from alarms.desk import AlarmDesk
from lift.alarm import Transition
from lift.batch import Batch
from lift.fleet import Fleet
from lift.trips import DOOR_CLOSING_TIME
from runtime.condition_path import ConditionPath
from runtime.evaluate_wear import MIDNIGHT
from simulator.city import build_city
from simulator.trips_for_months import Months, MonthsPlan

CITY = build_city(lifts=30, seed=3)
FLEET = Fleet(CITY.register.lifts)
WORN = 7
CODE = CITY.codes[WORN]
MENDED = 30


class Clock:
    """A clock that stands until it is moved."""

    at = MIDNIGHT

    def now(self) -> int:
        """Give the time it stands at."""
        return self.at


def months() -> list[Batch]:
    """Give trips of weeks in which one door wears, and from the day it is mended on stays as slow as it then was."""
    days = []
    plan = MonthsPlan(lifts=30, days=52, seed=5, start=MIDNIGHT, wear=0.0, trips_a_day=12)
    for number, day in enumerate(Months(CITY, plan)):
        trips = FLEET.in_slots(day)
        slow = (trips.lift == WORN) * 0.12 * min(max(0, number - BASELINE_DAYS - 2), 12)
        closing = trips.columns[DOOR_CLOSING_TIME] + slow.astype(np.float32)
        days.append(Batch(trips.names, trips.lift, trips.at, {**trips.columns, DOOR_CLOSING_TIME: closing}))
    return days


DAYS = months()


class City:
    """Records, and a path over them that can be begun anew as after a crash."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.records = SqlRecords(f"sqlite:///{folder}/records.db")
        with self.records.write() as tx:
            tx.register(CITY.register)
        self.desk = AlarmDesk(self.records, self.clock)
        self.telemetry = MemoryTelemetry()
        self.file = folder / "condition.state"
        self.down = False
        self.begin()

    def begin(self) -> None:
        """Begin a process."""
        self.monitor = ConditionMonitor(FLEET)
        self.waiting: list[Transition] = []
        self.path = ConditionPath(
            FLEET, self.monitor, self.records, self.clock, self.file, self._tell, lambda: not self.waiting
        )
        self.path.recover(self.telemetry)

    def _tell(self, found: Sequence[Transition]) -> None:
        if self.down:
            self.waiting += found
            return
        with self.records.write() as tx:
            self.desk.take(tx, found)

    def live(self, start: int, end: int) -> None:
        """Live through some days."""
        for number in range(start, end):
            self.clock.at = MIDNIGHT + (number + 1) * DAY_US
            day = DAYS[number]
            self.telemetry.append_trips(day)
            self.path.take(day)
            self.path.step()

    def state(self) -> bytes:
        """Give what the monitor would save."""
        file = BytesIO()
        self.monitor.save(file)
        return file.getvalue()

    def standing(self) -> list[str]:
        """Give the keys of the worn lift's alarms that stand."""
        with self.records.read() as reads:
            return [one.key for one in reads.alarms(lift=CODE, standing=True)]


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    """Give a city."""
    made = City(tmp_path)
    yield made
    made.records.close()


@pytest.mark.parametrize("crash", ["none", "with a state from before", "with a state from after"])
def test_a_repair_ends_the_alarm_and_begins_a_new_baseline(city: City, crash: str) -> None:
    """The alarm ends when the firm says so, and how the door is now is the new measure; a crash changes nothing."""
    city.live(0, 28)
    city.path.save()
    city.live(28, MENDED)
    (key,) = city.standing()
    assert "door_closing_slower" in key
    city.desk.repaired(key, by="Ann", reason="new belt, slower by design")
    city.path.hear_of_repairs()
    assert city.standing() == []
    assert not any(city.monitor.standing().values())
    if crash == "with a state from after":
        city.path.save()
    if crash != "none":
        city.begin()
    city.live(MENDED, len(DAYS))
    assert city.standing() == []
    with city.records.read() as reads:
        assert {one.rule for one in reads.alarms(lift=CODE)} == {"door_closing_slower"}


def test_a_crash_while_the_records_are_away_loses_no_alarm(city: City) -> None:
    """No state is saved that holds an alarm which only waits in memory to be recorded."""
    city.live(0, 20)
    assert city.path.save()
    city.down = True
    city.live(20, MENDED)
    assert city.waiting
    city.path.save()
    city.down = False
    city.begin()
    (key,) = city.standing()
    assert "door_closing_slower" in key
    assert city.path.save()


def test_what_is_reported_beside_an_older_alarm_ends_the_one_that_stands(city: City) -> None:
    """A firm opens last month's alarm and says there what it has mended: nothing stands for ever for that."""
    city.live(0, MENDED)
    (key,) = city.standing()
    with city.records.write() as tx:
        first = tx.alarm(key)
        older = replace(first, key=f"{first.lift}:{first.rule}:1", onset=1, raised_at=2, returned_at=3)
        tx.add_alarms([older])
    city.desk.repaired(older.key, by="Ann", reason="new belt")
    city.path.hear_of_repairs()
    assert city.standing() == []


def test_a_repair_is_replayed_in_its_place(city: City) -> None:
    """Trips of weeks, replayed after a crash around a repair, come to the same state as without the crash."""
    city.live(0, 28)
    city.path.save()
    city.live(28, MENDED)
    city.desk.repaired(city.standing()[0], by="Ann", reason="new belt")
    city.path.hear_of_repairs()
    city.live(MENDED, 38)
    expected = city.state()
    city.begin()
    assert city.state() == expected


def test_without_a_word_the_alarm_stands_for_ever(city: City) -> None:
    """The frozen chart never learns a lasting change away."""
    city.live(0, len(DAYS))
    (key,) = city.standing()
    assert "door_closing_slower" in key


def test_a_damaged_state_begins_anew(city: City) -> None:
    """Baselines are lost then, and nothing else."""
    city.live(0, 3)
    city.path.save()
    city.file.write_bytes(city.file.read_bytes()[:-100])
    city.begin()
    city.live(3, 5)
    assert city.standing() == []
