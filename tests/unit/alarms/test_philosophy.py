"""The alarm philosophy says of every rule what its priority is and why."""

import re
from pathlib import Path

from alarms import rules

PAGE = Path(__file__).parents[3] / "docs" / "alarm-philosophy.md"


def test_every_priority_is_argued() -> None:
    """One line of the table for each rule, with the priority that the rule has and what a person does about it."""
    table = PAGE.read_text("utf-8").split("## Priorities argued")[1]
    argued: dict[str, str] = {}
    for names, priority, why in re.findall(r"^\| (`.*?) \| ([A-Z]+) \| (.+?) \|$", table, re.MULTILINE):
        assert len(why.split()) >= 3, names
        slugs = re.findall("`([a-z0-9_]+)`", names)
        assert not argued.keys() & slugs, slugs
        argued |= dict.fromkeys(slugs, priority)
    assert argued == {slug: rule.priority.name for slug, rule in rules.load().items()}
