"""What really happened: one record for each fault and each near miss, and how the records are written down."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

from lift.codes import Code


class Kind(StrEnum):
    """What can happen to a lift, its sensors, or its line."""

    ENTRAPMENT_BETWEEN_LANDINGS = "entrapment_between_landings"
    ENTRAPMENT_AT_LANDING = "entrapment_at_landing"
    SAFETY_CHAIN_OPEN = "safety_chain_open"
    DOOR_CLOSING_FAULT = "door_closing_fault"
    DOOR_OPENING_FAULT = "door_opening_fault"
    UNINTENDED_MOVEMENT = "unintended_movement"
    RUN_TIME_LIMITER = "run_time_limiter"
    POSITION_LOST = "position_lost"
    RESTART_PREVENTED = "restart_prevented"
    OVERTRAVEL_TOP = "overtravel_top"
    OVERTRAVEL_BOTTOM = "overtravel_bottom"
    OVERSPEED = "overspeed"
    MAIN_POWER_LOST = "main_power_lost"
    ALARM_CALL = "alarm_call"

    DOOR_BELT_WEAR = "door_belt_wear"
    BRAKE_WEAR = "brake_wear"
    RAIL_JOINT_WEAR = "rail_joint_wear"
    BEARING_WEAR = "bearing_wear"
    ROPE_SLIP = "rope_slip"

    MOTOR_OVERHEATING = "motor_overheating"
    MACHINE_ROOM_HOT = "machine_room_hot"
    BATTERY_WEAK = "battery_weak"
    TEST_CALL_OVERDUE = "test_call_overdue"
    RELEVELLING = "relevelling"

    STUCK_EMPTY = "stuck_empty"
    LONG_STOP = "long_stop"
    DOOR_HELD = "door_held"
    INSPECTION = "inspection"
    FIRE_DRILL = "fire_drill"
    FIREFIGHTER_DRILL = "firefighter_drill"
    GENERATOR_TEST = "generator_test"
    EARTHQUAKE = "earthquake"
    SWITCHED_OFF = "switched_off"
    PLAYFUL_ALARM = "playful_alarm"
    PRESENCE_FLICKER = "presence_flicker"
    PRESENCE_STUCK = "presence_stuck"
    SPEED_OFFSET = "speed_offset"
    DOOR_SENSOR_WRONG = "door_sensor_wrong"
    DOOR_ZONE_STUCK = "door_zone_stuck"
    LOAD_STUCK = "load_stuck"
    GATEWAY_RESTART = "gateway_restart"
    CLOCK_JUMP = "clock_jump"
    CLOCK_SKEW = "clock_skew"
    DUPLICATES = "duplicates"
    REORDERING = "reordering"
    LATE_DELIVERY = "late_delivery"


ENTRAPMENTS: Final = frozenset({Kind.ENTRAPMENT_BETWEEN_LANDINGS, Kind.ENTRAPMENT_AT_LANDING})
WEAR: Final = frozenset({Kind.DOOR_BELT_WEAR, Kind.BRAKE_WEAR, Kind.RAIL_JOINT_WEAR, Kind.BEARING_WEAR, Kind.ROPE_SLIP})
LINE: Final = frozenset(
    {Kind.GATEWAY_RESTART, Kind.CLOCK_JUMP, Kind.CLOCK_SKEW, Kind.DUPLICATES, Kind.REORDERING, Kind.LATE_DELIVERY}
)
NEAR_MISSES: Final = LINE | {
    Kind.STUCK_EMPTY,
    Kind.LONG_STOP,
    Kind.DOOR_HELD,
    Kind.INSPECTION,
    Kind.FIRE_DRILL,
    Kind.FIREFIGHTER_DRILL,
    Kind.GENERATOR_TEST,
    Kind.EARTHQUAKE,
    Kind.SWITCHED_OFF,
    Kind.PLAYFUL_ALARM,
    Kind.PRESENCE_FLICKER,
    Kind.PRESENCE_STUCK,
    Kind.SPEED_OFFSET,
    Kind.DOOR_SENSOR_WRONG,
    Kind.DOOR_ZONE_STUCK,
    Kind.LOAD_STUCK,
}

CODE: Final[dict[Kind, Code]] = {
    Kind.ENTRAPMENT_BETWEEN_LANDINGS: Code.ENTRAPMENT,
    Kind.ENTRAPMENT_AT_LANDING: Code.ENTRAPMENT,
    Kind.SAFETY_CHAIN_OPEN: Code.SAFETY_CHAIN_OPEN,
    Kind.DOOR_CLOSING_FAULT: Code.DOOR_CLOSING_FAULT,
    Kind.DOOR_OPENING_FAULT: Code.DOOR_OPENING_FAULT,
    Kind.STUCK_EMPTY: Code.STOPPED_OUTSIDE_DOOR_ZONE,
    Kind.UNINTENDED_MOVEMENT: Code.UNINTENDED_CAR_MOVEMENT,
    Kind.RUN_TIME_LIMITER: Code.RUN_TIME_LIMITER,
    Kind.POSITION_LOST: Code.POSITION_LOST,
    Kind.RESTART_PREVENTED: Code.RESTART_PREVENTED,
    Kind.OVERTRAVEL_TOP: Code.OVERTRAVEL_TOP,
    Kind.OVERTRAVEL_BOTTOM: Code.OVERTRAVEL_BOTTOM,
    Kind.MAIN_POWER_LOST: Code.MAIN_POWER_LOST,
    Kind.INSPECTION: Code.INSPECTION,
    Kind.FIRE_DRILL: Code.FIRE_RETURN,
    Kind.FIREFIGHTER_DRILL: Code.FIREFIGHTER,
    Kind.GENERATOR_TEST: Code.EMERGENCY_POWER,
    Kind.EARTHQUAKE: Code.EARTHQUAKE,
    Kind.SWITCHED_OFF: Code.OUT_OF_SERVICE,
    Kind.ALARM_CALL: Code.ALARM_BUTTON,
    Kind.PLAYFUL_ALARM: Code.ALARM_BUTTON,
}


@dataclass(slots=True, kw_only=True)
class Truth:
    """One thing that happened to one lift, or to one gateway (then `lift` is its name).

    Records that share `event` have one origin: a door lock that opens under way is a SAFETY_CHAIN_OPEN, and with
    people in the car an entrapment too. `cause` is the bulletins' cause, "class/detail". Times are µs since 1970
    UTC: `onset` is when it began, `observable_at` when a perfect observer of the true values of what the lift's
    terminal reports could first tell it from normal service (None: nothing that it reports ever shows it), `end`
    when it was over (None: it still is). `people` were trapped, or for other kinds were in the car at the onset;
    `trapped_s` says how long.
    """

    event: int
    lift: str
    kind: Kind
    code: int | None
    cause: str
    near_miss: bool
    onset: int
    observable_at: int | None
    end: int | None
    people: int
    trapped_s: float

    def to_json(self) -> str:
        """Write the record as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))
