"""For every rule a story in which it fires, and its nearest near miss; the emergencies have more in their own file."""

from __future__ import annotations

import pytest

from alarms import rules
from alarms.engine import Engine
from alarms.rules.controller_reported import ALSO, PRIORITIES
from alarms.rules.mode_changed import MODES
from lift.codes import Code, label
from lift.signals import ServiceMode
from tests.unit.alarms.test_rules_stories import (
    AT_LANDING,
    BETWEEN,
    CLOSING,
    DOOR_OPEN,
    NOBODY,
    NORMAL,
    OPEN,
    RIDE,
    SHUT,
    SHUT_IN,
    SOMEONE,
    STILL,
    tries,
)
from tests.unit.alarms.timeline import Step, Values, live, make_fleet, play

PARKED = {**SHUT_IN, **NOBODY}
FULL = {"load": 0.3}
ABOVE = {**NORMAL, **BETWEEN, **SHUT, **NOBODY}
RUN_UP = {**RIDE, "car_direction": 1}
RUN_DOWN = {**RIDE, "car_direction": 2, "car_speed": -1.6}
CREEPING = {**RIDE, "car_speed": -0.3}
RELEVELS = {**DOOR_OPEN, "car_speed": 0.03, "car_status": 1}


def again(times: int, *steps: Step) -> list[Step]:
    """Repeat some steps one after the other."""
    lasts = steps[-1][1] + 1
    return [(first + lasts * n, last + lasts * n, values) for n in range(times) for first, last, values in steps]


def after(second: float, *steps: Step) -> list[Step]:
    """Shift steps."""
    return [(first + second, last + second, values) for first, last, values in steps]


def known(**values: object) -> Values:
    """Say a healthy lift's signals, and some more."""
    return {**PARKED, **values}


VISIT: list[Step] = [(0, 5, PARKED), (6, 9, DOOR_OPEN), (10, 12, SHUT_IN), (13, 15, {**DOOR_OPEN, **NOBODY})]
CYCLE: list[Step] = [(0, 3, DOOR_OPEN), (4, 5, {**DOOR_OPEN, **CLOSING}), (6, 8, SHUT_IN), (9, 20, RIDE)]
CLOSED_STUCK: list[Step] = [(a, b, {**values, "door_closed": 1}) for a, b, values in CYCLE]
WEIGHED: list[Step] = [(a + 21, b + 21, {**values, **FULL}) for a, b, values in CYCLE]
WEIGHS_NOTHING: list[Step] = [(a, b, {**values, "load": 0.0}) for a, b, values in CYCLE]
# A terminal that knows of speed and door and of nothing else.
POOR: list[Step] = [(0, 3, {"door_closed": 0, "car_speed": 0.0}), (4, 9, {"door_closed": 1, "car_speed": 1.6})]
SAG: list[Step] = [(0, 3, SHUT_IN), (4, 4, {**RIDE, "car_speed": -0.08}), (5, 15, RIDE)]
CLEAN_START: list[Step] = [(0, 3, SHUT_IN), (4, 4, {**RIDE, "car_speed": 0.08}), (5, 15, RIDE)]
BAD_STOP: list[Step] = [(0, 5, {**SHUT_IN, "levelling_error": 12.0}), (6, 15, RIDE)]
KNOCK: list[Step] = [(0, 0, {**RIDE, "vibration_x": 0.12}), (1, 9, {**RIDE, "vibration_x": 0.03})]
SMOOTH: list[Step] = [(0, 9, {**RIDE, "vibration_x": 0.05})]
TRY: list[Step] = [(0, 1, {**DOOR_OPEN, **CLOSING}), (2, 6, DOOR_OPEN)]
ARRIVED: list[Step] = [(0, 9, RIDE), (10, 40, SHUT_IN)]
BEYOND = {**ABOVE, "car_height": 30.3, "safety_chain": 0}
TOP: list[Step] = [(0, 9, {**DOOR_OPEN, "car_height": 30.0}), (10, 19, {**RIDE, "car_height": 30.1})]
# Twelve landings in the register: the lowest is number 1, so number 12 is the last, which it has never opened at.
FIRST_UP: list[Step] = [
    (0, 9, {**DOOR_OPEN, "car_position": 1, "car_height": 0.0}),
    (10, 19, {**RUN_UP, "car_position": 6, "car_height": 15.0}),
    (20, 20, {**RUN_UP, "car_position": 12, "car_height": 32.9, "door_zone": 1, "car_speed": 0.3}),
]


def from_basement(fifth: float) -> list[Step]:
    """Two basements below the main landing, never seen, and its fifth storey at a height: number 10 is the last."""
    return [
        (0, 9, {**DOOR_OPEN, "car_position": 1, "car_height": 6.0}),
        (10, 14, {**RUN_UP, "car_position": 3, "car_height": 12.0}),
        (15, 19, {**DOOR_OPEN, "car_position": 5, "car_height": fifth}),
        (20, 20, {**FIRST_UP[2][2], "car_position": 10, "car_height": 32.9}),
        (21, 40, {**BEYOND, "car_position": 10, "car_height": 33.35}),
    ]


STUCK = {**NORMAL, **BETWEEN, **SHUT, **SOMEONE}
SAGS: list[Step] = [(0, 9, DOOR_OPEN), (10, 10, {**DOOR_OPEN, "car_speed": -0.4, "car_status": 0})]

FIRES: list[tuple[str, list[Step], list[str]]] = [
    ("door_opening_fault", ARRIVED, ["raised 25"]),
    ("motor_run_time", [(0, 30, {**SHUT_IN, "car_status": 1})], ["raised 20"]),
    ("landing_position_lost", [(0, 9, RIDE), (10, 15, ABOVE), (16, 30, CREEPING)], ["raised 21"]),
    ("restart_prevented", [(0, 901, DOOR_OPEN)], ["raised 900"]),
    ("overtravel_top", [*TOP, (20, 40, BEYOND)], ["raised 25"]),
    ("overtravel_top", [*FIRST_UP, (21, 40, {**BEYOND, "car_position": 12, "car_height": 33.35})], ["raised 26"]),
    ("overtravel_top", from_basement(18.0), ["raised 26"]),
    ("overtravel_bottom", [(0, 20, {**BEYOND, "car_height": -0.3})], ["raised 5"]),
    ("door_open_running", [(0, 9, RIDE), (10, 20, {**RIDE, **OPEN})], ["raised 12"]),
    ("repeated_reversals", again(24, *TRY), ["raised 156"]),
    ("door_held", [(0, 130, DOOR_OPEN), (131, 140, SHUT_IN)], ["raised 120", "returned 136"]),
    ("door_held_long", again(24, (0, 1, {**DOOR_OPEN, **CLOSING}), (2, 39, DOOR_OPEN)), ["raised 900"]),
    # A terminal that reports items of GB/T 24476 only knows of no state of its door but shut.
    ("door_held_long", [(0, 905, {k: v for k, v in DOOR_OPEN.items() if k != "door_state"})], ["raised 900"]),
    ("door_held_long", [(0, 905, {**DOOR_OPEN, "door_state": 6})], ["raised 900"]),
    ("brake_roll_back", again(5, *SAG), ["raised 69"]),
    ("relevelling_often", again(7, (0, 1, RELEVELS), (2, 9, DOOR_OPEN)), ["raised 60"]),
    ("levelling_inaccurate", again(4, *BAD_STOP), ["raised 48"]),
    ("levelling_out_of_limits", again(3, (0, 5, {**SHUT_IN, "levelling_error": -25.0}), (6, 9, RIDE)), ["raised 20"]),
    ("motor_overheating", [(0, 70, known(motor_temperature=125.0)), (71, 80, known(motor_temperature=105.0))],
     ["raised 60", "returned 71"]),
    ("car_overloaded", [(0, 40, known(load=1.15))], ["raised 30"]),
    ("machine_room_hot", [(0, 310, known(machine_room_temperature=41.0))], ["raised 300"]),
    ("battery_low", [(0, 610, known(battery=0.1))], ["raised 600"]),
    ("test_call_overdue", [(0, 5, known(test_call_age=72.0))], ["raised 0"]),
    ("abnormal_vibration", again(9, *KNOCK), ["raised 80"]),
    ("occupied_parked_car", [(0, 5, DOOR_OPEN), (6, 310, SHUT_IN)], ["raised 306"]),
    ("mode_changed_44", [(0, 9, known(service_mode=3)), (10, 30, PARKED)], ["raised 5", "returned 20"]),
    ("mode_changed_40", [(0, 9, known(message_codes=[40]))], ["raised 5"]),
    ("sensor_wrong_door_closed", again(4, *[(a, b, {**v, "door_closed": 1}) for a, b, v in CYCLE]), ["raised 42"]),
    ("sensor_wrong_door_state", again(4, *[(a, b, {**v, "door_state": 4}) for a, b, v in CYCLE]), ["raised 48"]),
    ("sensor_wrong_door_zone", again(4, *[(a, b, {**v, "door_zone": 0}) for a, b, v in CYCLE]), ["raised 42"]),
    ("sensor_wrong_presence_stuck", again(9, *WEIGHS_NOTHING, *WEIGHED), ["raised 303"]),
    ("sensor_wrong_presence_stuck", again(21, (0, 5, SHUT_IN), (6, 9, RUN_UP), (10, 15, SHUT_IN), (16, 19, RUN_DOWN)),
     ["raised 386"]),
    ("sensor_wrong_load", again(9, *[(a, b, {**v, **NOBODY, **FULL}) for a, b, v in CYCLE], *WEIGHED), ["raised 303"]),
    ("sensor_wrong_presence_flickers", again(5, (0, 1, PARKED), (2, 2, SHUT_IN)), ["raised 14"]),
    ("sensor_wrong_speed", [(0, 70, {**SHUT_IN, "car_speed": 0.04})], ["raised 60"]),
]  # fmt: skip

FIRES += [
    ("alarm_button", [(0, 9, {**STUCK, "alarm_button": 1})], ["raised 5"]),
    ("contact_lost", [(0, 9, PARKED), (300, 300, PARKED)], ["raised 189", "returned 300"]),
    ("door_closing_fault", tries(8), ["raised 58"]),
    ("entrapment_at_landing", [(0, 9, RIDE), (10, 150, SHUT_IN)], ["raised 100"]),
    ("entrapment_between_landings", [(0, 9, RIDE), (10, 60, STUCK)], ["raised 40"]),
    ("main_power_lost", [(0, 20, known(main_power=0))], ["raised 5"]),
    ("overspeed", [(0, 9, {**RIDE, "car_speed": 1.6 * 1.2})], ["raised 5"]),
    ("safety_chain_open_running", [(0, 9, RIDE), (10, 20, {**STUCK, "safety_chain": 0})], ["raised 12"]),
    ("stopped_outside_door_zone", [(0, 50, ABOVE)], ["raised 45"]),
    ("unintended_car_movement", [*SAGS, (11, 30, {**DOOR_OPEN, **BETWEEN})], ["raised 13"]),
    *((f"controller_reported_{label(code)}", [(0.0, 9.0, known(message_codes=[code]))], ["raised 5"])
      for code in PRIORITIES),
    *((f"mode_changed_{label(code)}", [(0.0, 9.0, known(message_codes=[code]))], ["raised 5"])
      for code in MODES if code not in {Code.BACK_TO_AUTOMATIC, Code.FIRE_RETURN}),
]  # fmt: skip

SILENT: list[tuple[str, str, list[Step]]] = [
    ("door_opening_fault", "returned empty", [(0, 9, RIDE), (10, 60, PARKED)]),
    ("door_opening_fault", "has opened here", [(0, 9, RIDE), (10, 15, DOOR_OPEN), (16, 60, SHUT_IN)]),
    ("motor_run_time", "not heard of since it set off", [(0, 1, {**SHUT_IN, "car_status": 1}), (60, 80, PARKED)]),
    ("door_closing_fault", "its gateway restarts while it closes", [
        (0, 1, {**DOOR_OPEN, **CLOSING}), (90, 120, {**DOOR_OPEN, **CLOSING})]),
    ("landing_position_lost", "sets off within the door zone", [
        (0, 9, PARKED), (10, 60, {**CREEPING, "door_zone": 1})]),
    ("motor_run_time", "short hold at the start", [(0, 15, {**SHUT_IN, "car_status": 1}), (16, 60, RIDE)]),
    ("landing_position_lost", "levels for long", [(0, 9, RIDE), (10, 19, CREEPING), (20, 30, PARKED)]),
    ("landing_position_lost", "re-levels", [(0, 9, PARKED), (10, 13, CREEPING), (14, 30, PARKED)]),
    ("landing_position_lost", "on its battery", [(0, 60, {**CREEPING, "main_power": 0})]),
    ("restart_prevented", "tries to close", again(30, (0, 59, DOOR_OPEN), (60, 61, {**DOOR_OPEN, **CLOSING}))),
    ("overtravel_top", "between two landings", [*TOP, (20, 60, {**BEYOND, "car_height": 28.0})]),
    ("overtravel_top", "a landing not seen before", [*TOP, (20, 60, {**BEYOND, "car_height": 33.0})]),
    ("overtravel_top", "short of the last landing on its first way up", [
        *FIRST_UP[:2], (20, 60, {**BEYOND, "car_position": 12, "car_height": 32.5})]),
    ("overtravel_top", "zone sensor fails at the last landing", [
        *FIRST_UP, (21, 60, {**BEYOND, "car_position": 12, "car_height": 33.0})]),
    ("overtravel_top", "above the last landing but one", [
        *FIRST_UP[:2], (20, 20, {**FIRST_UP[2][2], "car_position": 11, "car_height": 29.9}),
        (21, 60, {**BEYOND, "car_position": 11, "car_height": 30.35})]),
    ("overtravel_top", "a little above the first landing, the only one seen", [
        *FIRST_UP[:1], (10, 60, {**BEYOND, "car_position": 1, "car_height": 0.5})]),
    ("overtravel_top", "lowest landing never seen", [
        *FIRST_UP[1:], (21, 60, {**BEYOND, "car_position": 12, "car_height": 33.35})]),
    ("overtravel_top", "storeys that do not tell how deep the basement is", from_basement(15.6)),
    ("overtravel_top", "drifted off with an open door", [*TOP, (20, 60, {**BEYOND, **OPEN})]),
    ("overtravel_bottom", "in the door zone", [(0, 60, {**SHUT_IN, "car_height": -0.1})]),
    ("door_open_running", "levels with opening door", [(0, 60, {**RIDE, **OPEN, "car_speed": 0.7})]),
    ("repeated_reversals", "shuts each time", again(30, *CYCLE)),
    ("repeated_reversals", "a curtain that is dirty and lets go", again(12, *TRY, *after(7, *TRY), (14, 16, SHUT_IN))),
    ("door_held", "fire drill", [(0, 300, {**DOOR_OPEN, "service_mode": 3})]),
    ("door_held_long", "a talk in the door", [*TRY, (7, 600, DOOR_OPEN), (601, 999, PARKED)]),
    ("door_held_long", "never tries to close", [(0, 999, DOOR_OPEN)]),
    ("brake_roll_back", "clean starts", again(8, *CLEAN_START)),
    ("brake_roll_back", "speed offset", again(8, *[(a, b, {**v, "car_speed": float(str(v["car_speed"])) - 0.1})
                                                   for a, b, v in CLEAN_START])),
    ("relevelling_often", "now and then", again(7, (0, 1, RELEVELS), (2, 900, DOOR_OPEN))),
    ("levelling_inaccurate", "one bad stop", [(0, 5, {**SHUT_IN, "levelling_error": 12.0}), *after(
        6, *again(8, (0, 5, RIDE), (6, 9, {**SHUT_IN, "levelling_error": 3.0})))]),
    ("levelling_out_of_limits", "within 20 mm", again(5, *BAD_STOP)),
    ("motor_overheating", "a hot day", [(0, 300, known(motor_temperature=95.0))]),
    ("car_overloaded", "a full car", [(0, 90, known(load=1.0))]),
    ("machine_room_hot", "a warm room", [(0, 900, known(machine_room_temperature=39.0))]),
    ("battery_low", "in a power cut", [(0, 900, known(battery=0.1, main_power=0))]),
    ("test_call_overdue", "called yesterday", [(0, 5, known(test_call_age=30.0))]),
    ("abnormal_vibration", "a smooth run", again(30, *SMOOTH)),
    ("occupied_parked_car", "parked empty", [(0, 5, DOOR_OPEN), (6, 600, PARKED)]),
    ("occupied_parked_car", "load cell is stuck", [(0, 5, {**DOOR_OPEN, **FULL}), (6, 600, known(load=0.25))]),
    ("occupied_parked_car", "weighs nothing", [(0, 5, DOOR_OPEN), (6, 600, {**SHUT_IN, "load": 0.0})]),
    ("mode_changed_44", "normal service", [(0, 60, PARKED)]),
    ("sensor_wrong_door_closed", "sound", again(6, *CYCLE)),
    ("sensor_wrong_door_state", "the other is stuck", again(6, *CLOSED_STUCK)),
    ("sensor_wrong_door_zone", "sound", again(9, *CYCLE)),
    ("sensor_wrong_presence_stuck", "a busy lift", again(20, *CYCLE)),
    ("sensor_wrong_presence_stuck", "a busy lift that turns seldom", again(3, *again(20, (0, 5, SHUT_IN), (
        6, 9, RUN_UP)), *after(200, *again(20, (0, 5, SHUT_IN), (6, 9, RUN_DOWN))))),
    ("sensor_wrong_presence_stuck", "the load cell says so too", [
        (a, b, {**v, **FULL}) for a, b, v in again(30, (0, 5, SHUT_IN), (6, 9, RUN_UP), (10, 19, RUN_DOWN))]),
    ("sensor_wrong_presence_stuck", "the load cell is stuck", again(9, *WEIGHS_NOTHING, *[
        (a + 21, b + 21, {**v, **NOBODY, "load": 0.0}) for a, b, v in CYCLE])),
    ("sensor_wrong_presence_stuck", "the load cell is stuck and the car never empty", again(12, *WEIGHS_NOTHING)),
    ("sensor_wrong_presence_stuck", "no such sensor", again(60, *POOR)),
    ("sensor_wrong_door_zone", "no such sensor", again(20, *POOR)),
    ("sensor_wrong_load", "presence is stuck", again(6, *CYCLE, *WEIGHED)),
    ("sensor_wrong_presence_flickers", "people come and go", again(9, *VISIT)),
    ("sensor_wrong_speed", "stands still", [(0, 90, {**SHUT_IN, **STILL, **AT_LANDING})]),
]  # fmt: skip

SILENT += [
    ("alarm_button", "pressed at an open door", [(0, 30, {**DOOR_OPEN, "alarm_button": 1}), (31, 60, SHUT_IN)]),
    ("contact_lost", "an idle terminal", [(at, at, PARKED) for at in range(0, 900, 150)]),
    ("door_closing_fault", "a removal van", again(9, (0, 1, {**DOOR_OPEN, **CLOSING}), (2, 39, DOOR_OPEN))),
    ("entrapment_at_landing", "parked empty", [(0, 9, RIDE), (10, 600, PARKED)]),
    ("entrapment_between_landings", "stuck but empty", [(0, 9, RIDE), (10, 600, ABOVE)]),
    ("main_power_lost", "a dip", [(0, 4, known(main_power=0)), (5, 60, PARKED)]),
    ("overspeed", "a little fast", [(0, 60, {**RIDE, "car_speed": 1.6 * 1.14})]),
    ("safety_chain_open_running", "opens at a landing", [(0, 9, RIDE), (10, 60, DOOR_OPEN)]),
    ("stopped_outside_door_zone", "goes on by itself", [(0, 40, STUCK), (41, 60, RIDE), (61, 99, SHUT_IN)]),
    ("unintended_car_movement", "re-levels", [*SAGS, (11, 90, DOOR_OPEN)]),
    # The code next to it, and one that the controller drops within its confirmation window.
    *((f"controller_reported_{label(code)}", "another code, and its own for a moment", [
        (0.0, 20.0, known(message_codes=[other for other in PRIORITIES if other is not code])),
        (21.0, 25.0, known(message_codes=[ALSO.get(code, code)])), (26.0, 60.0, PARKED)]) for code in PRIORITIES),
    # A key that is turned there and back; every other mode.
    *((f"mode_changed_{label(code)}", "another mode, and its own for a moment", [
        *((20.0 * mode, 20.0 * mode + 19, known(service_mode=int(mode))) for mode in ServiceMode if mode is not own),
        (200.0, 204.0, known(message_codes=[code])), (205.0, 260.0, PARKED)]) for code, (own, _) in MODES.items()),
]  # fmt: skip


def test_every_rule_has_a_story_and_a_near_miss() -> None:
    """A rule that is never seen to ring, or never seen to hold its tongue, is not a rule yet."""
    assert {rule for rule, _, _ in FIRES} == {rule for rule, _, _ in SILENT} == set(rules.load())


@pytest.mark.parametrize(
    ("rule", "story", "told"), [pytest.param(*each, id=f"{each[0]}-{number}") for number, each in enumerate(FIRES)]
)
def test_rule_fires(rule: str, story: list[Step], told: list[str]) -> None:
    """The condition that the rule is named after is told at its moment."""
    assert play(rule, *story)[: len(told)] == told


@pytest.mark.parametrize(
    ("rule", "story"), [pytest.param(rule, story, id=f"{rule}-{why.replace(' ', '-')}") for rule, why, story in SILENT]
)
def test_rule_stays_silent(rule: str, story: list[Step]) -> None:
    """What looks nearly like it is not told."""
    assert play(rule, *story) == []


def test_parked_car_is_no_entrapment_until_somebody_calls() -> None:
    """Whoever is in a car that has opened here could have walked out; a call changes that, and so do lost mains."""
    parked: list[Step] = [(0, 9, RIDE), (10, 15, DOOR_OPEN), (16, 200, SHUT_IN)]
    assert play("entrapment_at_landing", *parked) == []
    calls: Step = (201, 300, {**SHUT_IN, "alarm_button": 1})
    assert play("entrapment_at_landing", *parked, calls) == ["raised 291", "confirmed 291"]
    assert play("entrapment_at_landing", *parked, (201, 300, {**SHUT_IN, "main_power": 0})) == ["raised 291"]


def test_entrapment_is_confirmed_by_the_second_sign() -> None:
    """Someone is seen in a standing car, the button is pressed, the controller reports it: one confirmation."""
    stuck = {**NORMAL, **BETWEEN, **SHUT, **SOMEONE}
    steps: list[Step] = [
        (0, 59, stuck),
        (60, 70, {**stuck, "alarm_button": 1}),
        (71, 90, {**stuck, "message_codes": [11]}),
    ]
    assert play("entrapment_between_landings", *steps) == ["raised 30", "confirmed 60"]


def test_entrapment_is_found_behind_a_presence_sensor_that_flickers() -> None:
    """A sensor that comes and goes all the time does not say that the car is empty."""
    flicker = again(
        30, (0, 0, {**NORMAL, **BETWEEN, **SHUT, **SOMEONE}), (1, 1, {**NORMAL, **BETWEEN, **SHUT, **NOBODY})
    )
    assert play("entrapment_between_landings", (0, 9, {**PARKED}), *after(10, *flicker)) == ["raised 48"]


def test_entrapment_lasts_while_the_sensor_loses_sight() -> None:
    """One entrapment is one alarm, whatever the presence sensor says later."""
    stuck = {**NORMAL, **BETWEEN, **SHUT, **SOMEONE}
    steps: list[Step] = [(0, 40, stuck), (41, 80, {**stuck, **NOBODY}), (81, 200, stuck), (201, 210, DOOR_OPEN)]
    assert play("entrapment_between_landings", *steps) == ["raised 30", "returned 204"]


def test_a_corrected_register_is_believed_over_what_was_learned_by_the_wrong_one() -> None:
    """A lift was registered with 20 landings and has 12: once that is put right, its overtravel is told."""
    rule = {"overtravel_top": rules.load()["overtravel_top"]}
    steps = [*FIRST_UP, (21, 40, {**BEYOND, "car_position": 12, "car_height": 33.35})]
    fleet, corrected = make_fleet(landings=20), make_fleet(landings=12)
    wrong, same, right = Engine(fleet, rule), Engine(fleet, rule), Engine(corrected, rule)
    assert live(wrong, fleet, steps) == []
    for engine in (same, right):
        engine.restore(wrong.save())
    assert same.save() == wrong.save()
    assert live(right, corrected, after(100, *steps)) == ["raised 126"]
