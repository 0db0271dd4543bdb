"""What is declared about suppression is what the page for people says, and hides nobody in danger."""

from pathlib import Path

import pytest

from alarms import rules
from alarms.suppression import TABLE, Cause, may_hide
from lift.alarm import Priority

PAGE = (Path(__file__).parents[3] / "docs" / "alarm-philosophy.md").read_text("utf-8")


@pytest.mark.parametrize("cause", list(Cause))
def test_every_row_stands_on_the_page(cause: Cause) -> None:
    """With how long its consequences stay out of sight."""
    row = TABLE[cause]
    chinese = row.zh.split("：")[0]
    [line] = [line for line in PAGE.splitlines() if line.startswith("|") and chinese in line and "because" not in line][
        :1
    ]
    assert f"{row.lingers_s} s" in line
    assert row.why.split(",")[0].split(" and ")[0] in line


def test_no_rule_that_finds_people_in_danger_can_be_hidden() -> None:
    """Whatever the cause; nor one that waits for a person's reset."""
    known = rules.load().values()
    assert any(rule.priority is Priority.EMERGENCY for rule in known)
    for rule in known:
        if rule.priority is Priority.EMERGENCY or rule.latching:
            assert not may_hide(rule.priority, latching=rule.latching)
