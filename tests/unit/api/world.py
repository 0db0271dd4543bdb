"""A small city for the API's tests: two firms with a lift each, their people, and everything real but the clock."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import argon2
import httpx2
from fastapi import FastAPI

from adapters.records_sql import SqlRecords
from adapters.telemetry_memory import MemoryTelemetry
from alarms.desk import AlarmDesk
from api.app import create_app
from api.guard import hash_token
from api.parts import HealthCheck
from dispatch.desk import RescueDesk
from dispatch.policy import Policy
from ingest.replay import ReplayResult
from lift.alarm import Alarm, Change, Priority, Transition
from lift.codes import Code
from lift.metrics import Metric, metric
from lift.ports import User
from lift.register import Crew, Firm, PlaceClass, Register, Station
from lift.ticket import Ticket
from tests.small_city import StandingClock, building, lift

START = 1_795_420_800_000_000  # 2026-11-23T08:00:00Z
SECOND = 1_000_000
HOUR = 3600 * SECOND

EAST, WEST = "100001", "200002"
PASSWORD = "correct horse battery staple"
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

# Who may sign in: role and scope. The crew of the station serves no lift by contract.
PEOPLE = {
    "dispatcher": ("dispatcher", ""),
    "east": ("firm", "firm-east"),
    "west": ("firm", "firm-west"),
    "east-crew": ("crew", "crew-east"),
    "west-crew": ("crew", "crew-west"),
    "station-crew": ("crew", "crew-station"),
    "inspector": ("inspector", ""),
    "admin": ("admin", ""),
    "prometheus": ("metrics", ""),
}
NAME_OF_ROLE = {
    "dispatcher": "dispatcher",
    "firm": "east",
    "crew": "east-crew",
    "inspector": "inspector",
    "admin": "admin",
    "metrics": "prometheus",
}


class World:
    """The city, its application, and ways to make things happen in it."""

    def __init__(self, folder: Path) -> None:
        self.clock = StandingClock(START)
        self.records = SqlRecords(f"sqlite:///{folder}/liftwatch.db")
        self.telemetry = MemoryTelemetry()
        self.alarms = AlarmDesk(self.records, self.clock)
        self.rescue = RescueDesk(self.records, self.clock, Policy())
        self.parts_health = {"broker": HealthCheck(ok=True, detail="connected")}
        self.replayed: list[int] = []
        self._numbers = itertools.count(1)
        with self.records.write() as tx:
            tx.register(_register())
            for name, (role, scope) in PEOPLE.items():
                hashed = CHEAP.hash(PASSWORD)
                tx.save_user(User(name=name, role=role, scope=scope, password_hash=hashed, display_name=name.title()))
        self.app = self.make_app()

    def make_app(self) -> FastAPI:
        """Give a new application over the same records, as after a restart."""
        return create_app(
            records=self.records,
            telemetry=self.telemetry,
            alarms=self.alarms,
            rescue=self.rescue,
            clock=self.clock,
            replay=self._replay,
            metrics=self._metrics,
            health=lambda: self.parts_health,
            version="1.2.3",
        )

    def token(self, name: str) -> str:
        """Sign someone in without the wait for a password."""
        token = f"token-of-{name}"
        with self.records.write() as tx:
            tx.save_session(hash_token(token), name, self.clock.now() + 12 * HOUR)
        return token

    def alarm(
        self,
        lift: str = EAST,
        *,
        code: Code | None = None,
        priority: Priority = Priority.EMERGENCY,
        latching: bool = False,
        confidence: float = 1.0,
        evidence: tuple[str, ...] = (),
        rule: str = "",
    ) -> Alarm:
        """Raise an alarm, and with an emergency a rescue, as the engine or the condition monitor would.

        Without a rule or code it is an entrapment.
        """
        self.clock.at += SECOND
        raised = Transition(
            change=Change.RAISED,
            lift=lift,
            rule=rule or f"rule_{next(self._numbers)}",
            code=code if code or rule else Code.ENTRAPMENT,
            priority=priority,
            latching=latching,
            onset=self.clock.now() - 30 * SECOND,
            at=self.clock.now(),
            confidence=confidence,
            evidence=evidence,
        )
        with self.records.write() as tx:
            alarms = self.alarms.take(tx, [raised])
            self.rescue.take(tx, [alarm for alarm in alarms if alarm.priority is Priority.EMERGENCY])
        with self.records.read() as tx:
            return tx.alarm(alarms[0].key)

    def back_to_normal(self, alarm: Alarm) -> None:
        """Let an alarm's condition return."""
        self.clock.at += SECOND
        returned = Transition(
            change=Change.RETURNED,
            lift=alarm.lift,
            rule=alarm.rule,
            code=alarm.code,
            priority=alarm.priority,
            latching=alarm.latching,
            onset=alarm.onset,
            at=self.clock.now(),
        )
        with self.records.write() as tx:
            self.alarms.take(tx, [returned])

    def ticket(self, lift: str = EAST) -> Ticket:
        """Open a rescue by an alarm, or give the one under way."""
        with self.records.read() as tx:
            known = tx.rescue_of(lift)
        if known:
            return known
        self.alarm(lift)
        with self.records.read() as tx:
            made = tx.rescue_of(lift)
        assert made
        return made

    def announce(self, lift: str = EAST, *, firm_id: str = "firm-east", **data: object) -> int:
        """Append to the event stream."""
        with self.records.write() as tx:
            return tx.announce(kind="test", at=self.clock.now(), lift=lift, firm_id=firm_id, data=data)

    def quarantine(self, payload: bytes = b'{"lift": "nobody"}') -> int:
        """Refuse a message."""
        with self.records.write() as tx:
            return tx.quarantine(
                at=self.clock.now(),
                topic="lifts/v1/demo/telemetry",
                gateway="demo",
                payload=payload,
                reasons=("reading 0, lift: no such lift",),
                readings_refused=1,
            )

    def close(self) -> None:
        """Let go of everything."""
        self.app.state.parts.tail.close()
        self.records.close()

    def _replay(self, quarantine_id: int) -> ReplayResult:
        with self.records.write() as tx:
            item = tx.quarantine_item(quarantine_id)
            tx.quarantine_replayed(item.quarantine_id, self.clock.now())
        self.replayed.append(quarantine_id)
        return ReplayResult(1, 0, 0, ())

    def _metrics(self) -> list[Metric]:
        counts = Metric("liftwatch_messages_total", "counter", "Messages", (({"gateway": "demo"}, 7.0),))
        return [counts, metric("liftwatch_gateways_online", "gauge", "Gateways online", 3)]


class Client:
    """An HTTP client of an application in the same thread, signed in as one person or as nobody."""

    def __init__(self, app: FastAPI, token: str | None = None) -> None:
        transport = httpx2.ASGITransport(app)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx2.AsyncClient(transport=transport, base_url="http://desk.example", headers=headers)
        self._runner = asyncio.Runner()

    def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Send one request and read its whole answer."""
        sent = self._client.request(method, path, json=json, content=content, headers=headers, params=params)
        return self._runner.run(sent)

    def get(self, path: str, **params: str) -> httpx2.Response:
        """Read."""
        return self.request("GET", path, params=params or None)

    def post(self, path: str, **body: object) -> httpx2.Response:
        """Do."""
        return self.request("POST", path, json=body)

    def close(self) -> None:
        """Let go of the connection and the loop."""
        self._runner.run(self._client.aclose())
        self._runner.close()


def _register() -> Register:
    buildings = tuple(
        building(
            f"building-{side}",
            31.2,
            name=f"{side.title()} Tower",
            address=f"1 {side.title()} Street",
            district=side,
            place_class=PlaceClass.OFFICE,
        )
        for side in ("east", "west")
    )
    lifts = tuple(
        lift(
            code,
            f"building-{side}",
            f"firm-{side}",
            registration_code=f"3110310100{code}",
            use_registration=f"use-{code}",
            factory_number=f"F-{code}",
            gateway="demo" if side == "east" else f"demo-{side}",
        )
        for code, side in ((EAST, "east"), (WEST, "west"))
    )
    return Register(
        buildings=buildings,
        lifts=lifts,
        firms=tuple(Firm(firm_id=f"firm-{side}", name=side.title(), phone="555-01") for side in ("east", "west")),
        stations=tuple(
            Station(station_id=name, name=name, phone="555-02", level=level, latitude=31.2, longitude=121.4)
            for name, level in (("station", 2), ("fire", 3))
        ),
        crews=tuple(
            Crew(crew_id=f"crew-{name}", name=name, phone="555-03", employer_id=employer)
            for name, employer in (("east", "firm-east"), ("west", "firm-west"), ("station", "station"))
        ),
    )
