"""Send the dashboards to a running Grafana, through grafana-api.

Data sources are addressed by uid over the client's plain verbs: its own update goes by number, which Grafana 13
no longer answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from grafana_api.grafana_api import GrafanaClientError, GrafanaServerError, GrafanaUnauthorizedError
from grafana_api.grafana_face import GrafanaFace
from requests.exceptions import JSONDecodeError, RequestException, TooManyRedirects

from dashboards.generate import ALL
from dashboards.layout import Dashboard
from dashboards.queries import Json
from lift.errors import Conflict, Forbidden, Invalid, NotSignedIn, Unavailable

FOLDER_UID: Final = "liftwatch"
FOLDER_TITLE: Final = "Liftwatch 电梯监测"

_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404


def push(
    url: str,
    *,
    token: str = "",
    user: str = "",
    password: str = "",
    folder: str = FOLDER_TITLE,
    sources: Sequence[Json] = (),
    dashboards: Sequence[Dashboard] = ALL,
    ca: Path | None = None,
    timeout_s: float = 10.0,
) -> list[str]:
    """Create or update the folder, the data sources given and the dashboards; gives the dashboards' addresses.

    `url` is Grafana's own, such as https://grafana.example.org/monitoring. Signs in with a service account's token,
    or with a user and password. `ca` is a file of certificates to trust instead of the system's. Doing it again
    changes nothing. Raises Invalid (url, token), Unavailable, NotSignedIn, Forbidden, or Conflict naming what
    Grafana refused; what was sent before stays.
    """
    grafana = _Grafana(_address(url), _auth(token, user, password), ca, timeout_s)
    grafana.put_folder(folder)
    for source in sources:
        grafana.put_source(source)
    return [grafana.put_dashboard(dashboard) for dashboard in dashboards]


class _Grafana:
    """A Grafana that answers in our own errors."""

    def __init__(self, address: SplitResult, auth: str | tuple[str, str], ca: Path | None, timeout_s: float) -> None:
        self._site = f"{address.scheme}://{address.netloc}"
        path = address.path.strip("/")
        self._face = GrafanaFace(
            auth,
            host=address.netloc,
            protocol=address.scheme,
            url_path_prefix=f"{path}/" if path else "",
            verify=True if ca is None else str(ca),
            timeout=timeout_s,
        )
        # A redirect would turn what we send into a request for a page.
        self._face.api.s.max_redirects = 0

    def put_folder(self, title: str) -> None:
        what = f"folder {title!r}"
        found = self._find(what, lambda: self._face.folder.get_folder(FOLDER_UID))
        if found is None:
            self._do(what, lambda: self._face.folder.create_folder(title, FOLDER_UID))
        elif found.get("title") != title:
            self._do(what, lambda: self._face.folder.update_folder(FOLDER_UID, title, overwrite=True))

    def put_source(self, source: Json) -> None:
        what = f"data source {source['name']!r}"
        path = f"/datasources/uid/{source['uid']}"
        if self._find(what, lambda: self._face.api.GET(path)) is None:
            self._do(what, lambda: self._face.datasource.create_datasource(source))
        else:
            self._do(what, lambda: self._face.api.PUT(path, json=source))

    def put_dashboard(self, dashboard: Dashboard) -> str:
        body = {
            "dashboard": {**dashboard.model, "id": None},
            "folderUid": FOLDER_UID,
            "message": "liftwatch dashboards push",
            "overwrite": True,
        }
        answer = self._do(f"dashboard {dashboard.title!r}", lambda: self._face.dashboard.update_dashboard(body))
        return f"{self._site}{answer.get('url', '/d/' + dashboard.uid)}"

    def _find(self, what: str, ask: Callable[[], Any]) -> Json | None:
        try:
            return self._call(what, ask)
        except GrafanaClientError as error:
            if error.status_code == _NOT_FOUND:
                return None
            raise self._refusal(what, error) from error

    def _do(self, what: str, ask: Callable[[], Any]) -> Json:
        try:
            return self._call(what, ask)
        except GrafanaClientError as error:
            raise self._refusal(what, error) from error

    def _call(self, what: str, ask: Callable[[], Any]) -> Json:
        """Ask, and turn everything but a refusal into our errors."""
        try:
            answer = ask()
        except TooManyRedirects as error:
            target = error.response.headers.get("Location", "elsewhere") if error.response is not None else "elsewhere"
            raise Invalid("url", f"{self._site} sends us on to {target}: give that address instead") from error
        except GrafanaServerError as error:
            raise Unavailable(f"Grafana at {self._site}", f"{what}: {error}") from error
        except (JSONDecodeError, TypeError) as error:
            # TypeError: the client looks for a message in whatever came, and a page of HTML has none.
            raise Unavailable(f"Grafana at {self._site}", f"{what}: the answer is not Grafana's") from error
        except RequestException as error:
            raise Unavailable(f"Grafana at {self._site}", error) from error
        if not isinstance(answer, dict):
            raise Unavailable(f"Grafana at {self._site}", f"{what}: the answer is not Grafana's")
        return answer

    def _refusal(self, what: str, error: GrafanaClientError) -> NotSignedIn | Forbidden | Conflict:
        message = _message(error.response)
        if isinstance(error, GrafanaUnauthorizedError):
            return NotSignedIn(f"Grafana at {self._site} does not accept this token or password: {message}")
        if error.status_code == _FORBIDDEN:
            return Forbidden(
                f"{what}: Grafana does not let this account write it ({message}); "
                "folders and dashboards need the role Editor, data sources Admin"
            )
        return Conflict(f"{what}: Grafana refused it with {error.status_code}: {message}")


def _address(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise Invalid("url", f"{url!r} is not http://host[:port][/path] or https://…")
    if parts.username is not None or parts.password is not None:
        raise Invalid("url", "give user and password by themselves: an address gets logged")
    return parts


def _auth(token: str, user: str, password: str) -> str | tuple[str, str]:
    if bool(token) == bool(user or password):
        raise Invalid("token", "give either a token, or a user and a password")
    if token:
        return token
    if not user or not password:
        raise Invalid("password" if user else "user", "user and password go together")
    return user, password


def _message(response: object) -> str:
    """Take Grafana's own words out of its answer."""
    if isinstance(response, dict) and "message" in response:
        return str(response["message"])
    return json.dumps(response, ensure_ascii=False)[:500]
