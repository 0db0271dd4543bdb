"""The real program in a process of its own, as an operator starts it, and a client that speaks HTTP to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import servers

STARTS_WITHIN_S = 45.0
ANSWERS_WITHIN_S = 30.0


class Client:
    """Speaks to one API over HTTP, as a person's script would."""

    def __init__(self, port: int) -> None:
        """Know where it listens."""
        self.port = port
        self.token = ""

    def sign_in(self, name: str, password: str) -> None:
        """Sign in."""
        status, answer = self.ask("POST", "/v1/session", {"name": name, "password": password})
        assert status in (200, 201), answer
        self.token = answer["token"]

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> tuple[int, Any]:
        """Send one request; gives the status and the answer's JSON."""
        try:
            status, answer = self._open(method, path, body)
        except urllib.error.HTTPError as refusal:
            status, answer = refusal.code, refusal.read()
        return status, json.loads(answer or b"null")

    def healthy(self) -> bool:
        """Whether it is there and says that it is well."""
        try:
            return self.ask("GET", "/v1/health")[0] == 200
        except OSError:
            return False

    def figures(self) -> dict[str, float]:
        """Read the figures of /metrics, those of several samples added up."""
        found: dict[str, float] = {}
        for line in self._open("GET", "/metrics")[1].decode().splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                name = name.split("{", 1)[0]
                found[name] = found.get(name, 0.0) + float(value)
        return found

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Read something that must be there."""
        status, answer = self.ask("GET", path)
        assert status == 200, answer
        return answer

    def _open(self, method: str, path: str, body: Mapping[str, object] | None = None) -> tuple[int, bytes]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN_S) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read()


class Program(Client):
    """`liftwatch run` over one data folder; may be stopped, killed and started again on the same ports."""

    def __init__(self, folder: Path, **settings: object) -> None:
        """Choose free ports; nothing is started yet."""
        super().__init__(servers.free_port())
        self.folder = folder
        self.mqtt_port = servers.free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("LIFTWATCH_")},
            "LIFTWATCH_DATA_DIR": str(folder),
            "LIFTWATCH_HTTP_PORT": str(self.port),
            "LIFTWATCH_MQTT_PORT": str(self.mqtt_port),
            **{f"LIFTWATCH_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.output = folder / "output.txt"

    @property
    def broker(self) -> str:
        """The broker's address."""
        return f"mqtt://127.0.0.1:{self.mqtt_port}"

    def start(self) -> None:
        """Start it and return when it is healthy."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "runtime", "run"], env=self.environment, stdout=output, stderr=output
            )
        assert until(self._is_up, within_s=STARTS_WITHIN_S), f"not healthy: {self.output.read_text()}"

    def stop(self) -> float:
        """Press Ctrl-C; gives the seconds until it had ended."""
        assert self.process is not None
        started = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        return time.monotonic() - started

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def sign_in_as(self, name: str = "dispatcher") -> None:
        """Sign in as one of the demo's people."""
        self.sign_in(name, (self.folder / "passwords" / name).read_text().strip())

    def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output.read_text()
        return self.healthy()


@contextmanager
def program(folder: Path, **settings: object) -> Iterator[Program]:
    """Run the program for a test, and end it whatever happens."""
    one = Program(folder, **settings)
    try:
        one.start()
        yield one
    finally:
        if one.process is not None and one.process.poll() is None:
            one.kill()


def until(reached: Callable[[], object], *, within_s: float, every_s: float = 0.1) -> bool:
    """Wait until something is so; False when it is not in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if reached():
            return True
        time.sleep(every_s)
    return False
