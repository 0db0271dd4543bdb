"""What a scenario is: rates sped up or not, rescues shortened or not, a fixed hour, and things planned by hand."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from lift.errors import Invalid
from simulator import scenarios
from simulator.city import City
from simulator.planned import Planned
from simulator.rates import Pace


def nothing(_city: City) -> list[Planned]:
    """Plan nothing: chance alone decides."""
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A named way to run a city.

    `pace` multiplies life's rates by group, `rescue_scale` shortens or stretches how long faults last and
    `wear_scale` how long parts take to wear out, `hour` fixes the local hour of the traffic (None: the real one),
    `plan` adds what must happen.
    """

    name: str
    story: str
    pace: Mapping[Pace, float] = field(default_factory=dict)
    rescue_scale: float = 1.0
    wear_scale: float = 1.0
    hour: float | None = None
    plan: Callable[[City], list[Planned]] = nothing

    def paced(self, fault_rate: float, *, near_misses: float | None, line: float | None) -> Scenario:
        """Give near misses and the line's troubles rates of their own beside the faults'; raises Invalid."""
        pace = dict(self.pace)
        for group, rate in ((Pace.NEAR_MISSES, near_misses), (Pace.LINE, line)):
            if rate is None:
                continue
            if not (fault_rate > 0.0 and 0.0 <= rate < float("inf")):
                raise Invalid(f"{group} rate", f"{rate} needs a fault rate above 0, and must be finite itself")
            pace[group] = pace.get(group, 1.0) * rate / fault_rate
        return replace(self, pace=pace)


LIFE = Scenario(name="life", story="An ordinary day: everything happens as often as in life.")


def names() -> list[str]:
    """Give the names of all scenarios."""
    return ["life", *sorted(module.name for module in pkgutil.iter_modules(scenarios.__path__))]


def load(name: str) -> Scenario:
    """Find a scenario by name; raises Invalid that lists them."""
    if name == "life":
        return LIFE
    if name not in names():
        raise Invalid("scenario", f"there is none named {name!r}; known are {', '.join(names())}")
    found = importlib.import_module(f"simulator.scenarios.{name}").SCENARIO
    assert isinstance(found, Scenario)
    return found
