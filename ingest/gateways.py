"""What is known of each gateway beside its readings: whether it is there, what it says, what it is held to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypedDict

import numpy as np

from ingest.arrivals import Arrivals
from ingest.gate import Gate
from ingest.ledger import Ledger, by_gateway, gateway_name
from ingest.report import GatewayReport, Report
from ingest.statuses import Status, parse
from ingest.watch import GatewayChange, GatewayWatch
from lift import topics
from lift.batch import Ints
from lift.errors import BadFrame
from lift.fleet import Fleet
from lift.metrics import Metric, metric
from lift.ports import Message

log = logging.getLogger(__name__)

# How often silence is looked for, and over how long at least a rate is taken.
_LOOK_EVERY_US: Final = 1_000_000
_RATE_OVER_US: Final = 5_000_000


class Gateways:
    """Watches the registered gateways. One thread uses it, but for `report` and `metrics`, which any may ask."""

    def __init__(
        self, fleet: Fleet, gate: Gate, arrivals: Arrivals, on_gateway: Callable[[str, bool, int], None], *, now: int
    ) -> None:
        """Begin; for `on_gateway` see `ingest.pipeline.Ingest`."""
        self._fleet = fleet
        self._gate = gate
        self._arrivals = arrivals
        self._on_gateway = on_gateway
        self._watch = GatewayWatch(len(fleet.gateways), now=now)
        self._statuses: dict[int, tuple[bytes, Status]] = {}
        self._lifts = np.append(np.bincount(fleet.gateway, minlength=len(fleet.gateways)), 0)
        self._looked_at = now
        self._limited: set[int] = set()
        self._rate_from: tuple[int, Ints] | None = None
        self._rates = np.zeros(len(self._lifts))
        self._unread = self._failures = 0

    def expect(self, lifts: Iterable[str]) -> None:
        """Take the gateways of lifts for known: their silence from the start on is a lost gateway."""
        slots = [slot for slot in map(self._fleet.slot, lifts) if slot >= 0]
        self._watch.expect({int(self._fleet.gateway[slot]) for slot in slots})

    def hear(self, messages: Sequence[Message], now: int) -> None:
        """Note which gateways are there: whoever sends readings, taken in or not."""
        told = {message.topic for message in messages}
        heard = {self._gate.number(topic) for topic in told if not topic.endswith(f"/{topics.STATUS}")}
        heard.discard(len(self._fleet.gateways))
        if heard:
            self._tell(self._watch.heard(heard, now))

    def take_statuses(self, messages: Sequence[Message], now: int) -> None:
        """Keep the newest status of each registered gateway; what cannot be read is counted."""
        for message in messages:
            number = self._gate.number(message.topic)
            self._gate.pay(number, 1)
            if number == len(self._fleet.gateways):
                continue
            try:
                status = parse(message.payload)
            except BadFrame as error:
                self._unread += 1
                log.debug("unreadable status on %s: %s", message.topic, error)
                continue
            known = self._statuses.get(number)
            self._statuses[number] = message.payload, status
            if not status.online:
                self._watch.left(number, now)
            elif known is None:
                # The broker kept it, since when nobody knows: it only says that there is such a gateway.
                self._watch.expect([number])
            elif known[0] != message.payload:
                self._tell(self._watch.heard([number], now))

    def look_around(self, now: int) -> None:
        """Once a second: who is lost, who sends more than they may."""
        if 0 <= now - self._looked_at < _LOOK_EVERY_US:
            return
        self._looked_at = now
        self._tell(self._watch.advance(now))
        limited = set(self._gate.limited(now))
        for number in limited - self._limited:
            name, rate = gateway_name(self._fleet, number), self._gate.rate[number]
            log.warning("gateway %s sends more than its %g readings a second; the rest waits or is refused", name, rate)
        for number in self._limited - limited:
            log.info("gateway %s is within its rate again", gateway_name(self._fleet, number))
        self._limited = limited

    def _tell(self, changes: Sequence[GatewayChange]) -> None:
        for number, online, at in changes:
            name = self._fleet.gateways[number]
            log.log(logging.INFO if online else logging.WARNING, "gateway %s is %s", name, "back" if online else "lost")
            try:
                self._on_gateway(name, online, at)
            except Exception:
                log.exception("what is told of gateways failed on %s", name)
                self._failures += 1

    # --------------------------------------------------------------------------------------- to see

    @property
    def limited(self) -> list[str]:
        """Name the gateways that have sent more than they may within the last minute."""
        return [gateway_name(self._fleet, number) for number in sorted(self._limited)]

    def report(self, ledgers: Mapping[str, Ledger], now: int) -> Report:
        """Take stock of every gateway; rates are over the time since an earlier report."""
        readings, trips = (ledgers[kind].snapshot() for kind in (topics.TELEMETRY, topics.TRIPS))
        self._measure_rates(readings["received"], now)
        limited = set(self._limited)
        return Report(
            now,
            tuple(
                GatewayReport(
                    **self._contact(number),
                    lifts=int(self._lifts[number]),
                    clock_ahead_s=self._arrivals.skew(number),
                    limited=number in limited,
                    limited_messages=self._gate.limited_messages[number],
                    arriving=round(float(self._rates[number]), 2),
                    rate=float(self._gate.rate[number]),
                    readings={name: int(counts[number]) for name, counts in readings.items() if counts[number]},
                    trips={name: int(counts[number]) for name, counts in trips.items() if counts[number]},
                )
                for number in range(len(self._lifts))
            ),
        )

    def _contact(self, number: int) -> _Contact:
        name = gateway_name(self._fleet, number)
        if number == len(self._fleet.gateways):
            return {"name": name, "online": None, "heard_at": None, "lost_since": None, "status": None}
        known = self._statuses.get(number)
        heard_at, lost_since = self._watch.heard_at(number), self._watch.lost_since(number)
        online = False if lost_since is not None else True if heard_at is not None else None
        return {
            "name": name,
            "online": online,
            "heard_at": heard_at,
            "lost_since": lost_since,
            "status": None if known is None else known[1],
        }

    def _measure_rates(self, received: Ints, now: int) -> None:
        if self._rate_from is not None:
            before, then = self._rate_from[1], self._rate_from[0]
            if now - then < _RATE_OVER_US:
                return
            self._rates = (received - before) / ((now - then) / 1e6)
        self._rate_from = now, received

    def metrics(self) -> list[Metric]:
        """Give what is known of the gateways for Prometheus."""
        ahead_s = self._arrivals.ahead_s
        skews = tuple(
            ({"gateway": gateway_name(self._fleet, number)}, round(float(ahead_s[number]), 3))
            for number in np.flatnonzero(~np.isnan(ahead_s)).tolist()
        )
        limited = np.array(self._gate.limited_messages, np.int64)
        return [
            Metric(
                "liftwatch_gateway_clock_skew_seconds",
                "gauge",
                "By how much a gateway's clock is ahead of ours, behind if negative",
                skews,
            ),
            by_gateway(
                "liftwatch_gateway_limited_total",
                "counter",
                "Messages above their gateway's rate: held back, given back or refused",
                self._fleet,
                limited,
            ),
            metric(
                "liftwatch_gateways_online", "gauge", "Gateways heard since the start and not lost", self._watch.online
            ),
            metric(
                "liftwatch_gateways_lost",
                "gauge",
                "Gateways lost: their last will, or silence for 180 s",
                self._watch.away,
            ),
            metric(
                "liftwatch_gateway_statuses_unread_total", "counter", "Statuses that could not be read", self._unread
            ),
            metric(
                "liftwatch_gateway_path_failures_total", "counter", "Faults where gateways were told of", self._failures
            ),
        ]


class _Contact(TypedDict):
    name: str
    online: bool | None
    heard_at: int | None
    lost_since: int | None
    status: Status | None
