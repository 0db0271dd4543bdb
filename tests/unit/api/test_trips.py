"""Trips of one lift: pages, CSV, and who may see them."""

import csv
import io
from collections.abc import Callable

import pytest

from lift.batch import from_rows
from lift.trips import TRIP_BY_NAME, TRIP_SIGNALS
from tests.unit.api.world import EAST, SECOND, START, WEST, Client, World

PATH = f"/v1/lifts/{EAST}/trips"


@pytest.fixture
def trips(world: World) -> list[int]:
    """Let the east lift have made ten trips, and the west lift one; gives their times."""
    times = [START - 100 * SECOND + i * SECOND for i in range(10)]
    told = [{"lift": EAST, "at": at, "distance": 0.1 * i, "from_landing": i} for i, at in enumerate(times)]
    world.telemetry.append_trips(from_rows([*told, {"lift": WEST, "at": START - 1, "distance": 99}], TRIP_BY_NAME))
    return times


def test_pages_lead_back_through_all_trips(dispatcher: Client, trips: list[int]) -> None:
    """The newest page comes first, in order of time; `next` is the end of the page before it, and null at last."""
    seen: list[int] = []
    end: str | None = None
    for size in (4, 4, 2):
        body = dispatcher.get(PATH, signals="from_landing", limit="4", **({} if end is None else {"end": end})).json()
        assert len(body["at"]) == size
        seen = body["signals"]["from_landing"] + seen
        end = body["next"]
    assert end is None
    assert seen == list(range(len(trips)))


def test_without_names_every_signal_is_told(dispatcher: Client, trips: list[int]) -> None:
    """All columns of the catalogue come, null where nothing was measured; times have both bounds."""
    body = dispatcher.get(PATH, start="2026-11-23T07:58:22Z", end="2026-11-23T07:58:24Z").json()
    assert body["at"] == ["2026-11-23T07:58:22.000000Z", "2026-11-23T07:58:23.000000Z"]
    assert list(body["signals"]) == [signal.name for signal in TRIP_SIGNALS]
    assert body["signals"]["from_landing"] == [2, 3]
    assert body["signals"]["jerk_max"] == [None, None]
    assert len(trips) == 10


@pytest.mark.parametrize("how", [{"format": "csv"}, {"accept": "text/csv"}, {"accept": "text/csv, application/json"}])
def test_trips_as_csv(dispatcher: Client, trips: list[int], how: dict[str, str]) -> None:
    """By query or by Accept the same rows come as CSV, numbers as short as they can be, gaps empty."""
    query = {key: value for key, value in how.items() if key == "format"}
    headers = {key: value for key, value in how.items() if key == "accept"}
    query |= {"signals": "distance,from_landing,jerk_max", "limit": "2"}
    answer = dispatcher.request("GET", PATH, headers=headers, params=query)
    assert answer.headers["content-type"].startswith("text/csv")
    assert list(csv.reader(io.StringIO(answer.text))) == [
        ["lift", "at", "distance", "from_landing", "jerk_max"],
        [EAST, "2026-11-23T07:58:28.000000Z", "0.8", "8", ""],
        [EAST, "2026-11-23T07:58:29.000000Z", "0.9", "9", ""],
    ]
    assert answer.headers["link"].startswith(f"<{PATH}?")
    assert 'rel="next"' in answer.headers["link"]
    assert len(trips) == 10


def test_a_firm_sees_its_own_lifts_only(sign_in: Callable[[str], Client], trips: list[int]) -> None:
    """Another firm's trips are answered like those of a lift that does not exist."""
    west = sign_in("west")
    refused, unknown = west.get(PATH), west.get("/v1/lifts/999999/trips")
    assert refused.status_code == unknown.status_code == 404
    assert len(trips) == 10


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"signals": "car_speed"}, "signals"),
        ({"limit": "0"}, "limit"),
        ({"limit": "5001"}, "limit"),
        ({"format": "xml"}, "format"),
        ({"start": "2026-11-24T08:00:00Z"}, "start"),
        ({"end": "yesterday"}, "end"),
    ],
)
def test_wrong_question_is_named(dispatcher: Client, query: dict[str, str], field: str) -> None:
    """A question that makes no sense is refused, naming the field."""
    answer = dispatcher.get(PATH, **query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
