"""Real servers for tests and benchmarks: mosquitto, PostgreSQL and InfluxDB from Debian's packages.

Each one runs on a free loopback port with its data in a folder of its own, and ends with its `with` block:

    with servers.mosquitto() as broker:
        client.connect(broker.host, broker.port)
        broker.kill()    # as a power cut would
        broker.start()   # the same port, the same data

A machine that cannot have a server raises `Missing` with the reason.
"""

import contextlib
import fcntl
import functools
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypedDict

import psycopg

HOST = "127.0.0.1"
START_WITHIN_S = 60.0
STOP_WITHIN_S = 20.0
INSTALL_WITHIN_S = 240

# Below the range from which the system takes the ports of outgoing connections, so that a stopped server
# finds its port still free when it starts again.
PORTS = range(20_000, 32_000)

# Where Debian's packages, and those of others, keep the programs that tests start.
PROGRAMS = {
    "mosquitto": ("/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"),
    "postgresql": ("/usr/lib/postgresql/*/bin/postgres",),
    "influxdb": ("/usr/bin/influxd", "/usr/local/bin/influxd"),
    "curl": ("/usr/bin/curl",),
    "mosquitto-clients": ("/usr/bin/mosquitto_pub",),
    "chromium": ("/usr/bin/chromium",),
}

# Debian asks this program whether a service may start.
POLICY = Path("/usr/sbin/policy-rc.d")

PROXY = Path(__file__).with_name("influx_proxy.py")


class Missing(Exception):
    """This machine has no such server and cannot install one."""


@dataclass(kw_only=True)
class Server:
    """A server process on a loopback port that can be stopped, killed and started again over its data."""

    name: str
    command: list[str]
    port: int
    log: Path
    answers: Callable[[], bool]
    host: str = HOST
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id of the running server."""
        assert self.process is not None, f"{self.name} is not running"
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> Self:
        """Start the process, or let it go on if it is frozen, and return once it answers."""
        if self.running:
            self.resume()
        else:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    **_as(self.user),
                    cwd=self.log.parent,
                    start_new_session=True,  # Ctrl-C is for the tests; they then stop their servers
                )
        deadline = time.monotonic() + START_WITHIN_S
        while not self.answers():
            if not self.running or time.monotonic() > deadline:
                self.kill()
                said = self.log.read_text(errors="replace")[-2000:]
                message = f"{self.name} did not start on port {self.port}; its last words:\n{said}"
                raise RuntimeError(message)
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """Ask the process to end, and make it end if it does not."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End the process at once, without a chance to save anything."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze the process: connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        if self.running:
            self.process.send_signal(how)
            self.process.send_signal(signal.SIGCONT)  # a frozen process would never hear the first
        try:
            self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_WITHIN_S)
        self.process = None


@dataclass(kw_only=True)
class PostgreSQL(Server):
    """A PostgreSQL server that trusts whoever asks."""

    account: str

    def url(self, database: str = "postgres") -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://{self.account}@{self.host}:{self.port}/{database}"

    def fresh(self) -> str:
        """Make a new, empty database and return its SQLAlchemy URL."""
        database = f"test_{secrets.token_hex(6)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {database}".encode())
        return self.url(database)

    def connect(self) -> psycopg.Connection:
        """Open a connection of its own, each statement a transaction, to the server's first database."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.account,
            dbname="postgres",
            connect_timeout=5,
            autocommit=True,
        )


@dataclass(kw_only=True)
class InfluxDB(Server):
    """An InfluxDB 1.6 that takes writes at InfluxDB 2's address: all the difference that a client sees."""

    proxy: Server
    org: str = "liftwatch"
    token: str = field(default="unchecked", repr=False)

    @property
    def url(self) -> str:
        """The address for influxdb-client; its `/query` is InfluxQL."""
        return f"http://{self.proxy.host}:{self.proxy.port}"

    def fresh(self) -> str:
        """Make a new, empty bucket and return its name."""
        bucket = f"test_{secrets.token_hex(6)}"
        self.query(f'CREATE DATABASE "{bucket}"')
        return bucket

    def query(self, influxql: str, bucket: str = "") -> list[dict[str, object]]:
        """Ask the database itself, past the proxy, and return the series of the answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        with contextlib.closing(connection):
            form = urllib.parse.urlencode({"q": influxql, "db": bucket})
            connection.request("POST", "/query", form, {"Content-Type": "application/x-www-form-urlencoded"})
            answer = json.loads(connection.getresponse().read())
        if "error" in answer or "error" in answer["results"][0]:
            raise ValueError(answer)
        series: list[dict[str, object]] = answer["results"][0].get("series", [])
        return series

    def start(self) -> Self:
        """Start the database, then its proxy."""
        super().start()
        self.proxy.start()
        return self

    def _end(self, how: signal.Signals) -> None:
        self.proxy.kill()
        super()._end(how)


@contextlib.contextmanager
def mosquitto(extra: str = "") -> Iterator[Server]:
    """Run a mosquitto that keeps every queued message; `extra` is more lines of its configuration."""
    program = install("mosquitto")
    with _folder() as folder:
        port = free_port()
        settings = folder / "mosquitto.conf"
        settings.write_text(
            f"listener {port} {HOST}\n"
            "user root\n"  # it changes account only when root starts it, to one that may not enter the folder
            "allow_anonymous true\n"
            "persistence true\n"
            f"persistence_location {folder}/\n"
            "max_inflight_messages 0\n"
            "max_queued_messages 0\n"
            "max_queued_bytes 0\n"
            f"{extra}\n"
        )
        server = Server(
            name="mosquitto",
            command=[program, "-c", str(settings)],
            port=port,
            log=folder / "log",
            answers=lambda: accepts(port),
        )
        with running(server):
            yield server


@contextlib.contextmanager
def postgresql(*, durable: bool = False) -> Iterator[PostgreSQL]:
    """Run a PostgreSQL; `durable` syncs every commit to disk, as a benchmark wants and a test does not."""
    program = install("postgresql")
    # PostgreSQL refuses to run as root; Debian's package brings an account for it.
    user = "postgres" if os.geteuid() == 0 else None
    with _folder() as folder:
        if user:
            shutil.chown(folder, user)
        account, port, data = "liftwatch", free_port(), folder / "data"
        initdb = str(Path(program).with_name("initdb"))
        manner = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(
            [initdb, f"--pgdata={data}", f"--username={account}", *manner],
            **_as(user),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=START_WITHIN_S,
        )
        settings = {
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "fsync": "on" if durable else "off",
            "max_connections": "200",
        }
        server = PostgreSQL(
            name="postgresql",
            command=[program, "-D", str(data), "-p", str(port)]
            + [part for name, value in settings.items() for part in ("-c", f"{name}={value}")],
            port=port,
            log=folder / "log",
            answers=lambda: _connects(server),
            user=user,
            stop_signal=signal.SIGINT,  # SIGTERM would wait for every client to leave
            account=account,
        )
        with running(server):
            yield server


@contextlib.contextmanager
def influxdb() -> Iterator[InfluxDB]:
    """Run an InfluxDB to which influxdb-client can write and InfluxQL can be put."""
    program = install("influxdb")
    with _folder() as folder:
        port, inner, outer = free_port(), free_port(), free_port()
        settings = folder / "influxdb.conf"
        # Without limits of its own on the size of a write or the number of series, as InfluxDB 2 is.
        settings.write_text(
            f'reporting-disabled = true\nbind-address = "{HOST}:{inner}"\n'
            f'[meta]\n  dir = "{folder}/meta"\n'
            f'[data]\n  dir = "{folder}/data"\n  wal-dir = "{folder}/wal"\n  index-version = "tsi1"\n'
            "  max-series-per-database = 0\n  max-values-per-tag = 0\n  query-log-enabled = false\n"
            "[monitor]\n  store-enabled = false\n"
            f'[http]\n  bind-address = "{HOST}:{port}"\n  max-body-size = 0\n  log-enabled = false\n'
        )
        proxy = Server(
            name="influxdb's proxy",
            command=[sys.executable, str(PROXY), HOST, str(outer), str(port)],
            port=outer,
            log=folder / "proxy.log",
            answers=lambda: accepts(outer),
        )
        server = InfluxDB(
            name="influxdb",
            command=[program, "-config", str(settings)],
            port=port,
            log=folder / "log",
            answers=lambda: _pings(port),
            proxy=proxy,
        )
        with running(server):
            yield server


def install(package: str) -> str:
    """Return the path of a package's program; root on Debian gets it installed if it is not there."""
    if not (found := _find(package)):
        if not shutil.which("apt-get"):
            raise Missing(f"{package} is not installed, and there is no apt-get to install it")
        if os.geteuid() != 0:
            raise Missing(f"{package} is not installed; run: apt-get install {package}")
        with _alone():
            if not _find(package):
                _apt_install(package)
        found = _find(package)
    if not found:
        raise Missing(f"the package {package} has none of {', '.join(PROGRAMS[package])}")
    return found


def install_all() -> None:
    """Install at once what tests would install one by one, each with a wait of its own."""
    lacking = [package for package in PROGRAMS if not _find(package)]
    if lacking:
        with _alone():
            _apt_install(*lacking)


def free_port() -> int:
    """Return a loopback port on which nothing listens."""
    for _ in range(100):
        port = secrets.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise Missing(f"no free port on {HOST} between {PORTS.start} and {PORTS.stop}")


@contextlib.contextmanager
def running(server: Server) -> Iterator[None]:
    """Start a server for the length of a block."""
    try:
        server.start()
        yield
    finally:
        server.stop()


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="liftwatch-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # a server that runs under an account of its own must get in
        yield folder


def _find(package: str) -> str | None:
    root = Path("/")
    found = [path for place in PROGRAMS[package] for path in sorted(root.glob(place.lstrip("/")))]
    return str(found[-1]) if found else None


class _Account(TypedDict, total=False):
    user: str
    group: str
    extra_groups: list[str]


def _as(user: str | None) -> _Account:
    return _Account(user=user, group=user, extra_groups=[]) if user else _Account()


@functools.cache
def _apt_update() -> None:
    with contextlib.suppress(Missing):  # yesterday's lists may do; if not, the installation says what is missing
        _apt("update")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let one process install at a time: of two, the first to end would take away what keeps services from starting."""
    folder = os.open(POLICY.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _apt_install(*packages: str) -> None:
    # The machine's own services are none of a test's business: nothing may start because of us.
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        _apt_update()
        _apt("install", "--yes", "--no-install-recommends", *packages)
    finally:
        if ours:
            POLICY.unlink()


def _apt(*arguments: str) -> None:
    command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3", *arguments]
    done = subprocess.run(
        ["timeout", str(INSTALL_WITHIN_S), *command],  # noqa: S607 - wherever Debian keeps them
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Missing(f"{' '.join(command)} failed: {done.stdout[-500:].strip()}")


def accepts(port: int) -> bool:
    """Whether something accepts connections on a loopback port."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def _connects(server: PostgreSQL) -> bool:
    with contextlib.suppress(psycopg.OperationalError), server.connect():
        return True
    return False


def _pings(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/ping")
        return connection.getresponse().status == http.HTTPStatus.NO_CONTENT
    return False


if __name__ == "__main__":
    install_all()
