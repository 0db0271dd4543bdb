"""The runbooks as people read them at a desk: a page's two names, and what to do in each language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from lift.errors import NotFound

FOLDER: Final = Path(__file__).parents[1] / "docs" / "runbooks"

_PAGE: Final = re.compile(
    r"# (?P<name_en>[^·\n]+?) · (?P<name_zh>[^\n]+)\n(?P<when>.*?)"
    r"\n## English\n(?P<en>.*?)\n## 中文\n(?P<zh>.*?)(?:\n## |\Z)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runbook:
    """What to do about the alarms of a rule; `rule` is its slug, or the beginning of its variants' slugs.

    `en` and `zh` are Markdown without the headings of the page; `when` says priority, code and delay.
    """

    rule: str
    name_en: str
    name_zh: str
    when: str
    en: str
    zh: str

    @property
    def condition(self) -> bool:
        """Whether condition monitoring finds it, over days, and not a rule."""
        return self.when.startswith("Condition monitor")


@cache
def runbooks(folder: Path = FOLDER) -> Mapping[str, Runbook]:
    """Read every page of a folder, by the rule's slug; ValueError names a page that lacks a language.

    They are a part of the program and are read once.
    """
    return {page.stem: _read(page) for page in sorted(folder.glob("*.md"))}


def runbook_of(rule: str, pages: Mapping[str, Runbook]) -> Runbook:
    """Find the page of a rule, or of the family whose variant it is; raises NotFound.

    A family's variants go by the family's slug and an ending: `mode_changed_43` is told of in `mode_changed.md`.
    """
    slug = rule
    while slug not in pages:
        slug, _, ending = slug.rpartition("_")
        if not ending:
            raise NotFound(f"no runbook tells of the rule {rule!r}")
    return pages[slug]


def _read(page: Path) -> Runbook:
    found = _PAGE.match(page.read_text(encoding="utf-8"))
    if found is None:
        message = f"{page} is no runbook: it needs a heading `# Name · 名称` and the parts `## English` and `## 中文`"
        raise ValueError(message)
    return Runbook(rule=page.stem, **{name: text.strip() for name, text in found.groupdict().items()})
