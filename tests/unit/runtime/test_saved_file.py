"""Files that are written anew now and then."""

import os
from pathlib import Path

import pytest

from runtime import saved_file


def test_a_save_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that refuses half-way costs the new state, never the old one; the next save takes its place."""
    path = tmp_path / "engine.state"
    saved_file.save(path, b"old")
    with monkeypatch.context() as patch:

        def refuse(_file: int) -> None:
            raise OSError("no space left")

        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="no space"):
            saved_file.save(path, b"new", b" state")
    assert path.read_bytes() == b"old"
    saved_file.save(path, b"new", b" state")
    assert path.read_bytes() == b"new state"
