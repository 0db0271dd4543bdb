"""A lost gateway is told of once, and so is its return; what gateways say of themselves is believed where it can be."""

import contextlib
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.statuses import STATUS_BYTES_MAX, Status, parse
from ingest.watch import SILENCE_US, WILL_GRACE_US, GatewayChange, GatewayWatch
from lift.errors import BadFrame
from tests.unit.ingest.line import NOW, SECOND

HOUR = 3600 * SECOND


def test_silence_of_three_minutes_is_a_lost_gateway_from_when_it_was_heard() -> None:
    """It is told once, with the time it was last heard, and its return with the time it is heard."""
    watch = GatewayWatch(2, now=NOW)
    watch.heard([0], NOW + 5)
    assert watch.advance(NOW + SILENCE_US) == []
    assert watch.advance(NOW + 5 + SILENCE_US) == [GatewayChange(0, online=False, at=NOW + 5)]
    assert watch.advance(NOW + HOUR) == []
    assert (watch.lost_since(0), watch.online, watch.away) == (NOW + 5, 0, 1)
    assert watch.heard([0], NOW + HOUR) == [GatewayChange(0, online=True, at=NOW + HOUR)]
    assert (watch.lost_since(0), watch.heard_at(0)) == (None, NOW + HOUR)


def test_a_gateway_that_was_never_there_is_not_missed() -> None:
    """It may be registered before it is installed; one that was there before our start is missed."""
    watch = GatewayWatch(2, now=NOW)
    watch.expect([1])
    assert watch.advance(NOW + HOUR) == [GatewayChange(1, online=False, at=NOW)]


def test_a_last_will_is_believed_after_a_moment() -> None:
    """Long before the silence would tell; since when is when the will came."""
    watch = GatewayWatch(1, now=NOW)
    watch.heard([0], NOW)
    watch.left(0, NOW + SECOND)
    watch.left(0, NOW + 2 * SECOND)
    assert watch.advance(NOW + WILL_GRACE_US) == []
    assert watch.advance(NOW + SECOND + WILL_GRACE_US) == [GatewayChange(0, online=False, at=NOW + SECOND)]


def test_the_will_of_a_replaced_connection_is_no_loss() -> None:
    """A gateway that connects anew leaves a will behind, and is heard at once."""
    watch = GatewayWatch(1, now=NOW)
    watch.left(0, NOW)
    assert watch.heard([0], NOW + SECOND) == []
    assert watch.advance(NOW + 2 * WILL_GRACE_US) == []


events = st.lists(
    st.tuples(st.integers(0, 400 * SECOND), st.sampled_from(["heard", "left", "nothing"]), st.integers(0, 2)),
    max_size=40,
)


@given(events)
def test_changes_alternate_and_agree_with_a_plain_account(history: list[tuple[int, str, int]]) -> None:
    """Lost and back take turns for each gateway, and none is lost that was heard within three minutes."""
    watch, now = GatewayWatch(3, now=NOW), NOW
    told: list[GatewayChange] = []
    heard: dict[int, int] = {}
    willed: dict[int, int] = {}
    for wait, what, gateway in history:
        now += wait
        told += watch.advance(now)
        if what == "heard":
            told += watch.heard([gateway], now)
            heard[gateway] = now
            willed.pop(gateway, None)
        elif what == "left":
            watch.left(gateway, now)
            willed.setdefault(gateway, now)
    told += watch.advance(now)
    for gateway in range(3):
        mine = [change for change in told if change.gateway == gateway]
        assert all(one.online != other.online for one, other in pairwise(mine))
        assert not mine or not mine[0].online
        silent = gateway in heard and now - heard[gateway] >= SILENCE_US
        gone = gateway in willed and now - willed[gateway] >= WILL_GRACE_US
        never = gateway in willed and gateway not in heard and now - NOW >= SILENCE_US
        assert (watch.lost_since(gateway) is not None) == (silent or gone or never)


def test_a_status_says_what_it_says_and_no_more() -> None:
    """Unknown fields are left alone; what is of the wrong kind is missing, and does not hide the rest."""
    told = {"online": True, "at": NOW, "version": "1.2", "spooled": 3, "hours_left": 70.5, "dropped": -1, "oldest": "x"}
    assert parse(orjson.dumps(told | {"colour": "red"})) == Status(
        online=True, at=NOW, version="1.2", spooled=3, hours_left=70.5
    )
    assert parse(b'{"online":false}') == Status(online=False)


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (b"", "payload"),
        (b"[]", "payload"),
        (b"{}", "online"),
        (b'{"online":1}', "online"),
        (b'{"online":true,"x":"' + b"x" * STATUS_BYTES_MAX + b'"}', "payload"),
    ],
)
def test_a_status_that_does_not_say_whether_it_is_online_is_refused(payload: bytes, field: str) -> None:
    """The refusal names the field."""
    with pytest.raises(BadFrame) as refused:
        parse(payload)
    assert refused.value.field == field


@given(
    st.binary(max_size=80)
    | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(repr).map(str.encode)
)
def test_a_status_of_any_bytes_is_read_or_refused(payload: bytes) -> None:
    """Nothing else happens."""
    with contextlib.suppress(BadFrame):
        assert isinstance(parse(payload).online, bool)
