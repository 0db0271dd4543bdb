"""An invented city: its districts, buildings, lifts and firms, of any size, the same for the same seed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lift.batch import Batch
from lift.errors import Invalid
from lift.register import Building, Firm, Lift, Register
from simulator import names, services
from simulator.arrays import Floats, Mask, Slots, Whole
from simulator.places import PLACES, USAGE
from simulator.plant import GROUP_MAX, LANDINGS_MAX, Plant

LIFTS_MAX: Final = 500_000
GATEWAY_LIFTS: Final = 2_000
# The lift that people move by hand with mosquitto_pub; it stands in the register and is not simulated.
HAND_LIFT: Final = "063577"
HAND_GATEWAY: Final = "demo"
# Ages count from here, so that a city does not depend on the day it is built.
REFERENCE_DATE: Final = dt.date(2026, 1, 1)
# An invented place on the coast: WGS 84 degrees of the centre.
CENTRE: Final = (30.62, 121.44)

_SLOW_M_S, _STANDARD_M_S, _FAST_M_S = 1.0, 1.75, 2.5
# Watched by sensors of their own, without a line to the controller.
_RETROFIT: Final = 0.35
# Drive to a landing by battery when the mains fail.
_RESCUE_DEVICE: Final = 0.3

# The bulletins' repeat offenders, and how much worse than others they are.
_PROBLEM_LIFTS, _PROBLEM_FACTOR = 0.0008, 60.0

_CODES: Final = 1_000_000
# Coprime to a million, so that counting in these steps meets every six-digit code once.
_CODE_STEP: Final = 618_033
_DOOR_BATCHES: Final = 40
_DISTRICT_LIFTS: Final = 20_000


@dataclass(frozen=True, slots=True)
class City:
    """A city. Slot i is lift `codes[i]` behind gateway `gateways[gateway[i]]`; the last code is the hand-moved lift.

    `plant` has the machinery of the `len(codes) - 1` simulated lifts. `bad_batch` is the one door component batch
    that wears out early. `inspected`, `maintained` are the last dates, in days before REFERENCE_DATE, a simulated lift.
    """

    register: Register
    plant: Plant
    seed: int
    codes: tuple[str, ...]
    gateways: tuple[str, ...]
    gateway: Whole
    shifts: Mapping[str, str]
    bad_batch: int
    inspected: Whole
    maintained: Whole

    def __len__(self) -> int:
        """Count the simulated lifts."""
        return len(self.plant)

    def by_gateway(self, batch: Batch) -> Iterator[tuple[str, Batch]]:
        """Split a batch by the gateway that carries each lift; gateways without a reading are left out."""
        carrier = self.gateway[batch.lift]
        if len(carrier) and (np.diff(carrier) < 0).any():
            order = np.argsort(carrier, kind="stable")
            batch, carrier = batch.take(order), carrier[order]
        cuts = np.searchsorted(carrier, np.arange(len(self.gateways) + 1))
        for number, name in enumerate(self.gateways):
            if cuts[number] < cuts[number + 1]:
                yield name, batch.take(np.arange(cuts[number], cuts[number + 1]))

    def lifts_of(self, gateway: str) -> list[str]:
        """Give the rescue codes of the lifts behind a gateway."""
        number = self.gateways.index(gateway)
        return [self.codes[slot] for slot in np.flatnonzero(self.gateway == number).tolist()]

    def sections(self, size: int) -> list[tuple[int, int]]:
        """Cut the city into runs of whole gateways with about `size` lifts each: (first, end) slots."""
        carrier = self.gateway[: len(self)]
        starts = np.flatnonzero(np.diff(carrier, prepend=-1))
        cuts: list[int] = [0]
        for start in starts.tolist():
            if start - cuts[-1] >= size:
                cuts.append(start)
        return list(zip(cuts, [*cuts[1:], len(self)], strict=True))

    def section(self, first: int, end: int) -> City:
        """Give a run of lifts as a city of its own, without its register."""
        return self._part(np.arange(first, end), self.plant.section(first, end))

    def pick(self, slots: Slots) -> City:
        """Give some lifts, each as a group of its own, without the register; a lift may be picked many times."""
        return self._part(slots, self.plant.take(slots))

    def _part(self, slots: Slots, plant: Plant) -> City:
        return replace(
            self,
            register=Register(),
            plant=plant,
            codes=(*(self.codes[slot] for slot in slots.tolist()), HAND_LIFT),
            gateway=np.append(self.gateway[slots], self.gateway[-1]),
            inspected=self.inspected[slots],
            maintained=self.maintained[slots],
        )

    def dossier(self, slot: int) -> dict[str, str]:
        """Give what an inspector's file has beyond the register: use unit, dates, component batches."""
        lift = self.register.lifts[slot]
        building = self.register.buildings[int(self.plant.building[slot])]
        day = dt.timedelta(days=1)
        return {
            "rescue_code": lift.rescue_code,
            "use_unit": f"{building.name} property office 物业",
            "last_inspection": str(REFERENCE_DATE - int(self.inspected[slot]) * day),
            "last_maintenance": str(REFERENCE_DATE - int(self.maintained[slot]) * day),
            "door_batch": lift.batch,
        }


@dataclass(slots=True)
class _Buildings:
    """Buildings as arrays, an entry a building: their class, number of lifts, district and what their lifts share."""

    place: Whole
    lifts: Whole
    district: Whole
    landings: Whole
    basements: Whole
    floor_m: Floats
    entrance_m: Floats
    speed: Floats
    latitude: Floats
    longitude: Floats
    core: Mask


def build_city(*, lifts: int, seed: int, gateways: int | None = None) -> City:
    """Build a city of so many simulated lifts, plus the one that people move by hand.

    Lifts of a building share a group; gateways carry consecutive lifts. Without `gateways`, there is one for
    every 2,000 lifts and at least 3 where there are lifts enough. Raises Invalid.
    """
    if not 1 <= lifts <= LIFTS_MAX:
        raise Invalid("lifts", f"{lifts} is outside 1 to {LIFTS_MAX:,}")
    if gateways is None:
        gateways = max(min(3, lifts), -(-lifts // GATEWAY_LIFTS))
    if not 1 <= gateways <= lifts:
        raise Invalid("gateways", f"{gateways} is outside 1 to the number of lifts, {lifts}")
    chance = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    buildings = _draw_buildings(lifts, chance)
    bad_batch = int(chance.integers(_DOOR_BATCHES))
    plant = _equip(buildings, chance)
    # A building's lifts share a gateway, as they share a machine room.
    first_lift = np.maximum.accumulate(plant.group_first)
    gateway = first_lift.astype(np.int64) * gateways // lifts
    offset = int(chance.integers(_CODES))
    codes = _codes(lifts, offset)
    gateway_names = tuple(f"gw-{number + 1:03d}" for number in range(gateways))
    firms = services.firms(lifts, chance)
    contracted = services.contracts(len(buildings.place), len(firms), chance)
    stations = services.stations(lifts, CENTRE, chance)
    crews, shifts = services.crews(firms, stations, np.bincount(contracted[plant.building], minlength=len(firms)))
    places = _register_buildings(buildings, chance)
    records = _register_lifts(plant, codes, [gateway_names[number] for number in gateway], contracted, firms, chance)
    register = Register(
        buildings=tuple(places),
        lifts=(*records, _hand_lift(records[0])),
        firms=tuple(firms),
        stations=tuple(stations),
        crews=tuple(crews),
    )
    return City(
        register=register,
        plant=plant,
        seed=seed,
        codes=(*codes, HAND_LIFT),
        gateways=(*gateway_names, HAND_GATEWAY),
        gateway=np.append(gateway, gateways).astype(np.int32),
        shifts=shifts,
        bad_batch=bad_batch,
        inspected=chance.integers(5, 360, lifts).astype(np.int16),
        maintained=chance.integers(0, 16, lifts).astype(np.int16),
    )


def _codes(lifts: int, offset: int) -> list[str]:
    numbers = ((offset + _CODE_STEP * k) % _CODES for k in range(lifts + 1))
    return [f"{number:06d}" for number in numbers if number != int(HAND_LIFT)][:lifts]


def _draw_buildings(lifts: int, chance: np.random.Generator) -> _Buildings:
    """Draw buildings until they hold enough lifts; the last one is cut to fit."""
    low = np.array([USAGE[place].lifts[0] for place in PLACES])
    high = np.array([USAGE[place].lifts[1] for place in PLACES])
    share = np.array([USAGE[place].share for place in PLACES])
    # The shares are of lifts; buildings of a class are as many fewer as they hold more lifts each.
    weight = share / ((low + high) / 2)
    place = chance.choice(len(PLACES), size=lifts, p=weight / weight.sum())
    # Every city has homes: its first building is one, whatever its size.
    place[0] = 0
    count = chance.integers(low[place], np.minimum(high[place], GROUP_MAX) + 1)
    total = np.cumsum(count)
    end = int(np.searchsorted(total, lifts)) + 1
    place, count = place[:end], count[:end].copy()
    count[-1] -= int(total[end - 1]) - lifts
    # Storeys cluster at the low end: many six-storey blocks, few towers.
    fewest = np.array([USAGE[item].landings[0] for item in PLACES])[place]
    most = np.array([USAGE[item].landings[1] for item in PLACES])[place]
    basements = np.minimum(chance.choice([0, 1, 2], size=end, p=[0.45, 0.4, 0.15]), fewest - 1)
    storeys = fewest + ((most - fewest + 1) * chance.random(end) ** 1.6).astype(np.int64)
    floor_low = np.array([USAGE[item].floor_m[0] for item in PLACES])[place]
    floor_high = np.array([USAGE[item].floor_m[1] for item in PLACES])[place]
    district = _districts(end, lifts, chance)
    distance = 0.02 + 0.035 * np.sqrt(district) + 0.02 * chance.random(end)
    angle = district * 2.4 + chance.normal(0.0, 0.35, end)
    return _Buildings(
        place=place,
        lifts=count,
        district=district,
        landings=np.minimum(storeys + basements, LANDINGS_MAX),
        basements=basements,
        floor_m=chance.uniform(floor_low, floor_high),
        entrance_m=chance.uniform(0.3, 1.5, end),
        speed=_speeds(place, storeys, chance),
        latitude=CENTRE[0] + distance * np.sin(angle),
        longitude=CENTRE[1] + distance * np.cos(angle) * 1.15,
        core=district < max(1, int(district.max()) // 2 + 1),
    )


def _districts(buildings: int, lifts: int, chance: np.random.Generator) -> Whole:
    count = min(len(names.DISTRICTS), 4 + lifts // _DISTRICT_LIFTS)
    weight = 1.0 / (1.0 + 0.25 * np.arange(count))
    return chance.choice(count, size=buildings, p=weight / weight.sum())


def _speeds(place: Whole, storeys: Whole, chance: np.random.Generator) -> Floats:
    """Give taller buildings of a class the faster of its usual speeds, with some spread."""
    speed = np.empty(len(place))
    for number, name in enumerate(PLACES):
        here = np.flatnonzero(place == number)
        ladder = np.array(USAGE[name].speeds)
        low, high = USAGE[name].landings
        rank = (storeys[here] - low) / (high - low + 1) + chance.uniform(-0.2, 0.2, len(here))
        speed[here] = ladder[np.clip(rank * len(ladder), 0, len(ladder) - 1).astype(np.int64)]
    return speed


def _equip(buildings: _Buildings, chance: np.random.Generator) -> Plant:
    """Give every lift its machinery; what a building's lifts share comes from the building."""
    of = np.repeat(np.arange(len(buildings.lifts)), buildings.lifts)
    lifts = len(of)
    first = np.cumsum(buildings.lifts) - buildings.lifts
    place = buildings.place[of]
    speed = buildings.speed[of]
    fast, slow = speed > _FAST_M_S, speed <= _SLOW_M_S
    rated_kg = chance.choice([630.0, 800.0, 1000.0, 1250.0, 1600.0], size=lifts, p=[0.12, 0.28, 0.4, 0.12, 0.08])
    age = np.minimum(chance.gamma(2.2, 4.2, lifts), 28.0)
    mean_riders = np.array([USAGE[item].riders for item in PLACES])[place]
    # Most lifts hardly ever fail, old ones more; the worst trap people seven to ten times a year (Wuhu, Suzhou).
    retrofit = chance.random(lifts) < _RETROFIT
    proneness = chance.gamma(1.2, 1.0 / 1.2, lifts) * (0.6 + 0.4 * age / 9.0)
    proneness[chance.random(lifts) < _PROBLEM_LIFTS] *= _PROBLEM_FACTOR
    return Plant(
        speed=speed,
        acceleration=np.where(fast, 1.1, np.where(slow, 0.6, 0.9)) * chance.uniform(0.95, 1.05, lifts),
        jerk=np.where(fast, 1.5, np.where(slow, 1.0, 1.2)) * chance.uniform(0.97, 1.05, lifts),
        landings=buildings.landings[of].astype(np.int32),
        main=buildings.basements[of].astype(np.int32),
        floor_m=buildings.floor_m[of],
        entrance_m=buildings.entrance_m[of],
        group_first=first[of].astype(np.int32),
        group_size=buildings.lifts[of].astype(np.int8),
        building=of.astype(np.int32),
        district=buildings.district[of].astype(np.int16),
        place=place.astype(np.int8),
        riders=mean_riders * np.exp(chance.normal(-0.08, 0.4, lifts)),
        people_max=(rated_kg // 75).astype(np.int16),
        rated_kg=rated_kg,
        open_s=chance.uniform(1.8, 2.5, lifts),
        close_s=chance.uniform(2.5, 3.5, lifts),
        current_a=6.0 + rated_kg * speed * 0.009,
        proneness=proneness / proneness.mean(),
        age_years=age,
        door_batch=chance.integers(_DOOR_BATCHES, size=lifts).astype(np.int16),
        rescue_device=chance.random(lifts) < _RESCUE_DEVICE,
        code_level=np.where(retrofit, 0, chance.choice([1, 2], size=lifts, p=[0.7, 0.3])).astype(np.int8),
        retrofit=retrofit,
    )


def _register_buildings(buildings: _Buildings, chance: np.random.Generator) -> list[Building]:
    number = chance.integers(1, 999, len(buildings.place))
    street = chance.integers(len(names.STREETS), size=len(buildings.place))
    records = []
    for i, place_number in enumerate(buildings.place.tolist()):
        place = PLACES[place_number]
        (chinese, latin), (suffix, kind) = names.pair(i), names.BUILDINGS[place]
        district = names.DISTRICTS[int(buildings.district[i])]
        road = names.STREETS[int(street[i])]
        records.append(
            Building(
                building_id=f"b-{i + 1:06d}",
                name=f"{chinese}{suffix} {latin} {kind}",
                address=f"{district[0]}{road[0]}{number[i]}号 · {number[i]} {road[1]}, {district[1]}",
                district=f"{district[0]} {district[1]}",
                place_class=place,
                latitude=round(float(buildings.latitude[i]), 6),
                longitude=round(float(buildings.longitude[i]), 6),
                city_core=bool(buildings.core[i]),
            )
        )
    return records


def _register_lifts(
    plant: Plant,
    codes: list[str],
    gateways: list[str],
    contracted: Whole,
    firms: list[Firm],
    chance: np.random.Generator,
) -> list[Lift]:
    make = chance.choice(len(names.MAKES), size=len(plant), p=services.market(len(names.MAKES), 0.7))
    firm = contracted[plant.building]
    building_ids = [f"b-{i + 1:06d}" for i in range(int(plant.building[-1]) + 1)]
    dates = [str(REFERENCE_DATE - dt.timedelta(days=int(age * 365))) for age in plant.age_years]
    # Python's own numbers, so that a record can be written as JSON anywhere.
    speed, load, landings = plant.speed.tolist(), plant.rated_kg.tolist(), plant.landings.tolist()
    records = []
    for i, code in enumerate(codes):
        maker, models = names.MAKES[make[i]]
        records.append(
            Lift(
                rescue_code=code,
                registration_code=f"3110{dates[i][:4]}00{i + 1:010d}",
                use_registration=f"梯11A{i + 1:07d}",
                factory_number=f"{models[0][:2].upper()}{i * 7919 % 10_000_000:07d}",
                building_id=building_ids[plant.building[i]],
                firm_id=firms[firm[i]].firm_id,
                gateway=gateways[i],
                make=maker,
                model=models[0] if speed[i] <= _STANDARD_M_S else models[1],
                installed=dates[i],
                rated_speed=speed[i],
                rated_load_kg=load[i],
                landings=landings[i],
                batch=f"D{int(plant.door_batch[i]):03d}",
            )
        )
    return records


def _hand_lift(neighbour: Lift) -> Lift:
    return Lift(
        rescue_code=HAND_LIFT,
        registration_code="31102020009999999999",
        use_registration="梯11A9999999",
        factory_number="HAND0000001",
        building_id=neighbour.building_id,
        firm_id=neighbour.firm_id,
        gateway=HAND_GATEWAY,
        make="Zhenyun 震云",
        model="ZY-1000",
        installed="2020-06-01",
        rated_speed=1.75,
        rated_load_kg=1000.0,
        landings=18,
    )
