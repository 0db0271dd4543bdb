"""Months of trips are like the trips of the second-by-second simulation, and say truly what wore."""

from __future__ import annotations

import numpy as np
import pytest

from alarms.condition.features import FEATURES
from gateway.trips import Segmenter
from lift.batch import Batch, concat
from lift.errors import Invalid
from simulator.city import build_city
from simulator.planned import Planned
from simulator.simulation import Simulation
from simulator.trips_for_months import Faint, Months, MonthsPlan, WearCase
from simulator.truth import Kind

CITY = build_city(lifts=60, seed=21)
DAY_US = 86_400_000_000
MIDNIGHT = 1_763_913_600_000_000
# A Monday, 07:00 in the city.
MORNING = 1_763_938_800_000_000
KINDS = (Kind.DOOR_BELT_WEAR, Kind.BRAKE_WEAR, Kind.BEARING_WEAR)


def second_by_second() -> Batch:
    """Live 25 minutes with half-worn parts, and cut trips out of readings as a gateway does."""
    simulation = Simulation(CITY, seed=4, start=MORNING, fault_rate=0.0)
    for slot in range(len(CITY)):
        kind = KINDS[slot % 3]
        simulation.faults.prepare(Planned(at=-500_000.0, slot=slot, kind=kind, cause="test", lasts_s=1_000_000.0))
    segmenter = Segmenter(CITY.codes)
    parts = [segmenter.take(simulation.step()) for _ in range(1_500)]
    return concat([part for part in [*parts, segmenter.flush()] if len(part)])


def drawn() -> Batch:
    """Draw a day of trips with the same parts half worn."""
    months = Months(CITY, MonthsPlan(lifts=60, days=1, seed=4, start=MIDNIGHT, wear=0.0, trips_a_day=150))
    begins, fails = MIDNIGHT - 500 * DAY_US, MIDNIGHT + 500 * DAY_US
    months.cases = [WearCase(slot, KINDS[slot % 3], begins, fails, "test") for slot in range(len(CITY))]
    return next(iter(months))


def means(trips: Batch) -> dict[str, np.ndarray]:
    """Give each feature's mean for each lift, NaN where it has few trips."""
    speed = CITY.plant.speed[trips.lift]
    found = {}
    for feature in FEATURES:
        values = feature.of(trips, speed)
        known = np.isfinite(values)
        count = np.bincount(trips.lift[known], minlength=len(CITY))
        total = np.bincount(trips.lift[known], values[known], minlength=len(CITY))
        found[feature.name] = np.where(count >= 5, total / np.maximum(count, 1), np.nan)
    return found


def test_drawn_trips_are_like_those_cut_from_readings() -> None:
    """Lift by lift, with parts half worn, every feature that wear moves has the same mean, to its own tolerance."""
    lived, drew = means(second_by_second()), means(drawn())
    tolerance = {
        "door closing time": 0.2,
        "door opening time": 0.15,
        "levelling error": 0.5,
        "overrun": 0.6,
        "sideways vibration": 0.2,
        "vertical vibration": 0.25,
        "vibration 2/8": 0.25,
        "motor current": 0.15,
        "slowness": 0.15,
    }
    for name, most in tolerance.items():
        off = drew[name] - lived[name]
        assert np.isfinite(off).sum() >= 10, name
        assert abs(np.nanmedian(off)) < most, name


def test_faint_wear_moves_much_a_little_and_a_brake_drags_on_its_bad_days_only() -> None:
    """At its end a dry guide shakes, draws and warms a few per cent more; a brake that drags does so for days."""
    months = Months(CITY, MonthsPlan(lifts=60, days=200, seed=5, start=MIDNIGHT, wear=30.0))
    assert {case.kind for case in months.cases if case.kind in Faint} == set(Faint)
    one = next(case for case in months.cases if case.kind is Faint.BRAKE_DRAGS)
    at = np.arange(one.began - 10 * DAY_US, one.fails + 10 * DAY_US, DAY_US // 24)
    drags = months._drags(np.full(len(at), one.slot), at)
    inside = (at >= one.began) & (at < one.fails)
    assert not drags[~inside].any()
    assert 0.05 < drags[inside].mean() < 0.4
    plan = MonthsPlan(lifts=60, days=1, seed=4, start=MIDNIGHT, wear=0.0, trips_a_day=150)
    healthy, dry = Months(CITY, plan), Months(CITY, plan)
    begins, fails = MIDNIGHT - 500 * DAY_US, MIDNIGHT + 2 * DAY_US
    dry.cases = [WearCase(slot, Faint.DRY_GUIDES, begins, fails, "test") for slot in range(len(CITY))]
    before, after = means(next(iter(healthy))), means(next(iter(dry)))
    for name, more in (("sideways vibration", 0.14), ("motor current", 0.05), ("motor warming", 1.5)):
        assert float(np.nanmedian(after[name] - before[name])) == pytest.approx(more, rel=0.5), name


def test_the_same_plan_gives_the_same_months() -> None:
    """Rows and truth repeat; rows come in order of time, within their day, and every case ends after it began."""
    plan = MonthsPlan(lifts=60, days=3, seed=5, start=MIDNIGHT, wear=30.0, trips_a_day=10)
    one, again = Months(CITY, plan), Months(CITY, plan)
    assert one.cases == again.cases
    assert one.cases
    assert all(case.began < case.fails for case in one.cases)
    for day, (left, right) in enumerate(zip(one, again, strict=True)):
        assert (np.diff(left.at) >= 0).all()
        assert MIDNIGHT + day * DAY_US <= left.at[0] <= left.at[-1] < MIDNIGHT + (day + 1) * DAY_US
        for signal, values in left.columns.items():
            assert np.array_equal(values, right.columns[signal], equal_nan=True)


@pytest.mark.parametrize(("days", "trips_a_day"), [(0, 10), (10, 0)])
def test_months_that_cannot_be_are_refused(days: int, trips_a_day: int) -> None:
    """No days, no trips."""
    with pytest.raises(Invalid):
        MonthsPlan(lifts=60, days=days, seed=1, start=MIDNIGHT, trips_a_day=trips_a_day)
