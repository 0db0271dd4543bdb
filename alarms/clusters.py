"""The fleet view: a component batch, make or model whose lifts fail more often than their peers, as a finding.

Counted are lifts that had a fault at least once, so that one lift with ten faults is one lift. Given how many lifts
had one, the number in a group of n out of N is hypergeometric if the group is like its peers; its upper tail is an
exact test (Fisher 1935), made less cautious by counting half of what is exactly as likely (mid-p; Lancaster, JASA 56,
1961). Many groups and kinds are looked at together, so findings are those that the false discovery rate allows
(Benjamini and Hochberg, J. R. Statist. Soc. B 57, 1995). How much worse a group is comes with bounds (mid-p
Clopper-Pearson by the beta distribution), and shrunken towards the peers (gamma-Poisson), so that a small group with
one unlucky lift does not head the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy
from numpy.typing import NDArray

from lift.batch import Floats, Ints, Mask
from lift.errors import Invalid
from lift.register import Lift

# The part of the findings that may be chance.
FALSE_DISCOVERIES: Final = 0.05
# A group of fewer lifts is no cluster.
LIFTS_LEAST: Final = 5
AFFECTED_LEAST: Final = 3
_BOUND: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A defect cluster: of the `lifts` that share `attribute` = `value`, `affected` had `kind`, `expected` as peers do.

    `ratio` is their share over their peers', between `ratio_low` and `ratio_high` (95 %), `shrunken` the cautious
    one. `p` is the mid-p value, `q` the false discovery rate at which this is a finding. `members` are the affected.
    """

    kind: str
    attribute: str
    value: str
    lifts: int
    affected: int
    expected: float
    ratio: float
    ratio_low: float
    ratio_high: float
    shrunken: float
    p: float
    q: float
    members: tuple[str, ...]


def attributes_of(lifts: Sequence[Lift]) -> dict[str, list[str]]:
    """Give what the register says lifts have in common: make, model, year of installation, component batch."""
    return {
        "make": [lift.make for lift in lifts],
        "model": [f"{lift.make} {lift.model}" for lift in lifts],
        "batch": [lift.batch for lift in lifts],
        "model and year": [f"{lift.make} {lift.model} {lift.installed[:4]}" for lift in lifts],
    }


def find_clusters(
    lifts: Sequence[str],
    attributes: Mapping[str, Sequence[str]],
    faults: Iterable[tuple[str, str]],
    *,
    false_discoveries: float = FALSE_DISCOVERIES,
) -> list[Cluster]:
    """Find the groups that stand out, the surest first.

    `attributes` gives for each attribute a value a lift ("" = unknown); `faults` are (lift, kind) pairs: alarms,
    tickets or findings of wear. Faults of lifts that are not listed are left out. Raises Invalid.
    """
    if not 0.0 < false_discoveries < 1.0:
        raise Invalid("false_discoveries", f"{false_discoveries:g} is not between 0 and 1")
    for name, values in attributes.items():
        if len(values) != len(lifts):
            raise Invalid("attributes", f"{name} has {len(values)} values for {len(lifts)} lifts")
    slot = {code: number for number, code in enumerate(lifts)}
    had: dict[str, Mask] = {}
    for code, kind in faults:
        if code in slot:
            had.setdefault(kind, np.zeros(len(lifts), np.bool_))[slot[code]] = True
    tested = [
        test
        for kind, mask in sorted(had.items())
        for attribute, values in attributes.items()
        for test in _tests(kind, attribute, np.asarray(values, dtype=object), mask)
    ]
    if not tested:
        return []
    rates = _false_discovery_rates(np.array([test.p for test in tested]))
    found = [
        _cluster(test, float(rate), lifts)
        for test, rate in zip(tested, rates, strict=True)
        if rate <= false_discoveries and test.affected >= AFFECTED_LEAST
    ]
    return sorted(found, key=lambda cluster: (cluster.q, cluster.p, -cluster.ratio, cluster.value))


@dataclass(frozen=True, slots=True)
class _Test:
    """One group of one attribute and one kind of fault; `total` of `everybody` had it. `sick` are slots."""

    kind: str
    attribute: str
    value: str
    lifts: int
    affected: int
    total: int
    everybody: int
    prior: float
    p: float
    sick: Ints


def _tests(kind: str, attribute: str, values: NDArray[np.object_], had: Mask) -> list[_Test]:
    """Test each group of one attribute for one kind of fault against all lifts whose value is known."""
    known = np.flatnonzero(values != "")
    names, group = np.unique(values[known].astype(str), return_inverse=True)
    sizes = np.bincount(group, minlength=len(names))
    affected = np.bincount(group, had[known], minlength=len(names)).astype(np.int64)
    everybody, total = len(known), int(had[known].sum())
    prior = _prior(affected, sizes * (total / max(everybody, 1)))
    # Half of what is exactly as likely counts.
    law = scipy.stats.hypergeom(everybody, total, sizes)
    p = np.minimum(law.sf(affected) + 0.5 * law.pmf(affected), 1.0)
    return [
        _Test(
            kind,
            attribute,
            str(names[number]),
            int(sizes[number]),
            int(affected[number]),
            total,
            everybody,
            prior,
            float(p[number]),
            known[(group == number) & had[known]],
        )
        for number in np.flatnonzero((sizes >= LIFTS_LEAST) & (sizes < everybody)).tolist()
    ]


def _cluster(test: _Test, q: float, lifts: Sequence[str]) -> Cluster:
    expected = test.lifts * test.total / test.everybody
    low, ratio, high = _ratio(test.affected, test.lifts, test.total, test.everybody)
    return Cluster(
        kind=test.kind,
        attribute=test.attribute,
        value=test.value,
        lifts=test.lifts,
        affected=test.affected,
        expected=expected,
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        shrunken=(test.affected + test.prior) / (expected + test.prior),
        p=test.p,
        q=q,
        members=tuple(lifts[slot] for slot in test.sick.tolist()),
    )


def _ratio(count: int, size: int, total: int, everybody: int) -> tuple[float, float, float]:
    """Give the ratio of the group's share to its peers', between bounds that take the peers' share as known."""
    others, rest = everybody - size, total - count
    # Half a lift more among the peers keeps a ratio finite where none of them had it.
    peers = (rest + 0.5) / (others + 1.0)
    tail = 0.5 * (1.0 - _BOUND)
    # Mid-p bounds lie between those that count all of what is exactly as likely and those that count none.
    low = np.mean([_share_at(tail, count, size - count + 1), _share_at(tail, count + 1, size - count)])
    high = np.mean([_share_at(1.0 - tail, count, size - count + 1), _share_at(1.0 - tail, count + 1, size - count)])
    return float(low) / peers, count / size / peers, float(high) / peers


def _share_at(part: float, hits: int, misses: int) -> float:
    if hits <= 0:
        return 0.0
    return float(scipy.stats.beta.ppf(part, hits, misses)) if misses > 0 else 1.0


def _prior(affected: Ints, expected: Floats) -> float:
    """Give how many expected lifts a group's own count weighs against: moments of the gamma-Poisson mixture."""
    spread = float(((affected - expected) ** 2 - expected).sum())
    scale = float((expected**2).sum())
    if spread <= 0.0 or scale <= 0.0:
        return 1e3
    return float(np.clip(scale / spread, 0.5, 1e3))


def _false_discovery_rates(p: Floats) -> Floats:
    """Give for each test the false discovery rate at which it is a finding (Benjamini and Hochberg)."""
    order = np.argsort(p)
    stepped = p[order] * len(p) / np.arange(1, len(p) + 1)
    rates = np.empty(len(p))
    rates[order] = np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1.0)
    return rates
