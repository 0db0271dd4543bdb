"""The whole way from gateways to the store as processes of their own, and the hands that hurt it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.records_sql import SqlRecords
from api.passwords import hash_password
from lift.ports import User
from lift.wire import arrow
from simulator.city import build_city
from simulator.simulation import Simulation
from tests import servers
from tests.chaos.faults import Fault, Kind
from tests.chaos.line import Line
from tests.chaos.program import make_clock_file, set_clock
from tests.chaos.site import STATE
from tests.program import Client

# Saves now and then, as it is set up in the field: what it held in memory at a kill -9 is gone.
BROKER: Final = "autosave_interval 5\nset_tcp_nodelay true\n"
ROUNDS: Final = 30
_SPARE: Final = 64 * 1024
_INGEST: Final = "ingest"
# A gateway says how it does twenty times a second.
_FRESH_S: Final = 1.0
_AHEAD_S: Final = 40.0
_LOOK_S: Final = 0.5
_PASSWORD: Final = "only-on-loopback"  # of a server that lives for one run


@dataclass(frozen=True, slots=True)
class Size:
    """How large a run is."""

    gateways: int
    lifts: int
    seed: int

    @property
    def readings_a_second(self) -> int:
        """One reading a lift and second."""
        return self.lifts


class World:
    """Gateways, lines, mosquitto and ingest over small disks of their own."""

    def __init__(self, folder: Path, size: Size, broker: servers.Server) -> None:
        """Lay everything out; `start` starts it."""
        self.folder = folder
        self.broker = broker
        self.city = build_city(lifts=size.lifts, seed=size.seed, gateways=size.gateways)
        self.gateways = [name for name in self.city.gateways if name != "demo"][: size.gateways]
        self.sites = folder / "sites"
        self.spools, self.store = self.sites / "spool", folder / "store"
        self.data = folder / "data"
        for path in (self.spools, self.store, self.data):
            path.mkdir(parents=True)
        self._lines = {name: Line(servers.free_port(), broker.port) for name in [*self.gateways, ""]}
        self._clocks = {name: folder / f"clock-{name or 'platform'}" for name in self._lines}
        for clock in self._clocks.values():
            make_clock_file(clock)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._api = Client(servers.free_port())
        self._duplicates = [0]
        self._logs = folder / "logs"
        self._logs.mkdir()
        self._write_rounds(size.seed)
        self._register()

    def start(self) -> None:
        """Start ingest and every gateway."""
        for name in ["", *self.gateways]:
            self._start(name)
        threading.Thread(target=self._count_duplicates, daemon=True).start()

    # ------------------------------------------------------------------------------------- faults

    def strike(self, fault: Fault) -> None:
        """Let a fault happen; one that lasts goes on until `heal`."""
        self._hands(fault)[0]()

    def heal(self, fault: Fault) -> None:
        """Put right what the fault broke; what was killed is started again."""
        self._hands(fault)[1]()

    def _hands(self, fault: Fault) -> tuple[Callable[[], object], Callable[[], object]]:
        """Give how to do it and how to undo it."""
        name = self.gateways[fault.gateway]
        line, clock = self._lines[name], self._clocks[name]
        ingest_line, platform_clock = self._lines[""], self._clocks[""]
        # A platform whose clock is behind refuses the present as the future, rightly; one that is an hour ahead has
        # not heard from anybody for an hour. So: ahead, and not by much.
        ahead_s = min(abs(fault.jump_s), _AHEAD_S)
        return {
            Kind.KILL_GATEWAY: (lambda: self._kill(name), lambda: self._start(name)),
            Kind.KILL_BROKER: (self.broker.kill, self.broker.start),
            Kind.KILL_INGEST: (lambda: self._kill(""), lambda: self._start("")),
            Kind.FREEZE_INGEST: (lambda: self._signal("", signal.SIGSTOP), lambda: self._signal("", signal.SIGCONT)),
            Kind.CUT_GATEWAY: (line.cut, line.mend),
            Kind.CUT_INGEST: (ingest_line.cut, ingest_line.mend),
            Kind.HALF_OPEN_GATEWAY: (line.half_open, line.mend),
            Kind.HALF_OPEN_INGEST: (ingest_line.half_open, ingest_line.mend),
            Kind.SPOOL_DISK_FULL: (lambda: _fill(self.spools), lambda: _free(self.spools)),
            Kind.STORE_DISK_FULL: (lambda: _fill(self.store), lambda: _free(self.store)),
            Kind.CLOCK_GATEWAY: (lambda: set_clock(clock, fault.jump_s), lambda: set_clock(clock, 0.0)),
            Kind.CLOCK_INGEST: (lambda: set_clock(platform_clock, ahead_s), lambda: set_clock(platform_clock, 0.0)),
        }[fault.kind]

    # -------------------------------------------------------------------------------------- state

    def behind(self) -> int:
        """Give how many rounds wait for a receipt at the gateway that has most of them."""
        return max(self._waiting(name) for name in self.gateways)

    def rounds(self) -> dict[str, int]:
        """Give how many rounds each gateway has had, accepted or not."""
        return {name: self._state(name)[0] for name in self.gateways}

    def up_to_date(self, since: Mapping[str, int]) -> bool:
        """Whether every gateway lives, has gone on since those rounds, and has receipts for all but the newest."""
        now = time.time()  # beside the time at which a file was written
        return all(
            now - (self.sites / f"{name}.state").stat().st_mtime < _FRESH_S
            and self._state(name)[0] > since[name]
            and self._waiting(name) <= 1
            for name in self.gateways
        )

    def refused(self) -> int:
        """Count the rounds that gateways refused to accept for want of disk, since each was started."""
        return sum(self._state(name)[2] for name in self.gateways)

    def duplicates(self) -> int:
        """Count the readings that ingest met again and did not store again, as far as it lived to tell."""
        return sum(self._duplicates)

    def died(self) -> list[str]:
        """Give the processes that ended by themselves, with their last words."""
        return [
            f"{name or _INGEST}: {self._log(name).read_text(errors='replace')[-800:]}"
            for name, process in self._processes.items()
            if process.poll() is not None
        ]

    def stop_sending(self) -> None:
        """Have every gateway accept no more; what is spooled still goes out."""
        for name in self.gateways:
            self._signal(name, signal.SIGTERM)

    def close(self) -> None:
        """End every process, ingest in good order."""
        for name in self._processes.keys() - {""}:
            self._kill(name)
        ingest = self._processes.pop("", None)
        if ingest is not None:
            with contextlib.suppress(ProcessLookupError):
                ingest.send_signal(signal.SIGCONT)
                ingest.send_signal(signal.SIGINT)
            try:
                ingest.wait(30)
            except subprocess.TimeoutExpired:
                ingest.kill()
                ingest.wait()
        while self._lines:
            self._lines.popitem()[1].close()

    # --------------------------------------------------------------------------------- own affairs

    def _count_duplicates(self) -> None:
        """Look at ingest's counter now and then; it begins anew with each life."""
        while True:
            time.sleep(_LOOK_S)
            with contextlib.suppress(OSError, AssertionError, ValueError):
                if not self._api.token:
                    self._api.sign_in("chaos", _PASSWORD)
                count = round(self._api.figures().get("liftwatch_readings_duplicate_total", 0))
                if count < self._duplicates[-1]:
                    self._duplicates.append(count)
                self._duplicates[-1] = count

    def _write_rounds(self, seed: int) -> None:
        simulation = Simulation(self.city, seed=seed, start=1_000_000)
        self.lifts = [0] * len(self.gateways)
        for number in range(ROUNDS):
            for name, part in self.city.by_gateway(simulation.step()):
                if name in self.gateways:
                    (self.sites / f"{name}.round-{number:03}.arrow").write_bytes(arrow.encode(part))
                    self.lifts[self.gateways.index(name)] = len(part)

    def _register(self) -> None:
        records = SqlRecords(f"sqlite:///{self.data / 'liftwatch.db'}")
        with records.write() as tx:
            tx.register(self.city.register)
            tx.save_user(User(name="chaos", role="admin", password_hash=hash_password(_PASSWORD)))
        records.close()

    def _waiting(self, name: str) -> int:
        return self._state(name)[1] // max(1, self.lifts[self.gateways.index(name)])

    def _state(self, name: str) -> tuple[int, int, int]:
        file = self.sites / f"{name}.state"
        data = file.read_bytes() if file.exists() else b""
        return STATE.unpack(data) if len(data) == STATE.size else (0, 10**9, 0)

    def _start(self, name: str) -> None:
        clock = str(self._clocks[name])
        command = (
            ["tests.chaos.site", clock, str(self.sites), name]
            if name
            else ["tests.chaos.program", clock, "serve", "--roles", "ingest,api"]
        )
        with self._log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                env={
                    **{key: value for key, value in os.environ.items() if not key.startswith("LIFTWATCH_")},
                    "LIFTWATCH_DATA_DIR": str(self.data),
                    "LIFTWATCH_TELEMETRY_URL": f"duckdb:{self.store / 'telemetry'}",
                    "LIFTWATCH_HTTP_PORT": str(self._api.port),
                    "LIFTWATCH_MQTT_URL": f"mqtt://127.0.0.1:{self._lines[name].port}",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _log(self, name: str) -> Path:
        return self._logs / f"{name or _INGEST}.log"

    def _kill(self, name: str) -> None:
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def _signal(self, name: str, what: signal.Signals) -> None:
        self._processes[name].send_signal(what)


@contextmanager
def world(folder: Path, size: Size, *, disks: bool) -> Iterator[World]:
    """Build and start a world, and end it whatever happens; `disks` gives spools and store small disks of their own."""
    with ExitStack() as ending:
        broker = ending.enter_context(servers.mosquitto(BROKER))
        one = World(folder, size, broker)
        if disks:
            for path, mib in ((one.spools, 256), (one.store, 6144)):
                _mount(path, mib)
                ending.callback(_unmount, path)
        ending.callback(one.close)
        one.start()
        deadline = time.monotonic() + 60
        while not all(one.rounds().values()) or one.behind() > 1:
            assert time.monotonic() < deadline, f"did not get going: {one.died()}"
            time.sleep(0.1)
        yield one


def _mount(path: Path, mib: int) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(path)], check=True)  # noqa: S607


def _unmount(path: Path) -> None:
    subprocess.run(["umount", "--lazy", str(path)], check=False)  # noqa: S607


def _fill(disk: Path) -> None:
    """Leave nothing free on a disk."""
    with (disk / "ballast").open("ab", buffering=0) as ballast, contextlib.suppress(OSError):
        os.posix_fallocate(ballast.fileno(), 0, max(1, _free_bytes(disk) - _SPARE))
        while ballast.write(bytes(4096)):
            pass


def _free(disk: Path) -> None:
    (disk / "ballast").unlink(missing_ok=True)


def _free_bytes(disk: Path) -> int:
    status = os.statvfs(disk)
    return status.f_bavail * status.f_frsize
