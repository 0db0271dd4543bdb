"""An incident: many alarms that are one matter, such as a power cut, a dead gateway, or a lift with many symptoms."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class IncidentKind(StrEnum):
    """What brought the alarms together."""

    POWER_CUT = "power_cut"
    GATEWAY_OFFLINE = "gateway_offline"
    LIFT = "lift"


# English and Chinese, as people see them.
INCIDENT_NAMES = {
    IncidentKind.POWER_CUT: ("Area power cut", "区域停电"),
    IncidentKind.GATEWAY_OFFLINE: ("Gateway offline", "网关离线"),
    IncidentKind.LIFT: ("Several alarms of one lift", "单梯多重报警"),
}


def incident_key(kind: IncidentKind, anchor: str, onset: int) -> str:
    """Spell an incident's identity as one string, the same after every restart and replay.

    >>> incident_key(IncidentKind.GATEWAY_OFFLINE, "gw-12", 5)
    'gateway_offline:gw-12:5'
    """
    return f"{kind}:{anchor}:{onset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident as recorded. Times are µs since 1970 UTC; None = has not happened.

    `anchor` is the gateway, the lift, or the neighbourhood in which a power cut began (degrees of latitude and
    longitude by 0.005); `onset` is when that was, in the readings' own time.
    `lifts` counts those that were ever inside, `rescues` those of them with an emergency. `ending_at` is when it will
    close although something in it still holds, because its cause is over. `merged_into` names the incident that it
    turned out to be a part of.
    """

    key: str
    kind: IncidentKind
    anchor: str
    onset: int
    opened_at: int
    closed_at: int | None = None
    ending_at: int | None = None
    merged_into: str = ""
    lifts: int = 0
    rescues: int = 0
    mass_event_at: int | None = None
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentLift:
    """A lift inside an incident; `left_at` is when its part was over. Times are µs since 1970 UTC."""

    incident: str
    lift: str
    firm_id: str
    joined_at: int
    left_at: int | None = None
