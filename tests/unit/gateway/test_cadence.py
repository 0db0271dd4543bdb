"""The cadence: what changes is reported at once, what does not is not, and no value is ever far from what is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cadence import DEADBANDS, Cadence
from gateway.samples import Samples, one_each
from lift import codes as code_sets
from lift.batch import from_rows
from lift.errors import Invalid
from lift.signals import BY_NAME, SIGNALS

SECOND = 1_000_000
STILL: dict[str, Any] = {"car_status": 0, "passenger": 0, "door_closed": 1, "car_speed": 0.0, "load": 0.0}


def reported(cadence: Cadence, *rows: dict[str, Any], lifts: tuple[str, ...] = ("a",)) -> list[bool]:
    """Give for each sample, one a second of lift a unless it says otherwise, whether it was reported."""
    samples = Samples(lifts)
    told = []
    for second, row in enumerate(rows):
        ours, _ = samples.numbered(from_rows([{"lift": "a", "at": second * SECOND, **row}]))
        told += cadence.pick(ours).tolist()
    return told


def test_an_idle_lift_reports_every_interval() -> None:
    """Sixty still seconds are a first report and one every ten seconds after that, the first of them perhaps sooner."""
    told = reported(Cadence(1, interval_s=10), *[STILL] * 60)
    assert told[0]
    assert np.flatnonzero(told).tolist() == [0, 10, 20, 30, 40, 50]


def test_lifts_that_begin_together_report_apart() -> None:
    """A hundred idle lifts do not all report in the same second for ever."""
    lifts = tuple(f"{i:02d}" for i in range(100))
    cadence, samples = Cadence(100, interval_s=20), Samples(lifts)
    counts = []
    for second in range(60):
        ours, _ = samples.numbered(from_rows([{"lift": name, "at": second * SECOND, **STILL} for name in lifts]))
        counts.append(int(cadence.pick(ours).sum()))
    assert counts[0] == 100
    assert max(counts[21:]) <= 10
    assert sum(counts[21:41]) == 100


@pytest.mark.parametrize("busy", [{"car_status": 1}, {"passenger": 1}, {"car_speed": 1.0}, {"car_speed": -0.2}])
def test_a_lift_that_moves_or_is_occupied_reports_every_second(busy: dict[str, Any]) -> None:
    """A little early or late, too; and samples that come faster than one a second are thinned to that."""
    cadence = Cadence(1)
    rows = [{**STILL, **busy, "at": round(k * 0.95 * SECOND)} for k in range(20)]
    assert all(reported(cadence, *rows))
    rows = [{**STILL, **busy, "at": 60 * SECOND + k * SECOND // 4} for k in range(40)]
    assert sum(reported(cadence, *rows)) == 10


@pytest.mark.parametrize("signal", [s for s in SIGNALS if s.whole], ids=lambda s: s.name)
def test_a_change_of_any_whole_number_is_reported_at_once(signal: Any) -> None:  # noqa: ANN401 - a Signal
    """Flags, choices, counts and landings: the very sample that shows it."""
    cadence = Cadence(1, interval_s=30)
    before: dict[str, Any] = {**STILL, signal.name: int(signal.low)}
    after: dict[str, Any] = {**STILL, signal.name: int(signal.low) + 1}
    told = reported(cadence, before, before, before, after)
    assert told == [True, False, False, True]


def test_a_change_of_the_codes_is_reported_at_once() -> None:
    """One that comes, one that goes; a source that does not speak of codes changes nothing."""
    rows: list[dict[str, Any]] = [STILL | {"message_codes": codes} for codes in ([], [], [2], [2], [], [])]
    assert reported(Cadence(1), *rows) == [True, False, True, False, True, False]
    assert reported(Cadence(1), rows[2], STILL, rows[2], STILL) == [True, False, False, False]


@pytest.mark.parametrize("signal", DEADBANDS, ids=lambda s: s.name)
def test_an_analogue_signal_is_reported_when_it_leaves_its_deadband(signal: Any) -> None:  # noqa: ANN401 - a Signal
    """Less than the deadband from what was told last is silence, however slowly it got there."""
    band = DEADBANDS[signal]
    assert not signal.whole
    assert 0 < band < signal.high - signal.low
    start = max(signal.low, 0)
    told = reported(Cadence(1, interval_s=30), *[{signal.name: start + k * band * 0.3} for k in range(8)])
    assert np.flatnonzero(told).tolist() == [0, 4]


def test_every_analogue_signal_has_a_deadband_or_is_reported_at_every_change() -> None:
    """A signal added to the catalogue is thinned by nothing until somebody has thought about it."""
    assert {signal for signal in DEADBANDS if signal.whole} == set()
    assert set(DEADBANDS) <= set(BY_NAME.values())


def test_a_value_that_a_sample_lacks_is_no_change_and_is_not_forgotten() -> None:
    """Two sources that take turns are not mistaken for a lift whose sensors come and go."""
    rows: list[dict[str, Any]] = [
        {"door_closed": 1},
        {"load": 0.3},
        {"door_closed": 1},
        {"load": 0.3},
        {"door_closed": 0},
    ]
    assert reported(Cadence(1), *rows) == [True, True, False, False, True]


def test_after_a_refusal_the_next_sample_is_reported() -> None:
    """The last one has not reached the disk."""
    cadence = Cadence(1)
    assert reported(cadence, STILL, STILL) == [True, False]
    cadence.forget(np.array([0], np.int32))
    assert reported(cadence, STILL | {"at": 2 * SECOND}) == [True]


def test_a_clock_that_is_set_back_is_a_report_and_no_silence() -> None:
    """The lift goes on by its new time."""
    rows = [STILL | {"at": at * SECOND} for at in (1000, 1001, 5, 6, 7, 25, 26)]
    assert reported(Cadence(1), *rows) == [True, False, True, False, False, True, False]


@pytest.mark.parametrize("seconds", [9.9, 31, float("nan"), -1])
def test_an_interval_outside_its_bounds_is_refused(seconds: float) -> None:
    """The old one stays."""
    with pytest.raises(Invalid, match="seconds"):
        Cadence(1, interval_s=seconds)
    cadence = Cadence(1)
    with pytest.raises(Invalid, match="10 to 30 s"):
        cadence.set_interval(seconds)
    assert cadence.interval_s == 20


value = st.one_of(st.none(), st.floats(0, 1, width=32))
sample = st.fixed_dictionaries(
    {
        "lift": st.sampled_from("ab"),
        "gap": st.integers(0, 3),
        "load": value,
        "battery": value,
        "door_zone": st.sampled_from([None, 0, 1]),
        "passenger": st.sampled_from([None, 0, 1]),
        "message_codes": st.sampled_from([None, [], [2], [2, 11]]),
    }
)


@settings(max_examples=60)
@given(rows=st.lists(sample, min_size=1, max_size=60))
def test_what_the_platform_knows_is_never_further_off_than_a_deadband(rows: list[dict[str, Any]]) -> None:
    """After every sample: whole numbers and codes are exact, analogue signals within their deadband, none too old."""
    cadence, samples = Cadence(2, interval_s=10), Samples("ab")
    known: dict[tuple[str, str], Any] = {}
    truth: dict[tuple[str, str], Any] = {}
    at = 0
    last_report: dict[str, int] = {}
    for row in rows:
        at += row["gap"] * SECOND
        said = {name: told for name, told in row.items() if name not in ("gap", "lift") and told is not None}
        ours, _ = samples.numbered(from_rows([{"lift": row["lift"], "at": at, **said}]))
        truth.update({(row["lift"], name): told for name, told in said.items()})
        if cadence.pick(ours)[0]:
            known.update({(row["lift"], name): told for name, told in said.items()})
            last_report[row["lift"]] = at
        assert at - last_report[row["lift"]] < 10 * SECOND
        assert set(known) == set(truth)
        for (lift, name), told in truth.items():
            if name in BY_NAME and BY_NAME[name] in DEADBANDS:
                assert abs(known[lift, name] - told) < DEADBANDS[BY_NAME[name]]
            else:
                assert known[lift, name] == told


def test_a_batch_is_cut_so_that_each_part_has_a_lift_once_and_in_time_order() -> None:
    """A terminal that sends ten seconds at once, mixed up."""
    rng = np.random.default_rng(3)
    rows = [{"lift": name, "at": int(at)} for name in "abc" for at in rng.permutation(5 if name != "c" else 2)]
    mixed = [rows[i] for i in rng.permutation(len(rows))]
    ours, others = Samples("abc").numbered(from_rows([*mixed, {"lift": "stranger", "at": 1}]))
    assert [row["lift"] for row in others.rows()] == ["stranger"]
    parts = list(one_each(ours))
    assert sorted(len(part) for part in parts) == [2, 2, 2, 3, 3]
    assert [[row["at"] for part in parts for row in part.rows() if row["lift"] == name] for name in "abc"] == [
        [0, 1, 2, 3, 4],
        [0, 1, 2, 3, 4],
        [0, 1],
    ]


def test_codes_not_reported_are_no_codes_that_ended() -> None:
    """A sample without codes between two with the same ones is silence about them."""
    cadence, samples = Cadence(1), Samples("a")
    first, _ = samples.numbered(from_rows([{"lift": "a", "at": 0, "message_codes": [2]}]))
    assert cadence.pick(first).all()
    mixed = from_rows([{"lift": "a", "at": SECOND, "message_codes": [2]}])
    silent = np.full(1, code_sets.NOT_REPORTED, np.int64)
    ours, _ = samples.numbered(type(mixed)(mixed.names, mixed.lift, mixed.at, {}, silent))
    assert not cadence.pick(ours).any()
