"""Supervision: a role that fails is started again, and says so; it never takes the others with it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

_PAUSE_S_MAX: Final = 30.0


class Role:
    """One thread that repeats a step until told to stop.

    A step that raises is logged and repeated after a growing pause; meanwhile `failing` says why, which
    health checks show.
    """

    def __init__(self, name: str, step: Callable[[], object], *, pause_s: float = 0.0) -> None:
        """Prepare the thread; `pause_s` is the rest between two steps."""
        self.name = name
        self.failing: str | None = None
        self._step = step
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> Role:
        """Start the thread."""
        self._thread.start()
        return self

    def stop(self, *, within_s: float = 2.0) -> bool:
        """Ask the thread to stop after its present step; False if it did not in time."""
        self._stop.set()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        wait_s = 0.1
        while not self._stop.is_set():
            try:
                self._step()
            except Exception as error:
                log.exception("%s failed; trying again in %.1f s", self.name, wait_s)
                self.failing = f"{type(error).__name__}: {error}"
                self._stop.wait(wait_s)
                wait_s = min(2 * wait_s, _PAUSE_S_MAX)
            else:
                self.failing = None
                wait_s = 0.1
                if self._pause_s:
                    self._stop.wait(self._pause_s)
