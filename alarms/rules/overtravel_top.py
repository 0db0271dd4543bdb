"""Overtravel at the top: the car stands above its highest landing.

Hazard: the car has run past its limit switch; passengers are shut in under the shaft head.
Clears: the car is back within its landings.
"""

from __future__ import annotations

from typing import Final

from alarms.features import (
    TOP_LANDING,
    TOP_ZONE_DEPTH,
    ZONE_REACH_M,
    door_shut,
    landings_above,
    outside_door_zone,
    standing,
)
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority
from lift.batch import Mask
from lift.codes import Code
from lift.signals import CAR_HEIGHT, SAFETY_CHAIN

# EN 81-20 5.2.5.7: buffers let the car travel some decimetres beyond; the final limit acts before they are reached.
OVERTRAVEL_MIN: Final = 0.21
OVERTRAVEL_MAX: Final = 0.6


class OvertravelTop(Rule):
    """Standing shut, a little above the last landing, be it known by its open door or by its number."""

    code = Code.OVERTRAVEL_TOP
    priority = Priority.EMERGENCY
    on_delay_s = 5.0  # confirmation window met in practice
    off_delay_s = 3.0
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """Silent for a lift that has not been seen at its top landing: far above what is known is another landing."""
        height = now[CAR_HEIGHT]
        over_level = height - now.highest(TOP_LANDING)
        over_zone = height + now.highest(TOP_ZONE_DEPTH)
        # Who has only been seen at the first landing yet, and stops a little above it, is not at the top.
        beyond = (over_level > OVERTRAVEL_MIN) & (over_level < OVERTRAVEL_MAX) & ~landings_above(now)
        # A place in the zone is up to its reach below the landing.
        beyond |= (over_zone > OVERTRAVEL_MIN) & (over_zone < OVERTRAVEL_MAX + ZONE_REACH_M)
        stopped = standing(now) & outside_door_zone(now) & door_shut(now) & ~now.shows(SAFETY_CHAIN, 1)
        return stopped & beyond
