"""The city: any size, the published shares, and the same again for the same seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lift.batch import Batch
from lift.errors import Invalid
from lift.fleet import Fleet
from lift.register import PlaceClass
from simulator.city import HAND_GATEWAY, HAND_LIFT, build_city

LARGE = build_city(lifts=20_000, seed=11)


@settings(max_examples=25)
@given(lifts=st.integers(1, 400), seed=st.integers(0, 2**32))
def test_a_city_of_any_size_is_whole(lifts: int, seed: int) -> None:
    """Every lift has its codes, building, firm, gateway and group, and nothing is named twice."""
    city = build_city(lifts=lifts, seed=seed)
    register = city.register
    assert len(city) == lifts
    assert [lift.rescue_code for lift in register.lifts] == list(city.codes)
    for keys in (
        city.codes,
        [lift.registration_code for lift in register.lifts],
        [building.building_id for building in register.buildings],
        [firm.firm_id for firm in register.firms],
    ):
        assert len(set(keys)) == len(keys)
    assert {lift.building_id for lift in register.lifts} <= {building.building_id for building in register.buildings}
    assert {lift.firm_id for lift in register.lifts} <= {firm.firm_id for firm in register.firms}
    assert {lift.gateway for lift in register.lifts} <= set(city.gateways)
    employers = {firm.firm_id for firm in register.firms} | {station.station_id for station in register.stations}
    assert {crew.employer_id for crew in register.crews} == employers
    assert {station.level for station in register.stations} == {2, 3}
    group_end = city.plant.group_first + city.plant.group_size
    assert (city.plant.group_first <= np.arange(lifts)).all()
    assert (np.arange(lifts) < group_end).all()
    assert ((city.plant.landings >= 2) & (city.plant.main < city.plant.landings)).all()


def test_the_hand_moved_lift_is_registered_and_not_simulated() -> None:
    """One lift more than simulated stands in the register, behind its own gateway."""
    city = build_city(lifts=50, seed=1)
    hand = city.register.lifts[-1]
    assert (hand.rescue_code, hand.gateway) == (HAND_LIFT, HAND_GATEWAY)
    assert len(city.register.lifts) == 51
    assert Fleet(city.register.lifts).codes == list(city.codes)


def test_the_same_seed_builds_the_same_city() -> None:
    """Another seed builds another."""
    assert build_city(lifts=300, seed=5).register == build_city(lifts=300, seed=5).register
    assert build_city(lifts=300, seed=5).register != build_city(lifts=300, seed=6).register


def test_places_have_the_published_shares() -> None:
    """Housing has the 60-71 % of the bulletins, and every place class occurs."""
    places = {building.building_id: building.place_class for building in LARGE.register.buildings}
    count = Counter(places[lift.building_id] for lift in LARGE.register.lifts)
    assert 0.60 <= count[PlaceClass.HOUSING] / 20_001 <= 0.71
    assert set(count) == set(PlaceClass)


def test_the_market_has_a_heavy_tail() -> None:
    """Ten firms of hundreds hold more than a third of the lifts; most firms hold few."""
    held = sorted(Counter(lift.firm_id for lift in LARGE.register.lifts).values(), reverse=True)
    assert len(held) > 200
    assert 0.33 < sum(held[:10]) / 20_001 < 0.7
    assert np.median(held) < 40


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"lifts": 0}, "lifts"), ({"lifts": 500_001}, "lifts"), ({"lifts": 3, "gateways": 4}, "gateways")],
)
def test_an_impossible_city_is_refused(arguments: dict[str, int], field: str) -> None:
    """The error names what was asked wrongly."""
    with pytest.raises(Invalid) as refusal:
        build_city(seed=1, **arguments)
    assert refusal.value.field == field


def test_gateways_get_their_own_lifts() -> None:
    """A batch is split by gateway, whatever the order of its readings, and nothing is lost."""
    city = build_city(lifts=300, seed=3, gateways=4)
    order = np.random.default_rng(1).permutation(300).astype(np.int32)
    batch = Batch(city.codes, order, np.arange(300, dtype=np.int64))
    parts = dict(city.by_gateway(batch))
    assert sorted(parts) == ["gw-001", "gw-002", "gw-003", "gw-004"]
    gateway = {lift.rescue_code: lift.gateway for lift in city.register.lifts}
    for name, part in parts.items():
        assert {gateway[part.names[slot]] for slot in part.lift} == {name}
    assert sorted(np.concatenate([part.at for part in parts.values()])) == list(range(300))


def test_sections_cut_neither_groups_nor_gateways() -> None:
    """Sections cover the city in order, and each is a city of its own."""
    sections = LARGE.sections(5_000)
    assert [first for first, _ in sections] == [0, *(end for _, end in sections[:-1])]
    assert sections[-1][1] == len(LARGE)
    for first, end in sections:
        part = LARGE.section(first, end)
        assert len(part) == end - first >= 1_000
        assert part.codes[:-1] == LARGE.codes[first:end]
        assert part.plant.group_first.min() == 0
        assert (part.plant.group_first + part.plant.group_size).max() <= end - first
    gateways = [set(LARGE.gateway[first:end].tolist()) for first, end in sections]
    assert sum(len(carried) for carried in gateways) == len(set.union(*gateways))


def test_an_inspector_finds_the_file_of_a_lift() -> None:
    """Use unit, last inspection, last maintenance and component batch are on file."""
    dossier = LARGE.dossier(7)
    assert dossier["rescue_code"] == LARGE.codes[7]
    assert set(dossier) == {"rescue_code", "use_unit", "last_inspection", "last_maintenance", "door_batch"}
