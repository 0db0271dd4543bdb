"""Door closing fault: the door tries to close again and again, and does not get there.

Hazard: the lift is out of use, and passengers who help the door by hand get their fingers in it.
Clears: the door closes, or has stopped trying.
"""

from __future__ import annotations

from typing import Final

from alarms.features import REVERSALS, door_shut, mains_lost, occupied
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code
from lift.signals import DOOR_CLOSED, DOOR_STATE, DoorState

# Two or three people at each opening have filled a car by then: our choice.
CROWD_REVERSALS_MAX: Final = 8.0


class DoorClosingFault(Rule):
    """Closing, without a longer break than a door takes to open and try once more, for longer than any door takes.

    A door that a person or a removal van keeps open is open (4) or held (6), tries now and then, and is no fault. Nor
    is one that opens again for people who get in, as long as there is room for more of them.
    """

    code = Code.DOOR_CLOSING_FAULT
    priority = Priority.MEDIUM
    # Field practice: 30 s. A sound door takes 3.2 to 5.9 s by its width (GB/T 10058); nudging begins after 15 s.
    on_delay_s = 45.0
    # From one try to the next: opening 1.8 to 2.5 s and dwell 2 to 5 s, and the reading before and after.
    bridges_s = 10.0
    off_delay_s = 10.0
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """A contact that says "closed in place" overrules an operator that still says "closing"."""
        closing = now.shows(DOOR_STATE, DoorState.CLOSING)
        return closing & ~now.shows(DOOR_CLOSED, 1) & ~mains_lost(now)

    def settled(self, now: Readings) -> Mask:
        """A door that shut in between did get there; one that opened may have done so for whoever is inside now."""
        crowd = now.shows(DOOR_STATE, DoorState.OPEN) & occupied(now) & (now.tally(REVERSALS) < CROWD_REVERSALS_MAX)
        return door_shut(now) | crowd
