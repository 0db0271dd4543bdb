"""Evaluates the rules: a simulated city and its line, the engine and the truth, in one process at full speed.

Nothing between them is left out but the bus and the stores: readings arrive late, twice, out of order or with a wrong
time, as `simulator.network` has it; those dated further ahead than ingest accepts are refused as ingest does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from alarms.engine import Engine
from alarms.rules import load as load_rules
from ingest.intake import AHEAD_US_MAX
from lift.alarm import Change, Priority, Transition
from lift.batch import Batch
from lift.codes import unpack
from lift.fleet import Fleet
from lift.register import Lift
from lift.signals import SIGNALS
from runtime.alarm_path import GRACE_US
from runtime.judge import Case, KindScore, Raised, Score, judge, percentile
from simulator.run import DAY_S, SECTION_LIFTS, Plan, Source, section_seed, share
from simulator.truth import CODE, NEAR_MISSES, Kind, Truth

Progress = Callable[[float], None]

_LOOK_EVERY_S: Final = 20
# A Monday, 07:00 in the city: the same days for everybody who names the same seed.
MONDAY: Final = 1_763_938_800_000_000
_JOURNAL: Final = Priority.JOURNAL.name.lower()
_NEVER_SHOWN: Final = frozenset({"running_hours", "run_count", "door_cycles"})


@dataclass(frozen=True, slots=True)
class _Section:
    number: int
    first: int
    end: int
    plan: Plan


def evaluate(plan: Plan, *, workers: int = 1, progress: Progress = lambda _part: None) -> Score:
    """Live through a plan and judge every alarm; the same plan gives the same score on any number of workers."""
    city = plan.city()
    sections = [_Section(number, *cut, plan) for number, cut in enumerate(city.sections(SECTION_LIFTS))]
    total = float(plan.lifts * plan.seconds)
    score = Score()
    for part in share(_evaluate_section, sections, workers=workers, progress=lambda done: progress(done / total)):
        score.add(part)
    return score


def _evaluate_section(section: _Section, advance: Progress) -> Score:
    plan = section.plan
    whole = plan.city()
    # And the lift that people try by hand: a fleet that knows every name remembers them all at once.
    lifts = (*whole.register.lifts[section.first : section.end], whole.register.lifts[-1])
    source = Source(whole.section(section.first, section.end), plan, seed=section_seed(plan.seed, section.number))
    watch = Watch(lifts, source)
    for second in range(plan.seconds):
        watch.step()
        if second % 60 == 59:  # noqa: PLR2004 - a minute
            advance(60.0 * (section.end - section.first))
    return watch.score()


class Watch:
    """An engine that watches a simulated source, and takes down what it says beside what happens."""

    def __init__(self, lifts: Sequence[Lift], source: Source) -> None:
        self._fleet = Fleet(lifts)
        self._gateway = {lift.rescue_code: lift.gateway for lift in lifts}
        rules = load_rules()
        self._rules = {slug: rule.code for slug, rule in rules.items()}
        self._engine = Engine(self._fleet, rules)
        self._source = source
        self.alarms: list[Raised] = []
        self._truths: list[Truth] = []
        self._seen: dict[int, str] = {}

    def step(self) -> None:
        """Live a second and hear what the engine says."""
        source = self._source
        batch = self._fleet.in_slots(source.step())
        now = source.simulation.now
        timely = batch.at <= now + AHEAD_US_MAX
        if not timely.all():
            batch = batch.take(timely)
        found = self._engine.take(batch)
        found += self._engine.advance(now - GRACE_US)
        if found:
            self._note(found, batch, now)
        if source.simulation.seconds % _LOOK_EVERY_S == 0:
            self._look(batch)

    def _note(self, found: list[Transition], batch: Batch, now: int) -> None:
        for transition in found:
            if transition.change is not Change.RAISED:
                continue
            signals = ""
            if transition.priority >= Priority.MEDIUM:
                signals = tell(batch, self._fleet.slot(transition.lift))
            self.alarms.append(
                Raised(
                    lift=transition.lift,
                    gateway=self._gateway[transition.lift],
                    rule=transition.rule,
                    code=transition.code,
                    priority=transition.priority,
                    onset=transition.onset,
                    at=transition.at,
                    out=now,
                    confidence=transition.confidence,
                    evidence=transition.evidence,
                    signals=signals,
                )
            )

    def _look(self, batch: Batch) -> None:
        """Note what the signals say of everything that has begun, and take over what has ended."""
        simulation = self._source.simulation
        for truth in simulation.standing_truth():
            if id(truth) in self._seen or truth.kind in NEAR_MISSES - {Kind.STUCK_EMPTY}:
                continue
            self._seen[id(truth)] = tell(batch, self._fleet.slot(truth.lift))
        self._truths += simulation.take_truth()

    def score(self) -> Score:
        """Judge what came out so far."""
        simulation = self._source.simulation
        self._truths += simulation.take_truth()
        return judge(
            self.alarms,
            [*self._truths, *simulation.standing_truth()],
            lift_days=len(simulation.city) * simulation.seconds / DAY_S,
            began=simulation.start,
            ended=simulation.now,
            seen=self._seen,
            rules=self._rules,
        )


def tell(batch: Batch, slot: int) -> str:
    """Write a lift's newest reading of a batch as a person would."""
    rows = np.flatnonzero(batch.lift == slot)
    row = int(rows[-1]) if rows.size else -1
    if row < 0:
        return "no reading in this second"
    said = [
        f"{signal.name} {float(batch.columns[signal][row]):g}"
        for signal in SIGNALS
        if signal in batch.columns and signal.name not in _NEVER_SHOWN and not np.isnan(batch.columns[signal][row])
    ]
    codes = [] if batch.codes is None else unpack(int(batch.codes[row]))
    return ", ".join([*said, f"codes {[int(code) for code in codes]}" if codes else "no codes"])


def to_json(score: Score, plan: Plan) -> dict[str, Any]:
    """Give the score for programs."""
    return {
        "plan": _plan(plan),
        "lift_days": round(score.lift_days, 2),
        "alarms_per_lift_day": _alarms_a_day(score),
        "priorities": dict(score.priorities),
        "false_per_10k_lift_days": {name: round(score.per_10k(n), 3) for name, n in score.false_priorities.items()},
        "kinds": {name: _kind(kind) for name, kind in sorted(score.kinds.items())},
        "rules": {
            name: {
                "code": rule.code,
                "priority": rule.priority,
                "raised": rule.raised,
                "true": rule.true,
                "false": rule.false,
                "false_per_10k_lift_days": round(score.per_10k(rule.false), 3),
            }
            for name, rule in sorted(score.rules.items())
        },
        "codes": codes_table(score),
        "near_misses": {
            name: {"happened": count, "fooled": _fooled(score, name)}
            for name, count in sorted(score.near_misses.items())
        },
        "fooled_by_nothing": _fooled(score, "nothing"),
        "worst": [_case(case) for case in score.worst()],
    }


def codes_table(score: Score) -> dict[str, dict[str, Any]]:
    """Give recall and precision by code, over the kinds and rules that belong to it (entrapments together)."""
    table: dict[str, dict[str, Any]] = {}
    for code in sorted({int(code) for code in CODE.values()}):
        kinds = [score.kinds[kind] for kind, own in CODE.items() if int(own) == code and kind in score.kinds]
        rules = [rule for rule in score.rules.values() if rule.code == code]
        found, missed = sum(kind.found for kind in kinds), sum(kind.missed for kind in kinds)
        raised, false = sum(rule.raised for rule in rules), sum(rule.false for rule in rules)
        table[f"{code:02d}"] = {
            "recall": round(found / (found + missed), 5) if found + missed else None,
            "precision": round(1 - false / raised, 5) if raised else None,
            "found": found,
            "missed": missed,
            "raised": raised,
            "false": false,
        }
    return table


def text(score: Score, plan: Plan) -> str:
    """Give the score for people."""
    lines = [
        f"{score.lift_days:,.1f} lift-days: {_plan(plan)}",
        f"{_alarms_a_day(score)} alarms a lift-day; "
        + ", ".join(f"{name} {n:,} ({100 * n / max(1, _alarms(score)):.1f} %)" for name, n in _by_rank(score))
        + f"; journal {score.priorities[_JOURNAL]:,}",
        "false alarms per 10,000 lift-days: "
        + ", ".join(f"{p.name.lower()} {score.per_10k(score.false_priorities[p.name.lower()]):.3f}" for p in Priority),
        "",
        f"{'truth':30}    true  brief  hidden   found  missed   recall  median s    p95 s",
    ]
    for name, kind in sorted(score.kinds.items()):
        due = kind.found + kind.missed
        recall = f"{100 * kind.found / due:.2f} %" if due else "-"
        median, p95 = percentile(kind.delays, 50), percentile(kind.delays, 95)
        lines.append(
            f"{name:30}{kind.true:8,}{kind.brief:7,}{kind.hidden:8,}{kind.found:8,}{kind.missed:8,}{recall:>9}"
            f"{'-' if median is None else median:>10}{'-' if p95 is None else p95:>9}"
        )
    lines += [
        "",
        f"{'rule':32}{'priority':>10}{'raised':>9}{'true':>9}{'false':>8}{'precision':>11}{'false/10k d':>13}",
    ]
    for name, rule in sorted(score.rules.items()):
        precision = f"{100 * rule.true / rule.raised:.2f} %" if rule.raised else "-"
        lines.append(
            f"{name:32}{rule.priority:>10}{rule.raised:9,}{rule.true:9,}{rule.false:8,}{precision:>11}"
            f"{score.per_10k(rule.false):13.3f}"
        )
    lines += ["", "near misses and the false alarms while they went on:"]
    for name in [*sorted(score.near_misses), "nothing"]:
        fooled = _fooled(score, name)
        if fooled or name in score.near_misses:
            told = ", ".join(f"{rule} {count}" for rule, count in fooled.items()) or "none"
            lines.append(f"  {name:20}{score.near_misses.get(name, 0):9,}  {told}")
    lines += ["", "worst cases:"]
    for case in score.worst():
        lines.append(
            f"  {case.what} {case.rule or case.kind} at lift {case.lift}, {when(case.at, plan)}; "
            f"around: {', '.join(case.around) or 'nothing'}\n      {case.signals}"
        )
    return "\n".join(lines)


def when(at: int, plan: Plan) -> str:
    """Say how far into the run a moment lies."""
    return f"second {(at - plan.start) / 1e6:,.0f} of the run"


def _by_rank(score: Score) -> list[tuple[str, int]]:
    """Give the priorities of alarms with their counts; the journal is none."""
    return [(p.name.lower(), score.priorities[p.name.lower()]) for p in Priority if p > Priority.JOURNAL]


def _alarms(score: Score) -> int:
    return sum(count for _, count in _by_rank(score))


def _alarms_a_day(score: Score) -> float:
    return round(_alarms(score) / score.lift_days, 4) if score.lift_days else 0.0


def _kind(kind: KindScore) -> dict[str, Any]:
    return {
        "true": kind.true,
        "brief": kind.brief,
        "hidden": kind.hidden,
        "found": kind.found,
        "missed": kind.missed,
        "some_emergency": kind.ticket,
        "median_s": percentile(kind.delays, 50),
        "p95_s": percentile(kind.delays, 95),
    }


def _fooled(score: Score, near_miss: str) -> dict[str, int]:
    mine: Mapping[str, int] = {rule: n for (kind, rule), n in score.fooled.items() if kind == near_miss}
    return dict(sorted(mine.items()))


def _case(case: Case) -> dict[str, Any]:
    return {
        "what": case.what,
        "rule": case.rule,
        "kind": case.kind,
        "lift": case.lift,
        "at": case.at,
        "around": list(case.around),
        "signals": case.signals,
    }


def _plan(plan: Plan) -> str:
    near = plan.fault_rate if plan.near_miss_rate is None else plan.near_miss_rate
    return (
        f"--lifts {plan.lifts} --hours {plan.seconds / 3600:g} --seed {plan.seed} --fault-rate {plan.fault_rate:g} "
        f"--near-miss-rate {near:g} --line-rate {plan.line_rate or 0:g} --scenario {plan.scenario}"
    )


def plan_of(
    *,
    lifts: int,
    hours: float,
    seed: int,
    fault_rate: float,
    near_miss_rate: float | None,
    line_rate: float,
    scenario: str,
) -> Plan:
    """Make a plan that begins on a Monday morning at seven in the city. Raises Invalid."""
    plan = Plan(
        lifts=lifts,
        seed=seed,
        start=MONDAY,
        seconds=max(1, round(hours * 3600)),
        scenario=scenario,
        fault_rate=fault_rate,
    )
    return replace(plan, near_miss_rate=near_miss_rate, line_rate=line_rate if fault_rate else None)
