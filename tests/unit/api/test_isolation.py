"""What belongs to another firm answers exactly like what does not exist."""

from collections.abc import Callable

import pytest

from tests.unit.api.test_permissions import ROUTES
from tests.unit.api.world import EAST, WEST, Client, World

BODIES = {
    "/v1/tickets": {"lift": "<code>", "summary": "stuck"},
    "shelve": {"minutes": 5, "reason": "why"},
    "refuse": {"reason": "why"},
    "repaired": {"reason": "why"},
    "file-cause": {"cause": "why"},
    "merge": {"into": "none"},
    "/v1/out-of-service": {"lift": "<code>", "minutes": 5, "reason": "why"},
}
UNKNOWN = {
    "code": "999999", "key": "999999:rule:1", "ticket_id": "20200101-0001", "callout_id": "20200101-0001-1",
    "incident_key": "lift:999999:1", "number": "99", "gateway": "none",
}  # fmt: skip
# Quarantine is not for firms at all; runbooks and the files of the console are everybody's.
WITH_IDS = [
    route
    for route in ROUTES
    if "{" in route[1] and not {"{quarantine_id}", "{rule}", "{file}"} & set(route[1].split("/"))
]


def theirs(world: World) -> dict[str, str]:
    """Give the ids of things of the firm in the west."""
    ticket = world.ticket(WEST)
    with world.records.read() as tx:
        callout = tx.callouts(ticket_id=ticket.ticket_id)[0]
        alarm = tx.alarms(lift=WEST)[0]
    world.alarm(WEST)
    with world.records.read() as tx:
        incident = tx.incidents()[0]
    number = world.alarms.take_out_of_service(WEST, by="west", minutes=5, reason="works").number
    return {
        "code": WEST, "key": alarm.key, "ticket_id": ticket.ticket_id, "callout_id": callout.callout_id,
        "incident_key": incident.key, "number": str(number), "gateway": "demo-west",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["east", "east-crew", "station-crew"])
def test_foreign_things_answer_like_missing_ones(world: World, sign_in: Callable[[str], Client], name: str) -> None:
    """On every route with an id, another's id and one that does not exist get the same answer."""
    existing = theirs(world)
    client = sign_in(name)
    for method, path, route in WITH_IDS:
        place = path.split("{")[1].split("}")[0]
        body = BODIES.get(path.rsplit("/", 1)[-1], {}) if method == "POST" else None
        answers = []
        for ids in (existing, UNKNOWN):
            answer = client.request(
                method,
                path.replace(f"{{{place}}}", ids[place]),
                json=body,
                params={"signals": "car_speed"} if route == "lift_history" else None,
            )
            answers.append(
                (answer.status_code, answer.text.replace(ids[place], "<id>"), answer.headers["content-type"])
            )
        assert answers[0] == answers[1], f"{method} {path}"
        assert answers[0][0] in {403, 404}, f"{method} {path}"


@pytest.mark.parametrize("name", ["east", "east-crew", "station-crew"])
def test_lists_hold_nothing_foreign(world: World, sign_in: Callable[[str], Client], name: str) -> None:
    """No list, however it is asked for, shows another firm's things."""
    existing = theirs(world)
    client = sign_in(name)
    for path in (
        "/v1/lifts?q=West",
        "/v1/lifts?firm=firm-west",
        f"/v1/lifts?q={WEST}",
        f"/v1/alarms?lift={WEST}",
        "/v1/alarms",
        "/v1/tickets",
        f"/v1/tickets?lift={WEST}",
        "/v1/callouts",
        "/v1/callouts?waiting=true",
        "/v1/tickets/urgent",
        "/v1/incidents",
        "/v1/out-of-service",
        f"/v1/out-of-service?lift={WEST}",
    ):
        answer = client.get(path)
        assert answer.status_code == 200
        for known in existing.values():
            assert known not in answer.text, path


def test_phone_call_is_the_dispatchers(world: World, sign_in: Callable[[str], Client]) -> None:
    """A firm cannot find out by reporting a call whether a lift exists."""
    for code in (EAST, WEST, "999999"):
        assert sign_in("east").post("/v1/tickets", lift=code, summary="stuck").status_code == 403


def test_dispatcher_sees_both(world: World, dispatcher: Client) -> None:
    """The counterpart: what is hidden above is there."""
    for method, path, route in WITH_IDS:
        if method == "GET":
            place = path.split("{")[1].split("}")[0]
            params = {"signals": "car_speed"} if route == "lift_history" else None
            answer = dispatcher.request("GET", path.replace(f"{{{place}}}", theirs(world)[place]), params=params)
            assert answer.status_code == 200, path


def test_station_crew_sees_what_it_is_called_to(world: World, sign_in: Callable[[str], Client]) -> None:
    """Once the rescue has reached the station's level, its crew sees the ticket, the lift and the alarms."""
    ticket = world.ticket(WEST)
    crew = sign_in("station-crew")
    assert crew.get(f"/v1/lifts/{WEST}").status_code == 404
    moved = sign_in("dispatcher").post(f"/v1/tickets/{ticket.ticket_id}/dispatch")
    assert moved.json()["level"] == 2
    assert crew.get(f"/v1/tickets/{ticket.ticket_id}").status_code == 200
    assert crew.get(f"/v1/lifts/{WEST}").status_code == 200
    assert crew.get(f"/v1/lifts/{WEST}/state").json()["alarms"]
    assert crew.get(f"/v1/alarms/{theirs(world)['key']}").status_code == 200
    assert crew.get(f"/v1/lifts/{EAST}").status_code == 404
