"""The demo: a simulated city through real gateways, and people who may sign in to it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from adapters.clock import SystemClock
from api.passwords import hash_password
from lift.metrics import Metric
from lift.ports import Records, User
from runtime.app import new_password
from runtime.settings import Settings
from runtime.site import Site
from runtime.supervise import Role
from simulator import scenario
from simulator.city import HAND_GATEWAY, City, build_city
from simulator.simulation import Simulation

PASSWORDS: Final = "passwords"
# Lifts behind one demo gateway: a few gateways even in a small city, so that one of them can be lost.
_GATEWAY_LIFTS: Final = 100
# A larger one is a real city, which divides itself.
_SMALL_CITY_LIFTS: Final = 2000
_BEHIND_MAX_S: Final = 5.0


def demo_city(settings: Settings) -> City:
    """Build the simulated city of these settings; the same settings build the same city. Raises Invalid."""
    # A scenario that does not exist is told of before anything is started.
    scenario.load(settings.scenario)
    lifts = settings.simulated_lifts
    gateways = max(1, -(-lifts // _GATEWAY_LIFTS)) if lifts <= _SMALL_CITY_LIFTS else None
    return build_city(lifts=lifts, seed=settings.simulation_seed, gateways=gateways)


def enter(city: City, records: Records, data_dir: Path) -> None:
    """Put the city and its people into the records; what is there already stays."""
    with records.write() as tx:
        if len(tx.all_lifts()) != len(city.register.lifts):
            tx.register(city.register)
    folder = data_dir / PASSWORDS
    if folder.exists():
        return
    firm_id = city.register.lifts[0].firm_id
    crew_id = next((crew.crew_id for crew in city.register.crews if crew.employer_id == firm_id), "")
    scopes = {"dispatcher": "", "firm": firm_id, "crew": crew_id, "inspector": "", "admin": ""}
    passwords = {role: new_password() for role in scopes}
    with records.write() as tx:
        for role, scope in scopes.items():
            tx.save_user(
                User(
                    name=role,
                    role=role,
                    scope=scope,
                    display_name=f"Demo {role}",
                    password_hash=hash_password(passwords[role]),
                )
            )
    folder.mkdir(mode=0o700)
    for role, password in passwords.items():
        (folder / role).touch(mode=0o600)
        (folder / role).write_text(password + "\n")


def passwords_of(data_dir: Path) -> dict[str, str]:
    """Give the passwords that were made for the demo's people on this machine, by name."""
    return {file.name: file.read_text().strip() for file in sorted((data_dir / PASSWORDS).iterdir())}


def welcome(settings: Settings, passwords: Mapping[str, str]) -> str:
    """Say where everything is and who may sign in."""
    story = scenario.load(settings.scenario).story
    lines = [
        f"Liftwatch watches {settings.simulated_lifts:,} simulated lifts, looked at every second.",
        f"  scenario          {settings.scenario}: {story}",
        f"  console 控制台    http://{settings.http_host}:{settings.http_port}/console",
        f"  API 接口          http://{settings.http_host}:{settings.http_port}/",
        f"  MQTT              {settings.broker}",
        f"  kept in           {settings.data_dir}",
        "  sign in as 登录   "
        + "\n                    ".join(f"{name:10}  {password}" for name, password in passwords.items()),
        "Ctrl-C stops it; the next start goes on from there. 按 Ctrl-C 停止，再次启动从停止处继续。",
    ]
    return "\n".join(lines)


class SimulatedCity:
    """A city in motion: one sample a lift and second, through spooling gateways to the broker."""

    def __init__(self, settings: Settings, city: City) -> None:
        """Open one gateway for each that the city has."""
        clock = SystemClock()
        self._city = city
        self._clock = clock
        # The first readings, a second after the start, are of now.
        start = clock.now() - 1_000_000
        self.simulation = Simulation(
            city,
            seed=settings.simulation_seed,
            start=start,
            fault_rate=settings.fault_rate,
            scenario=scenario.load(settings.scenario),
        )
        spools = settings.data_dir / "spool"
        spools.mkdir(parents=True, exist_ok=True)
        self._sites = {
            name: Site.of_settings(name, settings, spools / f"{name}.db", clock, lifts=city.lifts_of(name))
            for name in city.gateways
            if name != HAND_GATEWAY
        }
        self._next = time.monotonic()
        self._simulated_at, self._shift = start, 0
        self._roles = [Role(f"gateway {name}", site.gateway.pump) for name, site in self._sites.items()]
        self._roles.append(Role("simulator", self.step))

    def start(self) -> None:
        """Set the city in motion."""
        for role in self._roles:
            role.start()

    def stop(self) -> None:
        """Stop the city; what its gateways have not had receipts for stays in their spools."""
        for role in reversed(self._roles):
            role.stop()
        for site in self._sites.values():
            site.close()

    def metrics(self) -> list[Metric]:
        """Give the gateways' figures."""
        return [one for site in self._sites.values() for one in site.metrics()]

    def step(self) -> None:
        """Let one second of the city pass, at the pace of the clock."""
        ahead_s = self._next - time.monotonic()
        if ahead_s > 0:
            time.sleep(min(ahead_s, 0.2))
            return
        if ahead_s < -_BEHIND_MAX_S:
            # The machine slept or is too slow: go on from here rather than race through what was missed.
            self._next = time.monotonic()
            self._shift = self._clock.now() - self._simulated_at
        self._next += 1.0
        batch = self.simulation.step()
        self._simulated_at = int(batch.at[0]) if len(batch) else self._simulated_at
        if self._shift:
            batch = replace(batch, at=batch.at + self._shift)
        for name, part in self._city.by_gateway(batch):
            self._sites[name].take(part)
