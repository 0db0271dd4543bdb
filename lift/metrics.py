"""A measured figure on its way to Prometheus: parts count in plain numbers, the HTTP layer renders them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """One named figure with its samples: pairs of labels and value. Names start with `liftwatch_`."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: tuple[tuple[Mapping[str, str], float], ...]


def metric(name: str, kind: Literal["counter", "gauge"], help_text: str, value: float) -> Metric:
    """Make a metric of a single sample without labels."""
    return Metric(name, kind, help_text, (({}, value),))


def merged(metrics: Iterable[Metric]) -> list[Metric]:
    """Join the samples of figures that several parts measure under one name."""
    found: dict[str, Metric] = {}
    for one in metrics:
        known = found.get(one.name)
        found[one.name] = one if known is None else replace(known, samples=known.samples + one.samples)
    return list(found.values())
