"""Sections as a gateway's file gives them to its driver, and what comes out of the driver then."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapters.clock import SystemClock
from gateway.document import Document, Section
from gateway.driver import Driver, Surroundings, Troubles
from lift.batch import Batch

WITHIN_S = 20.0


def document(text: str, folder: Path | None = None) -> Document:
    """Read a text as the file gateway.toml of a folder."""
    if folder is None:
        with tempfile.TemporaryDirectory() as passing:
            return document(text, Path(passing))
    (folder / "gateway.toml").write_text(text, "utf-8")
    return Document(folder / "gateway.toml")


def section(text: str, folder: Path | None = None) -> Section:
    """Give the whole of a text as one section."""
    return document(text, folder).root


class Running:
    """A driver at work in a thread, and what it has given so far."""

    def __init__(self, driver: Driver) -> None:
        """Start it."""
        self.stop = threading.Event()
        self.troubles = Troubles()
        self.around = Surroundings(SystemClock(), self.stop, self.troubles)
        self.taken: list[Batch] = []
        self._seen = 0
        self._driver = driver
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.taken.extend(self._driver.batches(self.around))

    def rows(self, lift: str = "") -> list[dict[str, Any]]:
        """Give the readings so far, of one lift or all, as the JSON form spells them."""
        return [row for batch in list(self.taken) for row in batch.rows() if lift in {"", row["lift"]}]

    def until(self, what: Callable[[], object]) -> None:
        """Wait until something is true."""
        deadline = time.monotonic() + WITHIN_S
        while not what():
            assert time.monotonic() < deadline, (self.troubles.present(), self.rows()[-3:])
            assert self._thread.is_alive()
            time.sleep(0.01)

    def next(self, lift: str = "", **wanted: object) -> dict[str, Any]:
        """Wait for the first reading, after the one given last, of a lift and with the values wanted; gives it."""
        found: list[dict[str, Any]] = []

        def came() -> bool:
            while self._seen < len(self.taken) and not found:
                rows = self.taken[self._seen].rows()
                found.extend(row for row in rows if lift in {"", row["lift"]} and row.items() >= wanted.items())
                self._seen += 1
            return bool(found)

        self.until(came)
        return found[0]

    def leave(self) -> None:
        """Tell it to stop, and see that nothing of it stays behind."""
        self.stop.set()
        self._thread.join(WITHIN_S)
        assert not self._thread.is_alive()
        assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("driver ")]


@contextmanager
def running(driver: Driver) -> Iterator[Running]:
    """Run a driver for the length of a test."""
    one = Running(driver)
    try:
        yield one
    finally:
        one.leave()
