"""The trip catalogue: what a gateway reports of each finished trip, declared once like the signals of telemetry.

A trip is a reading with other columns: a `Batch` whose `at` is the moment the car came to a stand. What a site cannot
measure is not reported: door times need a door signal, ride quality needs raw acceleration at 256 Hz or more.
"""

from __future__ import annotations

from typing import Final

from lift.signals import (
    LEVELLING_ERROR,
    LOAD,
    MACHINE_ROOM_TEMPERATURE,
    MOTOR_CURRENT,
    MOTOR_TEMPERATURE,
    RUN_COUNT,
    VIBRATION_X,
    VIBRATION_Y,
    VIBRATION_Z,
    Signal,
)

FROM_LANDING: Final = Signal("from_landing", "", -20, 250, "From landing", "出发层", whole=True)
TO_LANDING: Final = Signal("to_landing", "", -20, 250, "To landing", "到达层", whole=True)
# Signed: up is positive.
DISTANCE: Final = Signal("distance", "m", -1000, 1000, "Distance, up positive", "运行距离")
FLIGHT_TIME: Final = Signal("flight_time", "s", 0, 3600, "Flight time, start to stand", "运行时间")
TOP_SPEED: Final = Signal("top_speed", "m/s", 0, 20, "Highest speed", "最高速度")
DOOR_CLOSING_TIME: Final = Signal("door_closing_time", "s", 0, 600, "Door closing time before the trip", "关门时间")
DOOR_OPENING_TIME: Final = Signal("door_opening_time", "s", 0, 600, "Door opening time after the trip", "开门时间")
DOOR_REVERSALS: Final = Signal("door_reversals", "", 0, 1000, "Door reversals before", "关门反转次数", whole=True)
RELEVELLINGS: Final = Signal("relevellings", "", 0, 1000, "Re-levellings after the trip", "再平层次数", whole=True)

# ISO 18738-1: peak-to-peak vibration, weighted by ISO 8041 (maximum and A95): x and y over the trip, z at constant
# speed.
RIDE_X_MAX: Final = Signal("ride_x_max", "m/s²", 0, 50, "Ride x, largest peak to peak", "X 向最大峰峰值")
RIDE_X_A95: Final = Signal("ride_x_a95", "m/s²", 0, 50, "Ride x, A95 peak to peak", "X 向 A95 峰峰值")
RIDE_Y_MAX: Final = Signal("ride_y_max", "m/s²", 0, 50, "Ride y, largest peak to peak", "Y 向最大峰峰值")
RIDE_Y_A95: Final = Signal("ride_y_a95", "m/s²", 0, 50, "Ride y, A95 peak to peak", "Y 向 A95 峰峰值")
RIDE_Z_MAX: Final = Signal("ride_z_max", "m/s²", 0, 50, "Ride z, largest peak to peak", "Z 向最大峰峰值")
RIDE_Z_A95: Final = Signal("ride_z_a95", "m/s²", 0, 50, "Ride z, A95 peak to peak", "Z 向 A95 峰峰值")
JERK_MAX: Final = Signal("jerk_max", "m/s³", 0, 200, "Largest jerk", "最大加加速度")
ACCELERATION_MAX: Final = Signal("acceleration_max", "m/s²", 0, 50, "Largest acceleration", "最大加速度")
ACCELERATION_A95: Final = Signal("acceleration_a95", "m/s²", 0, 50, "A95 acceleration", "A95 加速度")
DECELERATION_MAX: Final = Signal("deceleration_max", "m/s²", 0, 50, "Largest deceleration", "最大减速度")
DECELERATION_A95: Final = Signal("deceleration_a95", "m/s²", 0, 50, "A95 deceleration", "A95 减速度")

# Where in the shaft it shakes: the largest horizontal RMS met in each eighth of the travel, lowest first.
HEIGHT_BANDS: Final = 8
VIBRATION_AT: Final = tuple(
    Signal(
        f"vibration_at_{band}",
        "m/s²",
        0,
        50,
        f"Horizontal vibration, eighth {band} of the travel",
        f"第 {band}/8 行程段水平振动",
    )
    for band in range(1, HEIGHT_BANDS + 1)
)

TRIP_SIGNALS: Final[tuple[Signal, ...]] = (
    RUN_COUNT,
    FROM_LANDING,
    TO_LANDING,
    DISTANCE,
    FLIGHT_TIME,
    TOP_SPEED,
    DOOR_CLOSING_TIME,
    DOOR_OPENING_TIME,
    DOOR_REVERSALS,
    LEVELLING_ERROR,
    RELEVELLINGS,
    LOAD,
    MOTOR_CURRENT,
    MOTOR_TEMPERATURE,
    MACHINE_ROOM_TEMPERATURE,
    VIBRATION_X,
    VIBRATION_Y,
    VIBRATION_Z,
    RIDE_X_MAX,
    RIDE_X_A95,
    RIDE_Y_MAX,
    RIDE_Y_A95,
    RIDE_Z_MAX,
    RIDE_Z_A95,
    JERK_MAX,
    ACCELERATION_MAX,
    ACCELERATION_A95,
    DECELERATION_MAX,
    DECELERATION_A95,
    *VIBRATION_AT,
)
TRIP_BY_NAME: Final[dict[str, Signal]] = {signal.name: signal for signal in TRIP_SIGNALS}
