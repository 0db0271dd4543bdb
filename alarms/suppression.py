"""Suppression by design (ISA-18.2, IEC 62682): which alarms are the consequence of what, as one table.

An alarm whose cause is known already tells nobody anything new, so it is kept on record and out of sight until its
cause has ended; what then still holds is shown. An EMERGENCY is never suppressed, nor an alarm that latches: people in
danger, and what a person must reset, stay in sight whatever else has failed.

Modes in which a trained person controls the car are no row here: the engine itself does not judge a rule in the modes
of its `inhibited_in`, so nothing is raised there, and what holds when the mode ends is raised after its on-delay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lift.alarm import Priority

MAIN_POWER_LOST: Final = "main_power_lost"
CONTACT_LOST: Final = "contact_lost"


class Cause(StrEnum):
    """What explains other alarms."""

    MAIN_POWER_LOST = "main_power_lost"
    POWER_CUT = "power_cut"
    GATEWAY_OFFLINE = "gateway_offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """One row: while the cause stands, these alarms of these lifts are out of sight, and `lingers_s` longer.

    `rules` None means every rule; `why` and `zh` are for people.
    """

    of: str
    rules: frozenset[str] | None
    lingers_s: int
    why: str
    zh: str


TABLE: Final[Mapping[Cause, Suppression]] = {
    Cause.MAIN_POWER_LOST: Suppression(
        of="the lift itself",
        rules=None,
        lingers_s=120,  # a controller starts anew and runs to a landing before its faults are its own: our choice
        why="without mains the safety chain is open, the car stands where it was and the terminal falls silent",
        zh="主电源断电：本梯其他非紧急报警是其后果",
    ),
    Cause.POWER_CUT: Suppression(
        of="every lift of a building that the power cut has reached",
        rules=None,
        lingers_s=120,
        why="one cut explains the mains and all that follows in each of its lifts",
        zh="区域停电：停电楼宇内各梯的非紧急报警是其后果",
    ),
    Cause.GATEWAY_OFFLINE: Suppression(
        of="the lifts behind the gateway",
        rules=frozenset({CONTACT_LOST}),
        lingers_s=180,  # the on-delay of contact_lost: a lift that is silent for as long after the return is so itself
        why="no lift can be heard through a gateway that is not there",
        zh="网关离线：其下各梯的失联是其后果",
    ),
}


def may_hide(priority: Priority, *, latching: bool) -> bool:
    """Say whether an alarm may be suppressed by design at all; a line of the journal is in nobody's sight anyway."""
    return Priority.JOURNAL < priority < Priority.EMERGENCY and not latching


def covers(cause: Cause, rule: str) -> bool:
    """Say whether a cause explains the alarms of a rule."""
    rules = TABLE[cause].rules
    return rules is None or rule in rules


def lingers_us(cause: Cause) -> int:
    """Give how long after its cause has ended an alarm stays out of sight, in µs."""
    return TABLE[cause].lingers_s * 1_000_000
