"""The city's register: lifts and the people answerable for them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PlaceClass(StrEnum):
    """What a building is used for, as the monthly 96333 bulletins class it."""

    HOUSING = "housing"
    MALL = "mall"
    HOTEL = "hotel"
    HOSPITAL = "hospital"
    OFFICE = "office"
    SCHOOL = "school"
    LEISURE = "leisure"
    TRANSPORT = "transport"
    GOVERNMENT = "government"
    FACTORY = "factory"
    CARE_HOME = "care_home"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    """A building, or an estate with one address. Coordinates are WGS 84 degrees."""

    building_id: str
    name: str
    address: str
    district: str
    place_class: PlaceClass
    latitude: float
    longitude: float
    city_core: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """One lift with its four separate keys and what the rules must know of it.

    `rescue_code` is the plate in the car and the key everywhere here; `registration_code` (设备代码),
    `use_registration` (使用登记证) and `factory_number` are other people's keys for the same lift. `batch` is the
    production batch of the component that defects are looked for by, as a rule the door operator's; "" = unknown.
    """

    rescue_code: str
    registration_code: str
    use_registration: str
    factory_number: str
    building_id: str
    firm_id: str
    gateway: str
    make: str
    model: str
    installed: str
    rated_speed: float
    rated_load_kg: float
    landings: int
    batch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firm:
    """A maintenance firm: level 1 for the lifts it is contracted for."""

    firm_id: str
    name: str
    phone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A public rescue station (level 2) or a fire station (level 3)."""

    station_id: str
    name: str
    phone: str
    level: int
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """People who go out together; `employer_id` names their firm or station."""

    crew_id: str
    name: str
    phone: str
    employer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Everything the register holds: what a simulator makes and an import reads."""

    buildings: tuple[Building, ...] = ()
    lifts: tuple[Lift, ...] = ()
    firms: tuple[Firm, ...] = ()
    stations: tuple[Station, ...] = ()
    crews: tuple[Crew, ...] = ()
