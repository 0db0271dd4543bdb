"""Processes of a benchmark: started, spoken to by lines of JSON, measured from outside, ended by their own id."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from adapters.records_sql import SqlRecords
from api.passwords import hash_password
from bench import load
from lift.ports import User
from tests import servers
from tests.program import Client, until

PASSWORD = "only-on-loopback"  # noqa: S105 - of a server that lives for one benchmark
# A register of a megacity takes a while to read.
STARTS_WITHIN_S = 120.0
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Worker:
    """A Python module of ours in a process of its own."""

    def __init__(self, module: str, *arguments: object, environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
        )

    def hear(self) -> dict[str, Any]:
        """Wait for its next line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"{self.process.args!r} ended early"
        heard: dict[str, Any] = orjson.loads(line)
        return heard

    def go(self) -> None:
        """Give it the word to begin."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Stop it and wait."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Server(Worker):
    """`liftwatch serve` with a city of its own in a folder of its own: what an operator would start."""

    def __init__(self, folder: Path, lifts: int, broker: str, roles: str = "ingest,dispatch,api") -> None:
        records = SqlRecords(f"sqlite:///{folder / 'liftwatch.db'}")
        with records.write() as tx:
            tx.register(load.city_of(lifts).register)
            tx.save_user(User(name="bench", role="admin", password_hash=hash_password(PASSWORD)))
        records.close()
        self.api = Client(servers.free_port())
        super().__init__(
            "runtime",
            "serve",
            "--roles",
            roles,
            environment={
                "LIFTWATCH_DATA_DIR": str(folder),
                "LIFTWATCH_MQTT_URL": broker,
                "LIFTWATCH_HTTP_PORT": str(self.api.port),
                "LIFTWATCH_LOG_LEVEL": "WARNING",
            },
        )
        assert until(self._is_up, within_s=STARTS_WITHIN_S), "the server is not up in time"
        self.api.sign_in("bench", PASSWORD)

    def cpu_s(self) -> float:
        """Read the CPU time it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS

    def memory_mb(self) -> float:
        """Read its resident memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * _PAGE / 1e6

    def _is_up(self) -> bool:
        assert self.process.poll() is None, "the server ended at its start"
        return self.api.healthy()


@contextmanager
def running(*workers: Worker) -> Iterator[None]:
    """End workers whatever happens."""
    try:
        yield
    finally:
        for worker in workers:
            worker.end()
