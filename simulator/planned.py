"""Things that are going to happen, and the moment in a lift's work that each waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from simulator.cars import Armed
from simulator.truth import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """Something that is going to happen: `at` s after the start, to a lift. `lasts_s` None = drawn.

    `group` numbers planned things of one origin (a power cut). `silent` = nobody presses the alarm
    button. `people` > 0 = so many people are sent into the car
    beforehand, so that it strikes soon whatever the traffic.
    """

    at: float
    slot: int
    kind: Kind
    cause: str
    loaded: bool | None = None
    lasts_s: float | None = None
    group: int = 0
    people: int = 0
    silent: bool = False


_TRIGGER: Final[dict[Kind, int]] = {
    Kind.ENTRAPMENT_AT_LANDING: Armed.LOADED_ARRIVAL,
    Kind.OVERTRAVEL_TOP: Armed.ANY_ARRIVAL,
    Kind.OVERTRAVEL_BOTTOM: Armed.ANY_ARRIVAL,
    Kind.ENTRAPMENT_BETWEEN_LANDINGS: Armed.LOADED_RUN,
    Kind.STUCK_EMPTY: Armed.EMPTY_RUN,
}
_ON_A_RUN: Final = frozenset({Kind.SAFETY_CHAIN_OPEN, Kind.RUN_TIME_LIMITER, Kind.POSITION_LOST, Kind.OVERSPEED})


def trigger(planned: Planned) -> int:
    """Say what a thing waits for before it strikes: one of `Armed`."""
    if planned.kind is Kind.DOOR_OPENING_FAULT:
        return Armed.LOADED_ARRIVAL if planned.loaded else Armed.EMPTY_ARRIVAL
    if planned.kind not in _ON_A_RUN:
        return _TRIGGER.get(planned.kind, Armed.OPENED)
    if planned.loaded is None:
        return Armed.ANY_RUN
    return Armed.LOADED_RUN if planned.loaded else Armed.EMPTY_RUN
