"""Health, figures and quarantine."""

from base64 import b64decode
from collections.abc import Callable

from api.parts import HealthCheck
from tests.unit.api.world import Client, World


def test_health_is_open_and_says_what_is_down(world: World, nobody: Client) -> None:
    """A monitor needs no sign-in: 200 while all is well, 503 naming the part that is not."""
    assert nobody.get("/v1/health").json()["status"] == "ok"
    world.parts_health["telemetry"] = HealthCheck(ok=False, detail="disk full")
    answer = nobody.get("/v1/health")
    assert answer.status_code == 503
    found = answer.json()["parts"]["telemetry"]
    assert not found["ok"]
    assert "cannot be stored" in found["en"]
    assert "无法存储" in found["zh"]
    assert answer.json()["parts"]["broker"] == {"ok": True, "detail": "", "en": "", "zh": ""}


def test_why_a_part_is_down_is_for_those_who_see_the_city(
    world: World, nobody: Client, sign_in: Callable[[str], Client]
) -> None:
    """A reason may name hosts and other firms' lifts; while the records do not answer nobody can be known."""
    world.parts_health["alarms"] = HealthCheck(ok=False, detail="200002:overspeed:1 was not recorded")
    for name, told in (("dispatcher", True), ("prometheus", True), ("east", False), ("east-crew", False)):
        assert ("200002" in sign_in(name).get("/v1/health").text) == told, name
    assert "200002" not in nobody.get("/v1/health").text
    dispatcher = sign_in("dispatcher")
    world.records.close()
    answer = dispatcher.get("/v1/health")
    assert (answer.status_code, "200002" in answer.text) == (503, False)


def test_figures_are_in_prometheus_format(sign_in: Callable[[str], Client]) -> None:
    """Counters, gauges and labels arrive under the names they were given."""
    client = sign_in("prometheus")
    text = client.get("/metrics").text
    assert 'liftwatch_messages_total{gateway="demo"} 7.0' in text
    assert "liftwatch_gateways_online 3.0" in text
    assert "# TYPE liftwatch_messages_total counter" in text
    assert client.get("/v1/metrics").status_code == 200
    assert 'liftwatch_http_requests_total{method="GET",status="200"}' in client.get("/metrics").text


def test_quarantined_message_is_shown_with_its_bytes(world: World, sign_in: Callable[[str], Client]) -> None:
    """What was refused can be looked at, byte for byte, and as text where it is text."""
    text, binary = world.quarantine(b'{"lift": "x"}'), world.quarantine(b"\xff\x00")
    client = sign_in("inspector")
    listed = client.get("/v1/quarantine").json()["messages"]
    assert [message["quarantine_id"] for message in listed] == [binary, text]
    shown = client.get(f"/v1/quarantine/{text}").json()
    assert shown["text"] == '{"lift": "x"}'
    shown = client.get(f"/v1/quarantine/{binary}").json()
    assert shown["text"] is None
    assert b64decode(shown["payload_base64"]) == b"\xff\x00"


def test_quarantine_has_pages(world: World, dispatcher: Client) -> None:
    """A long list comes in pages that follow each other without a gap."""
    made = [world.quarantine() for _ in range(3)]
    first = dispatcher.get("/v1/quarantine", limit="2").json()
    second = dispatcher.get("/v1/quarantine", limit="2", before=str(first["next"])).json()
    pages = [message["quarantine_id"] for page in (first, second) for message in page["messages"]]
    assert pages == made[::-1]
    assert second["next"] is None


def test_replay_is_the_administrators(world: World, sign_in: Callable[[str], Client]) -> None:
    """After a fix an administrator takes the message in again, and it no longer waits."""
    number = world.quarantine()
    assert sign_in("dispatcher").post(f"/v1/quarantine/{number}/replay").status_code == 403
    assert sign_in("admin").post(f"/v1/quarantine/{number}/replay").json()["stored"] == 1
    assert world.replayed == [number]
    assert sign_in("admin").get("/v1/quarantine?waiting=true").json()["messages"] == []
    assert sign_in("admin").post("/v1/quarantine/999/replay").status_code == 404


def test_console_is_a_page_of_ours_alone(nobody: Client) -> None:
    """Its policy lets in scripts of this server only; a file that is none of it is not found, wherever it lies."""
    page = nobody.get("/console")
    assert page.status_code == nobody.get("/console/").status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert nobody.get("/console/console.js").headers["content-type"].startswith("text/javascript")
    for other in ("index.html", "none.js", "..%2Fpyproject.toml", "%2e%2e/README.md", "words.js%00"):
        assert nobody.get(f"/console/{other}").status_code == 404
