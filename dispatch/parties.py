"""Whom to call: the party of a response level for one lift, and what the notice to them says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from dispatch.policy import Policy, Role
from lift.errors import NotFound
from lift.ports import Reads
from lift.register import Building, Station
from lift.ticket import Ticket

LAST_RESORT: Final = "last-resort"


@dataclass(frozen=True, slots=True)
class Party:
    """A firm, a station or the last resort, as a call-out names it."""

    party_id: str
    name: str
    phone: str


def building_of(reads: Reads, lift: str) -> Building | None:
    """Give the lift's building; None for a lift that the register lacks, which is rescued all the same."""
    try:
        return reads.building(reads.lift(lift).building_id)
    except NotFound:
        return None


def party(reads: Reads, policy: Policy, ticket: Ticket, building: Building | None, level: int) -> Party | None:
    """Choose whom a level calls for this ticket; None when the register has nobody for it.

    The last level always has someone: the number of the city's last resort.
    """
    role = policy.levels[min(level, len(policy.levels)) - 1]
    found = _firm(reads, ticket.firm_id) if role is Role.FIRM else _nearest(reads, building, level)
    if found is None and level >= len(policy.levels):
        return Party(LAST_RESORT, policy.last_resort_name, policy.last_resort_phone)
    return found


def _firm(reads: Reads, firm_id: str) -> Party | None:
    try:
        firm = reads.firm(firm_id)
    except NotFound:
        return None
    return Party(firm.firm_id, firm.name, firm.phone)


def _nearest(reads: Reads, building: Building | None, level: int) -> Party | None:
    stations = reads.stations(level=level)
    if not stations:
        return None
    station = stations[0] if building is None else min(stations, key=lambda each: _distance(building, each))
    return Party(station.station_id, station.name, station.phone)


def _distance(building: Building, station: Station) -> float:
    """Compare distances within a city: degrees of latitude, with longitudes shortened to match."""
    shortened = math.cos(math.radians(building.latitude))
    return math.hypot(building.latitude - station.latitude, (building.longitude - station.longitude) * shortened)


def order_text(policy: Policy, ticket: Ticket, building: Building | None, level: int) -> str:
    """Write the order to a party, for a person on a phone, in English and Chinese."""
    within = f"{policy.accept_s / 60:g}"
    return (
        f"[{policy.hotline}] Lift rescue 电梯救援 {ticket.ticket_id}, level {level} {level}级响应. "
        f"{_place(ticket, building)}. {ticket.summary}, since {local_time(policy, ticket.opened_at)} 起. "
        f"Accept within {within} min. 请在{within}分钟内响应。"
    )


def unanswered_text(policy: Policy, ticket: Ticket, building: Building | None) -> str:
    """Tell a party that did not answer that others are called too."""
    return (
        f"[{policy.hotline}] {ticket.ticket_id}, {_place(ticket, building)}: no answer from you, so the next "
        "level is called; you can still accept. 未收到贵方响应，已升级派单；仍可接单。"
    )


def stand_down_text(policy: Policy, ticket: Ticket, building: Building | None) -> str:
    """Tell a party that it is not needed any more."""
    return (
        f"[{policy.hotline}] {ticket.ticket_id}, {_place(ticket, building)}: you are not needed, the ticket is "
        f"{ticket.stage}. 无需前往，工单状态：{ticket.stage}。"
    )


def local_time(policy: Policy, at: int) -> str:
    """Write a moment (µs since 1970 UTC) in the city's own time, to the second."""
    return _local(policy, at).strftime("%Y-%m-%d %H:%M:%S")


def local_day(policy: Policy, at: int) -> str:
    """Write the city's own date of a moment (µs since 1970 UTC) as in ticket ids: 20261123."""
    return _local(policy, at).strftime("%Y%m%d")


def _local(policy: Policy, at: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at, minutes=policy.utc_offset_min)


def _place(ticket: Ticket, building: Building | None) -> str:
    lift = f"Lift 电梯 {ticket.lift}"
    if building is None:
        return f"{lift}, address unknown 地址不详"
    return f"{lift}, {building.name}, {building.address}, {building.district}"
