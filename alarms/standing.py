"""What grouping works with: alarms that stand, where their lifts are, and when alarms are one matter."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from alarms.suppression import may_hide
from lift.alarm import Priority
from lift.incident import Incident

SECOND_US: Final = 1_000_000
# A neighbourhood is a square of this many degrees and the eight around it: about 560 m by 480 m at 31 degrees north,
# what one low-voltage network (feeders of up to a few hundred metres) covers.
CELL_DEGREES: Final = 0.005

Cell = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """When alarms are one matter. Whoever changes a number changes what a city calls an incident.

    Three independent losses of mains in one square kilometre within two minutes are not to be expected in a
    lifetime; a gateway reconnects within 15 s, so one that is away for a minute is away. A mass event is an area
    incident with rescues at this many lifts.
    """

    power_cut_lifts: int = 3
    power_cut_within_s: int = 120
    gateway_offline_s: int = 60
    mass_event_rescues: int = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Where a lift is, as far as grouping wants to know."""

    firm_id: str
    gateway: str
    building_id: str
    cell: Cell | None


@dataclass(frozen=True, slots=True)
class GatewayNews:
    """What was heard of a gateway, at a moment (µs since 1970 UTC); `sure` = its lifts were seen to fall silent.

    One that is away becomes an incident after a minute, at once when it is sure.
    """

    gateway: str
    online: bool
    at: int
    sure: bool = False


NOWHERE: Final = Place("", "", "", None)  # of a lift that the register lacks


@dataclass(slots=True, kw_only=True)
class Standing:
    """An alarm whose condition holds, with what grouping says of it."""

    key: str
    lift: str
    rule: str
    priority: Priority
    latching: bool
    onset: int
    place: Place
    incident: str = ""
    suppressed_by: str = ""
    latest_onset: int = 0
    chattering: bool = False
    quiet_from: int | None = None

    @property
    def journal(self) -> bool:
        """Whether it is a line of the lift's journal, which is part of no incident."""
        return self.priority is Priority.JOURNAL

    @property
    def may_hide(self) -> bool:
        """Whether suppression by design may apply."""
        return may_hide(self.priority, latching=self.latching)


@dataclass(slots=True)
class Changes:
    """What grouping has changed since last asked: alarms and incidents by key, lifts that joined and left."""

    alarms: dict[str, Standing] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    joined: list[tuple[str, str]] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Inside:
    """What is inside one open incident now."""

    lifts: set[str] = field(default_factory=set)
    ever: set[str] = field(default_factory=set)
    alarms: dict[str, Standing] = field(default_factory=dict)
    # The emergencies that are or were inside, with their lifts.
    rescued: dict[str, str] = field(default_factory=dict)
    # Of a power cut: the neighbourhoods it has reached, and the lifts without mains.
    cells: set[Cell] = field(default_factory=set)
    dark: set[str] = field(default_factory=set)


def around(cell: Cell) -> list[Cell]:
    """Give a neighbourhood with the eight around it."""
    x, y = cell
    return [(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]


def cell_of(latitude: float, longitude: float) -> Cell:
    """Give the neighbourhood of a point (WGS 84 degrees).

    >>> cell_of(31.2304, 121.4737)
    (6246, 24294)
    """
    return math.floor(latitude / CELL_DEGREES), math.floor(longitude / CELL_DEGREES)
