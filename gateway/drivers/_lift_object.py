"""What a BACnet Lift object says, in our signals and codes.

Property and enumeration values are those of ANSI/ASHRAE Standard 135: object type 59 (clause 12.59), and
BACnetLiftCarDirection, BACnetLiftCarDriveStatus, BACnetLiftCarMode, BACnetLiftFault, BACnetDoorStatus (clause 21). They
were checked against two independent implementations of the 2020 edition, not against its text. Which of our codes a
fault of theirs stands for is our own choice, and can be changed by the gateway's file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from lift.codes import Code
from lift.signals import Direction, DoorState, ServiceMode

# Values of properties by name: whole numbers, real numbers, lists of whole numbers.
Properties: TypeAlias = Mapping[str, Any]

# What tells of danger or motion; the rest may come later.
URGENT: Final = (
    "carPosition",
    "carMovingDirection",
    "carDoorStatus",
    "carDoorZone",
    "carDriveStatus",
    "carMode",
    "passengerAlarm",
    "faultSignals",
)
SLOW: Final = ("carLoad", "carLoadUnits", "outOfService", "reliability")
PROPERTIES: Final = URGENT + SLOW
# A Lift object has these in any case (table of clause 12.59).
REQUIRED: Final = frozenset(
    {"carPosition", "carMovingDirection", "carDoorStatus", "passengerAlarm", "faultSignals", "outOfService"}
)

_DIRECTIONS: Final = {1: Direction.NONE, 2: Direction.NONE, 3: Direction.UP, 4: Direction.DOWN}
# Stationary, braking, accelerating, decelerating, at rated speed, and jumps over one floor to many.
_DRIVE_RUNS: Final = {1: 0, **dict.fromkeys(range(2, 10), 1)}
_MODES: Final = {
    0: ServiceMode.UNKNOWN,
    1: ServiceMode.NORMAL,
    2: ServiceMode.NORMAL,  # VIP
    3: ServiceMode.NORMAL,  # homing
    4: ServiceMode.NORMAL,  # parking
    5: ServiceMode.NORMAL,  # attendant control: passengers are in it as ever
    6: ServiceMode.FIREFIGHTER,
    7: ServiceMode.EMERGENCY_POWER,
    8: ServiceMode.INSPECTION,
    9: ServiceMode.INSPECTION,  # cabinet recall: somebody at the controller moves the car
    10: ServiceMode.EARTHQUAKE,
    11: ServiceMode.FIRE_RETURN,
    12: ServiceMode.STOPPED,
    13: ServiceMode.UNKNOWN,  # occupant evacuation carries people while it burns: no mode of GB/T 24476 says so
}
_MODE_CODES: Final[Mapping[ServiceMode, int]] = {
    ServiceMode.STOPPED: Code.OUT_OF_SERVICE,
    ServiceMode.INSPECTION: Code.INSPECTION,
    ServiceMode.FIRE_RETURN: Code.FIRE_RETURN,
    ServiceMode.FIREFIGHTER: Code.FIREFIGHTER,
    ServiceMode.EMERGENCY_POWER: Code.EMERGENCY_POWER,
    ServiceMode.EARTHQUAKE: Code.EARTHQUAKE,
}
# 0 stands for no code: GB/T 24476 has none for it, and the fault is named in the log instead.
FAULT_CODES: Final[Mapping[int, int]] = {
    0: 0,  # controller
    1: 0,  # drive and motor
    2: Code.UNINTENDED_CAR_MOVEMENT,  # governor and safety gear
    3: 0,  # shaft device
    4: Code.MAIN_POWER_LOST,  # power supply
    5: Code.SAFETY_CHAIN_OPEN,  # safety interlock
    6: Code.DOOR_CLOSING_FAULT,
    7: Code.DOOR_OPENING_FAULT,
    8: Code.STOPPED_OUTSIDE_DOOR_ZONE,
    9: 0,  # call button stuck
    10: Code.RESTART_PREVENTED,  # start failure
    11: 0,  # controller supply
    12: 0,  # self test
    13: Code.RUN_TIME_LIMITER,
    14: Code.POSITION_LOST,
    15: 0,  # drive temperature
    16: 0,  # load measurement
}
_FAULT_NAMES: Final = (
    "controller fault",
    "drive and motor fault",
    "governor and safety gear fault",
    "lift shaft device fault",
    "power supply fault",
    "safety interlock fault",
    "door closing fault",
    "door opening fault",
    "car stopped outside landing zone",
    "call button stuck",
    "start failure",
    "controller supply fault",
    "self test failure",
    "run time limit exceeded",
    "position lost",
    "drive temperature exceeded",
    "load measurement fault",
)
# Of several doors the one that is least closed counts; 3-5 are faults and doors that are not there.
_DOORS: Final = {
    1: DoorState.OPEN,
    7: DoorState.OPENING,
    6: DoorState.CLOSING,
    9: DoorState.HELD,
    0: DoorState.CLOSED,
    8: DoorState.LOCKED,
}
_NO_DOOR: Final = (4, 5)
_SHUT: Final = (DoorState.CLOSED, DoorState.LOCKED)
_PERCENT: Final = 98
_KILOGRAMS: Final = 39


@dataclass(frozen=True, slots=True)
class LiftObject:
    """One lift's object, and what its numbers need to become ours.

    `landing_offset` is added to Car_Position, which counts floors; `rated_load_kg` makes a share of a load in
    kilograms, NaN where it is not known.
    """

    landing_offset: int = 0
    rated_load_kg: float = math.nan
    fault_codes: Mapping[int, int] = field(default_factory=lambda: FAULT_CODES)

    def row(self, known: Properties, changed: Sequence[str]) -> dict[str, Any]:
        """Give the values that properties which changed have a part in, from all that is known."""
        row: dict[str, Any] = {}
        for name, (inputs, tell) in _TOLD.items():
            if not set(inputs).isdisjoint(changed):
                value = tell(self, known)
                if value is not None and not (isinstance(value, float) and math.isnan(value)):
                    row[name] = value
        return row

    def remarks(self, known: Properties) -> Iterator[tuple[str, str]]:
        """Give properties and what is to be said of them; nothing is wrong where the reason is empty."""
        faults = [fault for fault in known.get("faultSignals", ()) if not self.fault_codes.get(fault)]
        yield "faults without a code", ", ".join(map(fault_name, faults))
        reliability = known.get("reliability", 0)
        yield "doubts itself", f"reliability {reliability} is not 0, no fault detected" if reliability else ""


def fault_name(fault: int) -> str:
    """Name a BACnetLiftFault.

    >>> fault_name(9), fault_name(1024)
    ('call button stuck', 'fault 1024')
    """
    return _FAULT_NAMES[fault] if fault < len(_FAULT_NAMES) else f"fault {fault}"


def _doors(known: Properties) -> list[int]:
    return [door for door in known.get("carDoorStatus", ()) if door not in _NO_DOOR]


def _door_state(_: LiftObject, known: Properties) -> int | None:
    doors = _doors(known)
    if not doors or any(door not in _DOORS for door in doors):
        return None
    return min((_DOORS[door] for door in doors), key=list(_DOORS.values()).index)


def _door_closed(one: LiftObject, known: Properties) -> int | None:
    doors = _doors(known)
    if any(door in _DOORS and _DOORS[door] not in _SHUT for door in doors):
        return 0
    state = _door_state(one, known)
    return None if state is None else int(state in _SHUT)


def _car_status(_: LiftObject, known: Properties) -> int | None:
    runs = _DRIVE_RUNS.get(known.get("carDriveStatus", 0))
    if runs is not None:
        return runs
    direction = _DIRECTIONS.get(known.get("carMovingDirection", 0))
    return None if direction is None else int(direction != Direction.NONE)


def _service_mode(_: LiftObject, known: Properties) -> int | None:
    return _MODES.get(known["carMode"], ServiceMode.UNKNOWN) if "carMode" in known else None


def _load(one: LiftObject, known: Properties) -> float:
    load, units = known.get("carLoad", math.nan), known.get("carLoadUnits")
    if units == _PERCENT:
        return float(load) / 100
    return float(load) / one.rated_load_kg if units == _KILOGRAMS else math.nan


def _codes(one: LiftObject, known: Properties) -> list[int] | None:
    """Give the active codes; without Fault_Signals nothing is said, for there might be some."""
    if "faultSignals" not in known:
        return None
    codes = {one.fault_codes.get(fault, 0) for fault in known["faultSignals"]}
    mode = _service_mode(one, known)
    codes |= {_MODE_CODES.get(ServiceMode(mode), 0)} if mode is not None else set()
    codes |= {Code.ALARM_BUTTON} if known.get("passengerAlarm") else set()
    return sorted(int(code) for code in codes if code)


def _plain(name: str) -> Callable[[LiftObject, Properties], Any]:
    return lambda _, known: known.get(name)


# Each value, the properties it is made of, and how.
_TOLD: Final[Mapping[str, tuple[tuple[str, ...], Callable[[LiftObject, Properties], Any]]]] = {
    "car_position": (
        ("carPosition",),
        lambda one, known: known["carPosition"] + one.landing_offset if "carPosition" in known else None,
    ),
    "car_direction": (("carMovingDirection",), lambda _, known: _DIRECTIONS.get(known.get("carMovingDirection", 0))),
    "car_status": (("carDriveStatus", "carMovingDirection"), _car_status),
    "door_state": (("carDoorStatus",), _door_state),
    "door_closed": (("carDoorStatus",), _door_closed),
    "door_zone": (("carDoorZone",), _plain("carDoorZone")),
    "alarm_button": (("passengerAlarm",), _plain("passengerAlarm")),
    "service_mode": (("carMode",), _service_mode),
    "load": (("carLoad", "carLoadUnits"), _load),
    "message_codes": (("faultSignals", "carMode", "passengerAlarm"), _codes),
}
