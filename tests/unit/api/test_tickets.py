"""Tickets and call-outs over HTTP."""

from collections.abc import Callable

import pytest

from api.moves import MOVES
from lift.errors import Conflict
from lift.ticket import Stage
from tests.unit.api.world import EAST, SECOND, WEST, Client, World


def test_rescue_from_call_to_close(world: World, sign_in: Callable[[str], Client]) -> None:
    """A phone call becomes a ticket; the firm goes out, frees the people, files the cause; the desk closes it."""
    desk, firm = sign_in("dispatcher"), sign_in("east")
    made = desk.post("/v1/tickets", lift=EAST, summary="two people between 3 and 4")
    assert made.status_code == 201
    address = made.headers["location"]
    steps: list[tuple[Client, str, dict[str, object], str]] = [
        (firm, "accept", {"note": "crew 3 goes"}, "accepted"),
        (firm, "depart", {"device_at": "2026-11-23T08:00:01Z"}, "en_route"),
        (firm, "arrive", {}, "arrived"),
        (firm, "release", {"people": 2}, "released"),
        (desk, "call-back", {"note": "all well"}, "called_back"),
        (firm, "file-cause", {"cause": "rubbish in the door track"}, "cause_filed"),
        (desk, "close", {}, "closed"),
    ]
    for client, verb, body, stage in steps:
        world.clock.at += 60 * SECOND
        answer = client.post(f"{address}/{verb}", **body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["stage"] == stage
    whole = desk.get(address).json()
    assert whole["closed_at"] is not None
    assert [event["number"] for event in whole["events"]] == list(range(1, len(whole["events"]) + 1))
    assert all(
        after["previous"] == before["digest"]
        for before, after in zip(whole["events"], whole["events"][1:], strict=False)
    )
    assert any(event["details"].get("people") == 2 for event in whole["events"])
    assert whole["callouts"][0]["answer"] == "accepted"
    audit = desk.get(f"{address}/audit").json()
    assert (audit["intact"], audit["events"]) == (True, len(whole["events"]))


def test_alarm_and_its_ticket_know_each_other(world: World, dispatcher: Client) -> None:
    """A ticket shows the alarms that belong to it, and its running clocks."""
    ticket = world.ticket(EAST)
    whole = dispatcher.get(f"/v1/tickets/{ticket.ticket_id}").json()
    assert [alarm["lift"] for alarm in whole["alarms"]] == [EAST]
    assert whole["clocks"]
    assert "accepted" in whole["moves"]


def test_move_that_the_stage_does_not_allow_says_what_is(world: World, dispatcher: Client) -> None:
    """Nobody is released before anybody has arrived."""
    ticket = world.ticket(EAST)
    answer = dispatcher.post(f"/v1/tickets/{ticket.ticket_id}/close")
    assert answer.status_code == 409
    assert "allowed from here" in answer.json()["detail"]


def test_who_has_nothing_to_say_sends_no_body(world: World, dispatcher: Client) -> None:
    """A move is one line of curl."""
    ticket = world.ticket(EAST)
    answer = dispatcher.request("POST", f"/v1/tickets/{ticket.ticket_id}/accept")
    assert answer.json()["stage"] == "accepted"


def test_every_stage_but_the_first_has_a_verb() -> None:
    """Whatever the desk can do to a ticket can be done over HTTP."""
    assert {move.to for move in MOVES.values()} == set(Stage) - {Stage.RECEIVED}


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("file-cause", {}, "cause"),
        ("merge", {}, "into"),
        ("release", {"people": -1}, "people"),
        ("arrive", {"device_at": "noon"}, "device_at"),
        ("arrive", {"people": 2}, "people"),
    ],
)
def test_wrong_body_is_named(world: World, dispatcher: Client, verb: str, body: dict[str, object], field: str) -> None:
    """Each move has a body of its own, checked field by field."""
    answer = dispatcher.post(f"/v1/tickets/{world.ticket(EAST).ticket_id}/{verb}", **body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_list_is_narrowed(world: World, dispatcher: Client) -> None:
    """Tickets are listed newest first, by stage, by lift, and open ones."""
    east, west = world.ticket(EAST).ticket_id, world.ticket(WEST).ticket_id
    dispatcher.post(f"/v1/tickets/{east}/cancel", note="test")

    def ids(query: str = "") -> list[str]:
        return [ticket["ticket_id"] for ticket in dispatcher.get(f"/v1/tickets{query}").json()["tickets"]]

    assert ids() == [west, east]
    assert ids("?open=true") == [west]
    assert ids("?open=false") == [east]
    assert ids("?stage=cancelled&stage=dispatched") == [west, east]
    assert ids("?stage=cancelled") == [east]
    assert ids(f"?lift={WEST}") == [west]
    assert dispatcher.get("/v1/tickets?stage=cancelled&open=true").status_code == 422


def test_refusal_calls_out_the_next_level(world: World, sign_in: Callable[[str], Client]) -> None:
    """A firm that cannot come says why, and the station is called at once."""
    ticket = world.ticket(EAST)
    firm = sign_in("east")
    [first] = firm.get("/v1/callouts?waiting=true").json()["callouts"]
    assert firm.post(f"/v1/callouts/{first['callout_id']}/refuse").status_code == 422
    refused = firm.post(f"/v1/callouts/{first['callout_id']}/refuse", reason="all crews out")
    assert (refused.json()["answer"], refused.json()["reason"]) == ("refused", "all crews out")
    crew = sign_in("station-crew")
    [second] = crew.get("/v1/callouts?waiting=true").json()["callouts"]
    assert (second["ticket_id"], second["level"]) == (ticket.ticket_id, 2)
    assert crew.post(f"/v1/callouts/{second['callout_id']}/accept").json()["answer"] == "accepted"
    assert sign_in("dispatcher").get(f"/v1/tickets/{ticket.ticket_id}").json()["stage"] == "accepted"


def test_tampered_log_is_found(world: World, dispatcher: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An audit says which line of a log is not as it was written."""
    ticket = world.ticket(EAST)

    def tampered(ticket_id: str) -> None:
        raise Conflict(f"event 2 of {ticket_id} does not fit its hash")

    monkeypatch.setattr(world.rescue, "verify", tampered)
    audit = dispatcher.get(f"/v1/tickets/{ticket.ticket_id}/audit").json()
    assert audit["intact"] is False
    assert "event 2" in audit["problem"]
