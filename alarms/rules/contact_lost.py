"""Contact lost: a lift has sent nothing for three minutes.

Hazard: whatever happens in the car now, nobody will be told.
Clears: the lift sends a reading.
"""

from __future__ import annotations

from alarms.rule import Rule
from lift.alarm import Priority


class ContactLost(Rule):
    """No reading for 180 s. A lift that has never reported is not missed: it is counted in the metrics."""

    priority = Priority.MEDIUM
    on_delay_s = 180.0  # idle terminals report every 10 to 30 s; servers met in practice drop a device after 180 s
    measures_silence = True
