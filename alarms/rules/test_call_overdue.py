"""Test call overdue: the emergency telephone has not called for three days.

Hazard: whoever presses the alarm button may reach nobody.
Clears: a test call gets through.
"""

from __future__ import annotations

from typing import Final

from alarms.readings import Readings
from alarms.rule import Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.signals import TEST_CALL_AGE

OVERDUE_H: Final = 72.0


class TestCallOverdue(Rule):
    """No test call for 72 hours."""

    priority = Priority.LOW
    on_delay_s = 0.0

    def holds(self, now: Readings) -> Mask:
        """EN 81-28 4.1.2: at least every three days."""
        return now[TEST_CALL_AGE] >= OVERDUE_H

    def clears(self, now: Readings) -> Mask:
        """Tested."""
        return now[TEST_CALL_AGE] < OVERDUE_H
