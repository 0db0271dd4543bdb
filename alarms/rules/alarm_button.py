"""Alarm button: someone in the car calls for help and cannot walk out.

Hazard: a person is shut in, ill, hurt or threatened.
Clears: the door opens at a landing, or the car moves on.
"""

from __future__ import annotations

from alarms.features import ALARM_CALL, moving
from alarms.readings import Readings
from alarms.rule import Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code


class AlarmButton(Rule):
    """A press that was not followed by a door opening at a landing.

    EN 81-28 filters presses with the door open at a landing, and presses under way when the door then opens at
    the next stop. It asks for alarms during maintenance too, so no mode inhibits this rule.
    """

    code = Code.ALARM_BUTTON
    priority = Priority.EMERGENCY
    on_delay_s = 5.0  # confirmation window met in practice; a door takes 1.8 to 2.5 s to open after a stop

    def holds(self, now: Readings) -> Mask:
        """Not known to be moving is enough: a terminal that reports the button alone must be heard too."""
        return now.remembers(ALARM_CALL) & ~moving(now)
