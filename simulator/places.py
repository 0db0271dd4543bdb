"""What each place class means for its lifts: how many there are, how they are built and how they are used.

Sources of the figures: shares of lifts follow the shares of entrapments in the 96333 bulletins (housing 60-71 %);
trips a day are the usual 100-400 in housing and 500-1500 in offices; floor heights 2.8-3.3 m in homes and
3.6-4.2 m in offices. The hourly profiles put the peaks where Wuhu, Suzhou and Qingdao published theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lift.register import PlaceClass
from simulator.arrays import Floats

PLACES: Final = tuple(PlaceClass)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One place class. `share` of the city's lifts; `lifts` in a building and `landings` are (fewest, most).

    `riders` is the mean number of people a lift carries a day; `inward`, `outward` are the parts of them that
    go up from and down to the main landing in the morning, and the other way round in the evening.
    """

    share: float
    lifts: tuple[int, int]
    landings: tuple[int, int]
    floor_m: tuple[float, float]
    speeds: tuple[float, ...]
    riders: float
    hours: str
    inward: float
    outward: float


# Relative demand in each hour of the day, local time, from midnight.
_HOURS: Final[dict[str, tuple[float, ...]]] = {
    "home": (
        0.4, 0.2, 0.2, 0.2, 0.2, 0.4, 5.2, 9.0, 7.4, 6.2, 7.1, 7.3, 2.7, 2.1, 2.1, 2.3, 5.8, 7.0, 10.3, 10.0,
        8.9, 6.7, 2.0, 0.8,
    ),
    "work": (
        0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 1.0, 5.5, 11.5, 9.0, 7.0, 8.0, 9.0, 7.5, 6.0, 5.5, 5.5, 8.5, 8.5, 3.5,
        1.8, 0.9, 0.4, 0.2,
    ),
    "shop": (
        0.2, 0.1, 0.1, 0.1, 0.1, 0.2, 0.5, 1.0, 2.5, 6.0, 8.0, 8.5, 8.5, 7.0, 6.5, 6.5, 6.5, 7.0, 9.0, 9.5,
        8.0, 3.5, 0.8, 0.3,
    ),
    "care": (
        0.8, 0.6, 0.5, 0.5, 0.6, 1.2, 3.0, 7.0, 10.5, 10.0, 9.0, 7.5, 5.0, 5.0, 7.0, 7.0, 6.0, 5.5, 4.5, 3.5,
        2.8, 1.8, 1.2, 0.9,
    ),
}  # fmt: skip

# In the order of PlaceClass.
USAGE: Final[dict[PlaceClass, Usage]] = {
    PlaceClass.HOUSING: Usage(
        share=0.655, lifts=(1, 4), landings=(7, 33), floor_m=(2.8, 3.3), speeds=(1.0, 1.75, 1.75, 2.0, 2.5),
        riders=260, hours="home", inward=0.18, outward=0.76,
    ),
    PlaceClass.MALL: Usage(
        share=0.055, lifts=(2, 8), landings=(4, 9), floor_m=(4.2, 5.4), speeds=(1.0, 1.0, 1.75),
        riders=900, hours="shop", inward=0.42, outward=0.36,
    ),
    PlaceClass.HOTEL: Usage(
        share=0.04, lifts=(2, 6), landings=(6, 28), floor_m=(3.2, 3.8), speeds=(1.75, 1.75, 2.5),
        riders=500, hours="home", inward=0.2, outward=0.7,
    ),
    PlaceClass.HOSPITAL: Usage(
        share=0.035, lifts=(2, 8), landings=(5, 22), floor_m=(3.8, 4.5), speeds=(1.0, 1.75, 1.75, 2.5),
        riders=1100, hours="care", inward=0.42, outward=0.32,
    ),
    PlaceClass.OFFICE: Usage(
        share=0.105, lifts=(2, 8), landings=(6, 40), floor_m=(3.6, 4.2), speeds=(1.75, 2.5, 2.5, 3.0, 4.0),
        riders=950, hours="work", inward=0.72, outward=0.12,
    ),
    PlaceClass.SCHOOL: Usage(
        share=0.015, lifts=(1, 3), landings=(4, 10), floor_m=(3.6, 4.0), speeds=(1.0, 1.75),
        riders=320, hours="work", inward=0.65, outward=0.15,
    ),
    PlaceClass.LEISURE: Usage(
        share=0.015, lifts=(1, 4), landings=(3, 7), floor_m=(4.5, 6.0), speeds=(1.0, 1.0, 1.75),
        riders=420, hours="shop", inward=0.48, outward=0.36,
    ),
    PlaceClass.TRANSPORT: Usage(
        share=0.03, lifts=(1, 4), landings=(2, 4), floor_m=(5.0, 8.0), speeds=(0.63, 1.0, 1.0),
        riders=800, hours="work", inward=0.48, outward=0.46,
    ),
    PlaceClass.GOVERNMENT: Usage(
        share=0.02, lifts=(2, 4), landings=(5, 18), floor_m=(3.6, 4.2), speeds=(1.75, 1.75, 2.5),
        riders=600, hours="work", inward=0.7, outward=0.14,
    ),
    PlaceClass.FACTORY: Usage(
        share=0.02, lifts=(1, 3), landings=(3, 8), floor_m=(4.5, 6.0), speeds=(0.63, 1.0),
        riders=220, hours="work", inward=0.55, outward=0.25,
    ),
    PlaceClass.CARE_HOME: Usage(
        share=0.005, lifts=(1, 3), landings=(4, 12), floor_m=(3.0, 3.6), speeds=(1.0, 1.75),
        riders=300, hours="care", inward=0.4, outward=0.38,
    ),
    PlaceClass.OTHER: Usage(
        share=0.005, lifts=(1, 3), landings=(3, 16), floor_m=(3.2, 4.2), speeds=(1.0, 1.75),
        riders=260, hours="home", inward=0.25, outward=0.65,
    ),
}  # fmt: skip


def hourly() -> Floats:
    """Give the demand of each place class (rows, in the order of PLACES) in each hour; each row has mean 1."""
    table = np.array([_HOURS[USAGE[place].hours] for place in PLACES])
    relative: Floats = table / table.mean(axis=1, keepdims=True)
    return relative
