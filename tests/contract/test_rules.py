"""Every rule keeps the contract, and a careless rule is caught by it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from alarms import rules
from alarms.checks import Case, Check, yield_checks
from alarms.rule import Rule

RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"
CASES = [
    pytest.param(Case(slug, rule, RUNBOOKS), check, id=f"{slug}-{check.__name__}")
    for slug, rule in rules.load().items()
    for check in yield_checks()
]

CARELESS = '''
"""A rule that treats missing data as a standing, occupied car."""
import numpy as np
from alarms.rule import Rule
from lift.alarm import Priority
from lift.signals import CAR_SPEED, DOOR_ZONE

class Careless(Rule):
    """Careless."""
    priority = Priority.EMERGENCY
    on_delay_s = 90_000.0
    def holds(self, now):
        speed = np.nan_to_num(now[CAR_SPEED])
        return (speed <= speed.sum()) & (now[DOOR_ZONE] != 1)
'''

SCRIBBLING = '''
"""A rule that repairs the readings in place."""
from alarms.rule import Rule
from lift.alarm import Priority
from lift.signals import CAR_SPEED

class Scribbling(Rule):
    """Scribbling."""
    priority = Priority.LOW
    on_delay_s = 1.0
    def holds(self, now):
        speed = now[CAR_SPEED]
        speed[speed < 0] = 0
        return speed > 1
'''


@pytest.mark.parametrize(("case", "check"), CASES)
def test_rule_keeps_the_contract(case: Case, check: Check) -> None:
    """Each rule passes each check, with no test written for it."""
    check(case)


def planted(folder: Path, name: str, source: str) -> Rule:
    """Load a rule from source text as if it were a file of its own."""
    path = folder / f"{name}.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"planted.{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    rule: Rule = getattr(module, name.capitalize())()
    return rule


def failures(slug: str, rule: Rule) -> set[str]:
    """Name the checks that a rule fails."""
    failed = set()
    for check in yield_checks():
        try:
            check(Case(slug, rule, RUNBOOKS))
        except (AssertionError, ValueError):
            failed.add(check.__name__)
    return failed


def test_careless_rule_fails_the_right_checks(tmp_path: Path) -> None:
    """Missing data made into values, other lifts mixed in, no hazard, no runbook, no bound: each is named."""
    assert failures("careless", planted(tmp_path, "careless", CARELESS)) == {
        "check_silent_without_data",
        "check_judges_each_lift_alone",
        "check_compares_so_that_missing_is_silent",
        "check_states_hazard_and_clears",
        "check_has_runbook",
        "check_delays_are_bounded",
    }


def test_rule_that_writes_into_the_readings_is_caught(tmp_path: Path) -> None:
    """The fleet's state cannot be repaired from inside a rule."""
    assert "check_input_untouched" in failures("scribbling", planted(tmp_path, "scribbling", SCRIBBLING))
