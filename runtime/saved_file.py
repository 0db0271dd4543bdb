"""Files of ours that are written anew now and then and must be whole after a power cut."""

from __future__ import annotations

import os
from pathlib import Path


def save(path: Path, *parts: bytes) -> None:
    """Put parts, end to end, in place of a file: whatever happens, it holds all of the old or all of the new."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
