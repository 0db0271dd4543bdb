"""Mode changed: the lift has entered a service mode of GB/T 24476, events 40 and 42 to 47.

Hazard: none; it says why a lift does not come, and what a crew will find.
Clears: the mode has been left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from alarms.readings import Readings
from alarms.rule import Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code, label
from lift.signals import SERVICE_MODE, ServiceMode

# 40 is an event without a mode of its own: only a controller can tell it. What a person has chosen asks nobody to act
# and is a line of the journal; what a detector has chosen asks somebody to look.
MODES: Final[dict[Code, tuple[ServiceMode | None, Priority]]] = {
    Code.BACK_TO_AUTOMATIC: (None, Priority.JOURNAL),
    Code.OUT_OF_SERVICE: (ServiceMode.STOPPED, Priority.JOURNAL),  # a key was turned
    Code.INSPECTION: (ServiceMode.INSPECTION, Priority.JOURNAL),  # a mechanic is there
    Code.FIRE_RETURN: (ServiceMode.FIRE_RETURN, Priority.LOW),  # ask the building whether it burns or drills
    Code.FIREFIGHTER: (ServiceMode.FIREFIGHTER, Priority.JOURNAL),  # the fire service has turned its switch
    Code.EMERGENCY_POWER: (ServiceMode.EMERGENCY_POWER, Priority.JOURNAL),  # the generator does what it is there for
    Code.EARTHQUAKE: (ServiceMode.EARTHQUAKE, Priority.LOW),  # each lift is looked at before it runs again
}


class ModeChanged(Rule):
    """One mode for as long as the lift is in it; a family of rules, `mode_changed_40` and on."""

    on_delay_s = 5.0  # confirmation window met in practice
    off_delay_s = 10.0

    def __init__(self, code: Code) -> None:
        self.code = code
        self._mode, self.priority = MODES[code]

    def holds(self, now: Readings) -> Mask:
        """By the mode itself, or by the controller's event."""
        reported = now.reports(self.code or Code.BACK_TO_AUTOMATIC)
        return reported if self._mode is None else np.logical_or(reported, now.shows(SERVICE_MODE, self._mode))

    @classmethod
    def variants(cls, slug: str) -> Mapping[str, Rule]:
        """Give a rule for each event, its number at the end of its slug."""
        return {f"{slug}_{label(code)}": cls(code) for code in MODES}
