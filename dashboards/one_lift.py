"""One lift, by the rescue code on its plate: what it does now, and what led to it."""

from __future__ import annotations

from typing import Final

from dashboards.layout import INFLUXDB_UID, Row, dashboard, source_variable, text_variable
from dashboards.panels import code_states, now_age, now_states, states, timeseries
from dashboards.queries import highest, lowest, newest_reading
from lift.codes import Code
from lift.signals import (
    ALARM_BUTTON,
    BATTERY,
    BRAKE_RELEASED,
    CAR_DIRECTION,
    CAR_HEIGHT,
    CAR_POSITION,
    CAR_SPEED,
    CAR_STATUS,
    DOOR_CLOSED,
    DOOR_CYCLES,
    DOOR_LOCK,
    DOOR_STATE,
    DOOR_ZONE,
    LEVELLING_ERROR,
    LOAD,
    MACHINE_ROOM_TEMPERATURE,
    MAIN_POWER,
    MOTOR_CURRENT,
    MOTOR_TEMPERATURE,
    PASSENGER,
    RUN_COUNT,
    RUNNING_HOURS,
    SAFETY_CHAIN,
    SERVICE_MODE,
    TEST_CALL_AGE,
    VIBRATION_X,
    VIBRATION_Y,
    VIBRATION_Z,
)

# The lift that the handbook's examples publish readings of by hand.
_FIRST_SHOWN: Final = "063577"

_EVENTS: Final = tuple(code for code in Code if Code.BACK_TO_AUTOMATIC <= code <= Code.EARTHQUAKE)
_FAULTS: Final = tuple(code for code in Code if code not in _EVENTS)

_NOW: Final = Row(
    "Now 当前",
    (
        now_states(
            "Newest known state 最新状态",
            SERVICE_MODE,
            PASSENGER,
            DOOR_ZONE,
            DOOR_STATE,
            CAR_STATUS,
            SAFETY_CHAIN,
            MAIN_POWER,
            ALARM_BUTTON,
        ),
        now_age("Last reading 最近读数", newest_reading()),
    ),
)

_STATE: Final = Row(
    "State 状态",
    (
        # Of several readings in one step the one counts that a dispatcher must not miss.
        states(
            "Car, door and passengers 轿厢、轿门与乘客",
            SERVICE_MODE,
            highest(PASSENGER),
            highest(ALARM_BUTTON),
            DOOR_ZONE,
            DOOR_STATE,
            lowest(DOOR_CLOSED),
            CAR_STATUS,
            CAR_DIRECTION,
            lowest(SAFETY_CHAIN),
            lowest(DOOR_LOCK),
            BRAKE_RELEASED,
            lowest(MAIN_POWER),
            height=13,
        ),
        code_states("Active faults and alarms 有效故障与报警", *_FAULTS, height=12),
        code_states("Active events 有效事件", *_EVENTS, height=12),
    ),
)

_MOTION: Final = Row(
    "Motion 运行",
    (
        # An average of runs up and down says nothing; the extremes show the fastest run each way.
        timeseries("Car speed 轿厢速度", highest(CAR_SPEED), lowest(CAR_SPEED)),
        timeseries("Car height 轿厢高度", CAR_HEIGHT),
        timeseries("Landing 楼层", CAR_POSITION, width=8),
        timeseries("Load 载荷", highest(LOAD), width=8),
        timeseries("Levelling error 平层误差", highest(LEVELLING_ERROR), lowest(LEVELLING_ERROR), width=8),
    ),
)

_MACHINE: Final = Row(
    "Machine 主机",
    (
        timeseries("Vibration 振动", highest(VIBRATION_X), highest(VIBRATION_Y), highest(VIBRATION_Z)),
        timeseries("Motor current 电动机电流", highest(MOTOR_CURRENT)),
        timeseries("Temperatures 温度", MOTOR_TEMPERATURE, MACHINE_ROOM_TEMPERATURE, width=8),
        timeseries("Battery 后备电池", lowest(BATTERY), width=8),
        timeseries("Test call 测试呼叫", highest(TEST_CALL_AGE), width=8),
    ),
)

_LIFE: Final = Row(
    "Since installation 安装以来",
    (
        timeseries("Trips 运行次数", RUN_COUNT, width=8, height=6),
        timeseries("Door cycles 开关门次数", DOOR_CYCLES, width=8, height=6),
        timeseries("Running hours 运行小时", RUNNING_HOURS, width=8, height=6),
    ),
)

LIFT: Final = dashboard(
    "liftwatch-lift",
    "Lift 电梯",
    about="One lift by its rescue code: state now, what led to it, motion, machine. 按救援识别码查看一台电梯。",
    rows=(_NOW, _STATE, _MOTION, _MACHINE, _LIFE),
    variables=(
        text_variable("lift", "Rescue code 救援识别码", first=_FIRST_SHOWN),
        source_variable("telemetry", "Readings 读数", kind="influxdb", uid=INFLUXDB_UID),
    ),
    span="1h",
)
