"""A gateway put together: spool, client of the broker, and what carries readings from one to the other."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from pathlib import Path
from typing import BinaryIO, Final

from adapters.bus_mqtt import MqttBus
from adapters.clock import SystemClock
from gateway.drivers import jsonlines
from gateway.gateway import Gateway, birth, last_will
from gateway.spool import Spool
from lift.errors import Invalid
from lift.ports import Timepiece
from lift.topics import GATEWAY_NAME
from runtime.app import credentials
from runtime.settings import Settings
from runtime.supervise import Role
from runtime.version import VERSION

log = logging.getLogger(__name__)

_SPOOL_BYTES_MAX: Final = 1 << 30
_SPOOL_AGE_MAX_US: Final = 7 * 24 * 3600 * 1_000_000
_LAST_RECEIPTS_S: Final = 10.0


class Site:
    """One gateway with its spool and its own client of the broker."""

    def __init__(self, name: str, settings: Settings, file: Path, clock: Timepiece) -> None:
        """Open the spool in a file and begin to connect."""
        self._spool = Spool(
            file, bytes_max=_SPOOL_BYTES_MAX, age_max_us=_SPOOL_AGE_MAX_US, fresh_epoch=secrets.token_hex(8)
        )
        self._bus = MqttBus(
            settings.broker,
            client_id=f"liftwatch-gateway-{name}",
            subscribe=Gateway.subscriptions(name),
            will=last_will(name),
            on_connect_publish=birth(name, self._spool, clock, version=VERSION),
            **credentials(settings, name=name),
        )
        self.gateway = Gateway(name, self._bus, self._spool, clock, version=VERSION)

    @property
    def spooled(self) -> int:
        """Count the readings that have no receipt yet."""
        return self.gateway.spooled

    def close(self) -> None:
        """Say good-bye and let go; what is spooled waits for the next start."""
        self.gateway.close()
        self._bus.close()
        self._spool.close()


def carry(settings: Settings, name: str, lines: BinaryIO, stop: threading.Event) -> tuple[int, int]:
    """Be a gateway for JSON lines until they end or `stop` is set; gives readings accepted and still spooled."""
    if not GATEWAY_NAME.fullmatch(name):
        raise Invalid("NAME", f"{name!r} is not 1 to 64 letters, digits, - or _")
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    site = Site(name, settings, settings.data_dir / "spool" / f"{name}.db", SystemClock())
    pump = Role(f"gateway {name}", site.gateway.pump).start()
    accepted = 0
    try:
        for batch in jsonlines.batches(lines):
            site.gateway.accept(batch)
            accepted += len(batch)
            if stop.is_set():
                break
        deadline = time.monotonic() + _LAST_RECEIPTS_S
        while site.spooled and time.monotonic() < deadline and not stop.wait(0.05):
            pass
        return accepted, site.spooled
    finally:
        pump.stop()
        site.close()
