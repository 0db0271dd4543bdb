"""The signal catalogue: every column a reading may carry, declared once.

Validation, storage columns, Grafana units and the API's documentation all come from this table.
Names and values follow the real-time items of GB/T 24476-2017 where it has one (`item`); the rest
are signals that retrofit sensors and newer controllers report. Adding a signal is one line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

# float32 counts whole numbers exactly only up to here; a busy lift's door passes it in its life.
_EXACT_IN_FLOAT32 = 2**24


class ServiceMode(IntEnum):
    """Service_Mode of GB/T 24476-2017."""

    STOPPED = 0
    NORMAL = 1
    INSPECTION = 2
    FIRE_RETURN = 3
    FIREFIGHTER = 4
    EMERGENCY_POWER = 5
    EARTHQUAKE = 6
    UNKNOWN = 7


class Direction(IntEnum):
    """Car_Direction of GB/T 24476-2017."""

    NONE = 0
    UP = 1
    DOWN = 2


class DoorState(IntEnum):
    """What the door operator says of the car door."""

    UNKNOWN = 0
    CLOSING = 1
    CLOSED = 2
    OPENING = 3
    OPEN = 4
    LOCKED = 5
    HELD = 6


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """One column of telemetry: its name, unit, accepted range (inclusive) and names for people.

    `whole` marks flags, enumerations and counts, which take whole numbers only. `values` names each
    value of an enumeration or flag; `dtype` is the column's type in memory: float, so that NaN can say "not
    reported". A signal is compared by identity: there is one object for each name.
    """

    name: str
    unit: str
    low: float
    high: float
    en: str
    zh: str
    item: str = ""
    whole: bool = False
    values: dict[int, str] = field(default_factory=dict)
    dtype: np.dtype[np.floating] = field(init=False)

    def __post_init__(self) -> None:
        """Choose the column's type in memory."""
        wide = max(abs(self.low), abs(self.high)) > _EXACT_IN_FLOAT32 or self.unit == "h"
        object.__setattr__(self, "dtype", np.dtype(np.float64 if wide else np.float32))


def _flag(name: str, off: str, on: str, en: str, zh: str, item: str = "") -> Signal:
    return Signal(name, "", 0, 1, en, zh, item, whole=True, values={0: off, 1: on})


def _choice(name: str, options: type[IntEnum], en: str, zh: str, item: str = "") -> Signal:
    labels = {int(option): option.name.lower().replace("_", " ") for option in options}
    return Signal(name, "", min(labels), max(labels), en, zh, item, whole=True, values=labels)


SERVICE_MODE = _choice("service_mode", ServiceMode, "Service mode", "服务模式", "Service_Mode")
CAR_STATUS = _flag("car_status", "stopped", "running", "Car status", "轿厢运行状态", "Car_Status")
CAR_DIRECTION = _choice("car_direction", Direction, "Car direction", "轿厢运行方向", "Car_Direction")
DOOR_ZONE = _flag("door_zone", "outside", "inside", "In door zone", "开锁区域", "Door_Zone")
CAR_POSITION = Signal("car_position", "", -20, 250, "Landing", "电梯当前楼层", "Car_Position", whole=True)
DOOR_CLOSED = _flag("door_closed", "not closed", "closed in place", "Door closed", "关门到位", "Door_Status")
PASSENGER = _flag("passenger", "empty", "someone inside", "Passenger in car", "轿内是否有人", "Passenger_Status")
RUNNING_HOURS = Signal("running_hours", "h", 0, 1e6, "Running hours", "累计运行时间", "Total_Running_Time")
RUN_COUNT = Signal("run_count", "", 0, 1e9, "Run count", "累计运行次数", "Present_Counter_Value", whole=True)
CAR_SPEED = Signal("car_speed", "m/s", -20, 20, "Car speed, up positive", "轿厢速度")
CAR_HEIGHT = Signal("car_height", "m", -100, 1000, "Car height above lowest landing", "轿厢高度")
DOOR_STATE = _choice("door_state", DoorState, "Door state", "轿门状态")
SAFETY_CHAIN = _flag("safety_chain", "open", "closed", "Safety chain", "安全回路")
DOOR_LOCK = _flag("door_lock", "open", "closed", "Door lock circuit", "门锁回路")
BRAKE_RELEASED = _flag("brake_released", "applied", "released", "Brake released", "制动器松开")
LOAD = Signal("load", "of rated", 0, 1.5, "Load, share of rated", "载荷率")
MAIN_POWER = _flag("main_power", "lost", "present", "Main power", "主电源")
BATTERY = Signal("battery", "of full", 0, 1, "Battery, share of full", "后备电池电量")
ALARM_BUTTON = _flag("alarm_button", "released", "pressed", "Alarm button", "报警按钮")
VIBRATION_X = Signal("vibration_x", "m/s²", 0, 50, "Vibration x, RMS", "X 向振动")
VIBRATION_Y = Signal("vibration_y", "m/s²", 0, 50, "Vibration y, RMS", "Y 向振动")
VIBRATION_Z = Signal("vibration_z", "m/s²", 0, 50, "Vibration z, RMS", "Z 向振动")
MOTOR_CURRENT = Signal("motor_current", "A", 0, 1000, "Motor current", "电动机电流")
MOTOR_TEMPERATURE = Signal("motor_temperature", "°C", -40, 250, "Motor temperature", "电动机温度")
MACHINE_ROOM_TEMPERATURE = Signal("machine_room_temperature", "°C", -40, 100, "Machine room temperature", "机房温度")
LEVELLING_ERROR = Signal("levelling_error", "mm", -500, 500, "Levelling error at last stop", "平层误差")
DOOR_CYCLES = Signal("door_cycles", "", 0, 1e9, "Door cycles", "开关门次数", whole=True)
# EN 81-28 asks for an automatic test at least every 3 days, over the path of a real alarm.
TEST_CALL_AGE = Signal("test_call_age", "h", 0, 1e5, "Time since a test call got through", "距上次成功测试呼叫")

SIGNALS: tuple[Signal, ...] = (
    SERVICE_MODE,
    CAR_STATUS,
    CAR_DIRECTION,
    DOOR_ZONE,
    CAR_POSITION,
    DOOR_CLOSED,
    PASSENGER,
    RUNNING_HOURS,
    RUN_COUNT,
    CAR_SPEED,
    CAR_HEIGHT,
    DOOR_STATE,
    SAFETY_CHAIN,
    DOOR_LOCK,
    BRAKE_RELEASED,
    LOAD,
    MAIN_POWER,
    BATTERY,
    ALARM_BUTTON,
    VIBRATION_X,
    VIBRATION_Y,
    VIBRATION_Z,
    MOTOR_CURRENT,
    MOTOR_TEMPERATURE,
    MACHINE_ROOM_TEMPERATURE,
    LEVELLING_ERROR,
    DOOR_CYCLES,
    TEST_CALL_AGE,
)
BY_NAME: dict[str, Signal] = {signal.name: signal for signal in SIGNALS}
