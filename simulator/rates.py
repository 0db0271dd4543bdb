"""How often things happen: life's rates by kind and cause, and how a scenario speeds them up.

Entrapments follow the bulletins: about 600 per 10,000 lifts a year, by cause human 27-44 %, external 19-34 % (power
cuts 20-23 %), door system 12-20 %, control 11 %. Rates of faults without anybody inside and of near misses
are published by nobody; they are our estimates from maintenance practice, on the high side for near misses.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from simulator.truth import WEAR, Kind

YEAR_S: Final = 365.25 * 86_400
# Entrapments a lift-year that do not come from power cuts; those make the rest of the 0.06.
ENTRAPMENTS: Final = 0.052


class Follows(StrEnum):
    """What a rate goes along with: use and age, use alone, nothing, working hours, or a bad component batch."""

    WEAR_AND_USE = "wear_and_use"
    USE = "use"
    EVEN = "even"
    WORKING_HOURS = "working_hours"
    BAD_BATCH = "bad_batch"


class Scope(StrEnum):
    """Whom it happens to at once."""

    LIFT = "lift"
    BUILDING = "building"
    FEEDER = "feeder"


class Pace(StrEnum):
    """Groups of rates that a scenario scales separately."""

    ENTRAPMENTS = "entrapments"
    FAULTS = "faults"
    POWER = "power"
    WEAR = "wear"
    NEAR_MISSES = "near_misses"
    LINE = "line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often one kind with one cause happens, a lift-year (for BUILDING and FEEDER: still counted per lift)."""

    kind: Kind
    cause: str
    a_year: float
    pace: Pace
    follows: Follows = Follows.WEAR_AND_USE
    scope: Scope = Scope.LIFT
    loaded: bool | None = None


_BETWEEN: Final = Kind.ENTRAPMENT_BETWEEN_LANDINGS
_AT: Final = Kind.ENTRAPMENT_AT_LANDING

# Kind, cause and share of the entrapments that are not power cuts' (0.78 of all).
_ENTRAPMENT_CAUSES: Final = (
    (_AT, "human/rubbish in the door", 0.11),
    (_BETWEEN, "human/rubbish in the door", 0.04),
    (_BETWEEN, "human/rough moving", 0.06),
    (_AT, "human/renovation debris", 0.035),
    (_AT, "human/door blocked too long", 0.03),
    (_AT, "human/overload", 0.03),
    (_BETWEEN, "external/water in the electrics", 0.03),
    (_BETWEEN, "external/machine room too hot", 0.02),
    (_BETWEEN, "external/back to service by itself", 0.02),
    (Kind.SAFETY_CHAIN_OPEN, "door system/landing door lock", 0.06),
    (Kind.SAFETY_CHAIN_OPEN, "door system/car door lock", 0.03),
    (Kind.DOOR_OPENING_FAULT, "door system/door operator", 0.065),
    (_BETWEEN, "control system/controller", 0.08),
    (_AT, "control system/drive", 0.04),
    (Kind.RUN_TIME_LIMITER, "traction/ropes slip", 0.03),
    (_BETWEEN, "traction/brake", 0.02),
    (_BETWEEN, "guiding/guide shoes", 0.02),
    (_AT, "car/door gear", 0.015),
    (Kind.SAFETY_CHAIN_OPEN, "safety/governor switch", 0.025),
    (_BETWEEN, "other/unknown", 0.03),
)


def _entrapments() -> list[Rate]:
    total = sum(share for _, _, share in _ENTRAPMENT_CAUSES)
    return [
        Rate(kind=kind, cause=cause, a_year=ENTRAPMENTS * share / total, pace=Pace.ENTRAPMENTS, loaded=True)
        for kind, cause, share in _ENTRAPMENT_CAUSES
    ]


def _near_miss(kind: Kind, cause: str, a_year: float, follows: Follows = Follows.USE) -> Rate:
    return Rate(kind=kind, cause=cause, a_year=a_year, pace=Pace.NEAR_MISSES, follows=follows)


def _drill(kind: Kind, a_year: float) -> Rate:
    return Rate(
        kind=kind, cause="drill", a_year=a_year, pace=Pace.NEAR_MISSES, follows=Follows.WORKING_HOURS,
        scope=Scope.BUILDING,
    )  # fmt: skip


def _fault(kind: Kind, cause: str, a_year: float, *, loaded: bool | None = None) -> Rate:
    return Rate(kind=kind, cause=cause, a_year=a_year, pace=Pace.FAULTS, loaded=loaded)


def _wear(kind: Kind, cause: str, a_year: float, follows: Follows = Follows.WEAR_AND_USE) -> Rate:
    return Rate(kind=kind, cause=cause, a_year=a_year, pace=Pace.WEAR, follows=follows)


# Troubles of the line: how often a year, and whether they befall a whole gateway or one lift's terminal.
LINE_A_YEAR: Final[dict[Kind, tuple[float, bool]]] = {
    Kind.GATEWAY_RESTART: (12.0, True),
    Kind.CLOCK_JUMP: (1.0, True),
    Kind.CLOCK_SKEW: (0.05, False),
    Kind.DUPLICATES: (6.0, True),
    Kind.REORDERING: (6.0, True),
    Kind.LATE_DELIVERY: (0.5, False),
}

_POWER_CUT: Final = "external/power cut"

LIFE: Final[tuple[Rate, ...]] = (
    *_entrapments(),
    Rate(
        kind=Kind.MAIN_POWER_LOST, cause=_POWER_CUT, a_year=0.2, pace=Pace.POWER,
        follows=Follows.USE, scope=Scope.BUILDING,
    ),
    Rate(
        kind=Kind.MAIN_POWER_LOST, cause=_POWER_CUT, a_year=0.026, pace=Pace.POWER,
        follows=Follows.USE, scope=Scope.FEEDER,
    ),
    _fault(Kind.STUCK_EMPTY, "control system/controller", 0.05),
    _fault(Kind.STUCK_EMPTY, "human/rubbish in the door", 0.03),
    _fault(Kind.SAFETY_CHAIN_OPEN, "door system/landing door lock", 0.04, loaded=False),
    _fault(Kind.DOOR_CLOSING_FAULT, "human/rubbish in the door", 0.22),
    _fault(Kind.DOOR_CLOSING_FAULT, "door system/door operator", 0.16),
    _fault(Kind.DOOR_OPENING_FAULT, "door system/door operator", 0.04, loaded=False),
    _fault(Kind.UNINTENDED_MOVEMENT, "traction/brake", 0.0004),
    _fault(Kind.RUN_TIME_LIMITER, "traction/ropes slip", 0.01, loaded=False),
    _fault(Kind.POSITION_LOST, "control system/position", 0.1),
    _fault(Kind.RESTART_PREVENTED, "control system/drive", 0.25),
    _fault(Kind.OVERTRAVEL_TOP, "traction/brake", 0.0008),
    _fault(Kind.OVERTRAVEL_BOTTOM, "traction/brake", 0.001),
    _fault(Kind.OVERSPEED, "traction/drive", 0.0006),
    _fault(Kind.MOTOR_OVERHEATING, "traction/motor fan", 0.01),
    _fault(Kind.MACHINE_ROOM_HOT, "external/machine room too hot", 0.03),
    _fault(Kind.BATTERY_WEAK, "electrical/battery", 0.05),
    _fault(Kind.TEST_CALL_OVERDUE, "electrical/telephone line", 0.05),
    _fault(Kind.RELEVELLING, "traction/ropes stretch", 0.03),
    _wear(Kind.DOOR_BELT_WEAR, "door system/belt", 0.05),
    _wear(Kind.DOOR_BELT_WEAR, "door system/bad batch", 1.2, Follows.BAD_BATCH),
    _wear(Kind.BRAKE_WEAR, "traction/brake lining", 0.02),
    _wear(Kind.RAIL_JOINT_WEAR, "guiding/rail joint", 0.02),
    _wear(Kind.BEARING_WEAR, "traction/motor bearing", 0.015),
    _wear(Kind.ROPE_SLIP, "traction/ropes", 0.01),
    _near_miss(Kind.LONG_STOP, "human/talk in the door", 20.0),
    _near_miss(Kind.DOOR_HELD, "human/removal", 6.0),
    _near_miss(Kind.INSPECTION, "maintenance", 24.0, Follows.WORKING_HOURS),
    _drill(Kind.FIRE_DRILL, 0.8),
    _drill(Kind.FIREFIGHTER_DRILL, 0.2),
    _drill(Kind.GENERATOR_TEST, 0.3),
    Rate(
        kind=Kind.EARTHQUAKE, cause="external/earthquake", a_year=0.02, pace=Pace.NEAR_MISSES,
        follows=Follows.EVEN, scope=Scope.FEEDER,
    ),
    _near_miss(Kind.SWITCHED_OFF, "use unit", 6.0, Follows.EVEN),
    _near_miss(Kind.PLAYFUL_ALARM, "human/children", 4.0),
    _near_miss(Kind.PRESENCE_FLICKER, "sensor", 0.3, Follows.EVEN),
    _near_miss(Kind.PRESENCE_STUCK, "sensor", 0.1, Follows.EVEN),
    _near_miss(Kind.SPEED_OFFSET, "sensor", 0.1, Follows.EVEN),
    _near_miss(Kind.DOOR_SENSOR_WRONG, "sensor", 0.1, Follows.EVEN),
    _near_miss(Kind.DOOR_ZONE_STUCK, "sensor", 0.05, Follows.EVEN),
    _near_miss(Kind.LOAD_STUCK, "sensor", 0.05, Follows.EVEN),
)  # fmt: skip

assert {rate.kind for rate in LIFE} >= WEAR
