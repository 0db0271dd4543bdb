"""Drivers: each reads one kind of source and gives batches. One file and one class each, found by name."""

from __future__ import annotations

import importlib
from pathlib import Path

from gateway.driver import Driver


def names() -> list[str]:
    """List the drivers of this folder."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def load(name: str) -> type[Driver]:
    """Load one driver; ImportError when a file and its class disagree, or there is no such file.

    >>> load("controller").__name__
    'Controller'
    """
    if name not in names():
        raise ImportError(f"{name!r} is not a driver; there are {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    wanted = "".join(word.capitalize() for word in name.split("_"))
    driver: type[Driver] | None = getattr(module, wanted, None)
    if driver is None or not callable(getattr(driver, "batches", None)):
        raise ImportError(f"{module.__file__}: must define the driver class {wanted}, named after the file")
    return driver
