"""Incidents, time out of service, and the alarm desk's figures over HTTP."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from alarms.standing import GatewayNews
from lift.alarm import Priority
from lift.codes import Code
from lift.register import Register
from tests.unit.api.world import EAST, HOUR, SECOND, START, WEST, Client, World


def gateway_dies(world: World) -> str:
    """Let the gateway of both firms' lifts stay away; gives the incident's key."""
    with world.records.write() as tx:
        tx.register(Register(lifts=(replace(tx.lift(WEST), gateway="demo"),)))
        world.alarms.hear_gateways(tx, [GatewayNews("demo", online=False, at=world.clock.at, sure=True)])
        return tx.incidents()[0].key


def test_an_incident_shows_each_firm_its_own_part(world: World, sign_in: Callable[[str], Client]) -> None:
    """The city sees both lifts, the firm in the east its own, on the page, in the list and on the stream."""
    key = gateway_dies(world)
    for name, lifts in (("dispatcher", [EAST, WEST]), ("east", [EAST]), ("east-crew", [EAST])):
        client = sign_in(name)
        assert [one["lift"] for one in client.get(f"/v1/incidents/{key}").json()["inside"]] == lifts
        [listed] = client.get("/v1/incidents", open="true").json()["incidents"]
        assert (listed["kind"], listed["zh"], listed["lifts"]) == ("gateway_offline", "网关离线", len(lifts))
    with world.records.read() as tx:
        [joined] = [event for event in tx.feed(after=0, firm_id="firm-east") if event.kind == "incident.joined"]
    assert joined.data["codes"] == [EAST]
    assert "lifts" not in joined.data


def test_an_incident_is_acknowledged_once_by_the_desk(world: World, sign_in: Callable[[str], Client]) -> None:
    """The second is told who was first; a firm may not."""
    path = f"/v1/incidents/{gateway_dies(world)}/acknowledge"
    assert sign_in("east").post(path).status_code == 403
    assert sign_in("dispatcher").post(path, note="on it").json()["acknowledged_by"] == "dispatcher"
    assert "dispatcher" in sign_in("admin").post(path).json()["detail"]


def test_a_ticket_of_an_incident_stands_in_it(world: World, dispatcher: Client) -> None:
    """From the incident one gets to its tickets and its alarms."""
    alarm = world.alarm(EAST)
    world.alarm(EAST, priority=Priority.HIGH, code=Code.DOOR_CLOSING_FAULT)
    [listed] = dispatcher.get("/v1/incidents").json()["incidents"]
    shown = dispatcher.get(f"/v1/incidents/{listed['key']}").json()
    assert [ticket["ticket_id"] for ticket in shown["tickets"]] == [alarm.ticket_id]
    assert len(shown["alarms"]) == 2
    assert len(dispatcher.get("/v1/alarms", incident=listed["key"]).json()["alarms"]) == 2


def test_a_lift_out_of_service_and_back(world: World, sign_in: Callable[[str], Client]) -> None:
    """A firm silences its own lift while it works there; another's does not exist for it."""
    alarm = world.alarm(EAST, code=Code.DOOR_CLOSING_FAULT, priority=Priority.HIGH)
    firm = sign_in("east")
    made = firm.post("/v1/out-of-service", lift=EAST, minutes=60, reason="new doors")
    assert made.status_code == 201
    assert firm.get(f"/v1/alarms/{alarm.key}").json()["state"] == "out_of_service"
    assert [entry["by"] for entry in firm.get(made.headers["Location"]).json()["entries"]] == ["east"]
    assert firm.post(f"/v1/out-of-service/{made.json()['number']}/end").json()["ended_by"] == "east"
    assert firm.get(f"/v1/alarms/{alarm.key}").json()["state"] == "unacknowledged"
    assert firm.post("/v1/out-of-service", lift=WEST, minutes=60, reason="x").status_code == 404


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"rule": "entrapment_between_landings"}, 409),
        ({"rule": "no_such_rule"}, 422),
        ({"minutes": 0}, 422),
        ({"minutes": 43_201}, 422),
        ({"reason": ""}, 422),
    ],
    ids=["emergency", "unknown rule", "no time", "too long", "no reason"],
)
def test_what_may_not_be_out_of_service(dispatcher: Client, wish: dict[str, object], status: int) -> None:
    """No rule that finds people in danger, nothing without an end and a reason."""
    body = {"lift": EAST, "minutes": 60, "reason": "works", **wish}
    assert dispatcher.post("/v1/out-of-service", **body).status_code == status


def test_stale_and_chattering_alarms_are_listed(world: World, dispatcher: Client) -> None:
    """What has been standing for a day is stale; nothing here chatters."""
    world.alarm(EAST, priority=Priority.LOW)
    assert dispatcher.get("/v1/alarms", stale="true").json()["alarms"] == []
    world.clock.at += 24 * HOUR
    world.token("dispatcher")
    fresh = world.alarm(WEST, priority=Priority.LOW)
    assert [alarm["lift"] for alarm in dispatcher.get("/v1/alarms", stale="true").json()["alarms"]] == [EAST]
    assert dispatcher.get("/v1/alarms", chattering="true").json()["alarms"] == []
    assert fresh.key in {alarm["key"] for alarm in dispatcher.get("/v1/alarms", chattering="false").json()["alarms"]}


def test_the_desks_figures(world: World, dispatcher: Client) -> None:
    """Eleven alarms in ten minutes are a flood for one operator and none for two."""
    for _ in range(11):
        world.alarm(EAST, priority=Priority.LOW)
    dispatcher.post(f"/v1/alarms/{world.alarm(WEST, priority=Priority.HIGH).key}/acknowledge")
    span = {"from": "2026-11-23T08:00:00Z", "to": "2026-11-23T09:00:00Z"}
    assert world.clock.at < START + 600 * SECOND
    found = dispatcher.get("/v1/alarms/kpis", **span).json()
    assert (found["operators"], found["shown"], found["peak"], found["per_operator"]) == (1, 12, 12.0, 2.0)
    assert (found["flood_share"], found["acknowledged"], found["acknowledge_s"]) == (pytest.approx(1 / 6), 1, 0.0)
    assert (found["sources"][0]["alarms"], found["sources_share"]) == (1, pytest.approx(10 / 12))
    assert found["mix"] == {"low": pytest.approx(11 / 12), "medium": 0, "high": pytest.approx(1 / 12)}
    assert (found["now"]["standing"], found["now"]["in_sight"]) == (12, 12)
    with world.records.write() as tx:
        tx.save_session("another", "admin", world.clock.at + HOUR)
    assert dispatcher.get("/v1/alarms/kpis", **span).json()["operators"] == 1
    assert dispatcher.get("/v1/alarms/kpis", **{**span, "to": "2026-11-23T07:00:00Z"}).status_code == 422


def test_urgent_rescues_come_surest_first(world: World, dispatcher: Client) -> None:
    """A call makes a rescue sure; a suspicion comes after it, however old it is."""
    suspected = world.alarm(EAST, confidence=0.6)
    sure = world.alarm(WEST)
    listed = dispatcher.get("/v1/tickets/urgent").json()["tickets"]
    assert [(t["ticket_id"], t["confidence"]) for t in listed] == [(sure.ticket_id, 1.0), (suspected.ticket_id, 0.6)]
    assert "suspected 疑似, 60%" in listed[1]["summary"]
