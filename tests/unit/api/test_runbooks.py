"""Runbooks over the API."""

from collections.abc import Callable
from pathlib import Path

import pytest

from alarms import rules
from alarms.condition.features import RULES
from api.runbooks import runbook_of, runbooks
from lift.errors import NotFound
from tests.unit.api.world import Client

SLUGS = sorted(rules.load().keys() | RULES)


@pytest.mark.parametrize("slug", SLUGS)
def test_every_alarm_has_a_page_in_both_languages(slug: str) -> None:
    """Whatever rings, a desk can say what it is called and what to do, in English and Chinese."""
    page = runbook_of(slug, runbooks())
    assert slug.startswith(page.rule)
    assert page.condition == (slug in RULES)
    assert page.name_en.isascii()
    assert "**Do first**" in page.en
    assert "**先做**" in page.zh
    assert "## " not in page.en + page.zh


def test_desk_reads_what_to_do(dispatcher: Client) -> None:
    """A page is found by the rule of an alarm, also by a variant's of a family."""
    page = dispatcher.get("/v1/runbooks/mode_changed_43").json()
    assert (page["rule"], page["en"], page["zh"]) == ("mode_changed", "Mode changed", "服务模式变化")
    assert "mode_changed" in page["when"]
    names = {name["rule"]: name["zh"] for name in dispatcher.get("/v1/runbooks").json()["runbooks"]}
    assert names["entrapment_between_landings"] == "层间困人"


@pytest.mark.parametrize("slug", ["none", "mode", "../settings", "_"])
def test_unknown_rule_is_not_found(dispatcher: Client, slug: str) -> None:
    """What no page tells of is said so; nothing else of the disk is read."""
    assert dispatcher.get(f"/v1/runbooks/{slug}").status_code == 404
    with pytest.raises(NotFound):
        runbook_of(slug, runbooks())


def test_page_without_a_language_is_named(tmp_path: Path) -> None:
    """A page that lacks a part stops whoever reads it, with its name."""
    (tmp_path / "half.md").write_text("# Half · 一半\n\nRule\n\n## English\n\nWords\n")
    with pytest.raises(ValueError, match=r"half\.md"):
        runbooks(tmp_path)


def test_people_learn_what_they_may_do(sign_in: Callable[[str], Client]) -> None:
    """A screen can leave out what would be refused: the list is the table of permissions."""
    assert "acknowledge_alarm" in sign_in("dispatcher").get("/v1/me").json()["may"]
    assert "acknowledge_alarm" not in sign_in("inspector").get("/v1/me").json()["may"]
    assert "close_ticket" not in sign_in("east").get("/v1/me").json()["may"]
