"""Who is answerable for the lifts: maintenance firms, rescue stations, fire stations and their crews."""

from __future__ import annotations

from typing import Final

import numpy as np

from lift.register import Crew, Firm, Station
from simulator import names
from simulator.arrays import Floats, Whole

# One mechanic's pair looks after about this many lifts.
CREW_LIFTS: Final = 60
CREWS_MAX: Final = 400
STATION_LIFTS: Final = 2_000
FIRE_STATION_LIFTS: Final = 5_000
_SHIFTS: Final = ("day 08-16", "evening 16-24", "night 00-08")


def market(parties: int, steepness: float) -> Floats:
    """Give heavy-tailed market shares: the k-th largest party holds a share like 1 / (k + 2)^steepness."""
    share = (np.arange(parties) + 2.0) ** -steepness
    shares: Floats = share / share.sum()
    return shares


def firms(lifts: int, chance: np.random.Generator) -> list[Firm]:
    """Make the maintenance firms of a city; ten times the lifts have about four times the firms."""
    count = max(3, round(0.9 * lifts**0.6))
    first = int(chance.integers(1000))
    records = []
    for number in range(count):
        chinese, latin = names.pair(first + number)
        phone = f"0099-{5_550_000 + number:07d}"
        records.append(Firm(firm_id=f"f-{number + 1:04d}", name=f"{chinese}电梯 {latin} Lift Service", phone=phone))
    return records


def contracts(buildings: int, firms_count: int, chance: np.random.Generator) -> Whole:
    """Draw which firm each building has a contract with: a few large firms, many small."""
    return chance.choice(firms_count, size=buildings, p=market(firms_count, 1.15))


def stations(lifts: int, centre: tuple[float, float], chance: np.random.Generator) -> list[Station]:
    """Place the public rescue stations (level 2) and fire stations (level 3) around the city's centre."""
    records = []
    for level, each, least, zh, en in (
        (2, STATION_LIFTS, 3, "救援站", "Rescue Station"),
        (3, FIRE_STATION_LIFTS, 2, "消防站", "Fire Station 119"),
    ):
        count = max(least, lifts // each)
        angle = chance.uniform(0.0, 2.0 * np.pi, count)
        distance = 0.15 * np.sqrt(chance.random(count))
        for number in range(count):
            chinese, latin = names.pair(number * 3 + level)
            records.append(
                Station(
                    station_id=f"s{level}-{number + 1:03d}",
                    name=f"{chinese}{zh} {latin} {en}",
                    phone=f"0099-{level}{number + 1:06d}",
                    level=level,
                    latitude=round(float(centre[0] + distance[number] * np.sin(angle[number])), 6),
                    longitude=round(float(centre[1] + distance[number] * np.cos(angle[number]) * 1.15), 6),
                )
            )
    return records


def crews(employers: list[Firm], bases: list[Station], lifts_of_firm: Whole) -> tuple[list[Crew], dict[str, str]]:
    """Give every firm crews in proportion to its lifts and every station three; also who is on which shift."""
    records: list[Crew] = []
    shifts: dict[str, str] = {}
    wanted = [
        (firm.firm_id, min(CREWS_MAX, max(1, int(count) // CREW_LIFTS)))
        for firm, count in zip(employers, lifts_of_firm, strict=True)
    ]
    wanted += [(base.station_id, len(_SHIFTS)) for base in bases]
    for employer, count in wanted:
        for number in range(count):
            serial = len(records) + 1
            crew = Crew(
                crew_id=f"c-{serial:05d}",
                name=f"班组 Crew {employer}/{number + 1}",
                phone=f"0099-7{serial:06d}",
                employer_id=employer,
            )
            records.append(crew)
            # A firm with one crew keeps it on duty around the clock, as the law asks.
            shifts[crew.crew_id] = _SHIFTS[number % len(_SHIFTS)] if count > 1 else "on call 00-24"
    return records, shifts
