"""Fault, event and alarm codes of GB/T 24476 and of the city supervision tables built on it.

01-08, 40-47 and 90 stand in the 2017 standard; 09-11 are the supervision-table extension and 91-93
the Chongqing extension. A set of codes travels in memory as one 64-bit integer, a bit for each code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final


class Code(IntEnum):
    """A GB/T 24476 code; its value is the number on the wire."""

    SAFETY_CHAIN_OPEN = 1
    DOOR_CLOSING_FAULT = 2
    DOOR_OPENING_FAULT = 3
    STOPPED_OUTSIDE_DOOR_ZONE = 4
    UNINTENDED_CAR_MOVEMENT = 5
    RUN_TIME_LIMITER = 6
    POSITION_LOST = 7
    RESTART_PREVENTED = 8
    OVERTRAVEL_TOP = 9
    OVERTRAVEL_BOTTOM = 10
    ENTRAPMENT = 11
    BACK_TO_AUTOMATIC = 40
    MAIN_POWER_LOST = 41
    OUT_OF_SERVICE = 42
    INSPECTION = 43
    FIRE_RETURN = 44
    FIREFIGHTER = 45
    EMERGENCY_POWER = 46
    EARTHQUAKE = 47
    ALARM_BUTTON = 90
    OVERTRAVEL_BOTTOM_LOCAL = 91
    OVERTRAVEL_TOP_LOCAL = 92
    ENTRAPMENT_AT_LANDING_LOCAL = 93


NAMES: Final[dict[Code, tuple[str, str]]] = {
    Code.SAFETY_CHAIN_OPEN: ("Safety chain open while running", "安全回路断路"),
    Code.DOOR_CLOSING_FAULT: ("Door closing fault", "关门故障"),
    Code.DOOR_OPENING_FAULT: ("Door opening fault", "开门故障"),
    Code.STOPPED_OUTSIDE_DOOR_ZONE: ("Stopped outside the door zone", "开锁区域外停止"),
    Code.UNINTENDED_CAR_MOVEMENT: ("Unintended car movement", "轿厢意外移动"),
    Code.RUN_TIME_LIMITER: ("Motor run-time limiter operated", "电动机运转时间限制器动作"),
    Code.POSITION_LOST: ("Landing position lost", "楼层位置丢失"),
    Code.RESTART_PREVENTED: ("Fault preventing restart", "防止电梯再运行故障"),
    Code.OVERTRAVEL_TOP: ("Overtravel at the top", "冲顶"),
    Code.OVERTRAVEL_BOTTOM: ("Overtravel at the bottom", "蹲底"),
    Code.ENTRAPMENT: ("Entrapment", "困人"),
    Code.BACK_TO_AUTOMATIC: ("Back to automatic operation", "恢复自动运行模式"),
    Code.MAIN_POWER_LOST: ("Main power lost", "主电源断电"),
    Code.OUT_OF_SERVICE: ("Out of service", "进入停止服务"),
    Code.INSPECTION: ("Inspection operation", "进入检修运行模式"),
    Code.FIRE_RETURN: ("Fire return", "进入消防返回模式"),
    Code.FIREFIGHTER: ("Firefighter operation", "进入消防员运行模式"),
    Code.EMERGENCY_POWER: ("Emergency power operation", "进入应急电源运行"),
    Code.EARTHQUAKE: ("Earthquake mode", "地震模式"),
    Code.ALARM_BUTTON: ("Alarm button pressed", "报警按钮动作"),
    Code.OVERTRAVEL_BOTTOM_LOCAL: ("Overtravel at the bottom (local code)", "蹲底（地方扩展）"),
    Code.OVERTRAVEL_TOP_LOCAL: ("Overtravel at the top (local code)", "冲顶（地方扩展）"),
    Code.ENTRAPMENT_AT_LANDING_LOCAL: ("Entrapment at a landing (local code)", "平层关人（地方扩展）"),
}

# The controller did not say which codes are active: unlike 0, which says that none is.
NOT_REPORTED: Final = -1

_BIT: Final[dict[int, int]] = {int(code): position for position, code in enumerate(Code)}
_CODE: Final[tuple[Code, ...]] = tuple(Code)


def label(code: Code) -> str:
    """Give the number as people write it: two digits.

    >>> label(Code.SAFETY_CHAIN_OPEN), label(Code.ALARM_BUTTON)
    ('01', '90')
    """
    return f"{int(code):02d}"


def bit(code: int) -> int:
    """Give the mask of one code; KeyError for a number that is no code of this catalogue."""
    return 1 << _BIT[code]


def pack(codes: Iterable[int]) -> int:
    """Fold codes into one integer; KeyError for a number that is no code of this catalogue.

    >>> unpack(pack([11, 4]))
    [<Code.STOPPED_OUTSIDE_DOOR_ZONE: 4>, <Code.ENTRAPMENT: 11>]
    """
    mask = 0
    for code in codes:
        mask |= bit(code)
    return mask


def unpack(mask: int) -> list[Code]:
    """Give the codes of a mask in ascending order; none for NOT_REPORTED."""
    return list(_walk(mask)) if mask > 0 else []


def _walk(mask: int) -> Iterator[Code]:
    for position, code in enumerate(_CODE):
        if mask >> position & 1:
            yield code


NUMBERS: Final = frozenset(_BIT)
