"""The rules, one file and one class each; a file's name is its rule's slug."""

from __future__ import annotations

import importlib
from pathlib import Path

from alarms.rule import Rule


def load() -> dict[str, Rule]:
    """Load every rule of this folder by slug, in alphabetical order; ImportError when a file and its class disagree.

    A file `door_closing_fault.py` must hold the class `DoorClosingFault`.
    """
    rules: dict[str, Rule] = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        rules.update(load_file(path.stem))
    return rules


def load_file(slug: str) -> dict[str, Rule]:
    """Load the rule or the family of rules of one file."""
    module = importlib.import_module(f"{__name__}.{slug}")
    wanted = class_name(slug)
    found = [thing for name, thing in vars(module).items() if name == wanted]
    if not found or not (isinstance(found[0], type) and issubclass(found[0], Rule)):
        raise ImportError(f"{module.__file__}: must define the rule class {wanted}, named after the file")
    return dict(found[0].variants(slug))


def class_name(slug: str) -> str:
    """Give the class that a file must hold.

    >>> class_name("door_closing_fault")
    'DoorClosingFault'
    """
    return "".join(word.capitalize() for word in slug.split("_"))
