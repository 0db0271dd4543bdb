"""Judges alarms against the truth of a simulated city: which alarm tells of what, what was found, missed or cried.

How an alarm and a record of truth are brought together:

- A rule `finds` kinds of truth: each such record is due to be found by at least one alarm of one of the rules that
  find its kind. A rule is `true_in` further kinds when these really imply its condition (a car that is stuck with
  people in it is also stopped outside the door zone); an alarm in them is true, but finds nothing.
- An alarm belongs to a record of the same lift (or of its gateway) when the moment it was raised, in the readings'
  own time or on the clock of the platform, lies between the record's onset and its end, `SLACK_US` to either side:
  clocks of terminals go wrong by up to 20 s, and what has ended shows for a moment longer.
- An alarm that belongs to no record of a kind its rule finds or is true in is false. Nothing else excuses it.
- A record is due when it could be observed for as long as the slowest rule that finds it waits (`DUE_S`); shorter
  ones are `brief`: nobody promised them. What could not be observed before the run ended is brief as well.
- A record of a kind that no rule is there to find is counted and neither found nor missed.
- A record of which the truth says that nothing the lift's terminal reports ever shows it is `hidden`, and counted.
- One origin with many records (a power cut, an entrapment, a press of the button) is judged record by record.
- The delay is from `observable_at` until the alarm came out of the engine, the way of the readings included.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from lift.alarm import Priority
from lift.codes import Code
from simulator.truth import CODE, ENTRAPMENTS, NEAR_MISSES, WEAR, Kind, Truth

SECOND_US: Final = 1_000_000
SLACK_US: Final = 30 * SECOND_US
DAY_S: Final = 86_400.0
_SIGNIFICANT: Final = 10


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a rule's alarms tell of: the kinds it is there to find, and the kinds in which it is true besides.

    `lingers_s` is for how long after a record's end what it left behind is still there: an empty battery.
    """

    finds: frozenset[Kind] = frozenset()
    true_in: frozenset[Kind] = frozenset()
    lingers_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """One alarm as it came out: `onset` and `at` in the readings' time, `out` on the platform's clock, all µs."""

    lift: str
    gateway: str
    rule: str
    code: Code | None
    priority: Priority
    onset: int
    at: int
    out: int
    confidence: float = 1.0
    evidence: tuple[str, ...] = ()
    signals: str = ""


K: Final = Kind


def _means(*finds: Kind, also: Iterable[Kind] = (), lingers_s: float = 0.0) -> Meaning:
    return Meaning(frozenset(finds), frozenset(also), lingers_s)


_OUTSIDE: Final = (
    K.ENTRAPMENT_BETWEEN_LANDINGS,
    K.SAFETY_CHAIN_OPEN,
    K.OVERTRAVEL_TOP,
    K.OVERTRAVEL_BOTTOM,
    K.UNINTENDED_MOVEMENT,
    K.OVERSPEED,
    K.POSITION_LOST,
)
_MODES: Final = (
    K.INSPECTION,
    K.SWITCHED_OFF,
    K.FIRE_DRILL,
    K.FIREFIGHTER_DRILL,
    K.GENERATOR_TEST,
    K.EARTHQUAKE,
)
_FREED: Final = (
    *_OUTSIDE,
    K.ENTRAPMENT_AT_LANDING,
    K.STUCK_EMPTY,
    K.DOOR_OPENING_FAULT,
    K.RUN_TIME_LIMITER,
)
_LEFT: Final = (*_MODES, *_FREED)
_CHAIN: Final = (K.OVERTRAVEL_TOP, K.OVERTRAVEL_BOTTOM, K.OVERSPEED, K.UNINTENDED_MOVEMENT)

# By rule. A rule that is not named here is judged by its code: it finds the kinds that belong to its code.
MEANINGS: Final[dict[str, Meaning]] = {
    "abnormal_vibration": _means(K.RAIL_JOINT_WEAR, also=(K.BEARING_WEAR,)),
    "alarm_button": _means(K.ALARM_CALL),
    "battery_low": _means(K.BATTERY_WEAK, also=(K.MAIN_POWER_LOST,), lingers_s=10 * 3600.0),
    "brake_roll_back": _means(K.BRAKE_WEAR),
    "contact_lost": _means(K.LATE_DELIVERY, also=(K.CLOCK_JUMP, K.CLOCK_SKEW, K.GATEWAY_RESTART)),
    "door_closing_fault": _means(K.DOOR_CLOSING_FAULT),
    "door_held": _means(K.DOOR_HELD, K.LONG_STOP, also=(K.RESTART_PREVENTED, K.DOOR_CLOSING_FAULT)),
    "door_held_long": _means(also=(K.DOOR_HELD, K.LONG_STOP, K.DOOR_CLOSING_FAULT)),
    "door_open_running": _means(K.UNINTENDED_MOVEMENT),
    "door_opening_fault": _means(K.DOOR_OPENING_FAULT, also=(K.ENTRAPMENT_AT_LANDING,)),
    "entrapment_at_landing": _means(*ENTRAPMENTS),
    "entrapment_between_landings": _means(*ENTRAPMENTS),
    "landing_position_lost": _means(K.POSITION_LOST),
    "levelling_inaccurate": _means(K.BRAKE_WEAR),
    "levelling_out_of_limits": _means(K.BRAKE_WEAR),
    "machine_room_hot": _means(K.MACHINE_ROOM_HOT),
    "motor_overheating": _means(K.MOTOR_OVERHEATING, also=(K.BEARING_WEAR,)),
    "occupied_parked_car": _means(also=(K.PRESENCE_STUCK, *ENTRAPMENTS)),
    "overspeed": _means(K.OVERSPEED),
    "relevelling_often": _means(K.RELEVELLING),
    "repeated_reversals": _means(also=(K.DOOR_CLOSING_FAULT, K.DOOR_HELD)),
    "safety_chain_open_running": _means(K.SAFETY_CHAIN_OPEN, also=_CHAIN),
    "stopped_outside_door_zone": _means(K.STUCK_EMPTY, also=_OUTSIDE),
    "sensor_wrong_door_closed": _means(K.DOOR_SENSOR_WRONG),
    "sensor_wrong_door_state": _means(K.DOOR_SENSOR_WRONG),
    "sensor_wrong_door_zone": _means(K.DOOR_ZONE_STUCK),
    "sensor_wrong_load": _means(K.LOAD_STUCK),
    "sensor_wrong_presence_flickers": _means(K.PRESENCE_FLICKER),
    "sensor_wrong_presence_stuck": _means(K.PRESENCE_STUCK),
    "sensor_wrong_speed": _means(K.SPEED_OFFSET),
    "test_call_overdue": _means(K.TEST_CALL_OVERDUE),
    "unintended_car_movement": _means(K.UNINTENDED_MOVEMENT),
    "controller_reported_01": _means(K.SAFETY_CHAIN_OPEN, also=_CHAIN),
    "controller_reported_03": _means(K.DOOR_OPENING_FAULT, also=(K.ENTRAPMENT_AT_LANDING,)),
    "controller_reported_04": _means(K.STUCK_EMPTY, also=_OUTSIDE),
    # An event of one minute after every mode that has been left; whoever has freed a car stays up to 20 minutes.
    "mode_changed_40": _means(also=_LEFT, lingers_s=1_300.0),
    # Whoever has freed a car leaves it in inspection for a while.
    "mode_changed_43": _means(K.INSPECTION, also=_FREED),
}

# How long each kind must be observable before somebody may ask why it was not found, in s: the longest delay among
# its rules, and the seconds between readings. What is not named here is due after `_DUE_S`.
_DUE_S: Final = 15.0
DUE_S: Final[dict[Kind, float]] = {
    K.ENTRAPMENT_BETWEEN_LANDINGS: 35.0,
    K.ENTRAPMENT_AT_LANDING: 95.0,
    K.STUCK_EMPTY: 50.0,
    K.DOOR_CLOSING_FAULT: 60.0,
    K.LATE_DELIVERY: 240.0,
    K.DOOR_HELD: 300.0,
    K.LONG_STOP: 130.0,
    K.RESTART_PREVENTED: 960.0,
    K.MOTOR_OVERHEATING: 3_600.0,
    K.MACHINE_ROOM_HOT: 3_600.0,
    K.BATTERY_WEAK: 700.0,
    K.RELEVELLING: 2 * 3600.0,
    K.PRESENCE_STUCK: 2 * 3600.0,
    K.PRESENCE_FLICKER: 600.0,
    K.SPEED_OFFSET: 300.0,
    K.DOOR_SENSOR_WRONG: 3_600.0,
    K.DOOR_ZONE_STUCK: 3_600.0,
    K.LOAD_STUCK: 2 * 3600.0,
    **dict.fromkeys(WEAR, 6 * 3600.0),
}


# What some rule is there to find; slow wear besides is the condition monitor's, over weeks, and is only counted here.
FINDABLE: Final = frozenset(CODE) | frozenset(kind for meaning in MEANINGS.values() for kind in meaning.finds)


def meaning_of(rule: str, code: Code | None) -> Meaning:
    """Say what a rule's alarms tell of."""
    named = MEANINGS.get(rule)
    if named is not None:
        return named
    return Meaning(frozenset(kind for kind, own in CODE.items() if code is not None and own is code))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing to look at: a false alarm or a missed record, with what the signals said."""

    what: str
    rule: str
    kind: str
    lift: str
    at: int
    priority: int
    around: tuple[str, ...]
    signals: str


@dataclass(slots=True)
class KindScore:
    """How one kind of truth was found; `delays` in s."""

    true: int = 0
    brief: int = 0
    hidden: int = 0
    found: int = 0
    missed: int = 0
    ticket: int = 0
    delays: list[float] = field(default_factory=list)


@dataclass(slots=True)
class RuleScore:
    """How one rule's alarms did."""

    priority: str = ""
    code: int | None = None
    raised: int = 0
    true: int = 0
    false: int = 0


@dataclass(slots=True)
class Score:
    """What came of a run, or of many together. `fooled` counts false alarms by near miss and rule."""

    lift_days: float = 0.0
    kinds: dict[str, KindScore] = field(default_factory=lambda: defaultdict(KindScore))
    rules: dict[str, RuleScore] = field(default_factory=lambda: defaultdict(RuleScore))
    priorities: Counter[str] = field(default_factory=Counter)
    false_priorities: Counter[str] = field(default_factory=Counter)
    near_misses: Counter[str] = field(default_factory=Counter)
    fooled: Counter[tuple[str, str]] = field(default_factory=Counter)
    cases: list[Case] = field(default_factory=list)

    def add(self, other: Score) -> None:
        """Take in another section's score."""
        self.lift_days += other.lift_days
        for name, kind in other.kinds.items():
            mine = self.kinds[name]
            mine.true += kind.true
            mine.brief += kind.brief
            mine.hidden += kind.hidden
            mine.found += kind.found
            mine.missed += kind.missed
            mine.ticket += kind.ticket
            mine.delays += kind.delays
        for name, rule in other.rules.items():
            ours = self.rules[name]
            ours.priority, ours.code = rule.priority, rule.code
            ours.raised += rule.raised
            ours.true += rule.true
            ours.false += rule.false
        self.priorities += other.priorities
        self.false_priorities += other.false_priorities
        self.near_misses += other.near_misses
        self.fooled += other.fooled
        self.cases += other.cases

    def per_10k(self, count: float) -> float:
        """Give a count per 10,000 lift-days."""
        return 1e4 * count / self.lift_days if self.lift_days else float("nan")

    def worst(self, most: int = _SIGNIFICANT) -> list[Case]:
        """Give the worst cases: emergencies first, then those whose rule and kind is rarest, so that all are seen."""
        seen: Counter[tuple[str, str, str]] = Counter()
        ranked = []
        for case in sorted(self.cases, key=lambda one: (-one.priority, one.at, one.lift)):
            group = (case.what, case.rule, case.kind)
            ranked.append((seen[group] - 3 * case.priority, case))
            seen[group] += 1
        return [case for _, case in sorted(ranked, key=lambda pair: pair[0])[:most]]


class Index:
    """Records of truth by the lift or gateway they befell, in order of onset."""

    def __init__(self, truths: Iterable[Truth]) -> None:
        self._by_lift: dict[str, list[Truth]] = defaultdict(list)
        for truth in truths:
            self._by_lift[truth.lift].append(truth)

    def around(self, alarm: Raised, lingers_s: float = 0.0) -> list[Truth]:
        """Give what was going on at the alarm's lift, or at its gateway, when it was raised."""
        here = [*self._by_lift.get(alarm.lift, ()), *self._by_lift.get(alarm.gateway, ())]
        after = SLACK_US + round(lingers_s * SECOND_US)
        return [truth for truth in here if _touches(truth, alarm.at, after) or _touches(truth, alarm.out, after)]


def judge(
    alarms: Sequence[Raised],
    truths: Sequence[Truth],
    *,
    lift_days: float,
    began: int,
    ended: int,
    seen: Mapping[int, str] | None = None,
    rules: Mapping[str, Code | None] | None = None,
) -> Score:
    """Bring alarms and truth of a run from `began` to `ended` (µs) together; `seen` is what signals said, by `id`.

    `rules` names every rule with its code, so that rules which never rang can be seen not to.
    """
    score = Score(lift_days=lift_days)
    for rule, code in (rules or {}).items():
        score.rules[rule].code = None if code is None else int(code)
    index = Index(truths)
    finders: dict[int, list[Raised]] = defaultdict(list)
    tickets: set[int] = set()
    for alarm in alarms:
        lingers_s = meaning_of(alarm.rule, alarm.code).lingers_s
        _judge_alarm(alarm, index.around(alarm, lingers_s), score, finders, tickets)
    for truth in truths:
        if truth.near_miss:
            score.near_misses[truth.kind] += 1
        _judge_truth(truth, finders.get(id(truth), []), score, run=(began, ended), seen=seen or {}, tickets=tickets)
    return score


def _judge_alarm(
    alarm: Raised, around: list[Truth], score: Score, finders: dict[int, list[Raised]], tickets: set[int]
) -> None:
    meaning = meaning_of(alarm.rule, alarm.code)
    rule = score.rules[alarm.rule]
    rule.priority, rule.code = alarm.priority.name.lower(), None if alarm.code is None else int(alarm.code)
    rule.raised += 1
    score.priorities[rule.priority] += 1
    hit = False
    for truth in around:
        if alarm.priority is Priority.EMERGENCY:
            tickets.add(id(truth))
        if truth.kind in meaning.finds:
            finders[id(truth)].append(alarm)
        hit |= truth.kind in meaning.finds or truth.kind in meaning.true_in
    if hit:
        rule.true += 1
        return
    rule.false += 1
    score.false_priorities[rule.priority] += 1
    fooling = sorted({str(truth.kind) for truth in around if truth.kind in NEAR_MISSES}) or ["nothing"]
    for kind in fooling:
        score.fooled[kind, alarm.rule] += 1
    score.cases.append(
        Case(
            what="false",
            rule=alarm.rule,
            kind=fooling[0],
            lift=alarm.lift,
            at=alarm.out,
            priority=int(alarm.priority),
            around=tuple(sorted({str(truth.kind) for truth in around})),
            signals=f"{alarm.signals} onset {(alarm.onset - alarm.at) / SECOND_US:.0f} s before the alarm",
        )
    )


def _judge_truth(
    truth: Truth,
    found_by: list[Raised],
    score: Score,
    *,
    run: tuple[int, int],
    seen: Mapping[int, str],
    tickets: set[int],
) -> None:
    began, ended = run
    # Wear that has gone on for weeks can be seen from the first second on.
    observable = max(truth.onset if truth.observable_at is None else truth.observable_at, began)
    kind = score.kinds[truth.kind]
    kind.true += 1
    kind.ticket += id(truth) in tickets
    if truth.kind not in FINDABLE:
        return
    if found_by:
        kind.found += 1
        kind.delays.append((min(alarm.out for alarm in found_by) - observable) / SECOND_US)
        return
    if truth.observable_at is None:
        kind.hidden += 1
        return
    end = ended if truth.end is None else min(truth.end, ended)
    if end - observable < DUE_S.get(truth.kind, _DUE_S) * SECOND_US:
        kind.brief += 1
        return
    kind.missed += 1
    if truth.near_miss and truth.kind is not Kind.STUCK_EMPTY:
        return
    score.cases.append(
        Case(
            what="missed",
            rule="",
            kind=truth.kind,
            lift=truth.lift,
            at=observable,
            priority=int(Priority.EMERGENCY if truth.kind in _URGENT else Priority.LOW),
            around=(f"{truth.cause}, {truth.people} people, {(end - truth.onset) / SECOND_US:.0f} s",),
            signals=seen.get(id(truth), ""),
        )
    )


# Kinds in which people are in danger: to be found by an EMERGENCY.
_URGENT: Final = ENTRAPMENTS | {K.UNINTENDED_MOVEMENT, K.OVERTRAVEL_TOP, K.OVERTRAVEL_BOTTOM, K.ALARM_CALL}


def _touches(truth: Truth, moment: int, after: int) -> bool:
    end = truth.end
    return truth.onset - SLACK_US <= moment and (end is None or moment <= end + after)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Give a percentile, None of nothing."""
    return round(float(np.percentile(values, share)), 1) if values else None
