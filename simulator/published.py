"""What is known about real cities' lifts, to lay the simulation beside: from the 96333 bulletins and standards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Range:
    """A published figure as the range over its sources, in `unit`; `low` None: nobody publishes it."""

    name: str
    unit: str
    low: float | None
    high: float | None
    source: str

    @property
    def span(self) -> str:
        """Spell the range, or the one figure there is; empty where nobody publishes it.

        >>> Range("between 18 and 20 h", "%", 18.0, 18.0, "Wuhu 2022").span
        '18'
        """
        if self.low is None or self.high is None:
            return ""
        return f"{self.low:,g}" if self.low == self.high else f"{self.low:,g} to {self.high:,g}"


ENTRAPMENT_RATE: Final = Range(
    "entrapments per 10,000 lifts a year", "", 370.0, 1_600.0, "13 bulletins 2014-2023, median about 600"
)
PEOPLE: Final = Range("people trapped per entrapment", "", 1.4, 2.5, "13 bulletins, mean about 2.0")
TRAPPED_MIN: Final = Range(
    "minutes trapped, mean", "min", 12.5, 24.5, "arrival 10-17 min and release 2.5-7.5 min in the bulletins"
)
SELF_RELEASE: Final = Range(
    "entrapments that end by themselves", "%", 2.6, 2.6, "Jiangsu 2020: 1,087 of 41,258 (2.6 %)"
)
CAUSES: Final = (
    ("human", Range("cause: human", "%", 27.1, 44.2, "Jinan 2017, 2020; Rizhao; Hangzhou 2018; Jiangsu 2020")),
    ("external", Range("cause: external", "%", 19.0, 34.4, "Jinan 2017, 2020; Rizhao; Hangzhou 2018; Jiangsu 2020")),
    ("external/power cut", Range("cause: power cut", "%", 22.2, 22.6, "Jinan 2017 (22.6), Rizhao (22.2)")),
    ("door system", Range("cause: door system", "%", 11.6, 19.5, "Jinan 2020, Rizhao, Hangzhou 2018")),
    ("control system", Range("cause: control system", "%", 11.4, 11.4, "Rizhao (11.4)")),
)
HOUSING: Final = Range("place: housing", "%", 60.0, 71.0, "Hohhot 2017, Nanjing 2018, Qingdao 2018")
HOURS: Final = (
    ((8, 10), Range("between 8 and 10 h", "%", 13.6, 15.2, "Suzhou 2015 (13.6), Wuhu 2022 (15.2)")),
    ((16, 18), Range("between 16 and 18 h", "%", 13.2, 13.2, "Suzhou 2015 (13.2)")),
    ((18, 20), Range("between 18 and 20 h", "%", 18.0, 18.0, "Wuhu 2022 (18.0)")),
)
ACTIVE_HOURS: Final = Range("between 6 and 12 or 18 and 22 h", "%", 74.5, 74.5, "Qingdao 2018 (74.5)")
TRIPS: Final = {
    "housing": Range("trips a day, housing", "", 100.0, 400.0, "usual figures for homes; ISO 25745-2 categories 2-3"),
    "office": Range("trips a day, offices", "", 500.0, 1_500.0, "usual for offices; ISO 25745-2 categories 4-5"),
}
DOOR_CYCLES: Final = Range("door cycles a trip", "", None, None, "not published; a reversal or a later guest adds one")
FLIGHT: Final = Range(
    "flight time against the closed form, largest difference", "%", 0.0, 1.0, "closed form of the traffic literature"
)
BETWEEN: Final = Range("entrapments between landings", "%", None, None, "not published")
STUCK: Final = Range("stops outside the door zone per 10,000 lifts a year", "", None, None, "not published")
REPEATERS: Final = Range(
    "entrapments a year of the worst lift in 10,000",
    "",
    7.0,
    10.0,
    "Wuhu 2022, Suzhou 2015: worst of 30,000 and more",
)
