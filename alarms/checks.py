"""The contract every rule keeps, as checks that anybody may run on a rule of their own.

    for check in yield_checks():
        check(Case(slug, rule, runbooks=Path("docs/runbooks")))

A check raises AssertionError saying what the rule did. Chance is seeded, so a failure repeats.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from alarms.memory import Highest, Memory, Remembered, Tally, discover
from alarms.readings import Probe, Readings, readings_of
from alarms.rule import DELAY_S_MAX, Rule
from lift import codes as code_sets
from lift.alarm import Priority
from lift.batch import Floats, Ints, Mask
from lift.codes import Code
from lift.signals import SIGNALS, Signal

_LIFTS: Final = 2_000
_SEED: Final = 96333
# Small integers and simple speeds meet a rule's conditions far more often than the whole range does.
_MODEST: Final = 8
_MISSING_SHARE: Final = 0.1
_NAMED_IN_RUNBOOK: Final = ("## English", "## 中文")
_BANNED_CALLS: Final = frozenset({"nan_to_num", "nansum", "nanmean", "nanmax", "nanmin", "nanstd", "nanmedian"})


@dataclass(frozen=True, slots=True)
class Case:
    """A rule, what it is called, and the folder of runbooks where its page must be."""

    slug: str
    rule: Rule
    runbooks: Path


Check: TypeAlias = Callable[[Case], None]


def yield_checks() -> Iterator[Check]:
    """Give every check."""
    yield check_answers_each_lift
    yield check_silent_without_data
    yield check_silent_on_no_lifts
    yield check_input_untouched
    yield check_same_input_same_output
    yield check_judges_each_lift_alone
    yield check_ignores_unrelated_signals
    yield check_never_holds_and_clears_at_once
    yield check_compares_so_that_missing_is_silent
    yield check_states_hazard_and_clears
    yield check_has_runbook
    yield check_delays_are_bounded
    yield check_is_well_declared


# ---------------------------------------------------------------------------------------- behaviour


def check_answers_each_lift(case: Case) -> None:
    """One yes or no a lift."""
    for mask in _answers(case.rule, _World(case.rule).readings()):
        assert mask.dtype == np.bool_, f"{case.slug}: answers {mask.dtype}, not yes or no"
        assert mask.shape == (_LIFTS,), f"{case.slug}: answers {mask.shape} for {_LIFTS} lifts"


def check_silent_without_data(case: Case) -> None:
    """A lift that nothing is known of raises nothing, and no fact is remembered of it."""
    nothing = _World(case.rule).nothing()
    begun = [memory.begins(nothing) for memory in _memories(case.rule) if isinstance(memory, Remembered)]
    counted = [memory.counts(nothing) for memory in _memories(case.rule) if isinstance(memory, Tally)]
    for mask in [*_conditions(case.rule, nothing), *begun, *counted]:
        assert not mask.any(), f"{case.slug}: holds for a lift that has reported nothing"


def check_silent_on_no_lifts(case: Case) -> None:
    """No lifts, no answer, no error."""
    for mask in _answers(case.rule, _World(case.rule).readings(np.empty(0, np.intp))):
        assert mask.size == 0, f"{case.slug}: answers {mask.size} times for no lifts"


def check_input_untouched(case: Case) -> None:
    """What a rule sees is the fleet's state: it may only read."""
    world = _World(case.rule)
    now, before = world.readings(), world.readings()
    try:
        _answers(case.rule, now)
    except ValueError as error:
        raise AssertionError(f"{case.slug}: writes into what it was given ({error})") from error
    same = all(np.array_equal(now[signal], before[signal], equal_nan=True) for signal in SIGNALS)
    assert same, f"{case.slug}: changed the readings it was given"


def check_same_input_same_output(case: Case) -> None:
    """No chance, no clock, no memory of the call before."""
    world = _World(case.rule)
    first, other = _answers(case.rule, world.readings()), _World(case.rule, seed=_SEED + 1)
    _answers(case.rule, other.readings())
    _expect_equal(first, _answers(case.rule, world.readings()), f"{case.slug}: answers differently the second time")


def check_judges_each_lift_alone(case: Case) -> None:
    """Neither the order of the lifts nor the company of others changes an answer."""
    world = _World(case.rule)
    whole = _answers(case.rule, world.readings())
    shuffled = np.random.default_rng(_SEED).permutation(_LIFTS)[: _LIFTS // 3]
    part = _answers(case.rule, world.readings(shuffled))
    _expect_equal([mask[shuffled] for mask in whole], part, f"{case.slug}: answers differently among other lifts")


def check_ignores_unrelated_signals(case: Case) -> None:
    """Signals the rule does not ask for may say anything."""
    world = _World(case.rule)
    asked = _Asked.of(world.readings())
    expected = _answers(case.rule, asked)
    other = _World(case.rule, seed=_SEED + 1)
    world.columns |= {signal: other.columns[signal] for signal in SIGNALS if signal not in asked.signals}
    changed = _Asked.of(world.readings())
    _expect_equal(expected, _answers(case.rule, changed), f"{case.slug}: follows a signal it does not ask for")
    assert changed.signals == asked.signals, f"{case.slug}: asks for other signals when the data differ"


def check_never_holds_and_clears_at_once(case: Case) -> None:
    """A condition that is met is not over."""
    if not case.rule.measures_silence:
        now = _World(case.rule).readings()
        assert not (case.rule.holds(now) & case.rule.clears(now)).any(), f"{case.slug}: holds and clears at once"


# --------------------------------------------------------------------------------------------- form


def check_compares_so_that_missing_is_silent(case: Case) -> None:
    """No `!=`, which is true for a missing value, and nothing that makes a number of one."""
    for node in ast.walk(ast.parse(inspect.getsource(inspect.getmodule(type(case.rule)) or type(case.rule)))):
        if isinstance(node, ast.Compare):
            unequal = any(isinstance(operator, ast.NotEq) for operator in node.ops)
            assert not unequal, f"{case.slug}: line {node.lineno} uses !=, which is true where data are missing"
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        assert name not in _BANNED_CALLS, f"{case.slug}: uses {name}, which makes a value of a missing one"


def check_states_hazard_and_clears(case: Case) -> None:
    """The file's docstring says what may happen to people, and when the alarm is over."""
    text = sys.modules[type(case.rule).__module__].__doc__ or ""
    for word in ("Hazard", "Clears"):
        assert re.search(rf"^{word}: \S.{{10,}}", text, re.MULTILINE), (
            f"{case.slug}: docstring has no line '{word}: ...'"
        )


def check_has_runbook(case: Case) -> None:
    """Someone at a desk at 3 a.m. finds a page under the rule's file name, in both languages."""
    stem = type(case.rule).__module__.rpartition(".")[2]
    page = case.runbooks / f"{stem}.md"
    assert page.is_file(), f"{case.slug}: has no runbook {page}"
    text = page.read_text(encoding="utf-8")
    missing = [heading for heading in _NAMED_IN_RUNBOOK if heading not in text]
    assert not missing, f"{case.slug}: runbook {page} lacks {', '.join(missing)}"


def check_delays_are_bounded(case: Case) -> None:
    """Delays are finite, not negative and at most an hour."""
    for name in ("on_delay_s", "off_delay_s", "bridges_s", "heard_s"):
        delay = getattr(case.rule, name)
        assert 0 <= delay <= DELAY_S_MAX, f"{case.slug}: {name} is {delay}, accepted is 0 to {DELAY_S_MAX:g}"
    assert case.rule.on_delay_s or not case.rule.measures_silence, f"{case.slug}: silence of no length"


def check_is_well_declared(case: Case) -> None:
    """Priority, code and slug are of their kinds; a measure of silence has nothing else to say."""
    assert isinstance(case.rule.priority, Priority), f"{case.slug}: priority {case.rule.priority!r}"
    assert case.rule.code is None or isinstance(case.rule.code, Code), f"{case.slug}: code {case.rule.code!r}"
    assert re.fullmatch(r"[a-z][a-z0-9_]{2,60}", case.slug), f"{case.slug!r}: a slug is small letters, digits and _"
    assert type(case.rule).__doc__, f"{case.slug}: the class has no docstring"
    if case.rule.measures_silence:
        more = case.rule.latching or case.rule.has_signs or case.rule.inhibited_in
        assert not more, f"{case.slug}: silence only counts seconds"


# --------------------------------------------------------------------------------------------- data


class _World:
    """Seeded random readings of many lifts, a tenth of them missing."""

    def __init__(self, rule: Rule, seed: int = _SEED) -> None:
        chance = np.random.default_rng(seed)
        self.columns: dict[Signal, Floats] = {signal: _random(signal, chance) for signal in SIGNALS}
        share = 0.05
        bits = np.array([code_sets.bit(code) for code in Code], np.int64)
        self.codes: Ints = (chance.random((_LIFTS, bits.size)) < share) @ bits
        self.memories: dict[Memory, Any] = {memory: _recalled(memory, chance) for memory in _memories(rule)}
        self.rated: Floats = chance.choice(np.array([np.nan, 1.0, 1.6, 2.5], np.float32), _LIFTS)
        self.landings: Floats = chance.choice(np.array([np.nan, 2.0, 6.0, 12.0], np.float32), _LIFTS)

    def readings(self, which: Ints | None = None) -> Readings:
        picked = np.arange(_LIFTS) if which is None else which
        return readings_of(
            {signal: values[picked] for signal, values in self.columns.items()},
            lifts=picked.size,
            codes=self.codes[picked],
            memories={memory: values[picked] for memory, values in self.memories.items()},
            rated_speed=self.rated[picked],
            landings=self.landings[picked],
        )

    def nothing(self) -> Readings:
        unknown = {memory: np.nan if isinstance(memory, Highest) else 0 for memory in self.memories}
        return readings_of({}, lifts=_LIFTS, memories=unknown)


class _Asked(Readings):
    """Readings that note which signals are asked for."""

    signals: set[Signal]

    @classmethod
    def of(cls, now: Readings) -> _Asked:
        asked = cls(now._known, now._where, len(now))  # noqa: SLF001 - a Readings itself
        asked.signals = set()
        return asked

    def __getitem__(self, signal: Signal) -> Floats:
        self.signals.add(signal)
        return super().__getitem__(signal)


def _random(signal: Signal, chance: np.random.Generator) -> Floats:
    low, high = max(signal.low, -_MODEST), min(signal.high, _MODEST)
    if signal.whole:
        values = chance.integers(int(low), int(high) + 1, _LIFTS).astype(np.float32)
    else:
        # Nothing at all is the commonest value of speeds and currents, and where rules look closest.
        values = np.where(chance.random(_LIFTS) < 1 / 3, 0.0, chance.uniform(low, high, _LIFTS)).astype(np.float32)
    values[chance.random(_LIFTS) < _MISSING_SHARE] = np.nan
    return values


def _conditions(rule: Rule, now: Readings) -> list[Mask]:
    return [] if rule.measures_silence else [rule.holds(now)]


def _answers(rule: Rule, now: Readings) -> list[Mask]:
    """Ask everything the engine would ask."""
    asks: list[Callable[[Readings], Any]] = [ask for memory in _memories(rule) for ask in memory.asks]
    clearing = [rule.clears(now)] if rule.has_hysteresis else []
    settling = [rule.settled(now)] if rule.bridges_s else []
    believed = [value > 0 for value in rule.signs(now).values()]
    asked = [answer if answer.dtype == np.bool_ else answer > 0 for answer in (ask(now) for ask in asks)]
    return [*_conditions(rule, now), *clearing, *settling, *believed, *asked]


def _memories(rule: Rule) -> list[Memory]:
    return discover(rule.asks, Probe)


def _recalled(memory: Memory, chance: np.random.Generator) -> Any:  # noqa: ANN401 - flags or floats
    match memory:
        case Remembered():
            return chance.random(_LIFTS) < 1 / 2
        case Tally():
            return chance.integers(0, 40, _LIFTS).astype(np.float32)
        case Highest():
            return chance.uniform(-_MODEST, _MODEST, _LIFTS).astype(np.float32)


def _expect_equal(expected: list[Mask], actual: list[Mask], complaint: str) -> None:
    assert all(np.array_equal(one, other) for one, other in zip(expected, actual, strict=True)), complaint
