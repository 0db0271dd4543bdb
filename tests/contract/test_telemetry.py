"""The contract of a telemetry store, on every adapter: the one in memory says what the others must do."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from adapters.telemetry import telemetry_open
from adapters.telemetry_limits import READ_ROWS_MAX
from adapters.telemetry_memory import MemoryTelemetry
from lift.batch import Batch, from_rows
from lift.codes import NUMBERS
from lift.errors import Invalid
from lift.ports import History, Stored, Telemetry
from lift.signals import CAR_POSITION, CAR_SPEED, PASSENGER, RUN_COUNT, RUNNING_HOURS, SIGNALS, Signal
from lift.trips import DISTANCE, JERK_MAX, TRIP_BY_NAME, TRIP_SIGNALS

S = 1_000_000
ALWAYS = 2**53

each_lasting_store = pytest.mark.parametrize(
    "urls", ["duckdb", pytest.param("influxdb", marks=pytest.mark.integration)], indirect=True
)


def rows(batch: Batch) -> list[dict[str, Any]]:
    """Give a batch as rows of plain values."""
    return list(batch.rows())


def replayed(store: Telemetry, start: int = 0, end: int = ALWAYS) -> list[dict[str, Any]]:
    """Give all that a store holds, in a fixed order."""
    found = [row for batch in store.replay(start=start, end=end) for row in batch.rows()]
    return sorted(found, key=lambda row: (row["at"], row["lift"]))


def by_time(told: History) -> dict[int, list[float | None]]:
    """Give a history as its rows; None = missing."""
    columns = [[None if np.isnan(value) else float(value) for value in values] for values in told.columns.values()]
    return {int(at): list(row) for at, *row in zip(told.at, *columns, strict=True)}


def ticks(lift: str, times: Sequence[int], **columns: ArrayLike) -> Batch:
    """Build readings of one lift; each column is one value or one a reading."""
    width = len(times)
    values = {
        signal: np.broadcast_to(np.asarray(columns[signal.name], signal.dtype), width)
        for signal in SIGNALS
        if signal.name in columns
    }
    return Batch((lift,), np.zeros(width, np.int32), np.array(times, np.int64), values)


def test_what_was_stored_comes_back(store: Telemetry) -> None:
    """Every signal, negative values, empty and unreported sets of codes come back as they were."""
    everything = {signal.name: signal.high for signal in SIGNALS}
    told = [
        {"lift": "063577", "at": 1 * S, **everything, "message_codes": sorted(NUMBERS)},
        {"lift": "063577", "at": 2 * S, "car_position": -2, "car_speed": -1.75, "message_codes": []},
        {"lift": '电梯 7, o\'b="c"', "at": 2 * S + 1, "running_hours": 12_345.678_9, "run_count": 999_999_999},
        {"lift": "310117", "at": 3 * S},
    ]
    assert store.append(from_rows(told)) == Stored(4, 0)
    expected = [
        {name: pytest.approx(value, rel=1e-7) if isinstance(value, float) else value for name, value in row.items()}
        for row in told
    ]
    assert replayed(store) == expected


def test_a_value_comes_back_to_the_last_bit(store: Telemetry) -> None:
    """No store rounds: what a rule sees after a restart is what it saw before."""
    values = np.array([0.1, 1 / 3, 1e-7, 12.3456789, -0.0001], CAR_SPEED.dtype)
    hours = np.array([0.1, 1 / 3, 1e-7, 99_999.123_456_789, 1e6], RUNNING_HOURS.dtype)
    times = [S * i for i in range(5)]
    store.append(ticks("063577", times, car_speed=values, running_hours=hours))
    told = store.history("063577", [CAR_SPEED, RUNNING_HOURS], start=0, end=ALWAYS)
    assert told.columns[CAR_SPEED].tolist() == values.tolist()
    assert told.columns[RUNNING_HOURS].tolist() == hours.tolist()
    assert (told.columns[CAR_SPEED].dtype, told.columns[RUNNING_HOURS].dtype) == (CAR_SPEED.dtype, RUNNING_HOURS.dtype)


def test_each_duplicate_is_named_where_it_stands(store: Telemetry) -> None:
    """Of a batch that is partly known each reading is told apart, in its order: new, stored before, repeated."""
    first = from_rows([{"lift": lift, "at": at * S, "passenger": 0} for lift, at in (("2", 5), ("1", 5))])
    assert store.append(first).duplicate == 0
    mixed = [("1", 7), ("2", 5), ("1", 3), ("1", 7), ("2", 9), ("1", 5), ("2", 4), ("2", 5)]
    result = store.append(from_rows([{"lift": lift, "at": at * S, "passenger": 1} for lift, at in mixed]))
    assert result == Stored(4, 4)
    assert result.again is not None
    assert result.again.tolist() == [False, True, False, True, False, True, False, True]


def test_a_second_copy_is_a_duplicate(store: Telemetry) -> None:
    """The same readings again are counted and change nothing."""
    batch = from_rows([{"lift": f"{i:06d}", "at": S, "passenger": 1} for i in range(50)])
    assert store.append(batch) == Stored(50, 0)
    before = replayed(store)
    assert store.append(batch) == Stored(0, 50)
    assert replayed(store) == before


def test_a_second_copy_fills_in(store: Telemetry) -> None:
    """What the later copy reports counts; what it lacks stays."""
    store.append(from_rows([{"lift": "063577", "at": S, "passenger": 1, "car_speed": 1.5, "message_codes": [11]}]))
    told = [
        {"lift": "063577", "at": S, "car_speed": 2.5, "load": 0.5},
        {"lift": "063577", "at": 2 * S, "passenger": 0, "message_codes": []},
    ]
    assert store.append(from_rows(told)) == Stored(1, 1)
    assert store.append(from_rows([{"lift": "063577", "at": S}, {"lift": "063577", "at": 2 * S, "load": 1}])) == Stored(
        0, 2
    )
    assert replayed(store) == [
        {"lift": "063577", "at": S, "passenger": 1, "car_speed": 2.5, "load": 0.5, "message_codes": [11]},
        {"lift": "063577", "at": 2 * S, "passenger": 0, "load": 1, "message_codes": []},
    ]


def test_copies_inside_a_batch_are_one_reading(store: Telemetry) -> None:
    """Copies in one batch are merged like copies in two."""
    told = [
        {"lift": "063577", "at": S, "passenger": 1, "message_codes": []},
        {"lift": "310117", "at": S, "passenger": 0},
        {"lift": "063577", "at": S, "car_speed": 1.5, "message_codes": [11]},
        {"lift": "063577", "at": S, "car_speed": 2.5},
    ]
    assert store.append(from_rows(told)) == Stored(2, 2)
    assert replayed(store) == [
        {"lift": "063577", "at": S, "passenger": 1, "car_speed": 2.5, "message_codes": [11]},
        {"lift": "310117", "at": S, "passenger": 0},
    ]


def test_late_readings_take_their_own_place(store: Telemetry) -> None:
    """What a gateway kept through an outage is stored at its own time, and what was there is known."""
    store.append(ticks("063577", [10 * S, 20 * S, 7_200 * S], passenger=0))
    late = ticks("063577", [5 * S, 20 * S, 15 * S, 7_300 * S], passenger=1)
    assert store.append(late) == Stored(3, 1)
    told = store.history("063577", [PASSENGER], start=0, end=ALWAYS)
    expected = {5 * S: [1], 10 * S: [0], 15 * S: [1], 20 * S: [1], 7_200 * S: [0], 7_300 * S: [1]}
    assert by_time(told) == expected


def test_an_empty_batch_is_nothing(store: Telemetry) -> None:
    """Nothing is stored, nothing is found, nothing fails."""
    assert store.append(from_rows([])) == Stored(0, 0)
    assert replayed(store) == []
    assert dict(store.newest()) == {}
    assert len(store.latest(["063577"], since=0)) == 0
    assert len(store.latest([], since=0)) == 0
    told = store.history("063577", [CAR_SPEED], start=0, end=ALWAYS)
    assert (told.at.tolist(), told.columns[CAR_SPEED].tolist()) == ([], [])


def test_history_has_its_start_and_not_its_end(store: Telemetry) -> None:
    """History is of one lift, in order of time, from its start up to but without its end."""
    store.append(ticks("063577", [3 * S, 1 * S, 2 * S, 4 * S], car_speed=[3, 1, 2, 4]))
    store.append(ticks("310117", [2 * S], car_speed=9))
    assert by_time(store.history("063577", [CAR_SPEED], start=S, end=3 * S)) == {S: [1], 2 * S: [2]}
    assert by_time(store.history("063577", [CAR_SPEED], start=3 * S, end=S)) == {}


def test_history_leaves_out_what_nobody_reported(store: Telemetry) -> None:
    """A reading with none of the signals asked for is no row; one with some of them has NaN for the others."""
    store.append(
        from_rows(
            [
                {"lift": "063577", "at": 1, "car_speed": 1.5},
                {"lift": "063577", "at": 2, "passenger": 1},
                {"lift": "063577", "at": 3, "load": 0.5},
            ]
        )
    )
    told = store.history("063577", [CAR_SPEED, PASSENGER], start=0, end=ALWAYS)
    assert by_time(told) == {1: [1.5, None], 2: [None, 1]}


def test_steps_are_means_or_last_values(store: Telemetry) -> None:
    """With a resolution a number is averaged over what was reported, and a whole signal keeps its last value."""
    told = [
        {"lift": "063577", "at": 61 * S, "car_speed": 1.0, "car_position": 3},
        {"lift": "063577", "at": 62 * S, "car_speed": 2.0},
        {"lift": "063577", "at": 119 * S, "car_position": 7},
        {"lift": "063577", "at": 120 * S, "car_speed": 4.0},
        {"lift": "063577", "at": 200 * S, "passenger": 1},
    ]
    store.append(from_rows(told))
    asked: list[Signal] = [CAR_SPEED, CAR_POSITION]
    told_back = store.history("063577", asked, start=0, end=ALWAYS, resolution_us=60 * S)
    assert by_time(told_back) == {60 * S: [1.5, 7], 120 * S: [4, None]}
    told_back = store.history("063577", asked, start=62 * S, end=120 * S, resolution_us=60 * S)
    assert by_time(told_back) == {60 * S: [2, 7]}


@pytest.mark.parametrize("resolution_us", [0, -S])
def test_a_resolution_is_above_zero(store: Telemetry, resolution_us: int) -> None:
    """A step without length is refused by name."""
    with pytest.raises(Invalid, match="resolution"):
        store.history("063577", [CAR_SPEED], start=0, end=S, resolution_us=resolution_us)


def test_history_names_its_signals(store: Telemetry) -> None:
    """History of nothing is refused by name."""
    with pytest.raises(Invalid, match="signals"):
        store.history("063577", [], start=0, end=S)


def test_a_long_answer_is_refused_with_a_resolution_that_fits(store: Telemetry) -> None:
    """More rows than a reader can hold are refused, and the refusal says what to ask instead."""
    times = np.arange(READ_ROWS_MAX + 1) * S
    store.append(ticks("063577", times.tolist(), passenger=1))
    ask = partial(store.history, "063577", [PASSENGER], start=0)
    assert len(ask(end=READ_ROWS_MAX * S).at) == READ_ROWS_MAX
    end = (READ_ROWS_MAX + 1) * S
    for too_fine in (None, S):
        with pytest.raises(Invalid, match=r"resolution: .* of 2 s fits"):
            ask(end=end, resolution_us=too_fine)
    assert len(ask(end=end, resolution_us=2 * S).at) == READ_ROWS_MAX // 2 + 1


def test_latest_is_the_newest_known_value_of_each_signal(store: Telemetry) -> None:
    """One row a lift in the order asked: each signal's newest value, at the newest reading's time."""
    store.append(
        from_rows(
            [
                {"lift": "a", "at": 1 * S, "passenger": 1, "load": 0.5, "message_codes": [11]},
                {"lift": "a", "at": 2 * S, "passenger": 0},
                {"lift": "a", "at": 3 * S},
                {"lift": "b", "at": 2 * S, "car_speed": -1.5, "message_codes": []},
                {"lift": "c", "at": 1 * S, "load": 1.0},
            ]
        )
    )
    assert rows(store.latest(["b", "unknown", "a", "b"], since=0)) == [
        {"lift": "b", "at": 2 * S, "car_speed": -1.5, "message_codes": []},
        {"lift": "a", "at": 3 * S, "passenger": 0, "load": 0.5, "message_codes": [11]},
    ]
    assert rows(store.latest(["a", "b", "c"], since=2 * S)) == [
        {"lift": "a", "at": 3 * S, "passenger": 0},
        {"lift": "b", "at": 2 * S, "car_speed": -1.5, "message_codes": []},
    ]


def test_replay_is_in_ascending_time(store: Telemetry) -> None:
    """Replay tells dense hours and empty years alike, in order, within its bounds and in pieces of bounded size."""
    year = 365 * 86_400 * S
    dense = [7 * year + i * 1000 for i in range(120_000)]
    store.append(ticks("063577", dense, passenger=1))
    store.append(ticks("310117", [S, 8 * year, dense[5]], passenger=0))
    batches = list(store.replay(start=0, end=8 * year))
    at = np.concatenate([batch.at for batch in batches])
    assert (np.diff(at) >= 0).all()
    assert len(at) == 120_002
    assert max(len(batch) for batch in batches) <= 100_000
    assert [row["lift"] for row in replayed(store, dense[5], dense[6])] == ["063577", "310117"]


def test_newest_is_each_lifts_last_time(store: Telemetry) -> None:
    """The newest time is the largest, whatever came last."""
    store.append(from_rows([{"lift": "a", "at": 5, "passenger": 1}, {"lift": "a", "at": 3}, {"lift": "b", "at": 4}]))
    store.append(from_rows([{"lift": "a", "at": 4}]))
    assert dict(store.newest()) == {"a": 5, "b": 4}


def test_lifts_keep_their_names_whatever_list_they_come_in(store: Telemetry) -> None:
    """Batches number their lifts as they like, share a list or not, and name lifts that report nothing."""
    shared = ("a", "b", "c")
    for at, names, slots in ((1, shared, [2, 0]), (2, shared, [1, 2]), (3, ("c", "d", "a"), [0, 1]), (4, shared, [0])):
        passenger = {PASSENGER: np.ones(len(slots), np.float32)}
        store.append(Batch(names, np.array(slots, np.int32), np.full(len(slots), at), passenger))
    found = [(row["lift"], row["at"]) for row in replayed(store)]
    assert found == [("a", 1), ("c", 1), ("b", 2), ("c", 2), ("c", 3), ("d", 3), ("a", 4)]


@each_lasting_store
def test_a_reopened_store_knows_what_it_has(urls: Callable[[], str]) -> None:
    """After a restart all readings are there, their copies are duplicates and new lifts get names of their own."""
    url = urls()
    first = telemetry_open(url)
    first.append(from_rows([{"lift": "a", "at": S, "passenger": 1}, {"lift": "b", "at": 2 * S, "load": 0.5}]))
    before = replayed(first)
    first.close()
    second = telemetry_open(url)
    assert replayed(second) == before
    assert dict(second.newest()) == {"a": S, "b": 2 * S}
    told = [{"lift": "c", "at": S}, {"lift": "b", "at": 2 * S, "passenger": 0}, {"lift": "b", "at": 3 * S}]
    assert second.append(from_rows(told)) == Stored(2, 1)
    assert [row["lift"] for row in replayed(second)] == ["a", "c", "b", "b"]
    second.close()


@each_lasting_store
@pytest.mark.parametrize("value", [0.5, 200, np.inf])
def test_half_a_passenger_is_refused_and_nothing_stored(store: Telemetry, value: float) -> None:
    """A value that is none of its signal's is refused by name, with the whole batch."""
    with pytest.raises(Invalid, match="passenger"):
        store.append(ticks("063577", [S, 2 * S], passenger=[1, value]))
    assert replayed(store) == []
    assert store.append(ticks("063577", [S, 2 * S], passenger=1)) == Stored(2, 0)


def test_readers_and_a_writer_share_a_store(store: Telemetry) -> None:
    """Reads in other threads see whole appends only, and ever more of them."""
    appends, each = 20, 50
    seen: list[list[int]] = [[], []]
    errors: list[BaseException] = []
    over = threading.Event()

    def read(into: list[int]) -> None:
        try:
            while not over.is_set():
                into.append(len(store.history("a", [RUN_COUNT], start=0, end=ALWAYS).at))
                store.latest(["a", "b"], since=0)
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            errors.append(error)

    readers = [threading.Thread(target=read, args=(into,)) for into in seen]
    for reader in readers:
        reader.start()
    for i in range(appends):
        store.append(ticks("a", [(i * each + k) * S for k in range(each)], run_count=i))
    over.set()
    for reader in readers:
        reader.join()
    assert errors == []
    for counts in seen:
        assert counts == sorted(counts)
        assert all(rows % each == 0 for rows in counts)


LIFTS = ("a", "b", "电梯 3", 'o\'clock, "x"=y')
# Few enough that copies are common.
TIMES = st.integers(0, 8).map(lambda half: half * S // 2)


def values_of(signal: Signal) -> st.SearchStrategy[float]:
    """Draw values that a signal accepts."""
    if signal.whole:
        return st.integers(int(signal.low), int(signal.high)).map(float)
    width = 64 if signal.dtype == np.float64 else 32
    return st.floats(signal.low, signal.high, width=width)  # type: ignore[arg-type]


SOME = (PASSENGER, CAR_POSITION, CAR_SPEED, RUN_COUNT, RUNNING_HOURS)
READINGS = st.fixed_dictionaries(
    {"lift": st.sampled_from(LIFTS), "at": TIMES},
    optional={signal.name: values_of(signal) for signal in SOME}
    | {"message_codes": st.lists(st.sampled_from(sorted(NUMBERS)), unique=True, max_size=3)},
)
APPENDS = st.lists(st.lists(READINGS, max_size=12), min_size=1, max_size=5)
SPANS = st.tuples(TIMES, TIMES)


@each_lasting_store
@given(appends=APPENDS, span=SPANS, resolution=st.sampled_from([S // 2, S, 3 * S]), reopen=st.booleans())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_store_does_what_the_one_in_memory_does(
    urls: Callable[[], str],
    appends: list[list[dict[str, Any]]],
    span: tuple[int, int],
    resolution: int,
    reopen: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    """Copies, late ones, gaps and reads in any order: each store's answers are those of the one in memory."""
    url, plain = urls(), MemoryTelemetry()
    store = telemetry_open(url)
    for told in appends:
        batch = from_rows(told)
        stored, plainly = store.append(batch), plain.append(batch)
        assert stored == plainly
        if stored.stored and stored.duplicate:
            assert stored.again is not None
            assert plainly.again is not None
            assert stored.again.tolist() == plainly.again.tolist()
        if reopen:
            store.close()
            store = telemetry_open(url)
    start, end = span
    assert dict(store.newest()) == dict(plain.newest())
    assert replayed(store, start, end) == replayed(plain, start, end)
    assert rows(store.latest(LIFTS, since=start)) == rows(plain.latest(LIFTS, since=start))
    for lift in LIFTS:
        for step in (None, resolution):
            got = store.history(lift, SOME, start=start, end=end, resolution_us=step)
            expected = plain.history(lift, SOME, start=start, end=end, resolution_us=step)
            assert got.at.tolist() == expected.at.tolist()
            for signal in SOME:
                close = 0 if step is None or signal.whole else 1e-5
                np.testing.assert_allclose(got.columns[signal], expected.columns[signal], rtol=close, atol=close)
    store.close()


# --------------------------------------------------------------------------------------------- trips


def trip(lift: str, at: int, **columns: float) -> dict[str, Any]:
    """Spell one trip."""
    return {"lift": lift, "at": at, **columns}


def test_trips_come_back_as_they_were(store: Telemetry) -> None:
    """Every column of the trip catalogue comes back; a trip and a reading of one moment do not meet."""
    everything = {signal.name: signal.high for signal in TRIP_SIGNALS}
    told = [trip("063577", S, **everything), trip("310117", 2 * S, from_landing=-2, distance=-7.5)]
    assert store.append_trips(from_rows(told, TRIP_BY_NAME)) == Stored(2, 0)
    assert store.append(from_rows([{"lift": "063577", "at": S, "passenger": 1}])) == Stored(1, 0)
    found = [row for batch in store.replay_trips(start=0, end=ALWAYS) for row in batch.rows()]
    expected = [
        {name: pytest.approx(value, rel=1e-7) if isinstance(value, float) else value for name, value in row.items()}
        for row in told
    ]
    assert found == expected
    assert replayed(store) == [{"lift": "063577", "at": S, "passenger": 1}]


def test_a_trip_sent_twice_is_stored_once(store: Telemetry) -> None:
    """A second copy, late or in the same batch, fills in what the first lacked and is counted as a duplicate."""
    first = [trip("a", S, distance=3.0), trip("a", 2 * S, distance=-3.0), trip("a", 2 * S, jerk_max=0.9)]
    assert store.append_trips(from_rows(first, TRIP_BY_NAME)) == Stored(2, 1)
    second = [trip("a", S, jerk_max=1.5), trip("b", S, distance=1.0)]
    assert store.append_trips(from_rows(second, TRIP_BY_NAME)) == Stored(1, 1)
    asked = [DISTANCE, JERK_MAX]
    assert by_time(store.trips("a", asked, start=0, end=ALWAYS, most=10)) == {
        S: [3, 1.5],
        2 * S: [-3, pytest.approx(0.9)],
    }


def test_the_newest_trips_come_first_to_be_kept(store: Telemetry) -> None:
    """Of more trips than asked for the newest are given, in order of time; one lift's only, end left out."""
    told = [trip("a", i * S, distance=float(i)) for i in range(1, 10)] + [trip("b", 5 * S, distance=99.0)]
    store.append_trips(from_rows(told, TRIP_BY_NAME))
    assert by_time(store.trips("a", [DISTANCE], start=0, end=8 * S, most=3)) == {5 * S: [5], 6 * S: [6], 7 * S: [7]}
    assert by_time(store.trips("a", [DISTANCE], start=6 * S, end=8 * S, most=30)) == {6 * S: [6], 7 * S: [7]}
    assert by_time(store.trips("nobody", [DISTANCE], start=0, end=ALWAYS, most=3)) == {}
    for most in (0, READ_ROWS_MAX + 1):
        with pytest.raises(Invalid, match="most"):
            store.trips("a", [DISTANCE], start=0, end=ALWAYS, most=most)


@each_lasting_store
def test_a_reopened_store_knows_its_trips(urls: Callable[[], str]) -> None:
    """After a restart trips are there and their copies are duplicates."""
    url = urls()
    told = from_rows([trip("a", S, distance=3.0), trip("b", S, distance=2.0)], TRIP_BY_NAME)
    first = telemetry_open(url)
    first.append_trips(told)
    first.close()
    second = telemetry_open(url)
    assert second.append_trips(told) == Stored(0, 2)
    assert by_time(second.trips("b", [DISTANCE], start=0, end=ALWAYS, most=3)) == {S: [2]}
    second.close()
