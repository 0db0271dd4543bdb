"""Dashboards reach a Grafana, whatever it held before, and a refusal says what was refused."""

import json
import re
import threading
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dashboards.generate import ALL
from dashboards.grafana import FOLDER_UID, push
from dashboards.layout import INFLUXDB_UID, PROMETHEUS_UID
from dashboards.sources import influxdb_source, prometheus_source
from lift.errors import Conflict, Forbidden, Invalid, LiftError, NotSignedIn, Unavailable

TOKEN = "glsa_example"
SIGN_INS = {f"Bearer {TOKEN}": "Admin", "Bearer editor": "Editor", "Bearer viewer": "Viewer"}
SIGN_INS["Basic " + b64encode(b"admin:secret").decode()] = "Admin"

Answer = tuple[int, Any]


@dataclass
class State:
    """What a Grafana 13 holds, as far as these endpoints show it."""

    folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    provisioned: set[str] = field(default_factory=set)
    root: str = ""
    next_id: int = 1

    def answer(self, verb: str, path: str, body: Any, role: str | None) -> Answer:  # noqa: ANN401 - any JSON
        """Answer as the documented HTTP API does."""
        if role is None:
            return 401, {"message": "Invalid API key", "messageId": "api-key.invalid"}
        if path.startswith("/api/datasources"):
            return self._source(verb, path, body, role)
        if verb != "GET" and role == "Viewer":
            return 403, {"message": "You'll need additional permissions", "title": "Access denied"}
        if path.startswith("/api/folders"):
            return self._folder(verb, path, body)
        if (verb, path) == ("POST", "/api/dashboards/db"):
            return self._dashboard(body)
        return 404, {"message": "Not found"}

    def _folder(self, verb: str, path: str, body: Any) -> Answer:  # noqa: ANN401
        if (verb, path) == ("POST", "/api/folders"):
            if body["uid"] in self.folders:
                return 409, {"message": "a folder with the same uid already exists"}
            self.folders[body["uid"]] = {"uid": body["uid"], "title": body["title"]}
            return 200, self.folders[body["uid"]]
        found = self.folders.get(path.removeprefix("/api/folders/"))
        if found is None:
            return 404, {"message": "folder not found", "status": "not-found"}
        if verb == "PUT":
            if not body.get("overwrite"):
                return 412, {"message": "the folder has been changed by someone else", "status": "version-mismatch"}
            found["title"] = body["title"]
        return 200, found

    def _source(self, verb: str, path: str, body: Any, role: str) -> Answer:  # noqa: ANN401
        if role != "Admin":
            return 403, {"message": "You'll need additional permissions", "title": "Access denied"}
        uid = path.removeprefix("/api/datasources/uid/")
        if verb == "POST":
            if any(source["name"] == body["name"] for source in self.sources.values()):
                return 409, {"message": "data source with the same name already exists"}
            self.sources[body["uid"]] = body
            return 200, {"message": "Datasource added", "datasource": body}
        if uid == path or uid not in self.sources:  # addresses by number are no longer served
            return 404, {"message": "Data source not found"}
        if verb == "PUT":
            self.sources[uid] = body
        return 200, self.sources[uid]

    def _dashboard(self, body: Any) -> Answer:  # noqa: ANN401
        model = body["dashboard"]
        held = self.dashboards.get(model["uid"])
        refusals = (
            (not model.get("title"), 400, "Dashboard title cannot be empty"),
            (not re.fullmatch(r"[\w-]{1,40}", model["uid"]), 400, "uid contains illegal characters"),
            (model["uid"] in self.provisioned, 400, "Cannot save provisioned dashboard"),
            (body["folderUid"] not in self.folders, 404, "folder not found"),
            (held is not None and not body["overwrite"], 412, "The dashboard has been changed by someone else"),
            (model["id"] is not None and (held or {}).get("id") != model["id"], 404, "Dashboard not found"),
        )
        for applies, status, message in refusals:
            if applies:
                return status, {"message": message}
        number = self.next_id if held is None else held["id"]
        self.next_id += held is None
        self.dashboards[model["uid"]] = {**model, "id": number, "folderUid": body["folderUid"]}
        return 200, {
            "status": "success",
            "uid": model["uid"],
            "url": f"{self.root}/d/{model['uid']}/slug",
            "version": 1,
        }


@dataclass
class Grafana:
    """A running server over that state; `speak` overrides its answers."""

    url: str
    state: State
    speak: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    """Run a server that speaks the part of Grafana's HTTP API that a push needs."""
    running = Grafana("", State())

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            role = SIGN_INS.get(self.headers.get("Authorization", ""))
            if running.speak:
                status, headers, payload = running.speak[0]
            else:
                path = self.path.removeprefix(running.state.root)
                known = path != self.path or not running.state.root
                status, answer = running.state.answer(self.command, path if known else "", body, role)
                headers, payload = {"Content-Type": "application/json"}, json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(payload))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PUT = _handle  # noqa: N815 - the names that http.server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own signature
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def sources(*, key: str = "t1") -> list[dict[str, Any]]:
    """Describe both data sources."""
    influxdb = influxdb_source("http://influxdb:8086", bucket="liftwatch", token=key)
    return [influxdb, prometheus_source("http://prometheus:9090")]


def test_an_empty_grafana_gets_everything(grafana: Grafana) -> None:
    """Folder, data sources and dashboards are made, and the addresses lead to the dashboards."""
    addresses = push(grafana.url, token=TOKEN, sources=sources())
    assert set(grafana.state.dashboards) == {dashboard.uid for dashboard in ALL}
    assert {held["folderUid"] for held in grafana.state.dashboards.values()} == {FOLDER_UID}
    assert set(grafana.state.sources) == {INFLUXDB_UID, PROMETHEUS_UID}
    assert addresses == [f"{grafana.url}/d/{dashboard.uid}/slug" for dashboard in ALL]


def test_pushing_again_brings_the_same_up_to_date(grafana: Grafana) -> None:
    """A second push changes what has changed and makes nothing twice."""
    push(grafana.url, token=TOKEN, folder="Old title", sources=sources())
    numbers = {uid: held["id"] for uid, held in grafana.state.dashboards.items()}
    grafana.state.dashboards[ALL[0].uid]["panels"] = []
    push(grafana.url, user="admin", password="secret", folder="Lifts 电梯", sources=sources(key="t2"))
    assert {uid: held["id"] for uid, held in grafana.state.dashboards.items()} == numbers
    assert grafana.state.dashboards[ALL[0].uid]["panels"] == ALL[0].model["panels"]
    assert [folder["title"] for folder in grafana.state.folders.values()] == ["Lifts 电梯"]
    assert grafana.state.sources[INFLUXDB_UID]["secureJsonData"] == {"httpHeaderValue1": "Token t2"}


def test_an_editor_can_push_dashboards_alone(grafana: Grafana) -> None:
    """Without data sources a push needs no administrator."""
    assert len(push(grafana.url, token="editor")) == len(ALL)
    with pytest.raises(Forbidden, match=r"data source 'Liftwatch readings'.*Admin"):
        push(grafana.url, token="editor", sources=sources())


def test_a_wrong_token_is_told_so(grafana: Grafana) -> None:
    """Whoever is not known learns that it is the sign-in, in Grafana's words."""
    with pytest.raises(NotSignedIn, match="Invalid API key"):
        push(grafana.url, token="wrong")


def test_a_viewer_is_told_what_it_takes(grafana: Grafana) -> None:
    """An account that may only look is told which role it needs."""
    with pytest.raises(Forbidden, match=r"folder .*Editor"):
        push(grafana.url, token="viewer")


@pytest.mark.parametrize("dashboard", ALL, ids=lambda dashboard: dashboard.uid)
def test_a_refusal_names_the_dashboard(grafana: Grafana, dashboard: Any) -> None:  # noqa: ANN401
    """A dashboard that Grafana provisions from a file cannot be pushed over, and the error names it."""
    grafana.state.provisioned.add(dashboard.uid)
    with pytest.raises(Conflict, match=f"dashboard '{dashboard.title}'.*Cannot save provisioned dashboard"):
        push(grafana.url, token=TOKEN)


def test_a_data_source_of_the_same_name_is_not_taken_over(grafana: Grafana) -> None:
    """Someone else's data source stays as it is, and the error names it."""
    grafana.state.sources["theirs"] = {"name": "Liftwatch readings"}
    with pytest.raises(Conflict, match=r"data source 'Liftwatch readings'.*same name"):
        push(grafana.url, token=TOKEN, sources=sources())
    assert grafana.state.sources["theirs"] == {"name": "Liftwatch readings"}


def test_nobody_there_is_unavailable() -> None:
    """An address where nothing listens is named."""
    with pytest.raises(Unavailable, match=r"Grafana at http://127\.0\.0\.1:9 is unavailable"):
        push("http://127.0.0.1:9", token=TOKEN, timeout_s=2)


@pytest.mark.parametrize(
    ("status", "headers", "payload", "error", "says"),
    [
        (502, {}, b"<html>a message from the proxy</html>", Unavailable, "not Grafana's"),
        (503, {}, b'{"message": "database is locked"}', Unavailable, "database is locked"),
        (200, {}, b"<html>some other program</html>", Unavailable, "not Grafana's"),
        (200, {}, b"[]", Unavailable, "not Grafana's"),
        (301, {"Location": "https://grafana.example.org/"}, b"", Invalid, "https://grafana.example.org/"),
        (418, {}, b"[1, 2]", Conflict, "418"),
    ],
)
def test_strange_answers_are_understood(
    grafana: Grafana, status: int, headers: dict[str, str], payload: bytes, error: type[LiftError], says: str
) -> None:
    """A proxy's page, another program, a redirect: each is told in words, none as a stack of calls."""
    grafana.speak.append((status, headers, payload))
    with pytest.raises(error, match=re.escape(says)):
        push(grafana.url, token=TOKEN)


@pytest.mark.parametrize("url", ["", "grafana:3000", "ftp://grafana", "http://", "http://u:p@grafana", "http://g/?x=1"])
def test_a_bad_address_is_refused(url: str) -> None:
    """What is no address of a Grafana is refused before anything is sent."""
    with pytest.raises(Invalid, match=r"^url: "):
        push(url, token=TOKEN)


@pytest.mark.parametrize(
    ("token", "user", "password"), [("", "", ""), ("t", "u", "p"), ("t", "", "p"), ("", "u", ""), ("", "", "p")]
)
def test_half_a_sign_in_is_refused(token: str, user: str, password: str) -> None:
    """Exactly one way to sign in has to be given whole."""
    with pytest.raises(Invalid, match=r"^(token|user|password): "):
        push("http://127.0.0.1:9", token=token, user=user, password=password)


def test_a_grafana_below_a_path_is_reached(grafana: Grafana) -> None:
    """A Grafana behind a path of a larger site is addressed under that path, and only there."""
    grafana.state.root = "/monitoring"
    addresses = push(f"{grafana.url}/monitoring/", token=TOKEN)
    assert addresses == [f"{grafana.url}/monitoring/d/{dashboard.uid}/slug" for dashboard in ALL]
    with pytest.raises(Conflict, match=r"folder .*404"):
        push(grafana.url, token=TOKEN)
