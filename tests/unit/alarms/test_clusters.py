"""Defect clusters: a bad batch is found, chance is not, and the figures are what they say."""

from __future__ import annotations

import numpy as np
import pytest

from alarms.clusters import attributes_of, find_clusters
from lift.errors import Invalid
from simulator.city import City, build_city

CITY: City = build_city(lifts=600, seed=9)
CODES = list(CITY.codes[:-1])
GROUPS = attributes_of(CITY.register.lifts[:-1])
BAD = f"D{CITY.bad_batch:03d}"


def faults(chance: np.random.Generator, *, bad: float) -> list[tuple[str, str]]:
    """Draw half a year of faults at life's uneven rates; the bad batch has `bad` more a lift."""
    found = []
    for kind, rate in (("door", 0.05), ("brake", 0.04), ("motor", 0.06)):
        mean = 0.5 * rate * CITY.plant.proneness
        mean = mean + bad * (CITY.plant.door_batch == CITY.bad_batch) * (kind == "door")
        for slot, count in enumerate(chance.poisson(mean).tolist()):
            found += [(CODES[slot], kind)] * count
    return found


def test_a_bad_batch_is_found_with_its_lifts() -> None:
    """The batch is first, the bounds hold the truth, and the shrunken ratio is below the plain one."""
    (first, *_) = find_clusters(CODES, GROUPS, faults(np.random.default_rng(1), bad=1.2))
    assert (first.kind, first.attribute, first.value) == ("door", "batch", BAD)
    assert first.ratio_low < first.ratio < first.ratio_high
    assert 1.0 < first.shrunken < first.ratio
    assert len(first.members) == first.affected
    assert {int(CITY.plant.door_batch[CODES.index(code)]) for code in first.members} == {CITY.bad_batch}


def test_chance_makes_no_clusters() -> None:
    """Without a bad batch, at most one run in ten says anything; the promised rate is one in twenty."""
    chance = np.random.default_rng(2)
    loud = sum(bool(find_clusters(CODES, GROUPS, faults(chance, bad=0.0))) for _ in range(40))
    assert loud <= 4


def test_one_lift_with_many_faults_is_one_lift() -> None:
    """Fifty faults of two lifts of a batch make no cluster."""
    sick = np.flatnonzero(CITY.plant.door_batch == CITY.bad_batch)[:2]
    some = faults(np.random.default_rng(3), bad=0.0) + [(CODES[slot], "door") for slot in sick] * 50
    assert [one for one in find_clusters(CODES, GROUPS, some) if one.value == BAD] == []


def test_unknown_lifts_and_values_are_left_out() -> None:
    """A fault of a lift that is not listed, and a lift whose batch nobody knows, count nowhere."""
    unknown = {"door batch": [""] * len(CODES)}
    assert find_clusters(CODES, unknown, [("nobody", "door"), (CODES[0], "door")]) == []


def test_what_does_not_fit_is_refused() -> None:
    """A value for each lift, and a rate between 0 and 1."""
    with pytest.raises(Invalid, match="attributes"):
        find_clusters(CODES, {"batch": ["a"]}, [])
    with pytest.raises(Invalid, match="false_discoveries"):
        find_clusters(CODES, GROUPS, [], false_discoveries=0.0)
