"""Who may do what, on every route."""

from collections.abc import Callable, Iterator

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from api.app import create_app
from api.guard import Guarded
from api.permissions import OPEN, RULES, Role, either
from tests.unit.api.world import EAST, NAME_OF_ROLE, Client, World

# A body that every route which wants one refuses or takes; permission is asked before it is read.
NO_BODY: dict[str, str] = {}


def routes(app: FastAPI) -> Iterator[tuple[str, str, str]]:
    """Give the method, path and name of every route of an application."""
    for route in iter_route_contexts(app.routes):
        for method in sorted(route.methods or ()):
            yield method, route.path or "", route.name or ""


def bare_app() -> FastAPI:
    """Make an application that is only looked at."""
    nothing: dict[str, object] = dict.fromkeys(
        ("records", "telemetry", "alarms", "rescue", "clock", "replay", "metrics", "health")
    )
    return create_app(**nothing, version="0")  # type: ignore[arg-type]


ROUTES = list(routes(bare_app()))


def filled(path: str) -> str:
    """Fill a path's places with ids of nothing."""
    for place, text in {
        "code": EAST,
        "key": "none",
        "ticket_id": "none",
        "callout_id": "none",
        "incident_key": "none",
        "number": "1",
        "gateway": "none",
        "rule": "none",
    }.items():
        path = path.replace(f"{{{place}}}", text)
    return path.replace("{quarantine_id}", "1")


def test_every_route_is_guarded_and_has_a_row() -> None:
    """No route is served that the table of permissions does not know, and no row is left over."""
    for route in iter_route_contexts(bare_app().routes):
        assert isinstance(route.original_route, Guarded), route.path
    assert {name for _, _, name in ROUTES} == RULES.keys() | OPEN


def test_route_without_a_row_cannot_be_built() -> None:
    """Whoever adds a route and forgets the table notices at once."""
    router = APIRouter(route_class=Guarded)
    with pytest.raises(LookupError, match=r"forgotten.*permissions\.py"):
        router.add_api_route("/forgotten", lambda: None, name="forgotten")


@pytest.mark.parametrize(("method", "path", "name"), [route for route in ROUTES if route[2] not in OPEN])
def test_nobody_gets_in_without_signing_in(nobody: Client, method: str, path: str, name: str) -> None:
    """Every route but the open ones asks for a sign-in, before it looks at anything else."""
    answer = nobody.request(method, filled(path), json=NO_BODY if method == "POST" else None)
    assert answer.status_code == 401
    assert "sign in" in answer.json()["detail"]


@pytest.mark.parametrize("role", list(Role))
def test_roles_do_what_their_rows_say(sign_in: Callable[[str], Client], role: Role) -> None:
    """On every route a role is let in where its row says so, and elsewhere told which role it takes."""
    for method, path, name in ROUTES:
        if name in OPEN | {"sign_out", "events"}:
            continue
        answer = sign_in(NAME_OF_ROLE[role]).request(method, filled(path), json=NO_BODY if method == "POST" else None)
        allowed = role in RULES[name].roles
        assert (answer.status_code != 403) == allowed, f"{role} {method} {path}: {answer.text}"
        if not allowed:
            assert either(RULES[name].roles) in answer.json()["detail"]


def test_inspector_changes_nothing() -> None:
    """An inspector reads everything and does nothing but sign out."""
    for method, _path, name in ROUTES:
        if name not in OPEN and method != "GET" and name != "sign_out":
            assert Role.INSPECTOR not in RULES[name].roles, name


def test_role_taken_away_is_gone_at_once(world: World, sign_in: Callable[[str], Client]) -> None:
    """What an account may do is asked anew for every request."""
    client = sign_in("admin")
    assert client.get("/v1/quarantine").status_code == 200
    with world.records.write() as tx:
        tx.save_user(tx.user("east").__class__(name="admin", role="janitor"))
    assert client.get("/v1/quarantine").status_code == 403


def test_guard_needs_no_body_to_refuse(nobody: Client) -> None:
    """A stranger learns nothing from how a body is parsed."""
    answer = nobody.request("POST", "/v1/tickets", content=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 401


def test_routes_are_api_routes() -> None:
    """The walk above sees real routes, so that it cannot pass on an empty list."""
    assert len(ROUTES) > 35
    assert issubclass(Guarded, APIRoute)
