"""What a city decides about its rescue desk: the hotline, the response levels and how long each clock runs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Final

from lift.errors import Invalid
from lift.ticket import ClockName

_CLOCK_S_MIN: Final = 0.01  # a clock must not be over before it has begun
_CLOCK_S_MAX: Final = 24 * 3600.0
_CODE_LENGTH_MAX: Final = 20
_LEVELS_MAX: Final = 9
_UTC_OFFSET_MAX_MIN: Final = 14 * 60  # UTC+14, the Line Islands, is the largest in use
_HOTLINE_DIGITS_MAX: Final = 15


class Role(StrEnum):
    """Who is called out at a response level."""

    FIRM = "firm"
    """The firm contracted for the lift."""
    STATION = "station"
    """The nearest rescue or fire station registered for that level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One city's rules. Clock lengths are in seconds; Invalid names the field that is wrong.

    Defaults: 96333 and six-digit codes are what most cities have; answer 15 s, order 60 s, accept 3 min, all
    levels called within 5 min and arrival within 30 min (60 outside the city core) are the published duties
    of Guangzhou, Shandong and Ganzhou; two hours' entrapment is legally an accident. In a mass event, such as a
    power cut with rescues at several lifts, Jinan sends levels 1 and 2 together: `mass_event_levels` of them, 1 = no.
    """

    hotline: str = "96333"
    code_length: int = 6
    levels: tuple[Role, ...] = (Role.FIRM, Role.STATION, Role.STATION)
    last_resort_name: str = "Fire service 消防救援"
    last_resort_phone: str = "119"
    utc_offset_min: int = 480
    answer_s: float = 15.0
    order_s: float = 60.0
    accept_s: float = 180.0
    all_levels_s: float = 300.0
    arrive_s: float = 1800.0
    arrive_outside_core_s: float = 3600.0
    legal_accident_s: float = 7200.0
    mass_event_levels: int = 2

    def __post_init__(self) -> None:
        """Refuse what no desk could work with."""
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name.endswith("_s") and not _CLOCK_S_MIN <= value <= _CLOCK_S_MAX:
                raise Invalid(each.name, f"{value!r} is not within {_CLOCK_S_MIN} to {_CLOCK_S_MAX:.0f} seconds")
        if not (self.hotline.isdecimal() and len(self.hotline) <= _HOTLINE_DIGITS_MAX):
            raise Invalid("hotline", f"{self.hotline!r} is not a number of 1 to {_HOTLINE_DIGITS_MAX} digits")
        if not 1 <= self.code_length <= _CODE_LENGTH_MAX:
            raise Invalid("code_length", f"{self.code_length!r} is not within 1 to {_CODE_LENGTH_MAX}")
        if not 1 <= len(self.levels) <= _LEVELS_MAX:
            raise Invalid("levels", f"{len(self.levels)} levels is not within 1 to {_LEVELS_MAX}")
        if not 1 <= self.mass_event_levels <= _LEVELS_MAX:
            raise Invalid("mass_event_levels", f"{self.mass_event_levels} is not within 1 to {_LEVELS_MAX}")
        if not self.last_resort_phone:
            raise Invalid("last_resort_phone", "must not be empty: it is called when a level has no station")
        if abs(self.utc_offset_min) > _UTC_OFFSET_MAX_MIN:
            raise Invalid("utc_offset_min", f"{self.utc_offset_min!r} is not within ±{_UTC_OFFSET_MAX_MIN}")

    def clock_s(self, name: ClockName, *, city_core: bool = True) -> float:
        """Give how long a clock runs, in seconds."""
        if name is ClockName.ARRIVE and not city_core:
            return self.arrive_outside_core_s
        return float(getattr(self, f"{name}_s"))
