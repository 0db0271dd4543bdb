"""The whole program: opens ports in order, starts the roles asked for, and closes everything in reverse.

One process or many is only settings: each role gets its ports as arguments and does not know who else runs.
"""

from __future__ import annotations

import errno
import gc
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Self, TypedDict

from adapters.broker_amqtt import EmbeddedBroker
from adapters.bus_mqtt import MqttBus
from adapters.clock import SystemClock
from adapters.notifier_log import LogNotifier
from adapters.records_sql import SqlRecords
from adapters.telemetry import telemetry_open
from alarms.condition.monitor import ConditionMonitor, peers_of
from alarms.desk import AlarmDesk
from alarms.engine import Engine
from alarms.rules import load as load_rules
from api.app import create_app
from api.parts import HealthCheck
from api.server import Server
from dispatch.desk import RescueDesk
from dispatch.outbox import Outbox
from dispatch.policy import Policy
from ingest.pipeline import SUBSCRIPTIONS, Ingest
from ingest.replay import ReplayResult, replay
from lift.errors import Invalid, Unavailable
from lift.fleet import Fleet
from lift.metrics import Metric, merged, metric
from lift.ports import Records, Telemetry
from runtime import heartbeat
from runtime.alarm_figures import alarm_figures
from runtime.alarm_path import AlarmPath
from runtime.condition_path import ConditionPath
from runtime.retention import Keep, Retention
from runtime.settings import PREFIX, Settings
from runtime.supervise import Role
from runtime.version import VERSION

log = logging.getLogger(__name__)

_ADVANCE_EVERY_S: Final = 0.25
_SAVE_EVERY_S: Final = 60.0
_TICK_EVERY_S: Final = 0.5
_CONDITION_EVERY_S: Final = 1.0
_TIDY_EVERY_S: Final = 0.25
_REPORT_EVERY_S: Final = 10.0
_NAMED_MAX: Final = 10
_API_STARTS_WITHIN_S: Final = 15.0
STATE_FILE: Final = "engine.state"
CONDITION_FILE: Final = "condition.state"


class RoleName(StrEnum):
    """What a process can do; any set of them may share one."""

    BROKER = "broker"
    INGEST = "ingest"
    DISPATCH = "dispatch"
    API = "api"


CITY: Final = "city"


def parse_roles(text: str) -> tuple[frozenset[RoleName], bool]:
    """Read a comma list of roles; the flag says whether the simulated city is among them. Raises Invalid."""
    names = {name.strip() for name in text.split(",")} - {""}
    unknown = names - {*RoleName, CITY}
    if unknown or not names:
        given = ", ".join(sorted(unknown)) or "nothing"
        raise Invalid("--roles", f"{given} is no role; accepted: {', '.join([*RoleName, CITY])}")
    return frozenset(RoleName(name) for name in names - {CITY}), CITY in names


@dataclass(frozen=True, slots=True)
class Status:
    """What the status line shows; `oldest_waiting` is when the oldest unanswered call-out was ordered, in µs.

    `alarms` and `tickets` are None while the records do not answer; `failing` says of each part that fails, why.
    """

    readings: int
    alarms: int | None
    tickets: int | None
    oldest_waiting: int | None
    failing: Mapping[str, str]


class Liftwatch:
    """A running Liftwatch: the roles asked for, over ports opened from settings. Use as a context manager."""

    def __init__(
        self,
        settings: Settings,
        roles: Iterable[RoleName],
        *,
        prepare: Callable[[Records], None] | None = None,
    ) -> None:
        """Check that the roles fit the settings; nothing is opened yet. Raises Invalid.

        `prepare` may fill the records before any role reads them.
        """
        self.settings = settings
        self.roles = frozenset(roles)
        self.clock = SystemClock()
        self.ingest: Ingest | None = None
        self._prepare = prepare
        self._alarm_path: AlarmPath | None = None
        self._threads: list[Role] = []
        self._beside: list[Callable[[], list[Metric]]] = []
        self._closing = ExitStack()
        self._started_at = self.clock.now()
        if RoleName.INGEST not in self.roles and settings.telemetry.startswith(("duckdb:", "memory:")):
            raise Invalid(
                PREFIX + "TELEMETRY_URL",
                f"{settings.telemetry!r} can be opened by one process only; "
                "run the roles ingest and api together, or choose influxdb://",
            )

    def __enter__(self) -> Self:
        """Open the ports and start the roles."""
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close everything."""
        self.close()

    def close(self) -> None:
        """Stop the roles and close the ports, in the reverse order of opening."""
        self._closing.close()

    def also(self, stop: Callable[[], object], metrics: Callable[[], list[Metric]]) -> None:
        """Add something that runs beside the roles: how to stop it, before everything else, and what it measures."""
        self._closing.callback(stop)
        self._beside.append(metrics)

    def status(self) -> Status:
        """Take stock for the status line; never raises because a part is down."""
        readings = 0 if self.ingest is None else self.ingest.received
        failing = {name: check.detail for name, check in self._health().items() if not check.ok}
        try:
            with self._records.read() as records:
                counts, waiting = records.counts(), records.oldest_waiting()
        except Unavailable:
            return Status(readings, None, None, None, failing)
        return Status(readings, counts.get("alarms_standing", 0), counts.get("rescues", 0), waiting, failing)

    # ------------------------------------------------------------------------------------- opening

    def _open(self) -> None:
        # Readings come and go by the thousand without cycles: collecting after every few hundred of them, as Python
        # would, took a sixth of the ingest thread's time.
        gc.set_threshold(100_000, 20, 100)
        settings = self.settings
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        if RoleName.API in self.roles:
            check_port(settings.http_host, settings.http_port, PREFIX + "HTTP_PORT")
        self._records = SqlRecords(settings.records)
        self._closing.callback(self._records.close)
        if self._prepare is not None:
            self._prepare(self._records)
        self._alarms = AlarmDesk(self._records, self.clock)
        self._rescue = RescueDesk(self._records, self.clock, policy(settings))
        self._telemetry: Telemetry | None = None
        if self.roles & {RoleName.INGEST, RoleName.API}:
            self._telemetry = telemetry_open(settings.telemetry)
            self._closing.callback(self._telemetry.close)
        if RoleName.BROKER in self.roles:
            broker = EmbeddedBroker(settings.mqtt_host, settings.mqtt_port)
            broker.start()
            self._closing.callback(broker.stop)
        if RoleName.DISPATCH in self.roles:
            self._start_dispatch()
        if RoleName.INGEST in self.roles:
            self._start_ingest()
        if self.roles & set(heartbeat.PART_OF):
            self._run(Role("heartbeat", self._beat, pause_s=heartbeat.BEATS_EVERY_S))
        if RoleName.API in self.roles:
            self._start_api()

    def _beat(self) -> None:
        """Tell the other processes how this one is; each learns of the records by itself."""
        checks = self._parts_here()
        with self._records.write() as tx:
            for role in self.roles & set(heartbeat.PART_OF):
                heartbeat.beat(tx, role, self.clock.now(), checks)

    def _start_dispatch(self) -> None:
        outbox = Outbox(self._records, LogNotifier(), self.clock)
        self._run(Role("clocks", self._rescue.tick, pause_s=_TICK_EVERY_S))
        self._run(Role("outbox", outbox.deliver, pause_s=_TICK_EVERY_S))

    def _start_ingest(self) -> None:
        assert self._telemetry is not None
        with self._records.read() as records:
            lifts = records.all_lifts()
        fleet = Fleet(lifts)
        path = AlarmPath(
            fleet=fleet,
            engine=Engine(fleet, load_rules()),
            alarms=self._alarms,
            rescue=self._rescue,
            records=self._records,
            clock=self.clock,
        )
        state = self.settings.data_dir / STATE_FILE
        replayed = path.recover(self._telemetry, state)
        # A crash before the next save would otherwise replay the time in which nobody listened as silence.
        path.save(state)
        log.info("watching %d lifts; replayed %d stored readings", len(fleet), replayed)
        condition = ConditionPath(
            fleet,
            ConditionMonitor(fleet, peers_of(lifts)),
            self._records,
            self.clock,
            self.settings.data_dir / CONDITION_FILE,
            path.also,
            path.has_recorded,
        )
        condition.recover(self._telemetry)
        bus = MqttBus(
            self.settings.broker,
            client_id="liftwatch-ingest",
            subscribe=SUBSCRIPTIONS,
            **credentials(self.settings),
        )
        self._closing.callback(bus.close)
        ingest = Ingest(
            bus=bus,
            telemetry=self._telemetry,
            records=self._records,
            clock=self.clock,
            fleet=fleet,
            on_batch=path.take,
            on_trips=condition.take,
            on_gateway=path.on_gateway,
            rate_per_lift=self.settings.gateway_readings_per_lift_s,
            burst_per_lift=self.settings.gateway_readings_per_lift_at_once,
        )
        ingest.expect(self._telemetry.newest())
        self.ingest, self._alarm_path = ingest, path
        self._closing.callback(path.save, state)
        self._closing.callback(condition.save)
        self._closing.callback(ingest.close, within_s=3.0)
        self._run(Role("ingest", _Pace(ingest, path, state).step))
        self._beside.append(condition.metrics)
        self._run(Role("condition", condition.step, pause_s=_CONDITION_EVERY_S))
        retention = Retention(self._telemetry, self._records, self.clock, keep(self.settings))
        self._beside.append(retention.metrics)
        self._run(Role("retention", retention.step, pause_s=_TIDY_EVERY_S))
        self._run(Role("gateway report", self._report_gateways, pause_s=_REPORT_EVERY_S))

    def _report_gateways(self) -> None:
        """Write down what is known of the gateways, for the processes that serve the API."""
        assert self.ingest is not None
        report = self.ingest.report()
        with self._records.write() as tx:
            report.save(tx)

    def _start_api(self) -> None:
        assert self._telemetry is not None
        app = create_app(
            records=self._records,
            telemetry=self._telemetry,
            alarms=self._alarms,
            rescue=self._rescue,
            clock=self.clock,
            replay=self._replay,
            metrics=self._metrics,
            health=self._health,
            version=VERSION,
            operators=self.settings.operators,
        )
        server = Server(app, host=self.settings.http_host, port=self.settings.http_port)
        thread = threading.Thread(target=server.run, name="api", daemon=True)

        def stop() -> None:
            server.should_exit = True
            thread.join(5.0)

        self._closing.callback(stop)
        thread.start()
        deadline = time.monotonic() + _API_STARTS_WITHIN_S
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        if not server.started:
            raise Invalid(PREFIX + "HTTP_PORT", f"the API could not start on port {self.settings.http_port}")

    def _run(self, role: Role) -> None:
        self._threads.append(role)
        self._closing.callback(role.stop)
        role.start()

    # ---------------------------------------------------------------------------------- for the API

    def _replay(self, quarantine_id: int) -> ReplayResult:
        assert self._telemetry is not None
        with self._records.read() as records:
            # The register as it is now: that a lift was missing from it is a common reason for a refusal.
            fleet = Fleet(records.all_lifts())
        return replay(quarantine_id, telemetry=self._telemetry, records=self._records, clock=self.clock, fleet=fleet)

    def _health(self) -> Mapping[str, HealthCheck]:
        """Say how everything is, here and in the processes that the pages of this one depend on."""
        try:
            with self._records.read() as records:
                now = self.clock.now()
                others = [heartbeat.heard(records, role, now) for role in heartbeat.PART_OF if role not in self.roles]
        except Unavailable:
            # The log has the reason, which may name hosts and accounts.
            return {"records": HealthCheck(ok=False, detail="does not answer"), **self._parts_here()}
        checks = {"records": HealthCheck(ok=True), **self._parts_here()}
        for name, check in (told for one in others for told in one.items()):
            if name not in checks or not check.ok:
                checks[name] = check
        return checks

    def _parts_here(self) -> dict[str, HealthCheck]:
        checks = {role.name: HealthCheck(role.failing is None, role.failing or "") for role in self._threads}
        if self.ingest is not None and self._alarm_path is not None:
            checks["broker"] = HealthCheck(self.ingest.connected, "" if self.ingest.connected else "not connected")
            checks["telemetry"] = HealthCheck(self.ingest.failing is None, self.ingest.failing or "")
            failing = self._alarm_path.failing or self._alarm_path.rule_failing or self.ingest.alarm_path_failing
            checks["alarms"] = HealthCheck(failing is None, failing or "")
            trips = self.ingest.trip_path_failing
            if trips is not None:
                checks["condition"] = HealthCheck(ok=False, detail=trips)
            # One gateway that sends too much is no fault of the platform: it is named, and all is well.
            limited = ", ".join(self.ingest.limited[:_NAMED_MAX])
            checks["gateways"] = HealthCheck(ok=True, detail=f"limited to their rate: {limited}" if limited else "")
        return checks

    def _metrics(self) -> list[Metric]:
        with self._records.read() as records:
            counts = records.counts()
            waiting = records.oldest_waiting()
        now = self.clock.now()
        waiting_s = 0.0 if waiting is None else (now - waiting) / 1e6
        uptime_s = (now - self._started_at) / 1e6
        return [
            *(self.ingest.metrics() if self.ingest is not None else ()),
            *(self._alarm_path.metrics() if self._alarm_path is not None else ()),
            *merged(one for metrics in self._beside for one in metrics()),
            *(metric(f"liftwatch_{name}", "gauge", name.replace("_", " "), n) for name, n in counts.items()),
            *alarm_figures(self._records, now, operators=self.settings.operators),
            metric("liftwatch_callout_oldest_waiting_seconds", "gauge", "Longest wait for an answer", waiting_s),
            metric("liftwatch_uptime_seconds", "gauge", "Seconds since the start", uptime_s),
        ]


class _Pace:
    """What the ingest thread does in turn: take readings, and let time pass only when none are waiting.

    Were time to pass with readings still queued, a delay could run out that the next reading would have ended.
    """

    def __init__(self, ingest: Ingest, path: AlarmPath, state: Path) -> None:
        self._ingest = ingest
        self._path = path
        self._state = state
        self._advanced = self._saved = time.monotonic()

    def step(self) -> None:
        more = self._ingest.step(wait_s=0.1)
        now = time.monotonic()
        if not more and now - self._advanced >= _ADVANCE_EVERY_S:
            self._path.advance()
            self._advanced = now
        if now - self._saved >= _SAVE_EVERY_S and self._ingest.alarm_path_failing is None:
            self._path.save(self._state)
            self._saved = now


def policy(settings: Settings) -> Policy:
    """Make the rescue desk's policy from the settings."""
    return Policy(
        hotline=settings.hotline,
        code_length=settings.rescue_code_digits,
        utc_offset_min=round(settings.utc_offset_hours * 60),
        answer_s=settings.answer_within_s,
        order_s=settings.order_within_s,
        accept_s=settings.accept_within_s,
        all_levels_s=settings.all_levels_within_s,
        arrive_s=settings.arrive_within_s,
        arrive_outside_core_s=settings.arrive_outside_core_within_s,
        legal_accident_s=settings.legal_accident_s,
        mass_event_levels=settings.mass_event_levels,
    )


def keep(settings: Settings) -> Keep:
    """Say from the settings how long what is kept."""
    return Keep(
        raw_days=settings.keep_raw_days,
        long_days=settings.keep_long_days,
        feed_days=settings.keep_feed_days,
        sent_days=settings.keep_sent_days,
    )


class Credentials(TypedDict):
    """What `MqttBus` takes to be let in by a broker; None = not needed."""

    username: str | None
    password: str | None
    ca: str | None
    cert: str | None
    key: str | None


def credentials(settings: Settings, *, name: str = "") -> Credentials:
    """Give what the broker asks of us; a gateway without a name in the settings goes by its own."""
    password = settings.mqtt_password.get_secret_value() or None
    return Credentials(
        username=settings.mqtt_username or (name if password else None) or None,
        password=password,
        ca=settings.mqtt_ca or None,
        cert=settings.mqtt_cert or None,
        key=settings.mqtt_key or None,
    )


def check_port(host: str, port: int, setting: str) -> None:
    """Raise Invalid, naming the setting to change, when something else listens on the port already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = "is in use by another program" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
            raise Invalid(setting, f"port {port} on {host} {reason}; choose another, such as {port + 1}") from error


def new_password() -> str:
    """Make a password that can be typed: 12 characters of a 32-letter alphabet, 60 bits."""
    alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(4)) for _ in range(3))
