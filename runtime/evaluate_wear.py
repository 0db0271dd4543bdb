"""Evaluates condition monitoring: months of simulated trips, the fleet's monitor, and the truth about what wore."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from alarms.condition.features import CHANGED, NOVEL, RULES
from alarms.condition.monitor import ConditionMonitor, peers_of
from lift.alarm import Change, Transition
from lift.fleet import Fleet
from simulator.city import City, build_city
from simulator.trips_for_months import Months, MonthsPlan, WearCase

Progress = Callable[[float], None]

DAY_US: Final = 86_400_000_000
# A local midnight, the same for everybody who names the same seed.
MIDNIGHT: Final = 1_763_913_600_000_000
# A crew that comes for a fault has what wore in its hands; an alarm within two weeks of the fault is about it.
AFTER_DAYS: Final = 14
EARLY_DAYS: Final = 7.0

# Which rules are left out of which trial.
_SINGLE: Final = frozenset(RULES) - {CHANGED, NOVEL}
ALL_OF_IT: Final = "all"
VARIANTS: Final[Mapping[str, frozenset[str]]] = {
    ALL_OF_IT: frozenset(),
    "one a feature": frozenset({CHANGED, NOVEL}),
    "together": _SINGLE | {NOVEL},
    "adaptive": _SINGLE | {CHANGED},
}


@dataclass(slots=True)
class WearScore:
    """What became of each case of wear, by kind: days from the first alarm to the fault (None: no alarm before it).

    `false` are maintenance alarms of lifts in which nothing wore.
    """

    lifts: int
    days: int
    seed: int
    trips: int = 0
    leads: dict[str, list[float | None]] = field(default_factory=dict)
    false: list[tuple[str, str]] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """Count the cases whose fault came within the months."""
        return sum(len(leads) for leads in self.leads.values())

    def early(self, *kinds: str) -> float:
        """Give the share of cases, of all kinds or of some, found at least 7 days before their fault."""
        leads = [lead for name, some in self.leads.items() for lead in some if not kinds or name in kinds]
        return sum(lead is not None and lead >= EARLY_DAYS for lead in leads) / max(len(leads), 1)

    def false_a_thousand(self) -> float:
        """Give false maintenance alarms per 1,000 lift-days."""
        return 1_000.0 * len(self.false) / (self.lifts * self.days)

    def told(self) -> dict[str, object]:
        """Give the figures for a program."""
        rows = {}
        for kind, leads in sorted(self.leads.items()):
            found = [lead for lead in leads if lead is not None]
            quartiles = np.quantile(found, (0.1, 0.5, 0.9)).round(1).tolist() if found else []
            rows[kind] = {"cases": len(leads), "found": len(found), "early": self.early(kind), "lead_days": quartiles}
        return {
            "lifts": self.lifts,
            "days": self.days,
            "seed": self.seed,
            "trips": self.trips,
            "cases": self.cases,
            "early": self.early(),
            "false_alarms": len(self.false),
            "false_a_thousand_lift_days": self.false_a_thousand(),
            "kinds": rows,
        }


def evaluate_wear(
    *,
    lifts: int,
    days: int,
    seed: int,
    wear: float = 8.0,
    trips_a_day: int = 40,
    progress: Progress = lambda _part: None,
) -> WearScore:
    """Live through months of trips and judge every maintenance alarm; `wear` times life's rates of wear."""
    plan = MonthsPlan(lifts=lifts, days=days, seed=seed, start=MIDNIGHT, wear=wear, trips_a_day=trips_a_day)
    return evaluate_variants(plan, {ALL_OF_IT: frozenset()}, progress=progress)[ALL_OF_IT]


def evaluate_variants(
    plan: MonthsPlan, variants: Mapping[str, frozenset[str]], *, progress: Progress = lambda _part: None
) -> dict[str, WearScore]:
    """Live through the same months with several monitors; `variants` gives the rules that each goes without."""
    city = build_city(lifts=plan.lifts, seed=plan.seed)
    fleet = Fleet(city.register.lifts)
    peers = peers_of(city.register.lifts)
    monitors = {name: ConditionMonitor(fleet, peers, without=without) for name, without in variants.items()}
    raised: dict[str, list[Transition]] = {name: [] for name in variants}
    months = Months(city, plan)
    count = 0
    for number, trips in enumerate(months):
        count += len(trips)
        ours = fleet.in_slots(trips)
        for name, monitor in monitors.items():
            raised[name] += [one for one in monitor.take(ours) if one.change is Change.RAISED]
        progress((number + 1) / plan.days)
    scores = {}
    for name, monitor in monitors.items():
        late = monitor.advance(MIDNIGHT + (plan.days + 1) * DAY_US)
        raised[name] += [one for one in late if one.change is Change.RAISED]
        scores[name] = WearScore(plan.lifts, plan.days, plan.seed, count)
        _judge(city, months.cases, raised[name], scores[name])
    return scores


def _judge(city: City, cases: Sequence[WearCase], raised: Sequence[Transition], score: WearScore) -> None:
    of_lift: dict[str, list[Transition]] = {}
    for one in raised:
        of_lift.setdefault(one.lift, []).append(one)
    explained: set[str] = set()
    end = MIDNIGHT + score.days * DAY_US
    for case in cases:
        mine = of_lift.get(city.codes[case.slot], [])
        about = [one for one in mine if case.began <= one.at <= case.fails + AFTER_DAYS * DAY_US]
        explained |= {one.key for one in about}
        if case.fails > end:
            continue
        before = [one.at for one in about if one.at <= case.fails]
        lead = (case.fails - min(before)) / DAY_US if before else None
        score.leads.setdefault(case.kind, []).append(lead)
    score.false = [(one.lift, one.rule) for one in raised if one.key not in explained]
