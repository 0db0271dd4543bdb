"""Controller reported: the lift's own controller reports a fault of GB/T 24476, codes 01 to 11.

Hazard: what the code says; a controller sees contacts and encoders that no retrofit sensor sees.
Clears: the controller no longer reports the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code, label

# EMERGENCY where people are in danger now: shut in, at an end of the shaft, or on the sill of a car that moves.
PRIORITIES: Final[dict[Code, Priority]] = {
    Code.SAFETY_CHAIN_OPEN: Priority.HIGH,
    Code.DOOR_CLOSING_FAULT: Priority.MEDIUM,
    Code.DOOR_OPENING_FAULT: Priority.HIGH,  # the door may not open for someone inside
    Code.STOPPED_OUTSIDE_DOOR_ZONE: Priority.HIGH,
    Code.UNINTENDED_CAR_MOVEMENT: Priority.EMERGENCY,
    Code.RUN_TIME_LIMITER: Priority.HIGH,  # the drive turns and the car does not come: it hangs or it slips
    Code.POSITION_LOST: Priority.MEDIUM,
    Code.RESTART_PREVENTED: Priority.MEDIUM,
    Code.OVERTRAVEL_TOP: Priority.EMERGENCY,
    Code.OVERTRAVEL_BOTTOM: Priority.EMERGENCY,
    Code.ENTRAPMENT: Priority.EMERGENCY,
}
# The Chongqing extension has numbers of its own for the same three things.
ALSO: Final[dict[Code, Code]] = {
    Code.OVERTRAVEL_TOP: Code.OVERTRAVEL_TOP_LOCAL,
    Code.OVERTRAVEL_BOTTOM: Code.OVERTRAVEL_BOTTOM_LOCAL,
    Code.ENTRAPMENT: Code.ENTRAPMENT_AT_LANDING_LOCAL,
}


class ControllerReported(Rule):
    """One code for as long as it is reported; a family of rules, `controller_reported_01` and on."""

    on_delay_s = 5.0  # confirmation window met in practice; the controller has waited before it reports
    off_delay_s = 10.0  # controllers drop a code while they try again: our choice
    inhibited_in = ATTENDED

    def __init__(self, code: Code) -> None:
        self.code = code
        self.priority = PRIORITIES[code]
        self._codes = (code, ALSO[code]) if code in ALSO else (code,)

    def holds(self, now: Readings) -> Mask:
        """The code, or its local number, is active."""
        reported = now.reports(self._codes[0])
        for code in self._codes[1:]:
            reported = np.logical_or(reported, now.reports(code))
        return reported

    @classmethod
    def variants(cls, slug: str) -> Mapping[str, Rule]:
        """Give a rule for each code, its number at the end of its slug."""
        return {f"{slug}_{label(code)}": cls(code) for code in PRIORITIES}
