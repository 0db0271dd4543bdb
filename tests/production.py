"""The production shape without containers: its configuration files and roles, over real servers on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import servers
from tests.program import Client

ROOT = Path(__file__).parents[1]


def variables(file: Path) -> dict[str, str]:
    """Read an environment file as Compose does."""
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


@contextmanager
def secured_mosquitto(folder: Path, secrets: Path, extra: str = "") -> Iterator[servers.Server]:
    """Run mosquitto with deploy/mosquitto; only places, the port and the account it runs under are of this machine.

    `extra` is more lines of its configuration.
    """
    program = servers.install("mosquitto")
    port = servers.free_port()
    settings = (ROOT / "deploy/mosquitto/mosquitto.conf").read_text()
    places = {"/run/secrets": secrets, "/mosquitto/config": ROOT / "deploy/mosquitto", "/mosquitto/data": folder}
    for there, here in places.items():
        assert there in settings
        settings = settings.replace(there, str(here))
    settings = settings.replace("listener 8883", f"listener {port} 127.0.0.1")
    (folder / "mosquitto.conf").write_text(settings + extra + ("user root\n" if os.geteuid() == 0 else ""))
    server = servers.Server(
        name="mosquitto",
        command=[program, "-c", str(folder / "mosquitto.conf")],
        port=port,
        log=folder / "log",
        answers=lambda: servers.accepts(port),
    )
    with servers.running(server):
        yield server


class Role(Client):
    """One service of docker-compose.yml as a process: its roles, its environment, a folder of its own."""

    def __init__(self, folder: Path, roles: str, environment: dict[str, str]) -> None:
        """Start it."""
        super().__init__(servers.free_port())
        folder.mkdir()
        self.folder = folder
        self.log = folder / "log"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIFTWATCH_")}
        own = {"LIFTWATCH_DATA_DIR": str(folder), "LIFTWATCH_HTTP_PORT": str(self.port)}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "runtime", "serve", "--roles", roles],
                env={**inherited, **environment, **own},
                stdout=log,
                stderr=log,
            )

    def healthy(self) -> bool:
        """Whether it says that all its parts are well."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.ask("GET", "/v1/health")[0] == 200
        except OSError:
            return False

    def stop(self) -> int:
        """Ask it to stop as the container engine would; gives its exit status."""
        self.process.terminate()
        return self.process.wait(15)
