"""Scores of series: abnormal rows stand out, no row looks ahead, and nothing a file may hold upsets them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from alarms.condition.series import ALARM_SCORE, score_series
from lift.errors import Invalid
from simulator import labelled_series

ROWS = 1_500
TIMES = 1_735_516_800.0 + 300.0 * np.arange(ROWS)


def wave(seed: int = 1) -> np.ndarray:
    """Give a noisy wave of no clock."""
    chance = np.random.default_rng(seed)
    return np.sin(np.arange(ROWS) / 9.0) + chance.normal(0.0, 0.1, ROWS)


@pytest.mark.parametrize("anomaly", ["spike", "shift", "noise", "stuck", "missing cycles"])
def test_an_anomaly_raises_an_alarm_soon(anomaly: str) -> None:
    """Each kind scores an alarm within 80 rows, and the 900 rows before hold at most two."""
    values = wave()
    here = slice(1_000, 1_080)
    if anomaly == "spike":
        values[1_000] += 4.0
    elif anomaly == "shift":
        values[here] += 2.0
    elif anomaly == "noise":
        values[here] += np.random.default_rng(2).normal(0.0, 1.0, 80)
    elif anomaly == "stuck":
        values[here] = values[1_000]
    else:
        values[here] = 0.02 * values[here]
    score = score_series(values, TIMES)
    assert (score[here] >= ALARM_SCORE).any()
    assert np.count_nonzero(score[:1_000] >= ALARM_SCORE) <= 2


@settings(max_examples=8, deadline=None)
@given(cut=st.integers(1, 299), clean=st.sampled_from([0, 100]))
def test_no_row_looks_ahead(cut: int, clean: int) -> None:
    """The scores of the first rows are the same whatever follows."""
    values = np.stack([wave()[:300], wave(2)[:300]], axis=1)
    cut = max(cut, clean)
    whole = score_series(values, TIMES[:300], clean=clean)
    assert np.array_equal(score_series(values[:cut], TIMES[:cut], clean=clean), whole[:cut])


@settings(max_examples=25, deadline=None)
@given(
    values=hnp.arrays(
        np.float64,
        st.tuples(st.integers(0, 40), st.integers(1, 3)),
        elements=st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 1.0]),
    ),
    times=st.sampled_from(["none", "same", "unknown"]),
)
def test_any_file_gets_scores(values: np.ndarray, times: str) -> None:
    """Constant, missing, infinite or huge values, repeated or unreadable times: a score in [0, 1] a row, no warning."""
    at = {"none": None, "same": np.zeros(len(values)), "unknown": np.full(len(values), np.nan)}[times]
    score = score_series(values, at)
    assert score.shape == (len(values),)
    assert ((score >= 0) & (score <= 1)).all()


def test_scale_and_offset_do_not_matter() -> None:
    """The same series in other units has the same alarms."""
    values = wave()
    values[1_000] += 4.0
    alarms = [score_series(unit, TIMES) >= ALARM_SCORE for unit in (values, 1_000.0 * values, values + 50.0)]
    assert np.array_equal(alarms[0], alarms[1])
    assert np.array_equal(alarms[0], alarms[2])


def test_a_lasting_fault_stays_in_alarm_beside_a_frozen_baseline() -> None:
    """With clean rows given, a shift that lasts is in alarm for most of its time; without, it is learned away."""
    chance = np.random.default_rng(4)
    values = chance.normal(0.0, 1.0, (ROWS, 4))
    values[900:, :2] += 3.0
    with_baseline = score_series(values, TIMES, clean=400)
    assert (with_baseline[920:] >= ALARM_SCORE).mean() > 0.8
    assert (with_baseline[:900] >= ALARM_SCORE).mean() < 0.005
    assert (score_series(values, TIMES)[920:] >= ALARM_SCORE).mean() < 0.05


def test_one_alarm_an_excursion() -> None:
    """A climb of a hundred rows, each higher than all before, is told when it begins, not with every row."""
    values = wave()
    values[1_000:1_100] += np.linspace(2.0, 60.0, 100)
    assert 1 <= np.count_nonzero(score_series(values, TIMES)[1_000:1_100] >= ALARM_SCORE) <= 4


@pytest.mark.parametrize("clean", [5, ROWS + 1])
def test_a_baseline_that_cannot_be_is_refused(clean: int) -> None:
    """Too few clean rows, or more than there are."""
    with pytest.raises(Invalid, match="calibrate"):
        score_series(wave(), TIMES, clean=clean)


@pytest.mark.parametrize("maker", sorted(labelled_series.DEVELOPMENT | labelled_series.HELD_OUT))
def test_labelled_series_are_repeatable_and_true(maker: str) -> None:
    """The same seed gives the same series; anomalies lie after the clean start and within it."""
    one, again = (labelled_series.make(maker, 7, rows=1_000) for _ in range(2))
    assert np.array_equal(one.values, again.values, equal_nan=True)
    assert np.array_equal(one.times, again.times)
    assert all(one.clean <= first < end <= 1_000 for first, end in one.windows)
