"""Simulated lifts for the command line: to files, or through real gateways to a broker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from adapters.clock import SystemClock
from runtime.settings import Settings
from runtime.site import Site
from runtime.supervise import Role
from simulator.run import Plan, stream

_LAST_RECEIPTS_S = 30.0


def publish(
    settings: Settings, plan: Plan, *, pace: float, stop: threading.Event, progress: Callable[[float], None]
) -> tuple[int, int]:
    """Send a plan's readings through spooling gateways, `pace` simulated seconds a second; 0 = as fast as it goes.

    Gives how many readings the gateways accepted, and how many of them have no receipt yet.
    """
    city = plan.city()
    spools = settings.data_dir / "spool"
    clock = SystemClock()
    sites = {name: Site.of_settings(name, settings, spools / f"{name}.db", clock) for name in city.gateways}
    pumps = [Role(f"gateway {name}", site.gateway.pump).start() for name, site in sites.items()]
    accepted = 0
    started = time.monotonic()
    try:
        for second, batch in enumerate(stream(plan, city), 1):
            for name, part in city.by_gateway(batch):
                sites[name].gateway.accept(part)
            accepted += len(batch)
            progress(min(1.0, second / plan.seconds))
            if stop.wait(max(0.0, started + second / pace - time.monotonic()) if pace else 0.0):
                break
        deadline = time.monotonic() + _LAST_RECEIPTS_S
        while (left := sum(site.spooled for site in sites.values())) and time.monotonic() < deadline:
            if stop.wait(0.05):
                break
        return accepted, left
    finally:
        for pump in pumps:
            pump.stop()
        for site in sites.values():
            site.close()
