"""A gateway's clock is measured by what it sends live, whatever else it sends; late readings are counted, not lost."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.arrivals import Arrivals
from ingest.intake import AHEAD_US_MAX, Intake, take_in
from lift import topics
from lift.batch import from_rows
from lift.ports import Message
from lift.wire import arrow
from tests.unit.ingest.line import FLEET, NOW, SECOND

A = 0
MINUTE = 60 * SECOND


def sent(*times: int, lift: str = "000001", received_at: int, arrivals: Arrivals | None = None) -> Intake:
    """Take in one message of gateway a with readings of these times."""
    payload = arrow.encode(from_rows([{"lift": lift, "at": at} for at in times]))
    skew = arrivals.skew if arrivals else lambda _: None
    return take_in([Message("lifts/v1/a/telemetry", payload)], FLEET, received_at=received_at, ahead_s=skew)


def live(arrivals: Arrivals, ahead: int, *, start: int = NOW, seconds: int = 90, seed: int = 1) -> int:
    """Let a gateway whose clock is ahead by some µs report each second over a line that takes 0.1 to 2 s."""
    chance = random.Random(seed)
    now = start
    for second in range(seconds):
        now = start + second * SECOND
        on_its_way = round(chance.uniform(0.1, 2.0) * SECOND)
        arrivals.see(sent(now + ahead - on_its_way, received_at=now), now)
    return now


@pytest.mark.parametrize("ahead_s", [-7200, -30, 0, 4, 55, 3600, 86_400])
def test_a_clocks_difference_is_found_within_the_time_of_the_way(ahead_s: int) -> None:
    """Ahead or behind, also where readings are refused for it: found to less than the jitter of the line."""
    arrivals = Arrivals(FLEET)
    live(arrivals, ahead_s * SECOND)
    assert arrivals.skew(A) == pytest.approx(ahead_s, abs=0.5)
    assert arrivals.skew(1) is None


def test_a_backlog_among_live_readings_changes_nothing() -> None:
    """Hours of spooled readings come between those of now."""
    arrivals = Arrivals(FLEET)
    for second in range(120):
        now = NOW + second * SECOND
        arrivals.see(sent(now - 3 * 3600 * SECOND + second * 60 * SECOND, received_at=now), now)
        arrivals.see(sent(now - SECOND // 10, received_at=now), now)
    assert arrivals.skew(A) == pytest.approx(-0.1, abs=0.01)


def test_a_backlog_alone_is_not_taken_for_a_wrong_clock() -> None:
    """While it is sent, ten times as fast as it was recorded, nothing is said about the clock."""
    arrivals = Arrivals(FLEET)
    for second in range(600):
        now = NOW + second * SECOND
        arrivals.see(sent(NOW - 7200 * SECOND + 10 * second * SECOND, received_at=now), now)
        assert arrivals.skew(A) is None


def test_a_clock_that_is_set_right_is_seen_after_three_minutes() -> None:
    """What was measured before expires."""
    arrivals = Arrivals(FLEET)
    now = live(arrivals, 40 * SECOND)
    live(arrivals, 0, start=now + SECOND, seconds=240)
    assert arrivals.skew(A) == pytest.approx(0, abs=0.5)


def test_a_refusal_for_the_future_says_what_is_known_of_the_clock() -> None:
    """The reason is read by whoever has to set that clock."""
    arrivals = Arrivals(FLEET)
    ahead = AHEAD_US_MAX + 40 * SECOND
    now = live(arrivals, ahead)
    reasons = sent(now + ahead, received_at=now, arrivals=arrivals).deliveries[0].reasons
    assert reasons[0].startswith("reading 0, at: is 100 s in the future, at most 60 s accepted; the gateway's clock")
    assert "+100 s" in reasons[0]


def test_readings_of_a_wrong_clock_are_kept_at_their_own_time_and_counted() -> None:
    """Design: no one changes what a device said; it is flagged instead."""
    arrivals = Arrivals(FLEET)
    now = live(arrivals, 30 * SECOND)
    intake = sent(now + 30 * SECOND, received_at=now)
    assert intake.batch.at.tolist() == [now + 30 * SECOND]
    assert arrivals.see(intake, now)["wrong_clock"].tolist() == [1, 0, 0]


def test_late_and_disordered_readings_are_counted_for_their_gateway() -> None:
    """Late: two minutes or more; disordered: older than one that came before from the same lift."""
    arrivals = Arrivals(FLEET)
    assert arrivals.see(sent(NOW, received_at=NOW), NOW) == {}
    assert arrivals.see(sent(NOW - MINUTE, lift="000002", received_at=NOW), NOW) == {}
    counts = arrivals.see(sent(NOW - MINUTE, NOW - 3 * MINUTE, received_at=NOW), NOW)
    assert {name: values.tolist() for name, values in counts.items()} == {"late": [1, 0, 0], "disordered": [2, 0, 0]}


@settings(max_examples=20)
@given(
    st.integers(-3600, 3600),
    st.lists(st.tuples(st.floats(0, 2), st.none() | st.integers(3700, 10_000)), min_size=80, max_size=120),
)
def test_the_difference_is_never_off_by_more_than_the_way_and_the_agreement(
    ahead_s: int, messages: list[tuple[float, int | None]]
) -> None:
    """Whatever mixture of live and spooled messages comes: what is said of the clock is right, or nothing is said."""
    arrivals = Arrivals(FLEET)
    for second, (way_s, spooled_s) in enumerate(messages):
        now = NOW + second * SECOND
        at = now + ahead_s * SECOND - round(way_s * SECOND) - (spooled_s or 0) * SECOND
        arrivals.see(sent(at, received_at=now), now)
    found = arrivals.skew(A)
    parts = {second // 30 for second, (_, spooled_s) in enumerate(messages) if spooled_s is None}
    if len(parts) > 1 and found is not None:
        assert -2.5 <= found - ahead_s <= 0.001


def test_nothing_that_cannot_be_read_is_measured() -> None:
    """Junk and foreign lifts say nothing about a clock."""
    intake = take_in(
        [Message(topics.topic("a", topics.TELEMETRY), b"junk"), Message(topics.topic("b", topics.TELEMETRY), b"[]")],
        FLEET,
        received_at=NOW,
    )
    arrivals = Arrivals(FLEET)
    assert arrivals.see(intake, NOW) == {}
    foreign = sent(NOW, lift="000003", received_at=NOW)
    assert arrivals.see(foreign, NOW) == {}
    assert np.isnan(arrivals.ahead_s).all()
