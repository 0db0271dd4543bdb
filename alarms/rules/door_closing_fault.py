"""Door closing fault: the door tries to close again and again, and does not get there.

Hazard: the lift is out of use, and passengers who help the door by hand get their fingers in it.
Clears: the door closes, or has stopped trying.
"""

from __future__ import annotations

from alarms.features import door_shut, mains_lost
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code
from lift.signals import DOOR_CLOSED, DOOR_STATE, DoorState


class DoorClosingFault(Rule):
    """Closing, without a longer break than a door takes to open and try once more, for longer than any door takes.

    A door that a person or a removal van keeps open is open (4) or held (6), tries now and then, and is no fault.
    """

    code = Code.DOOR_CLOSING_FAULT
    priority = Priority.MEDIUM
    # Field practice: 30 s, in which a crowd in a lobby at eight in the morning can keep a sound door from closing.
    # A sound door takes 3.2 to 5.9 s by its width (GB/T 10058); nudging begins after 15 s.
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
        """A door that shut in between did get there."""
        return door_shut(now)
