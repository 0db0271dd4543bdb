"""Runbooks: what an alarm means and what to do about it, for whoever has it before them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from api.guard import Guarded
from api.runbooks import Runbook, runbook_of, runbooks
from api.shapes import Key, Shape

router = APIRouter(prefix="/v1/runbooks", tags=["alarms"], route_class=Guarded)

RuleSlug = Annotated[Key, Path(description="The alarm's rule", examples=["entrapment_between_landings"])]


class RunbookName(Shape):
    """What people call a rule; `rule` is its slug, or the beginning of its variants' slugs."""

    rule: Annotated[str, Field(examples=["entrapment_between_landings"])]
    en: Annotated[str, Field(examples=["Entrapment between landings"])]
    zh: Annotated[str, Field(examples=["层间困人"])]
    condition: Annotated[bool, Field(examples=[False], description="A finding of condition monitoring")]


class RunbookNames(Shape):
    """Every rule that has a runbook, by slug."""

    runbooks: list[RunbookName]


class RunbookOut(RunbookName):
    """A runbook; both texts are Markdown, `when` says priority, code and delay."""

    when: Annotated[str, Field(examples=["Rule `entrapment_between_landings` · EMERGENCY · code 11 · after 30 s"])]
    text_en: Annotated[str, Field(examples=["**Do first**\n1. Open the ticket."])]
    text_zh: Annotated[str, Field(examples=["**先做**\n1. 打开工单。"])]


@router.get("")
def runbook_names() -> RunbookNames:
    """List what the rules are called, in English and Chinese."""
    return RunbookNames(runbooks=[RunbookName(**_name(page)) for page in runbooks().values()])


@router.get("/{rule}")
def runbook(rule: RuleSlug) -> RunbookOut:
    """Say what a rule's alarm means, what to do first and what not, in English and Chinese."""
    found = runbook_of(rule, runbooks())
    return RunbookOut(**_name(found), when=found.when, text_en=found.en, text_zh=found.zh)


def _name(page: Runbook) -> dict[str, Any]:
    return {"rule": page.rule, "en": page.name_en, "zh": page.name_zh, "condition": page.condition}
