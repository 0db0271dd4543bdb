"""The report on gateways: what ingest knows of each, written into the records so that any process can show it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

import orjson

from ingest.statuses import Status
from lift.ports import Reads, Writes

_SETTING: Final = "gateways"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayReport:
    """One gateway. `heard_at` and `lost_since` are µs since 1970 UTC by our clock; None = not known, or not lost.

    `online` is False while it is lost and None while nothing was heard since the start. `clock_ahead_s` is by how much
    its clock is ahead of ours (behind: negative). `arriving` is readings a second lately, `rate` how many it may send.
    `readings` and `trips` are the counts of `ingest.ledger`, by name, without those that are 0.
    """

    name: str
    lifts: int
    online: bool | None = None
    heard_at: int | None = None
    lost_since: int | None = None
    status: Status | None = None
    clock_ahead_s: float | None = None
    limited: bool = False
    limited_messages: int = 0
    arriving: float = 0.0
    rate: float = 0.0
    readings: dict[str, int] = field(default_factory=dict)
    trips: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """All gateways at one moment (µs since 1970 UTC), those that are not registered together as the last."""

    at: int
    gateways: tuple[GatewayReport, ...]

    def save(self, tx: Writes) -> None:
        """Write it into the records, in the place of the one before."""
        told = [{name: value for name, value in asdict(one).items() if value} for one in self.gateways]
        for one, gateway in zip(told, self.gateways, strict=True):
            one["online"] = gateway.online
        tx.save_setting(_SETTING, orjson.dumps({"at": self.at, "gateways": told}).decode())


def saved(tx: Reads) -> Report | None:
    """Read the latest report, None when there is none yet."""
    text = tx.setting(_SETTING)
    if text is None:
        return None
    body = orjson.loads(text)
    return Report(body["at"], tuple(_gateway(one) for one in body["gateways"]))


def _gateway(one: dict[str, Any]) -> GatewayReport:
    status = one.pop("status", None)
    return GatewayReport(**{"lifts": 0, **one}, status=None if status is None else Status(**status))
