"""Intake keeps every good reading of a message, and says by name what it refused and why."""

from collections.abc import Callable
from typing import Any, TypeAlias

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.intake import AHEAD_US_MAX, Delivery, Intake, take_in
from lift.batch import from_rows
from lift.ports import Message
from lift.wire import PAYLOAD_BYTES_MAX, Stamp, arrow, json
from tests.unit.ingest.line import FLEET, NOW


def take(*messages: tuple[str, bytes]) -> Intake:
    """Take in messages, given as gateway and payload."""
    return take_in([Message(f"lifts/v1/{name}/telemetry", body) for name, body in messages], FLEET, received_at=NOW)


def reading(lift: str = "000001", at: int = NOW, **signals: Any) -> dict[str, Any]:  # noqa: ANN401
    """Make one reading."""
    return {"lift": lift, "at": at, **signals}


Row: TypeAlias = dict[str, Any]
Encode: TypeAlias = Callable[..., bytes]


def as_json(*readings: dict[str, Any]) -> bytes:
    """Spell readings as a terminal would, with epoch milliseconds."""
    return orjson.dumps([{**one, "at": one["at"] / 1000} for one in readings])


ENCODINGS = pytest.mark.parametrize(
    "encode", [as_json, lambda *readings: arrow.encode(from_rows(readings))], ids=["json", "arrow"]
)


def only(intake: Intake) -> Delivery:
    """Give the fate of the only message."""
    assert len(intake.deliveries) == 1
    return intake.deliveries[0]


@ENCODINGS
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (reading("000009"), "reading 1, lift: '000009' is not a registered lift"),
        (reading("000003"), "reading 1, lift: 000003 is registered behind gateway 'b', not 'a'"),
        (reading(at=NOW + AHEAD_US_MAX + 1_000_000), "reading 1, at: is 61 s in the future, at most 60 s accepted"),
        (reading(at=1_000_000), "reading 1, at: is before 2020: the device's clock is not set"),
    ],
)
def test_a_reading_nobody_can_place_is_refused_and_its_neighbours_kept(encode: Encode, bad: Row, reason: str) -> None:
    """Unknown lifts, foreign gateways and impossible times cost that reading only."""
    intake = take(("a", encode(reading("000001"), bad, reading("000002"))))
    assert [row["lift"] for row in intake.batch.rows()] == ["000001", "000002"]
    assert only(intake).reasons == (reason,)
    assert (only(intake).received, only(intake).refused) == (3, 1)


@ENCODINGS
@pytest.mark.parametrize(
    ("signals", "reason"),
    [
        ({"car_speed": 90.0}, "reading 0, car_speed: 90 is outside -20 to 20 m/s"),
        ({"passenger": 3}, "reading 0, passenger: 3 is outside whole numbers 0 to 1"),
        ({"machine_room_temperature": -200.0}, "reading 0, machine_room_temperature: -200 is outside -40 to 100 °C"),
    ],
)
def test_a_value_out_of_range_is_taken_out_and_its_reading_kept(encode: Encode, signals: Row, reason: str) -> None:
    """A broken thermometer must not blind the rule that finds trapped people."""
    intake = take(("a", encode(reading(**signals, door_zone=0))))
    assert list(intake.batch.rows()) == [reading(door_zone=0)]
    assert only(intake).reasons == (reason,)
    assert only(intake).refused == 0


def test_a_fraction_of_a_flag_is_no_flag() -> None:
    """Half a passenger is refused like any other impossible value."""
    intake = take(("a", as_json(reading(passenger=0.5))))
    assert only(intake).reasons == ("reading 0, passenger: 0.5 is outside whole numbers 0 to 1",)


def test_an_oversized_message_is_refused_unread() -> None:
    """Beyond 4 MB nothing is parsed; the refusal names the size."""
    intake = take(("a", b" " * (PAYLOAD_BYTES_MAX + 1)))
    assert only(intake).reasons == ("every reading, payload: 4194305 bytes, at most 4194304 accepted",)
    assert (only(intake).received, only(intake).refused) == (1, 1)


def test_each_messages_faults_stay_its_own() -> None:
    """Messages handled together are judged apart: JSON, Arrow, unreadable and foreign ones in one go."""
    intake = take(
        ("a", as_json(reading("000001"), reading("000009"))),
        ("b", as_json(reading("000003", passenger=7))),
        ("a", b"{"),
        ("a", arrow.encode(from_rows([reading("000002")]), Stamp("e", 4))),
    )
    assert [len(delivery.faults) for delivery in intake.deliveries] == [1, 1, 1, 0]
    assert [delivery.gateway for delivery in intake.deliveries] == ["a", "b", "a", "a"]
    assert intake.deliveries[3].stamp == Stamp("e", 4)
    assert sorted(row["lift"] for row in intake.batch.rows()) == ["000001", "000002", "000003"]


def test_a_thousand_faults_are_counted_and_a_hundred_told() -> None:
    """A gateway gone mad cannot fill our memory with reasons."""
    intake = take(("a", as_json(*(reading("000009", NOW + i) for i in range(1000)))))
    assert only(intake).refused == 1000
    assert only(intake).reasons[-1] == "and 900 more like these"


def test_a_registration_code_names_the_same_lift() -> None:
    """Terminals that know the lift by its registration code are understood."""
    intake = take(("b", as_json(reading("3110000003"))))
    assert [row["lift"] for row in intake.batch.rows()] == ["000003"]


lifts = st.sampled_from(["000001", "000002", "000003", "000009"])
readings = st.lists(
    st.builds(reading, lifts, st.integers(NOW - 10**9, NOW + 10**9), passenger=st.sampled_from([0, 1, 2]) | st.none()),
    max_size=5,
)
payloads = st.builds(
    lambda rows, encode: encode(rows),
    readings,
    st.sampled_from(
        [
            lambda rows: as_json(*rows),
            lambda rows: json.encode(from_rows(rows)),
            lambda rows: arrow.encode(from_rows(rows)),
        ]
    ),
)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "stranger"]), payloads | st.binary(max_size=60)), max_size=6))
def test_received_is_accepted_plus_refused(messages: list[tuple[str, bytes]]) -> None:
    """Whatever arrives together, nothing escapes, nothing vanishes and the counts add up."""
    intake = take(*messages)
    assert sum(one.received for one in intake.deliveries) == len(intake.batch) + sum(
        one.refused for one in intake.deliveries
    )


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), payloads), max_size=5))
def test_being_taken_in_together_changes_nothing(messages: list[tuple[str, bytes]]) -> None:
    """Coalescing small messages is only faster: each is judged as if it had come alone."""
    together = take(*messages)
    alone = [take(message) for message in messages]
    assert sorted(map(orjson.dumps, together.batch.rows())) == sorted(
        orjson.dumps(row) for one in alone for row in one.batch.rows()
    )
    assert [one.reasons for one in together.deliveries] == [only(one).reasons for one in alone]
