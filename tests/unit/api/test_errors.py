"""Errors: one table, one shape."""

import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from api.errors import MEDIA_TYPE, STATUS, of_lift_error
from lift.errors import BadFrame, Invalid, LiftError, NotSignedIn, Unavailable
from tests.unit.api.world import EAST, Client, World


def kinds(kind: type[LiftError]) -> Iterator[type[LiftError]]:
    """Give every kind of error below one."""
    for below in kind.__subclasses__():
        yield below
        yield from kinds(below)


def test_every_error_has_a_status() -> None:
    """Whoever adds an error decides what a client is told."""
    assert set(kinds(LiftError)) <= STATUS.keys()


def test_wrong_field_is_named() -> None:
    """A program finds the field and the reason; a person the sentence."""
    answer = of_lift_error(BadFrame("car_speed", "90 is outside -20 to 20"))
    body = json.loads(bytes(answer.body))
    assert answer.status_code == 422
    assert body["errors"] == [{"field": "car_speed", "reason": "90 is outside -20 to 20"}]
    assert body["detail"] == "car_speed: 90 is outside -20 to 20"


def test_part_that_is_down_says_when_to_come_again() -> None:
    """A client may try again; what the part said stays in the log, since it may hold an address."""
    answer = of_lift_error(Unavailable("records", "no route to db.internal:5432"))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert b"db.internal" not in answer.body


def test_refusal_without_sign_in_says_how() -> None:
    """A 401 names its scheme, as HTTP asks."""
    assert of_lift_error(NotSignedIn("who?")).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/no/such/page", None, 404),
        ("GET", "/v1/lifts/", None, 404),
        ("PUT", "/v1/lifts", None, 405),
        ("GET", "/v1/lifts?limit=0", None, 422),
        ("GET", "/v1/lifts/000000", None, 404),
        ("GET", "/v1/lifts/%00", None, 422),
        ("GET", f"/v1/lifts/{'9' * 500}", None, 422),
        ("GET", "/v1/alarms?before=yesterday", None, 422),
        ("GET", "/v1/tickets?stage=lost", None, 422),
        ("POST", "/v1/tickets", b"{", 422),
        ("POST", "/v1/tickets", b"\xff", 400),
        ("POST", "/v1/tickets", b"[]", 422),
        ("POST", "/v1/tickets", b'{"lift": "100001", "summary": "\\ud800"}', 422),
        ("POST", "/v1/tickets", b'{"lift": "100001", "summary": "a\\u0000b"}', 422),
        ("POST", "/v1/tickets", b'{"lift": "100001", "summary": "x", "extra": 1}', 422),
        ("POST", "/v1/tickets", b" " * 1_000_001, 413),
        ("POST", "/v1/quarantine/1/replay", None, 403),
    ],
)
def test_every_refusal_is_a_problem(
    dispatcher: Client, method: str, path: str, body: bytes | None, status: int
) -> None:
    """Whatever is wrong with a request, the answer has one shape."""
    answer = dispatcher.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def test_body_without_a_length_is_bounded_too(dispatcher: Client) -> None:
    """A body that does not say how long it is, is read no further than the bound."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield b" " * 10_000

    answer = dispatcher.request("POST", "/v1/tickets", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_unexpected_error_keeps_its_inside(
    world: World, dispatcher: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets a reference, the log has the rest under it; headers are as on every answer."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret inside")

    monkeypatch.setattr(world.telemetry, "latest", fail)
    with caplog.at_level(logging.ERROR):
        answer = dispatcher.get(f"/v1/lifts/{EAST}/state")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["reference"] in caplog.text
    assert "secret inside" in caplog.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_invalid_from_a_port_names_its_field(world: World, dispatcher: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that refuses a question says what is wrong with it."""

    def refuse(*_: object, **__: object) -> None:
        raise Invalid("resolution", "more than 200000 rows")

    monkeypatch.setattr(world.telemetry, "history", refuse)
    answer = dispatcher.get(f"/v1/lifts/{EAST}/history", signals="car_speed")
    assert answer.json()["errors"][0]["field"] == "resolution"


@pytest.mark.parametrize("path", ["/", "/v1/health", "/v1/lifts", "/no/such/page"])
def test_every_answer_carries_the_security_headers(sign_in: Callable[[str], Client], path: str) -> None:
    """No page of ours is framed, sniffed, or loads anything from anywhere."""
    headers = sign_in("dispatcher").get(path).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
