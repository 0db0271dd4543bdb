"""What every telemetry store does when it tidies up: answers stay what they were, old rows go, minutes stay."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.telemetry import telemetry_open
from adapters.telemetry_memory import MemoryTelemetry
from lift.batch import from_rows
from lift.ports import History, Span, Stored, Telemetry, Tidied
from lift.signals import CAR_POSITION, CAR_SPEED, PASSENGER, RUNNING_HOURS
from lift.trips import DISTANCE, TRIP_BY_NAME

S = 1_000_000
MINUTE = 60 * S
HOUR = 60 * MINUTE
DAY = 24 * HOUR
ALWAYS = 2**53
STEPS_MAX = 1000


def tidy(
    store: Telemetry, now: int, *, raw_before: int = 0, long_before: int = 0, keep: Sequence[Span] = ()
) -> list[Tidied]:
    """Tidy to the end, twice, some days apart: what is closed for a day and more is certainly dealt with."""
    done = []
    for moment in (now, now + 2 * DAY):
        for _ in range(STEPS_MAX):
            done.append(
                store.tidy(now=moment, raw_before=raw_before, long_before=long_before, around=lambda _a, _b: keep)
            )
            if not done[-1].more:
                break
        else:
            pytest.fail("tidying has no end")
    return done


def replayed(store: Telemetry) -> list[dict[str, Any]]:
    """Give all readings that a store holds, in a fixed order."""
    found = [row for batch in store.replay(start=0, end=ALWAYS) for row in batch.rows()]
    return sorted(found, key=lambda row: (row["at"], row["lift"]))


def same(one: History, other: History, close: float = 0) -> None:
    """Compare two histories; sums in another order may differ in their last bits."""
    assert one.at.tolist() == other.at.tolist()
    assert one.columns.keys() == other.columns.keys()
    for signal, values in other.columns.items():
        tolerance = 0 if signal.whole else close
        np.testing.assert_allclose(one.columns[signal], values, rtol=tolerance, atol=tolerance)


LIFTS = ("a", "b")
SOME = (PASSENGER, CAR_POSITION, CAR_SPEED, RUNNING_HOURS)
# On both sides of minutes, hours and days, and few enough that copies are common.
TIMES = st.sampled_from([0, S, MINUTE - 1, MINUTE, MINUTE + S, HOUR - S, HOUR, DAY - 1, DAY, 2 * DAY + MINUTE])
READINGS = st.fixed_dictionaries(
    {"lift": st.sampled_from(LIFTS), "at": TIMES},
    optional={
        "passenger": st.integers(0, 1),
        "car_position": st.integers(-2, 30),
        "car_speed": st.floats(-20, 20, width=32),
        "running_hours": st.floats(0, 1e5),
        "message_codes": st.lists(st.sampled_from([1, 11]), unique=True),
    },
)
# Each append is followed by some tidying, or by none.
ROUNDS = st.lists(st.tuples(st.lists(READINGS, max_size=10), st.integers(0, 2)), min_size=1, max_size=4)


@given(rounds=ROUNDS, reopen=st.booleans())
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tidying_changes_no_answer_and_minutes_outlive_readings(
    urls: Callable[[], str],
    rounds: list[tuple[list[dict[str, Any]], int]],
    reopen: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    """Tidied between any appends, late ones and copies, a store answers like one that never was.

    Then all readings are removed: the steps made of minutes are what all readings together gave.
    """
    url, plain = urls(), MemoryTelemetry()
    store = telemetry_open(url)
    reopen &= not url.startswith("memory")
    now = 3 * DAY
    for told, times in rounds:
        batch = from_rows(told)
        assert store.append(batch) == plain.append(batch)
        for _ in range(times):
            tidy(store, now)
            now += 4 * DAY
        if reopen:
            store.close()
            store = telemetry_open(url)
    tidy(store, now)
    assert dict(store.newest()) == dict(plain.newest())
    assert replayed(store) == replayed(plain)
    assert list(store.latest(LIFTS, since=0).rows()) == list(plain.latest(LIFTS, since=0).rows())
    asked = [(lift, step) for lift in LIFTS for step in (None, 30 * S, MINUTE, HOUR, 30 * HOUR)]
    for lift, step in asked:
        expected = plain.history(lift, SOME, start=0, end=ALWAYS, resolution_us=step)
        same(store.history(lift, SOME, start=0, end=ALWAYS, resolution_us=step), expected, 1e-4)
    tidy(store, now, raw_before=10 * DAY)
    assert replayed(store) == []
    for lift, step in asked:
        if step is not None and step >= MINUTE:
            expected = plain.history(lift, SOME, start=0, end=10 * DAY, resolution_us=step)
            same(store.history(lift, SOME, start=0, end=10 * DAY, resolution_us=step), expected, 1e-4)
    store.close()


def speeds(lift: str, start: int, seconds: int) -> list[dict[str, Any]]:
    """Tell a speed a second that counts them."""
    return [{"lift": lift, "at": start + i * S, "car_speed": i % 7, "passenger": i % 2} for i in range(seconds)]


def test_readings_around_alarms_stay(store: Telemetry) -> None:
    """Of a day that is over, only what lies around alarms is left, to the last reading; the tally says what went."""
    store.append(from_rows([*speeds("a", 0, 3000), *speeds("b", 0, 3000), *speeds("a", 5 * DAY, 10)]))
    spans = [Span("a", 600 * S, 700 * S), Span("a", 650 * S, 800 * S), Span("gone", 0, DAY)]
    hours = store.history("a", [CAR_SPEED, PASSENGER], start=0, end=DAY, resolution_us=HOUR)
    done = tidy(store, 6 * DAY, raw_before=5 * DAY, keep=spans)
    kept = store.history("a", [CAR_SPEED], start=0, end=DAY)
    assert kept.at.tolist() == [i * S for i in range(600, 800)]
    assert kept.columns[CAR_SPEED].tolist() == [i % 7 for i in range(600, 800)]
    assert len(store.history("b", [CAR_SPEED], start=0, end=DAY).at) == 0
    assert len(store.history("a", [CAR_SPEED], start=5 * DAY, end=6 * DAY).at) == 10
    assert sum(one.readings for one in done) in (6000 - 200, 6000)
    same(store.history("a", [CAR_SPEED, PASSENGER], start=0, end=DAY, resolution_us=HOUR), hours, 1e-5)
    again = tidy(store, 6 * DAY, raw_before=5 * DAY, keep=spans)
    assert sum(one.readings for one in again) == 0
    assert store.history("a", [CAR_SPEED], start=0, end=DAY).at.tolist() == kept.at.tolist()


def test_one_history_over_minutes_and_readings(store: Telemetry) -> None:
    """Steps run on without a seam from days whose readings are gone into days whose readings are there."""
    store.append(from_rows([*speeds("a", DAY - 600 * S, 1200)]))
    before = store.history("a", [CAR_SPEED, PASSENGER], start=0, end=ALWAYS, resolution_us=5 * MINUTE)
    assert len(before.at) == 4
    tidy(store, 3 * DAY, raw_before=DAY)
    assert store.history("a", [CAR_SPEED], start=0, end=ALWAYS).at[0] == DAY
    same(store.history("a", [CAR_SPEED, PASSENGER], start=0, end=ALWAYS, resolution_us=5 * MINUTE), before, 1e-5)


def test_late_readings_enter_the_minutes_they_belong_to(store: Telemetry) -> None:
    """A minute that was rolled up already is made anew of all its readings, when the other half of it comes late."""
    store.append(from_rows(speeds("a", 0, 30)))
    tidy(store, 3 * DAY)
    late = [{**row, "at": row["at"] + 30 * S, "car_speed": 10 + row["car_speed"]} for row in speeds("a", 0, 30)]
    store.append(from_rows(late))
    tidy(store, 7 * DAY)
    before = store.history("a", [CAR_SPEED, PASSENGER], start=0, end=DAY, resolution_us=MINUTE)
    tidy(store, 7 * DAY, raw_before=5 * DAY)
    assert replayed(store) == []
    same(store.history("a", [CAR_SPEED, PASSENGER], start=0, end=DAY, resolution_us=MINUTE), before, 1e-5)
    assert before.columns[CAR_SPEED].tolist() == [pytest.approx(5 + sum(i % 7 for i in range(30)) / 30, rel=1e-5)]


def test_a_late_reading_does_not_replace_a_minute_of_many(store: Telemetry) -> None:
    """What comes when its readings are gone already makes minutes that were missing, and changes none that is there."""
    store.append(from_rows([*speeds("a", 0, 60), *speeds("a", 5 * DAY, 10)]))
    tidy(store, 6 * DAY, raw_before=5 * DAY)
    late = [{"lift": "a", "at": 30 * S, "car_speed": 19}, {"lift": "a", "at": 200 * S, "car_speed": 4}]
    assert store.append(from_rows(late)) == Stored(2, 0)
    tidy(store, 9 * DAY, raw_before=5 * DAY)
    told = store.history("a", [CAR_SPEED], start=0, end=DAY, resolution_us=MINUTE)
    mean = sum(i % 7 for i in range(60)) / 60
    assert dict(zip(told.at.tolist(), told.columns[CAR_SPEED].tolist(), strict=True)) == {
        0: pytest.approx(mean, rel=1e-5),
        3 * MINUTE: 4,
    }


def test_minutes_and_trips_go_last(store: Telemetry) -> None:
    """What is older than anything is kept for goes altogether; the rest stays."""
    store.append(from_rows([*speeds("a", 0, 60), *speeds("a", 100 * DAY, 60)]))
    trips = [{"lift": "a", "at": at, "distance": 3.0} for at in (S, 100 * DAY)]
    store.append_trips(from_rows(trips, TRIP_BY_NAME))
    tidy(store, 110 * DAY, raw_before=105 * DAY)
    # Minutes and trips are closed by the month.
    done = tidy(store, 200 * DAY, raw_before=105 * DAY, long_before=90 * DAY)
    told = store.history("a", [CAR_SPEED], start=0, end=ALWAYS, resolution_us=MINUTE)
    assert told.at.tolist() == [100 * DAY]
    assert store.trips("a", [DISTANCE], start=0, end=ALWAYS, most=9).at.tolist() == [100 * DAY]
    assert [sum(one.minutes for one in done), sum(one.trips for one in done)] == [1, 1]
