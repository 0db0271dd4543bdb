"""Alarms over HTTP."""

from collections.abc import Callable

from lift.alarm import Priority
from lift.codes import Code
from tests.unit.api.world import EAST, WEST, Client, World


def test_alarm_is_told_in_both_languages_with_its_state(world: World, dispatcher: Client) -> None:
    """A dispatcher reads what it is, how bad and how it stands."""
    alarm = world.alarm(EAST)
    body = dispatcher.get(f"/v1/alarms/{alarm.key}").json()
    assert (body["code"], body["en"], body["zh"]) == ("11", "Entrapment", "困人")
    assert (body["priority"], body["state"]) == ("emergency", "unacknowledged")
    assert body["raised_at"].endswith("Z")


def test_acknowledged_once(world: World, dispatcher: Client) -> None:
    """The first to take note is named; the second is told so."""
    alarm = world.alarm(EAST)
    first = dispatcher.post(f"/v1/alarms/{alarm.key}/acknowledge", note="calling")
    assert (first.json()["state"], first.json()["acknowledged_by"]) == ("acknowledged", "dispatcher")
    second = dispatcher.post(f"/v1/alarms/{alarm.key}/acknowledge")
    assert second.status_code == 409
    assert "dispatcher" in second.json()["detail"]


def test_shelving_and_back(world: World, sign_in: Callable[[str], Client]) -> None:
    """A firm puts an alarm of its own lift out of sight while it works there, and back."""
    alarm = world.alarm(EAST, code=Code.DOOR_CLOSING_FAULT, priority=Priority.HIGH)
    firm = sign_in("east")
    assert firm.post(f"/v1/alarms/{alarm.key}/shelve", minutes=60, reason="works").json()["state"] == "shelved"
    assert firm.post(f"/v1/alarms/{alarm.key}/unshelve").json()["state"] == "unacknowledged"


def test_emergency_is_never_shelved(world: World, dispatcher: Client) -> None:
    """People in danger stay in sight."""
    alarm = world.alarm(EAST)
    assert dispatcher.post(f"/v1/alarms/{alarm.key}/shelve", minutes=5, reason="x").status_code == 409


def test_latched_alarm_is_reset_after_its_condition_returned(world: World, dispatcher: Client) -> None:
    """A latched alarm stands until someone resets it, which they may only when the condition has gone."""
    alarm = world.alarm(EAST, code=Code.UNINTENDED_CAR_MOVEMENT, priority=Priority.HIGH, latching=True)
    assert dispatcher.post(f"/v1/alarms/{alarm.key}/reset").status_code == 409
    world.back_to_normal(alarm)
    assert dispatcher.get(f"/v1/alarms/{alarm.key}").json()["state"] == "latched_unacknowledged"
    assert dispatcher.post(f"/v1/alarms/{alarm.key}/reset").json()["state"] == "returned_unacknowledged"


def test_list_is_narrowed(world: World, dispatcher: Client) -> None:
    """Alarms are listed newest first, of one lift, or standing ones only."""
    old = world.alarm(EAST, priority=Priority.LOW)
    new = world.alarm(WEST, priority=Priority.LOW)
    world.back_to_normal(old)

    def keys(**query: str) -> list[str]:
        return [alarm["key"] for alarm in dispatcher.get("/v1/alarms", **query).json()["alarms"]]

    assert keys() == [new.key, old.key]
    assert keys(lift=EAST) == [old.key]
    assert keys(standing="true") == [new.key]


def test_the_journal_is_listed_on_request(world: World, dispatcher: Client) -> None:
    """What asks nobody to act is not among the alarms, but is part of a lift's history and of its state."""
    alarm = world.alarm(EAST, priority=Priority.LOW)
    line = world.alarm(EAST, code=Code.INSPECTION, priority=Priority.JOURNAL)

    def keys(**query: str) -> list[str]:
        return [alarm["key"] for alarm in dispatcher.get("/v1/alarms", **query).json()["alarms"]]

    assert keys() == [alarm.key]
    assert keys(journal="true", lift=EAST) == [line.key, alarm.key]
    state = dispatcher.get(f"/v1/lifts/{EAST}/state").json()
    assert [(one["key"], one["priority"], one["state"]) for one in state["alarms"]] == [
        (line.key, "journal", "journal"),
        (alarm.key, "low", "unacknowledged"),
    ]


def test_pages_lose_nothing_of_one_moment(world: World, dispatcher: Client) -> None:
    """A power cut raises many alarms in one microsecond; paging through them gives each exactly once."""
    raised = {world.alarm(EAST, priority=Priority.LOW).key}
    for _ in range(5):
        world.clock.at -= 1_000_000
        raised.add(world.alarm(EAST, priority=Priority.LOW).key)
    raised.add(world.alarm(EAST, priority=Priority.LOW).key)
    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        page = dispatcher.get("/v1/alarms", **query).json()
        seen += [alarm["key"] for alarm in page["alarms"]]
        if page["next"] is None:
            break
        query["before"] = page["next"]
    assert sorted(seen) == sorted(raised)


def test_emergencies_are_found_in_a_flood(world: World, dispatcher: Client) -> None:
    """However many lesser alarms are newer, the emergencies can be asked for."""
    trapped = world.alarm()
    for _ in range(3):
        world.alarm(WEST, priority=Priority.LOW)
    found = dispatcher.get("/v1/alarms", priority="emergency", limit="1").json()["alarms"]
    assert [alarm["key"] for alarm in found] == [trapped.key]
    assert dispatcher.get("/v1/alarms", priority="dire").status_code == 422


def test_a_firm_reports_what_it_has_mended_once(world: World, sign_in: Callable[[str], Client]) -> None:
    """Who, when and why are kept for the condition monitor, and told on the feed; the second is told who was first."""
    alarm = world.alarm(EAST, priority=Priority.LOW, rule="door_closing_slower")
    firm = sign_in("east")
    told = firm.get(f"/v1/alarms/{alarm.key}").json()
    assert (told["code"], told["en"], told["zh"]) == (None, "Door closing slower", "关门变慢")
    assert sign_in("inspector").post(f"/v1/alarms/{alarm.key}/repaired", reason="belt").status_code == 403
    assert sign_in("west").post(f"/v1/alarms/{alarm.key}/repaired", reason="belt").status_code == 404
    assert firm.post(f"/v1/alarms/{alarm.key}/repaired", reason=" ").status_code == 422
    assert firm.post(f"/v1/alarms/{alarm.key}/repaired", reason="belt 皮带").json()["by"] == "east"
    again = sign_in("dispatcher").post(f"/v1/alarms/{alarm.key}/repaired", reason="belt")
    assert again.status_code == 409
    assert "east" in again.json()["detail"]
    with world.records.read() as reads:
        (repair,) = reads.repairs(after=0)
        assert reads.feed(after=0)[-1].kind == "alarm.repaired"
    assert (repair.alarm, repair.onset, repair.at, repair.reason) == (
        alarm.key, alarm.onset, world.clock.now(), "belt 皮带"
    )  # fmt: skip


def test_only_a_maintenance_alarm_is_repaired(world: World, sign_in: Callable[[str], Client]) -> None:
    """What a rule of the engine found has no baseline."""
    alarm = world.alarm(EAST, priority=Priority.HIGH)
    refused = sign_in("east").post(f"/v1/alarms/{alarm.key}/repaired", reason="belt")
    assert refused.status_code == 409
    assert "condition monitor" in refused.json()["detail"]
