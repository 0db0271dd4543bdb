"""A gateway put together: driver, spool, client of the broker, and what carries readings from one to the other."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from adapters.bus_mqtt import MqttBus
from gateway.cadence import INTERVAL_S
from gateway.config import Broker, Config, SpoolLimits
from gateway.driver import Backoff, Driver, Surroundings
from gateway.edge import Edge
from gateway.gateway import Encoding, Gateway, birth, last_will
from gateway.memory import Memory
from gateway.raw_block import RawBlock
from gateway.spool import Spool
from gateway.trips import Segmenter
from lift.batch import Batch
from lift.errors import LiftError, Unavailable
from lift.metrics import Metric
from lift.ports import Timepiece
from runtime.app import credentials
from runtime.settings import Settings
from runtime.supervise import Role
from runtime.version import VERSION

log = logging.getLogger(__name__)

_SPOOL_BYTES_MAX: Final = 1 << 30
_SPOOL_AGE_MAX_US: Final = 7 * 24 * 3600 * 1_000_000
_LAST_RECEIPTS_S: Final = 10.0
_SPOOL_TROUBLE: Final = "the spool"


class Site:
    """One gateway with its spool and its own client of the broker."""

    def __init__(
        self,
        name: str,
        clock: Timepiece,
        *,
        broker: Broker,
        spool: SpoolLimits,
        lifts: Sequence[str] = (),
        encoding: Encoding = "arrow",
        interval_s: float = INTERVAL_S,
    ) -> None:
        """Open the spool and begin to connect; samples of other lifts than `lifts` are passed on as they come."""
        self._spool = Spool(
            spool.file, bytes_max=spool.bytes_max, age_max_us=spool.age_max_us, fresh_epoch=secrets.token_hex(8)
        )
        self._bus = MqttBus(
            broker.url,
            client_id=f"liftwatch-gateway-{name}",
            subscribe=Gateway.subscriptions(name),
            will=last_will(name),
            on_connect_publish=birth(name, self._spool, clock, version=VERSION),
            username=broker.username or None,
            password=broker.password or None,
            ca=broker.ca or None,
            cert=broker.cert or None,
            key=broker.key or None,
        )
        self.gateway = Gateway(name, self._bus, self._spool, clock, encoding=encoding, version=VERSION)
        self._memory = Memory(spool.file.with_suffix(".memory.db"))
        self._edge = Edge(lifts, self.gateway, self._memory, clock, segmenter=Segmenter(lifts), interval_s=interval_s)

    @classmethod
    def of_settings(
        cls, name: str, settings: Settings, file: Path, clock: Timepiece, *, lifts: Sequence[str] = ()
    ) -> Site:
        """Make a gateway of the program's settings, with its spool in a file."""
        allowed = {what: value or "" for what, value in credentials(settings, name=name).items()}
        return cls(
            name,
            clock,
            broker=Broker(url=settings.broker, **allowed),  # type: ignore[arg-type]
            spool=SpoolLimits(file=file, bytes_max=_SPOOL_BYTES_MAX, age_max_us=_SPOOL_AGE_MAX_US),
            lifts=lifts,
        )

    @classmethod
    def of_config(cls, config: Config, clock: Timepiece) -> Site:
        """Make the gateway of a gateway's file."""
        return cls(
            config.name,
            clock,
            broker=config.broker,
            spool=config.spool,
            lifts=tuple(config.lifts),
            encoding=config.encoding,
            interval_s=config.report_interval_s,
        )

    @property
    def spooled(self) -> int:
        """Count the readings that have no receipt yet."""
        return self.gateway.spooled

    def take(self, batch: Batch) -> None:
        """Take samples: watch them, and spool what is worth sending; raises Unavailable when the disk refuses it."""
        self._edge.take(batch)

    def take_raw(self, block: RawBlock) -> None:
        """Take a block of raw acceleration for the trip that it is of; raises Invalid when it cannot be used."""
        self._edge.take_raw(block)

    def metrics(self) -> list[Metric]:
        """Give the gateway's figures."""
        return [*self.gateway.metrics(), *self._edge.metrics()]

    def close(self) -> None:
        """Say good-bye and let go; what is spooled waits for the next start."""
        self._edge.close()
        self.gateway.close()
        self._bus.close()
        self._spool.close()
        self._memory.close()


def carry(site: Site, driver: Driver, around: Surroundings) -> tuple[int, int]:
    """Be a gateway until the driver's source ends, or told to stop; gives readings accepted and still spooled.

    What a stream of lines holds is not read past a refusing disk: raises Unavailable. A lift goes on living, so there
    the readings of that moment are counted as refused, and the next ones tried.
    """
    pump = Role(f"gateway {site.gateway.name}", site.gateway.pump).start()
    accepted = 0
    try:
        for batch in _tireless(driver, replace(around, take_raw=site.take_raw)):
            try:
                site.take(batch)
            except Unavailable as error:
                if around.lines is not None:
                    raise
                around.troubles.note(_SPOOL_TROUBLE, str(error))
                continue
            around.troubles.clear(_SPOOL_TROUBLE)
            accepted += len(batch)
        deadline = time.monotonic() + _LAST_RECEIPTS_S
        while site.spooled and time.monotonic() < deadline and not around.stop.wait(0.05):
            pass
        return accepted, site.spooled
    finally:
        pump.stop()
        site.close()


def _tireless(driver: Driver, around: Surroundings) -> Iterator[Batch]:
    """Give a driver's batches; one that fails is started again, after growing pauses."""
    backoff = Backoff(1.0)
    while not around.stop.is_set():
        try:
            for batch in driver.batches(around):
                yield batch
                backoff.worked()
        except LiftError:
            raise
        except Exception:
            pause_s = backoff.failed()
            log.exception("the driver failed; it is started again in %.0f s", pause_s)
            around.stop.wait(pause_s)
        else:
            return
