"""A notifier for one machine: every notification becomes a line of the log and, if wanted, of a console."""

from __future__ import annotations

import logging
from typing import TextIO

from lift.ports import OutboxItem

_log = logging.getLogger(__name__)


class LogNotifier:
    """A `lift.ports.Notifier` whose messages anyone at the machine can read; it never fails."""

    def __init__(self, console: TextIO | None = None) -> None:
        """Write to the log and, when given, to a console."""
        self._console = console

    def send(self, item: OutboxItem) -> None:
        """Write one notification: to whom, at which number, and its text."""
        line = f"{item.kind} to {item.party_id} ({item.phone or 'no number'}): {item.text}"
        _log.info("%s", line)
        if self._console is not None:
            self._console.write(line + "\n")
            self._console.flush()
