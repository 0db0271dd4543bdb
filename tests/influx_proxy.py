"""Lets clients of InfluxDB 2 write to an InfluxDB 1, for tests: `influx_proxy.py HOST PORT INFLUXDB_PORT`.

`/api/v2/write?bucket=b&precision=us` becomes `/write?db=b&precision=u`, and `/health` is answered by `/ping`,
which InfluxDB 1 has; everything else passes through as it came.
"""

import contextlib
import http.client
import json
import sys
import urllib.parse
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PRECISIONS = {"ns": "n", "us": "u", "ms": "ms", "s": "s"}

# Headers that speak of one connection only, and those that the two libraries write themselves.
HOP = {"connection", "content-length", "date", "host", "keep-alive", "server", "transfer-encoding"}


def translated(target: str) -> str:
    """Return what InfluxDB 1 calls a resource of InfluxDB 2.

    >>> translated("/api/v2/write?org=city&bucket=lifts&precision=us")
    '/write?db=lifts&precision=u'
    >>> translated("/query?db=lifts&q=SHOW+SERIES")
    '/query?db=lifts&q=SHOW+SERIES'
    """
    path, _, query = target.partition("?")
    if path != "/api/v2/write":
        return target
    asked = dict(urllib.parse.parse_qsl(query))
    told = {"db": asked.get("bucket", ""), "precision": PRECISIONS[asked.get("precision", "ns")]}
    return f"/write?{urllib.parse.urlencode(told)}"


class Proxy(BaseHTTPRequestHandler):
    """Carries one client's requests over one connection to the database."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    database_port: int

    def setup(self) -> None:
        """Open the way to the database."""
        super().setup()
        self.database = http.client.HTTPConnection("127.0.0.1", self.database_port, timeout=60)

    def finish(self) -> None:
        """Close the way to the database."""
        self.database.close()
        super().finish()

    def do_GET(self) -> None:
        """Answer a read."""
        if self.path == "/health":
            status, _, _ = self.ask("GET", "/ping", None)
            state = "pass" if status == HTTPStatus.NO_CONTENT else "fail"
            answer = json.dumps({"name": "influxdb", "status": state}).encode()
            self.reply(HTTPStatus.OK, {"Content-Type": "application/json"}, answer)
        else:
            self.reply(*self.ask("GET", self.path, None))

    def do_POST(self) -> None:
        """Carry a write or a query."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.reply(*self.ask("POST", translated(self.path), body))

    def ask(self, method: str, target: str, body: bytes | None) -> tuple[int, dict[str, str], bytes]:
        """Put a request to the database."""
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        try:
            self.database.request(method, target, body, headers)
            answer = self.database.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP}
            return answer.status, kept, answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.database.close()
            return HTTPStatus.SERVICE_UNAVAILABLE, {}, str(error).encode()

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Hand the database's answer to the client."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the library gives it
        """Say nothing: the database's own log tells."""


class Door(ThreadingHTTPServer):
    """Lets many clients come at once."""

    request_queue_size = 128


if __name__ == "__main__":
    host, port, Proxy.database_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    Door((host, port), Proxy).serve_forever()
