"""Trips out of readings, checked against the simulator's truth and against trips made by hand."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.raw_block import RawBlock
from gateway.raw_trips import KEPT_S, RAW_LIFTS_MAX, RawTrips
from gateway.trips import Segmenter
from lift import signals as s
from lift import trips as t
from lift.batch import Batch, Floats, Ints, concat, from_rows
from lift.errors import Invalid
from lift.signals import DoorState, ServiceMode, Signal
from simulator import motion
from simulator.arrays import Numbers
from simulator.city import City, build_city
from simulator.network import Cadence, Network
from simulator.simulation import Simulation
from simulator.truth import Kind

START = 1_763_978_400_000_000
SECOND = 1_000_000
LIFTS, SECONDS = 120, 1_200


# ------------------------------------------------------------------------------- against the simulator


@dataclass(frozen=True)
class Life:
    """What a city lived through: its readings second by second, its finished trips, how often each lift left."""

    city: City
    seconds: list[Batch]
    truth: Mapping[str, Numbers]
    departures: Floats

    @cached_property
    def rows(self) -> Batch:
        """The readings, cut into trips."""
        return self.through(lambda batch: batch)

    def through(self, feed: Callable[[Batch], Batch]) -> Batch:
        """Cut the readings into trips, as they come through a feed."""
        segmenter = Segmenter(self.city.codes[:LIFTS])
        return concat([*(segmenter.take(feed(batch)) for batch in self.seconds), segmenter.flush()])

    def matched(self, rows: Batch) -> tuple[Ints, Ints]:
        """Give the rows that are finished trips of the truth, and which; asserts that none is there twice."""
        stand = (rows.at - START) / SECOND
        found = np.full(len(rows), -1)
        for row in range(len(rows)):
            same = np.flatnonzero(
                (self.truth["lift"] == rows.lift[row]) & (np.abs(self.truth["ended"] - stand[row]) < 1.5)
            )
            found[row] = same[0] if len(same) else -1
        ours = np.flatnonzero(found >= 0)
        assert len(np.unique(found[ours])) == len(ours)
        return ours, found[ours]


def live(fault_rate: float) -> Life:
    """Live half an evening hour."""
    city = build_city(lifts=LIFTS, seed=2)
    simulation = Simulation(city, seed=6, start=START, fault_rate=fault_rate)
    simulation.trips.wanted = True
    before = simulation.state.run_count.copy()
    seconds = [simulation.step() for _ in range(SECONDS)]
    return Life(city, seconds, simulation.trips.take(), simulation.state.run_count - before)


@pytest.fixture(scope="module")
def calm() -> Life:
    """A city where nothing fails."""
    return live(0.0)


@pytest.fixture(scope="module")
def troubled() -> Life:
    """A city with all faults and near misses, many times as often as in life."""
    return live(600.0)


def test_every_trip_is_found_once_and_counted_as_the_lift_counts(calm: Life) -> None:
    """Trips found = trips lived, and the run counter rises by one from row to row."""
    rows = calm.rows
    ours, theirs = calm.matched(rows)
    assert len(ours) == len(rows) == len(calm.truth["lift"])
    for lift in range(LIFTS):
        mine = rows.take(rows.lift == lift)
        left = calm.departures[lift] - len(mine)
        assert left in {0, 1}, "one may be under way at the end"
        assert (np.diff(mine.column(s.RUN_COUNT)) == 1).all()
        assert (np.diff(mine.at) > 0).all()
    assert np.abs(rows.column(t.DISTANCE)[ours] - calm.truth["distance"][theirs]).max() < 0.03


def test_flight_times_are_within_the_sampling_error(calm: Life) -> None:
    """At one reading a second flight times are known to a tenth of a second, and the stand too."""
    rows = calm.rows
    ours, theirs = calm.matched(rows)
    error = rows.column(t.FLIGHT_TIME)[ours] - (calm.truth["ended"] - calm.truth["started"])[theirs]
    assert np.abs(error).max() < 0.35
    assert np.percentile(np.abs(error), 95) < 0.12
    assert abs(error.mean()) < 0.05
    stand = (rows.at[ours] - START) / SECOND - calm.truth["ended"][theirs]
    assert np.abs(stand).max() < 0.25


def test_door_times_are_within_a_second_and_right_on_average(calm: Life) -> None:
    """One door time is as coarse as the readings; the mean of many is not."""
    rows = calm.rows
    plant = calm.city.plant
    for signal, true in ((t.DOOR_CLOSING_TIME, plant.close_s), (t.DOOR_OPENING_TIME, plant.open_s)):
        error = rows.column(signal) - true[rows.lift]
        known = ~np.isnan(error)
        assert known.mean() > 0.9
        assert np.abs(error[known]).max() <= 1.0
        assert abs(error[known].mean()) < 0.06


def test_each_trip_begins_where_the_last_one_ended(calm: Life) -> None:
    """From and to landing agree from trip to trip, and with the way that was gone."""
    rows = calm.rows
    for lift in range(LIFTS):
        mine = rows.take(rows.lift == lift)
        assert (mine.column(t.FROM_LANDING)[1:] == mine.column(t.TO_LANDING)[:-1]).all()
        up = mine.column(t.TO_LANDING) - mine.column(t.FROM_LANDING)
        assert (np.sign(up) == np.sign(mine.column(t.DISTANCE))).all()


def test_faults_and_near_misses_make_no_trips_and_lose_none(troubled: Life) -> None:
    """Jogs, crawls, drifts and blocked starts are no trips; a trip cut short is one that reached no landing."""
    rows = troubled.rows
    ours, theirs = troubled.matched(rows)
    others = np.setdiff1d(np.arange(len(rows)), ours)
    assert len(ours) == len(troubled.truth["lift"]), "every finished trip"
    assert len(others) > 0
    assert np.isnan(rows.column(t.TO_LANDING)[others]).all(), "whatever else there is stopped between landings"
    assert len(rows) <= troubled.departures.sum()
    error = rows.column(t.FLIGHT_TIME)[ours] - (troubled.truth["ended"] - troubled.truth["started"])[theirs]
    assert np.percentile(np.abs(error), 95) < 0.35
    assert np.abs(error).max() < 1.0


def test_every_figure_lies_in_its_range_and_what_is_not_measured_is_missing(troubled: Life) -> None:
    """No figure would be refused on its way; retrofit lifts report no load and no motor, and nobody rides raw."""
    rows = troubled.rows
    assert tuple(rows.columns) == t.TRIP_SIGNALS
    for signal, values in rows.columns.items():
        told = values[~np.isnan(values)]
        assert values.dtype == signal.dtype
        assert ((told >= signal.low) & (told <= signal.high)).all(), signal.name
    retrofit = troubled.city.plant.retrofit[rows.lift]
    for signal in (s.LOAD, s.MOTOR_CURRENT, s.MOTOR_TEMPERATURE):
        assert (np.isnan(rows.column(signal)) == retrofit).all()
    assert np.isnan(rows.column(t.RIDE_X_MAX)).all()
    assert not np.isnan(rows.column(s.VIBRATION_X)).any()


def test_the_terminals_cadence_changes_little(calm: Life) -> None:
    """Idle lifts that report every 20 s lose no trip, and hardly any flight time."""
    full, sparse = calm.rows, calm.through(Cadence().pick)
    assert _identity(full) == _identity(sparse)
    order = [np.lexsort((rows.at, rows.lift)) for rows in (full, sparse)]
    flights = [rows.column(t.FLIGHT_TIME)[by] for rows, by in zip((full, sparse), order, strict=True)]
    assert np.abs(flights[0] - flights[1]).max() < 0.5


def test_duplicates_disorder_and_late_readings_invent_nothing(calm: Life) -> None:
    """What a bad line does to readings costs trips at most; no trip is reported twice or made up."""
    simulation = Simulation(calm.city, seed=5, start=START, fault_rate=0.0)
    chance = np.random.default_rng(1)
    network = Network(calm.city, ledger=simulation.ledger, start=START, chance=chance, factor=0.0)
    for first, kind in ((0, Kind.DUPLICATES), (40, Kind.REORDERING), (80, Kind.GATEWAY_RESTART)):
        network.begin(kind, first, first + 40, lasts_s=600, size=3)
    full = calm.rows
    rows = calm.through(network.deliver)
    assert _identity(rows) <= _identity(full)
    assert len(_identity(rows)) == len(rows)
    untouched = full.lift < 40
    assert (rows.lift < 40).sum() == untouched.sum(), "duplicates cost nothing"
    assert len(rows) > 0.8 * len(full)


def test_a_worn_joint_shows_in_its_eighth_of_the_travel() -> None:
    """Horizontal vibration is told apart by height."""
    whole = build_city(lifts=LIFTS, seed=2)
    city = whole.pick(np.array([np.argmax(whole.plant.landings * (whole.plant.riders > 300))]))
    simulation = Simulation(city, seed=6, start=START, fault_rate=0.0)
    simulation.wear.begin(0, Kind.RAIL_JOINT_WEAR, began=-1e6, fails=1.0, where=0.5)
    segmenter = Segmenter(city.codes)
    rows = concat([segmenter.take(simulation.step()) for _ in range(2 * SECONDS)])
    plant = city.plant
    travel = float((plant.landings[0] - 1) * plant.floor_m[0] + plant.entrance_m[0])
    # The first trips only begin to teach how far the car goes.
    bands = np.stack([rows.column(signal) for signal in t.VIBRATION_AT], axis=1)[len(rows) // 2 :]
    strongest = np.nanmax(bands, axis=0)
    worn = int(float(simulation.wear.joint_height[0]) / travel * t.HEIGHT_BANDS)
    assert abs(int(np.argmax(strongest)) - worn) <= 1
    assert strongest.max() > 1.5 * np.median(strongest)


def _identity(rows: Batch) -> set[tuple[int, int]]:
    return set(zip(rows.lift.tolist(), rows.column(s.RUN_COUNT).astype(int).tolist(), strict=True))


# ------------------------------------------------------------------------------------ trips made by hand


@dataclass(frozen=True, kw_only=True)
class Trip:
    """A trip of one lift from the landing at 0 m: the door closes at 5 s, half a second later the car leaves."""

    distance: float = 14.0
    top: float = 1.75
    gain: float = 0.9
    jerk: float = 1.0
    close_s: float = 3.0
    open_s: float = 2.0
    offset_s: float = 0.0
    rate_hz: float = 1.0

    @property
    def leaves_s(self) -> float:
        """Give when the car leaves."""
        return 5.0 + self.close_s + 0.5

    @property
    def flight_s(self) -> float:
        """Give how long it is under way."""
        return float(self._plan().duration[0])

    def _plan(self) -> motion.Profile:
        return motion.profile(*(np.array([value]) for value in (abs(self.distance), self.top, self.gain, self.jerk)))

    def readings(self, *, lasts_s: float = 40.0) -> Batch:
        """Give the readings, the first at `offset_s`."""
        time = np.arange(self.offset_s, self.leaves_s + self.flight_s + lasts_s, 1 / self.rate_hz)
        under_way = time - self.leaves_s
        at = motion.progress(under_way, np.array([abs(self.distance)]), self._plan(), np.array([self.jerk]))
        way = np.sign(self.distance)
        moving = (under_way > 0) & (under_way < self.flight_s)
        opens = self.leaves_s + self.flight_s
        # By time: open, closing, closed, opening, open.
        edges = np.searchsorted([5.0, 5.0 + self.close_s, opens, opens + self.open_s], time, side="right")
        states = np.array([DoorState.OPEN, DoorState.CLOSING, DoorState.CLOSED, DoorState.OPENING, DoorState.OPEN])
        return _batch(
            time,
            {
                s.CAR_STATUS: moving * 1.0,
                s.CAR_SPEED: way * at.speed,
                s.CAR_HEIGHT: way * at.covered,
                s.CAR_POSITION: np.where(time < opens, 1, 5),
                s.DOOR_ZONE: ~moving * 1.0,
                s.DOOR_STATE: states[edges],
                s.RUN_COUNT: 100.0 + (under_way > 0),
                s.SERVICE_MODE: np.full(len(time), ServiceMode.NORMAL),
                s.LEVELLING_ERROR: np.where(time < opens, 1.0, 4.0),
                s.MOTOR_CURRENT: moving * 12.0,
                s.VIBRATION_X: moving * 0.03,
            },
        )


def _batch(time: Floats, columns: Mapping[Signal, Floats]) -> Batch:
    at = START + np.rint(np.asarray(time) * SECOND).astype(np.int64)
    typed = {signal: np.asarray(values).astype(signal.dtype) for signal, values in columns.items()}
    return Batch(["063577"], np.zeros(len(at), np.int32), at, typed)


def without(batch: Batch, *signals: Signal) -> Batch:
    """Leave columns out."""
    return replace(batch, columns={signal: values for signal, values in batch.columns.items() if signal not in signals})


def cut(*batches: Batch) -> Batch:
    """Cut readings of lift 063577 into trips."""
    segmenter = Segmenter(["063577"])
    return concat([*(segmenter.take(batch) for batch in batches), segmenter.flush()])


trips = st.builds(
    Trip,
    distance=st.floats(3.0, 60.0) | st.floats(-60.0, -3.0),
    top=st.floats(0.8, 4.0),
    gain=st.floats(0.6, 0.8),
    jerk=st.floats(0.8, 1.6),
    close_s=st.floats(1.5, 5.0),
    open_s=st.floats(1.5, 4.0),
    offset_s=st.floats(0.0, 1.0),
)


@settings(max_examples=40)
@given(trip=trips, rate_hz=st.sampled_from([1.0, 2.0, 10.0]))
def test_times_are_as_fine_as_the_readings_allow(trip: Trip, rate_hz: float) -> None:
    """Flight time within 0.35 s at 1 Hz and 0.06 s at 10 Hz; door times within one reading; distance as measured."""
    trip = replace(trip, rate_hz=rate_hz)
    rows = cut(trip.readings())
    assert len(rows) == 1
    assert rows.column(t.FLIGHT_TIME)[0] == pytest.approx(trip.flight_s, abs={1.0: 0.35, 2.0: 0.2, 10.0: 0.06}[rate_hz])
    stand = START + (trip.leaves_s + trip.flight_s) * SECOND
    assert abs(rows.at[0] - stand) <= {1.0: 0.25, 2.0: 0.15, 10.0: 0.05}[rate_hz] * SECOND
    assert rows.column(t.DOOR_CLOSING_TIME)[0] == pytest.approx(trip.close_s, abs=1.001 / rate_hz)
    assert rows.column(t.DOOR_OPENING_TIME)[0] == pytest.approx(trip.open_s, abs=1.001 / rate_hz)
    assert rows.column(t.DISTANCE)[0] == pytest.approx(trip.distance, abs=0.01)
    assert rows.column(t.RELEVELLINGS)[0] == 0
    assert rows.column(t.DOOR_REVERSALS)[0] == 0


def test_a_row_says_what_the_readings_said() -> None:
    """Counts, landings, levelling, means and root mean squares of one trip."""
    [row] = cut(Trip().readings()).rows()
    assert row["lift"] == "063577"
    assert (row["run_count"], row["from_landing"], row["to_landing"], row["levelling_error"]) == (101, 1, 5, 4)
    assert (row["motor_current"], row["vibration_x"]) == (pytest.approx(12.0), pytest.approx(0.03))
    assert row["top_speed"] == pytest.approx(1.75)
    assert not {"load", "vibration_y", "ride_x_max", "motor_temperature"} & set(row)


@settings(max_examples=10)
@given(trip=trips, rate_hz=st.sampled_from([1.0, 10.0]), cuts=st.lists(st.integers(1, 600), max_size=8), data=st.data())
def test_how_readings_are_batched_does_not_matter(
    trip: Trip, rate_hz: float, cuts: list[int], data: st.DataObject
) -> None:
    """One batch, or many, shuffled within themselves and each sent twice: the same rows."""
    readings = replace(trip, rate_hz=rate_hz).readings()
    parts = []
    for part in np.split(np.arange(len(readings)), sorted({place for place in cuts if place < len(readings)})):
        order = data.draw(st.permutations(part.tolist())) if rate_hz == 1 else part[::-1].tolist()
        parts += [readings.take(np.array(order)), readings.take(part)]
    assert list(cut(*parts).rows()) == list(cut(readings).rows())


@pytest.mark.parametrize(
    ("missing", "still"),
    [
        ((s.CAR_STATUS,), {"flight_time": 0.4, "distance": 0.2}),
        ((s.CAR_HEIGHT,), {"flight_time": 0.4, "distance": 0.6}),
        ((s.CAR_SPEED,), {"flight_time": 1.0, "distance": 0.2}),
        ((s.CAR_SPEED, s.CAR_HEIGHT), {"flight_time": 1.0}),
        ((s.CAR_STATUS, s.CAR_HEIGHT, s.RUN_COUNT, s.DOOR_STATE), {"flight_time": 0.6, "distance": 0.6}),
    ],
)
def test_missing_signals_cost_only_what_they_measure(missing: tuple[Signal, ...], still: dict[str, float]) -> None:
    """A terminal without a status, a height, a speed or a door still reports its trips."""
    trip = Trip()
    [row] = cut(without(trip.readings(), *missing)).rows()
    true = {"flight_time": trip.flight_s, "distance": trip.distance}
    for name, value in true.items():
        assert (name in row) == (name in still)
        if name in still:
            assert row[name] == pytest.approx(value, abs=still[name])
    assert ("door_closing_time" in row) == ("door_reversals" in row) == (s.DOOR_STATE not in missing)
    assert ("top_speed" in row) == (s.CAR_SPEED not in missing)


def test_a_car_known_by_its_speed_alone_is_timed_as_well() -> None:
    """Ten readings a second without a status: the car has moved before it is seen to, and that is reckoned in."""
    trip = Trip(rate_hz=10.0)
    [row] = cut(without(trip.readings(), s.CAR_STATUS)).rows()
    assert row["flight_time"] == pytest.approx(trip.flight_s, abs=0.1)


def test_a_terminal_that_reports_neither_status_nor_speed_has_no_trips() -> None:
    """Nothing is guessed from heights alone."""
    assert len(cut(without(Trip().readings(), s.CAR_STATUS, s.CAR_SPEED))) == 0


def test_values_sent_only_on_change_are_enough() -> None:
    """A reading that leaves a column out says nothing about it; the car goes on as it did."""
    whole = Trip().readings()
    columns = {signal: values.copy() for signal, values in whole.columns.items()}
    for signal in (s.CAR_STATUS, s.CAR_POSITION, s.RUN_COUNT, s.DOOR_STATE, s.LEVELLING_ERROR, s.DOOR_ZONE):
        same = np.flatnonzero(np.diff(columns[signal]) == 0) + 1
        columns[signal][same] = np.nan
    columns[s.CAR_SPEED][:] = np.nan
    [row] = cut(replace(whole, columns=columns)).rows()
    [full] = cut(without(whole, s.CAR_SPEED)).rows()
    for name in ("from_landing", "to_landing", "run_count", "door_closing_time", "door_opening_time", "flight_time"):
        assert row[name] == full[name], name


def test_a_restart_or_a_gap_under_way_drops_the_trip() -> None:
    """What was not seen from the start to the stand is no row, and the next trip is."""
    trip = Trip()
    readings = trip.readings()
    middle = round(trip.leaves_s + 0.5 * trip.flight_s)
    later = replace(readings, at=readings.at + 200 * SECOND)
    assert len(cut(readings.take(np.arange(middle, len(readings))))) == 0
    holed = readings.take(np.r_[: middle - 2, middle + 4 : len(readings)])
    assert len(cut(holed)) == 0
    assert len(cut(holed, later)) == 1
    brief = readings.take(np.r_[: middle - 1, middle + 1 : len(readings)])
    assert len(cut(brief)) == 1, "two lost seconds are no harm"


def test_a_long_silence_before_the_start_drops_the_trip() -> None:
    """Whoever is met moving after a minute may have moved for long."""
    readings = Trip().readings()
    late = readings.take(np.r_[0, 9 : len(readings)])
    moved = replace(late, at=late.at - np.where(np.arange(len(late)) == 0, 60 * SECOND, 0))
    assert len(cut(moved)) == 0


def test_rows_come_thirty_seconds_after_the_stand_or_with_the_next_trip() -> None:
    """A row waits for its door and its re-levelling, and no longer."""
    trip = Trip()
    readings = trip.readings()
    segmenter = Segmenter(["063577"])
    stand = trip.leaves_s + trip.flight_s
    came = [time for time in range(len(readings)) if len(segmenter.take(readings.take(np.array([time]))))]
    assert came == [int(stand) + 31]
    hurried = Segmenter(["063577"])
    assert len(hurried.take(trip.readings(lasts_s=8.0))) == 0
    again = replace(readings, at=readings.at + round(stand + 8) * SECOND)
    assert len(hurried.take(again)) == 2
    assert len(hurried.flush()) == 0


def test_reversals_and_relevellings_are_counted() -> None:
    """A door that opens again twice before it shuts, and a car that levels again twice after its stand."""
    trip = Trip(close_s=12.0)
    readings = trip.readings()
    doors = readings.columns[s.DOOR_STATE].copy()
    doors[8:10], doors[12:13] = DoorState.OPENING, DoorState.HELD
    stand = int(trip.leaves_s + trip.flight_s) + 1
    status, speed, height = (readings.columns[signal].copy() for signal in (s.CAR_STATUS, s.CAR_SPEED, s.CAR_HEIGHT))
    for second in (stand + 5, stand + 9):
        status[second], speed[second] = 1, 0.1
        height[second:] += 0.015
    changed = {s.DOOR_STATE: doors, s.CAR_STATUS: status, s.CAR_SPEED: speed, s.CAR_HEIGHT: height}
    rows = cut(replace(readings, columns={**readings.columns, **changed}))
    assert rows.column(t.DOOR_REVERSALS).tolist() == [2]
    assert rows.column(t.RELEVELLINGS).tolist() == [2]
    assert rows.column(t.DOOR_CLOSING_TIME)[0] == pytest.approx(4.0, abs=1.0), "the last closing is the one that counts"
    assert rows.column(t.DISTANCE)[0] == pytest.approx(14.0)


def test_an_inspection_drive_and_a_drifting_car_are_no_trips() -> None:
    """A mechanic's drive, however long, and a metre of drifting off are not reported."""
    readings = Trip().readings()
    inspected = {**readings.columns, s.SERVICE_MODE: np.full(len(readings), ServiceMode.INSPECTION, np.float32)}
    assert len(cut(replace(readings, columns=inspected))) == 0
    drift = without(Trip(distance=1.0, top=0.3, gain=0.3).readings(), s.RUN_COUNT)
    assert len(cut(drift)) == 0


def test_a_speed_offset_at_rest_is_taken_off() -> None:
    """A sensor that says 0.1 m/s of a standing car says no more than the truth of a moving one."""
    readings = Trip().readings()
    lying = {**readings.columns, s.CAR_SPEED: readings.columns[s.CAR_SPEED] + np.float32(0.1)}
    [row] = cut(replace(readings, columns=lying)).rows()
    assert row["top_speed"] == pytest.approx(1.75, abs=0.01)


def test_other_lifts_and_empty_batches_are_ignored() -> None:
    """A gateway may carry lifts that nobody asked to be cut into trips."""
    segmenter = Segmenter(["063577"])
    stranger = from_rows([{"lift": "100245", "at": START, "car_status": 1}])
    assert len(segmenter.take(stranger)) == 0
    assert len(segmenter.take(Batch((), np.empty(0, np.int32), np.empty(0, np.int64)))) == 0
    rows = segmenter.take(concat([stranger, Trip().readings()]))
    assert [rows.names[lift] for lift in rows.lift] == ["063577"]


# ---------------------------------------------------------------------------------------- raw acceleration


MINUTE = np.zeros((60 * 256, 3))


def raw(trip: Trip, rate_hz: int = 256) -> Floats:
    """Give the acceleration of a trip from second 0 to five seconds after its stand, with a hum on all axes."""
    time = np.arange(int((trip.leaves_s + trip.flight_s + 5) * rate_hz)) / rate_hz
    way, jerk = np.array([abs(trip.distance)]), np.array([trip.jerk])
    axes = np.random.default_rng(1).normal(0, 0.005, (len(time), 3))
    axes[:, 2] += (
        np.sign(trip.distance) * motion.progress(time - trip.leaves_s, way, trip._plan(), jerk).acceleration + 9.81
    )
    return axes


def test_raw_acceleration_fills_the_ride_columns_of_its_trip() -> None:
    """Blocks of a second, as a sensor sends them, become ride quality in the row; without them the row lacks it."""
    trip = Trip(distance=30.0)
    axes, readings = raw(trip), trip.readings()
    segmenter = Segmenter(["063577"])
    assert len(segmenter.take(readings.take(np.arange(30)))) == 0
    for first in range(0, len(axes), 256):
        segmenter.take_raw(raw_block(first, axes[first : first + 256]))
    again = replace(readings, at=readings.at + 300 * SECOND)
    with_raw, bare = list(
        concat([segmenter.take(readings.take(np.arange(30, len(readings)))), segmenter.take(again)]).rows()
    )
    assert with_raw["acceleration_max"] == pytest.approx(0.9, rel=0.03)
    assert with_raw["deceleration_a95"] == pytest.approx(0.9, rel=0.03)
    assert with_raw["jerk_max"] == pytest.approx(1.0, rel=0.1)
    assert 0 < with_raw["ride_z_a95"] <= with_raw["ride_z_max"] < 0.1
    assert not {"ride_x_max", "jerk_max"} & set(bare)


def raw_block(first: int, axes: Floats) -> RawBlock:
    """Make a block of the first lift that begins with a sample's number."""
    return RawBlock("063577", START + round(first / 256 * SECOND), 256, axes)


@pytest.mark.parametrize("lost", [slice(0, 3000), slice(3000, 3600), slice(5000, None)], ids=["start", "middle", "end"])
def test_raw_acceleration_with_a_hole_is_not_assessed(lost: slice) -> None:
    """A trip whose acceleration is not whole has no ride quality, and nothing breaks."""
    trip = Trip(distance=30.0)
    axes, segmenter = raw(trip), Segmenter(["063577"])
    for part in np.split(np.delete(np.arange(len(axes)), lost), [lost.start]):
        if len(part):
            segmenter.take_raw(raw_block(int(part[0]), axes[part]))
    [row] = segmenter.take(trip.readings()).rows()
    assert "jerk_max" not in row


def test_raw_acceleration_is_bounded() -> None:
    """Three minutes a lift however small its blocks, a trip that never ends among them; and 64 lifts at 256 Hz."""
    kept = RawTrips()
    for number in range(10):
        kept.take(RawBlock("a", START + number * 60 * SECOND, 256, MINUTE))
    inside = kept._kept["a"]
    assert KEPT_S * 256 <= inside.samples < (KEPT_S + 60) * 256
    assert inside.samples == sum(len(axes) for _, axes in inside.blocks)
    assert kept.assess("a", START + 500 * SECOND, START + 510 * SECOND) == {}
    assert kept.refused == 1, "nothing moves in it"
    for number in range(2_000):
        kept.take(RawBlock("b", START + number * SECOND // 2, 256, MINUTE[:1]))
        kept.take(RawBlock("c", START + round(number / 256 * SECOND), 256, MINUTE[:1]))
    assert len(kept._kept["b"].blocks) <= 2 * KEPT_S, "gaps everywhere"
    assert len(kept._kept["c"].blocks) <= 2_000 / 256 + 1, "no gap anywhere"
    for number in range(RAW_LIFTS_MAX - 4):
        kept.take(RawBlock(str(number), START, 256, MINUTE[:10]))
    with pytest.raises(Invalid, match="lift: z is one too many"):
        kept.take(RawBlock("z", START, 257, MINUTE))
    kept.take(RawBlock("z", START, 256, MINUTE))


@pytest.mark.parametrize(
    ("rate_hz", "axes", "reason"),
    [
        (100, MINUTE, "rate_hz: 100 of lift 063577 is outside 256 to 4096"),
        (np.nan, MINUTE, "rate_hz: nan"),
        (256, MINUTE[:, :1], "acceleration: of lift 063577 has the shape"),
        (256, np.zeros((200 * 256, 3)), "longer than 180 s"),
        (256, np.where(np.arange(60)[:, None] == 7, np.nan, MINUTE[:60]), "sample 7 of lift 063577 has nan"),
        (256, MINUTE[:60] - 9_810.0, "sample 0 of lift 063577 has -9810: not within ±200"),
    ],
)
def test_raw_acceleration_that_cannot_be_used_is_refused_by_name(rate_hz: float, axes: Floats, reason: str) -> None:
    """What is wrong, of which lift and where; what was kept before is not touched."""
    segmenter = Segmenter(["063577"])
    segmenter.take_raw(raw_block(0, MINUTE))
    with pytest.raises(Invalid, match=re.escape(reason)):
        segmenter.take_raw(RawBlock("063577", START + 60 * SECOND, rate_hz, axes))
    with pytest.raises(Invalid, match="100245 is not one of the 1 lifts"):
        segmenter.take_raw(RawBlock("100245", START, 256, MINUTE))
    assert segmenter._raw._kept["063577"].samples == len(MINUTE)


def test_a_clock_that_jumps_costs_no_more_than_what_was_kept() -> None:
    """A block again or too early is refused by name; one from the future does not shut out those that follow."""
    kept = RawTrips()
    kept.take(raw_block(0, MINUTE))
    with pytest.raises(Invalid, match=r"at: a block of lift 063577 begins 59\.00 s before the end"):
        kept.take(raw_block(256, MINUTE))
    kept.take(raw_block(10**9, MINUTE[:256]))
    kept.take(raw_block(len(MINUTE), MINUTE))
    assert kept._kept["063577"].end() == START + 120 * SECOND


def test_a_box_that_sends_only_while_the_car_moves_will_do() -> None:
    """Pauses between its blocks part the trips, and the next one does not push out the one that still waits."""
    trip = Trip(distance=30.0)
    axes, readings = raw(trip), trip.readings()
    moves = slice(round((trip.leaves_s - 2) * 256), round((trip.leaves_s + trip.flight_s + 2) * 256))
    kept = RawTrips()
    for repeat in range(3):
        kept.take(raw_block(repeat * len(axes) + moves.start, axes[moves]))
    start = readings.at[0] + round(trip.leaves_s * SECOND)
    shift, lasts = round(len(axes) / 256 * SECOND), round(trip.flight_s * SECOND)
    figures = [kept.assess("063577", start + n * shift, start + n * shift + lasts) for n in range(3)]
    assert figures[0][t.JERK_MAX] == pytest.approx(1.0, rel=0.1)
    assert figures[0] == pytest.approx(figures[1], rel=1e-6)
    assert figures[0] == pytest.approx(figures[2], rel=1e-6)
    assert kept.assess("063577", start, start + shift + lasts) == {}, "a pause lies between"


def test_the_first_block_loads_what_its_trip_will_need() -> None:
    """Loading takes a second, in which no alarm may wait: it is done beside, and not at all without a sensor."""
    text = """if True:
        import sys, threading
        from gateway.trips import Segmenter
        import numpy as np
        from gateway.raw_block import RawBlock
        segmenter = Segmenter(["a"])
        assert "scipy.signal" not in sys.modules
        segmenter.take_raw(RawBlock("a", 0, 256, np.zeros((1, 3))))
        [loading] = [one for one in threading.enumerate() if one.name == "load ride quality"]
        loading.join()
        assert "scipy.signal" in sys.modules
    """
    subprocess.run([sys.executable, "-c", text], check=True, timeout=60)


def test_a_sensor_that_samples_slower_than_it_says_loses_no_trip() -> None:
    """At 254 instead of 256 a second it is a second late after two minutes; its blocks' own times put that right."""
    trip = Trip(distance=30.0, close_s=114.5)
    axes, kept = raw(trip, 254), RawTrips()
    for second in range(len(axes) // 254):
        kept.take(RawBlock("063577", START + second * SECOND, 256, axes[second * 254 : (second + 1) * 254]))
    start = START + round(trip.leaves_s * SECOND)
    part = kept._kept["063577"].around(start, start + round(trip.flight_s * SECOND))
    assert part is not None
    begins = np.flatnonzero(np.abs(part[:, 2] - 9.81) > 0.1)[0] / 254
    assert begins == pytest.approx(1.5, abs=0.2), "so much of the standing car is before it"


@settings(max_examples=40)
@given(
    cuts=st.lists(st.integers(0, 9_000), max_size=12),
    lag=st.floats(-0.05, 0.05),
)
def test_how_blocks_are_cut_does_not_matter(cuts: list[int], lag: float) -> None:
    """Blocks of any lengths, each told a little early or late, give the figures of the recording in one piece."""
    trip = Trip(distance=12.0)
    axes = raw(trip)
    start = START + round(trip.leaves_s * SECOND)
    stop = start + round(trip.flight_s * SECOND)
    whole, cut = RawTrips(), RawTrips()
    whole.take(raw_block(0, axes))
    bounds = sorted({0, *(cut for cut in cuts if cut < len(axes)), len(axes)})
    for number, (first, last) in enumerate(pairwise(bounds)):
        block = raw_block(first, axes[first:last])
        cut.take(block._replace(at_first=block.at_first + round(lag * SECOND * (number % 2))))
    found = cut.assess("063577", start, stop)
    assert found == pytest.approx(whole.assess("063577", start, stop), rel=0.02, abs=1e-3)
    assert found[t.JERK_MAX] == pytest.approx(trip.jerk, rel=0.1)
