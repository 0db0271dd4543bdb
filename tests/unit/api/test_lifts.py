"""Lifts: search, live state and history."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.telemetry_memory import MemoryTelemetry
from lift.alarm import Priority
from lift.batch import from_rows
from lift.codes import Code
from lift.wire.json import parse_time
from tests.unit.api.world import EAST, SECOND, START, WEST, Client, World


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [EAST, WEST]),
        ({"q": "1000"}, [EAST]),
        ({"q": "West Street"}, [WEST]),
        ({"q": "east tower"}, [EAST]),
        ({"firm": "firm-west"}, [WEST]),
        ({"after": EAST}, [WEST]),
        ({"q": "nowhere"}, []),
    ],
)
def test_search(dispatcher: Client, query: dict[str, str], found: list[str]) -> None:
    """Lifts are found by code, address, building and firm."""
    lifts = dispatcher.get("/v1/lifts", **query).json()["lifts"]
    assert [lift["rescue_code"] for lift in lifts] == found


def test_pages_lead_through_all(dispatcher: Client) -> None:
    """`next` of a page is the `after` of the one behind it."""
    first = dispatcher.get("/v1/lifts", limit="1").json()
    second = dispatcher.get("/v1/lifts", limit="1", after=first["next"]).json()
    assert [first["lifts"][0]["rescue_code"], second["lifts"][0]["rescue_code"]] == [EAST, WEST]
    assert second["next"] is None


def test_lift_is_found_by_either_code(dispatcher: Client) -> None:
    """The rescue code and the registration code lead to the same lift."""
    by_plate = dispatcher.get(f"/v1/lifts/{EAST}").json()
    assert dispatcher.get(f"/v1/lifts/{by_plate['registration_code']}").json() == by_plate
    assert by_plate["building"]["address"] == "1 East Street"


def test_state_is_the_newest_of_each_signal_with_its_age(world: World, dispatcher: Client) -> None:
    """A signal that the newest reading lacks keeps its older value, and says how old it is."""
    old, new = START - 20 * SECOND, START - SECOND
    world.telemetry.append(
        from_rows(
            [
                {"lift": EAST, "at": old, "car_speed": 1.1, "passenger": 1},
                {"lift": EAST, "at": new, "car_speed": 0.0, "message_codes": [41]},
                {"lift": WEST, "at": new, "car_speed": 9.0},
            ]
        )
    )
    state = dispatcher.get(f"/v1/lifts/{EAST}/state").json()
    assert state["signals"]["car_speed"] == {
        "value": 0.0,
        "unit": "m/s",
        "meaning": None,
        "at": "2026-11-23T07:59:59.000000Z",
        "age_s": 1.0,
    }
    assert state["signals"]["passenger"]["value"] == 1
    assert state["signals"]["passenger"]["meaning"] == "someone inside"
    assert state["signals"]["passenger"]["age_s"] == 20.0
    assert state["silent_s"] == 1.0
    assert state["codes"] == [{"code": "41", "en": "Main power lost", "zh": "主电源断电"}]


def test_state_of_a_lift_never_heard(dispatcher: Client) -> None:
    """Nothing known is said as nothing, not as zero."""
    state = dispatcher.get(f"/v1/lifts/{EAST}/state").json()
    assert state["heard_at"] is None
    assert state["silent_s"] is None
    assert state["signals"] == {}
    assert state["codes"] is None


def test_old_value_says_that_its_age_is_unknown(world: World, dispatcher: Client) -> None:
    """A value from yesterday is shown, without pretending to know to the second when it was reported."""
    day = 24 * 3600 * SECOND
    world.telemetry.append(from_rows([{"lift": EAST, "at": START - day, "run_count": 7}]))
    state = dispatcher.get(f"/v1/lifts/{EAST}/state").json()
    assert state["silent_s"] == day / SECOND
    assert state["signals"]["run_count"]["value"] == 7
    assert state["signals"]["run_count"]["age_s"] is None


def test_state_shows_alarms_and_rescue(world: World, dispatcher: Client) -> None:
    """Whoever looks at a lift sees at once what is wrong and who is on the way."""
    ticket = world.ticket(EAST)
    world.alarm(EAST, code=Code.DOOR_CLOSING_FAULT, priority=Priority.HIGH)
    state = dispatcher.get(f"/v1/lifts/{EAST}/state").json()
    assert {alarm["code"] for alarm in state["alarms"]} == {"11", "02"}
    assert state["rescue"]["ticket_id"] == ticket.ticket_id


readings = st.lists(
    st.fixed_dictionaries(
        {"at": st.integers(0, 3000)},
        optional={
            "car_speed": st.floats(-20, 20, width=32),
            "passenger": st.integers(0, 1),
            "run_count": st.integers(0, 10**9),
        },
    ),
    max_size=20,
    unique_by=lambda row: row["at"],
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=readings)
def test_history_gives_back_what_was_stored(
    world: World, sign_in: Callable[[str], Client], rows: list[dict[str, float]]
) -> None:
    """Every value comes back at its time, exactly, and what was not reported comes back as null."""
    vars(world.telemetry).update(vars(MemoryTelemetry()))
    if rows:
        world.telemetry.append(from_rows([{**row, "lift": EAST, "at": START + int(row["at"])} for row in rows]))
    names = ("car_speed", "passenger", "run_count")
    answer = sign_in("dispatcher").get(
        f"/v1/lifts/{EAST}/history",
        signals=",".join(names),
        start="2026-11-23T08:00:00Z",
        end="2026-11-23T16:00:01+08:00",
    )
    body = answer.json()
    assert body["signals"].keys() == set(names)
    got = {parse_time(at): [body["signals"][name][i] for name in names] for i, at in enumerate(body["at"])}
    # A measured value is a 32-bit float, and is written with no more digits than that needs.
    for values in got.values():
        values[0] = None if values[0] is None else float(np.float32(values[0]))
    told = {
        START + int(row["at"]): [row.get(name) for name in names] for row in rows if any(name in row for name in names)
    }
    assert {at: values for at, values in got.items() if any(value is not None for value in values)} == told
    assert list(got) == sorted(got)


def test_history_with_a_resolution(world: World, dispatcher: Client) -> None:
    """A step holds the mean of a measured signal and the last value of a flag; an empty step is left out."""
    rows = [{"lift": EAST, "at": START + i * SECOND, "car_speed": i, "passenger": i % 2} for i in range(20)]
    world.telemetry.append(from_rows(rows))
    body = dispatcher.get(
        f"/v1/lifts/{EAST}/history",
        signals="car_speed,passenger",
        start="2026-11-23T08:00:00Z",
        end="2026-11-23T08:01:00Z",
        resolution="10s",
    ).json()
    assert body["at"] == ["2026-11-23T08:00:00.000000Z", "2026-11-23T08:00:10.000000Z"]
    assert body["signals"]["passenger"] == [1, 1]
    assert all(math.isclose(*pair) for pair in zip(body["signals"]["car_speed"], [4.5, 14.5], strict=True))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"signals": "car_sped"}, "signals"),
        ({"signals": ","}, "signals"),
        ({}, "signals"),
        ({"signals": "car_speed", "start": "yesterday"}, "start"),
        ({"signals": "car_speed", "start": "2026-11-23T08:00:00"}, "start"),
        ({"signals": "car_speed", "start": "1795420800"}, "start"),
        ({"signals": "car_speed", "start": "2026-11-24T08:00:00Z"}, "start"),
        ({"signals": "car_speed", "start": "0001-01-01T00:00:00+23:59"}, "start"),
        ({"signals": "car_speed", "resolution": "0s"}, "resolution"),
        ({"signals": "car_speed", "resolution": "5 minutes"}, "resolution"),
        ({"signals": "car_speed", "resolution": "999d"}, "resolution"),
    ],
)
def test_wrong_question_is_named(dispatcher: Client, query: dict[str, str], field: str) -> None:
    """A question that makes no sense is refused, naming the field."""
    answer = dispatcher.get(f"/v1/lifts/{EAST}/history", **query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_catalogue_lists_signals_and_codes(dispatcher: Client) -> None:
    """Whoever builds a view finds units, ranges and both languages."""
    body = dispatcher.get("/v1/catalogue").json()
    speed = next(signal for signal in body["signals"] if signal["name"] == "car_speed")
    assert (speed["unit"], speed["low"], speed["high"]) == ("m/s", -20, 20)
    assert {"code": "11", "en": "Entrapment", "zh": "困人"} in body["codes"]
