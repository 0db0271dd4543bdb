"""Files of ours that are written anew now and then and must be whole after a power cut."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def save(path: Path, *parts: bytes) -> None:
    """Put parts, end to end, in place of a file: whatever happens, it holds all of the old or all of the new."""
    with replacing(path) as file:
        file.writelines(parts)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of another as `save` does, once all is written that is too much for parts."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
