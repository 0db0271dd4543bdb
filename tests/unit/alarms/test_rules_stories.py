"""For each rule a story in which it fires, and its nearest near misses, in which it stays silent."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from alarms import rules
from lift.codes import Code, label
from tests.unit.alarms.timeline import Step, Values, play

NORMAL: Values = {"service_mode": 1, "main_power": 1, "alarm_button": 0, "message_codes": [], "safety_chain": 1}
SHUT: Values = {"door_closed": 1, "door_lock": 1, "door_state": 2}
OPEN: Values = {"door_closed": 0, "door_lock": 0, "door_state": 4, "safety_chain": 0}
CLOSING: Values = {**OPEN, "door_state": 1}
STILL: Values = {"car_speed": 0.0, "car_status": 0}
RUNNING: Values = {"car_speed": 1.6, "car_status": 1, "door_zone": 0}
AT_LANDING: Values = {**STILL, "door_zone": 1}
BETWEEN: Values = {**STILL, "door_zone": 0}
SOMEONE: Values = {"passenger": 1}
NOBODY: Values = {"passenger": 0}

RIDE = {**NORMAL, **RUNNING, **SHUT, **SOMEONE}


# ----------------------------------------------------------------------------- entrapment at landing

SHUT_IN = {**NORMAL, **AT_LANDING, **SHUT, **SOMEONE}


def test_entrapment_at_landing_fires() -> None:
    """The car has arrived, the door does not open, someone is inside; later the crew opens it."""
    story: list[Step] = [(0, 9, RIDE), (10, 150, SHUT_IN), (151, 160, {**SHUT_IN, **OPEN})]
    assert play("entrapment_at_landing", *story) == ["raised 100", "returned 154"]


def test_entrapment_of_a_child_fires() -> None:
    """Fifteen kilograms in a car for a thousand are someone."""
    assert play("entrapment_at_landing", (0, 100, {**SHUT_IN, "load": 0.015})) == ["raised 90"]


def test_entrapment_behind_a_lock_that_does_not_make_fires() -> None:
    """Panels closed, lock contact open: the lift does not start and nobody gets out."""
    assert play("entrapment_at_landing", (0, 100, {**SHUT_IN, "door_lock": 0, "safety_chain": 0})) == ["raised 90"]
    assert play("entrapment_at_landing", (0, 100, {**AT_LANDING, **SOMEONE, "door_closed": 1, "door_lock": 0})) == [
        "raised 90"
    ]


@pytest.mark.parametrize(
    "story",
    [
        pytest.param([(0, 88, SHUT_IN), (89, 95, {**SHUT_IN, **OPEN}), (96, 170, SHUT_IN)], id="door opened in time"),
        pytest.param([(0, 600, {**SHUT_IN, **NOBODY})], id="parked empty"),
        pytest.param([(0, 600, {**SHUT_IN, **OPEN})], id="long stop with the door open"),
        pytest.param([(0, 600, {**SHUT_IN, "load": 0.0})], id="presence sensor stuck in a parked car"),
        pytest.param([(0, 600, {**SHUT_IN, "service_mode": 2})], id="mechanic inside"),
        pytest.param([(0, 600, {**SHUT_IN, **OPEN, "door_closed": 1})], id="one door sensor wrong"),
    ],
)
def test_entrapment_at_landing_stays_silent(story: list[Step]) -> None:
    """Nobody is kept from leaving."""
    assert play("entrapment_at_landing", *story) == []


# ------------------------------------------------------------------------ entrapment between landings

STUCK = {**NORMAL, **BETWEEN, **SHUT, **SOMEONE}


def test_an_entrapment_is_told_although_the_lift_falls_silent() -> None:
    """Silence shows nothing of what is less, but nobody who is shut in must wait for a gateway to come back."""
    assert play("entrapment_between_landings", (0, 9, RIDE), (10, 12, STUCK), end=60) == ["raised 40"]


def test_entrapment_between_landings_fires() -> None:
    """The car stops in mid-travel with someone inside, until it is brought to a landing."""
    story: list[Step] = [(0, 9, RIDE), (10, 99, STUCK), (100, 110, {**STUCK, **AT_LANDING, **OPEN})]
    assert play("entrapment_between_landings", *story) == ["raised 40", "returned 103"]


def test_entrapment_is_found_although_the_speed_sensor_keeps_an_offset() -> None:
    """A sensor that still says 0.2 m/s does not hide a car whose status is stopped."""
    assert play("entrapment_between_landings", (0, 40, {**STUCK, "car_speed": 0.2})) == ["raised 30"]


@pytest.mark.parametrize(
    "story",
    [
        pytest.param([(0, 29, STUCK), (30, 40, RIDE)], id="the lift goes on by itself"),
        pytest.param([(0, 300, {**STUCK, **NOBODY})], id="stuck but empty"),
        pytest.param([(0, 300, RIDE)], id="a long ride"),
        pytest.param([(0, 300, {**STUCK, "service_mode": 2})], id="mechanic in the shaft"),
        pytest.param([(0, 300, {**STUCK, "door_zone": 1})], id="at a landing"),
    ],
)
def test_entrapment_between_landings_stays_silent(story: list[Step]) -> None:
    """Nobody is trapped between landings."""
    assert play("entrapment_between_landings", *story) == []


# -------------------------------------------------------------------------- stopped outside door zone


def test_stopped_outside_door_zone_fires_for_an_empty_car() -> None:
    """The presence sensor is not asked."""
    story: list[Step] = [(0, 50, {**STUCK, **NOBODY}), (51, 55, {**RIDE, **NOBODY})]
    assert play("stopped_outside_door_zone", *story) == ["raised 45", "returned 51"]


def test_status_that_contradicts_the_speed_is_not_believed() -> None:
    """A status stuck at "stopped" does not stop a car that runs."""
    assert play("stopped_outside_door_zone", (0, 300, {**RIDE, "car_status": 0})) == []


def test_stopped_outside_door_zone_lets_the_lift_correct_itself() -> None:
    """A correction run after 40 s is no alarm: 30 s was found too short."""
    assert play("stopped_outside_door_zone", (0, 40, STUCK), (41, 60, RIDE), (61, 300, SHUT_IN)) == []


# --------------------------------------------------------------------------- unintended car movement

DOOR_OPEN = {**NORMAL, **AT_LANDING, **OPEN, **SOMEONE}
CREEPS = {**DOOR_OPEN, "car_speed": -0.4, "car_status": 0}
SAGGED = {**DOOR_OPEN, **BETWEEN}


def test_unintended_car_movement_fires_when_the_car_leaves_with_the_door_open() -> None:
    """The car sinks out of the door zone, the protection catches it, it stands with the door open."""
    story: list[Step] = [(0, 9, DOOR_OPEN), (10, 10, CREEPS), (11, 30, SAGGED), (31, 40, {**SAGGED, **SHUT})]
    assert play("unintended_car_movement", *story) == ["raised 13", "returned 31"]


def test_unintended_car_movement_fires_when_the_car_runs_with_the_door_open() -> None:
    """A bridged lock contact says shut; panel contact and operator say open, and the car runs."""
    story: list[Step] = [(0, 9, RIDE), (10, 20, {**RIDE, **OPEN, "door_lock": 1, "safety_chain": 1})]
    assert play("unintended_car_movement", *story) == ["raised 12"]


@pytest.mark.parametrize(
    "story",
    [
        pytest.param([(0, 9, RIDE), (10, 12, {**CREEPS, "car_speed": 0.7}), (13, 20, DOOR_OPEN)], id="levelling"),
        pytest.param([(0, 9, DOOR_OPEN), (10, 20, {**CREEPS, "car_speed": 0.2})], id="re-levelling"),
        pytest.param([(0, 9, DOOR_OPEN), (10, 10, SAGGED), (11, 20, DOOR_OPEN)], id="door zone flickers once"),
        pytest.param([(0, 9, RIDE), (10, 60, {**RIDE, "door_closed": 0})], id="one door sensor wrong"),
        pytest.param([(0, 60, STUCK), (61, 600, {**STUCK, **OPEN})], id="rescuers open a car between landings"),
        pytest.param([(0, 9, DOOR_OPEN), (10, 60, {**RIDE, **OPEN, "service_mode": 2})], id="inspection"),
        pytest.param([(0, 60, {**DOOR_OPEN, "car_speed": 0.25})], id="speed offset after the stop"),
    ],
)
def test_unintended_car_movement_stays_silent(story: list[Step]) -> None:
    """The movement is legal, or there is none."""
    assert play("unintended_car_movement", *story) == []


# -------------------------------------------------------------------------- safety chain open running


def test_safety_chain_open_running_fires_and_lasts_while_the_car_stands() -> None:
    """The chain opens at full speed; a second later the car stands, with the chain still open."""
    broken = {"safety_chain": 0}
    story: list[Step] = [(0, 9, RIDE), (10, 10, {**RIDE, **broken}), (11, 60, {**STUCK, **broken}), (61, 70, STUCK)]
    assert play("safety_chain_open_running", *story) == ["raised 12", "returned 61"]


@pytest.mark.parametrize(
    "story",
    [
        pytest.param([(0, 9, RIDE), (10, 60, DOOR_OPEN)], id="door opens at a landing"),
        pytest.param([(0, 9, RIDE), (10, 11, {**CREEPS, "car_speed": 0.5}), (12, 60, DOOR_OPEN)], id="pre-opening"),
        pytest.param([(0, 9, RIDE), (10, 11, {**RIDE, "safety_chain": 0}), (12, 60, RIDE)], id="contact bounces"),
        pytest.param([(0, 9, RIDE), (10, 600, {**STUCK, "safety_chain": 0, "main_power": 0})], id="power cut"),
        pytest.param(
            [(0, 60, {**RIDE, "safety_chain": 0, "service_mode": 2}), (61, 90, DOOR_OPEN)], id="after an inspection"
        ),
    ],
)
def test_safety_chain_open_running_stays_silent(story: list[Step]) -> None:
    """The chain may open there, or has no current."""
    assert play("safety_chain_open_running", *story) == []


# --------------------------------------------------------------------------------- door closing fault


def tries(times: int, *, every: int = 8, inside: Values = NOBODY, first: int = 10) -> list[Step]:
    """Let a door close for two seconds and stand open for the rest, so many times."""
    steps: list[Step] = []
    for at in range(first, first + times * every, every):
        steps += [(at, at + 1, {**DOOR_OPEN, **CLOSING, **inside}), (at + 2, at + every - 1, {**DOOR_OPEN, **inside})]
    return steps


def test_door_closing_fault_fires_for_a_door_that_tries_again_and_again() -> None:
    """Rubbish in the sill: the door closes, meets it, opens, waits and tries again; then the sill is cleared."""
    story = [(0, 9, DOOR_OPEN), *tries(8), (74, 90, SHUT_IN)]
    assert play("door_closing_fault", *story) == ["raised 58", "returned 78"]


def test_door_closing_fault_fires_although_somebody_stays_inside() -> None:
    """Nobody gets in at each of a dozen openings."""
    assert play("door_closing_fault", *tries(16, inside=SOMEONE)) == ["raised 130"]


def test_door_closing_fault_fires_for_a_door_that_pushes_and_stays() -> None:
    """The operator is still closing after three quarters of a minute."""
    assert play("door_closing_fault", (0, 60, {**DOOR_OPEN, **CLOSING})) == ["raised 45"]


@pytest.mark.parametrize(
    "story",
    [
        pytest.param([(0, 1800, DOOR_OPEN)], id="removal van holds the door open"),
        pytest.param(
            [
                step
                for at in range(0, 600, 40)
                for step in (
                    (at, at + 1, {**DOOR_OPEN, **CLOSING}),
                    (at + 2, at + 39, {**DOOR_OPEN, "door_state": 6}),
                )
            ],
            id="removal van holds the door half closed",
        ),
        pytest.param(
            [
                step
                for at in range(0, 300, 12)
                for step in (
                    (at, at + 4, {**DOOR_OPEN, **CLOSING}),
                    (at + 5, at + 8, RIDE),
                    (at + 9, at + 11, DOOR_OPEN),
                )
            ],
            id="short rides one after the other",
        ),
        pytest.param(
            [
                step
                for at in range(0, 300, 20)
                for step in ((at, at + 3, {**DOOR_OPEN, **CLOSING}), (at + 4, at + 19, DOOR_OPEN))
            ],
            id="people keep stepping into the light curtain",
        ),
        pytest.param([(0, 44, {**DOOR_OPEN, **CLOSING}), (45, 60, SHUT_IN)], id="a slow door with nudging"),
        pytest.param([*tries(7, every=11, inside=SOMEONE), (87, 99, RIDE)], id="a crowd gets in two by two"),
        pytest.param([(0, 300, {**SHUT_IN, "door_state": 1})], id="operator's state stale, contact closed"),
        pytest.param([(0, 300, {**DOOR_OPEN, **CLOSING, "main_power": 0})], id="power cut with the door half closed"),
    ],
)
def test_door_closing_fault_stays_silent(story: list[Step]) -> None:
    """The door is not trying, or does close."""
    assert play("door_closing_fault", *story) == []


# ------------------------------------------------------------------------------------ main power lost


def test_main_power_lost_fires() -> None:
    """By sensor, or by the controller's event 41."""
    dark = {**SHUT_IN, "main_power": 0}
    assert play("main_power_lost", (0, 20, dark), (21, 40, SHUT_IN)) == ["raised 5", "returned 31"]
    assert play("main_power_lost", (0, 20, {"message_codes": [41]})) == ["raised 5"]


def test_main_power_dip_stays_silent() -> None:
    """Network switching is over in seconds."""
    assert play("main_power_lost", (0, 4, {"main_power": 0}), (5, 60, {"main_power": 1})) == []


def test_stuttering_mains_are_one_alarm() -> None:
    """Power that comes and goes does not ring each time."""
    stutter: list[Step] = [(at, at + 4, {"main_power": at // 5 % 2}) for at in range(10, 60, 5)]
    assert play("main_power_lost", (0, 9, {"main_power": 0}), *stutter) == ["raised 5"]


# --------------------------------------------------------------------------------------- alarm button

PRESSED = {"alarm_button": 1}


def test_alarm_button_fires_in_a_standing_car_and_ends_with_the_open_door() -> None:
    """One press is enough; releasing the button does not end the call, an open door does."""
    story: list[Step] = [(0, 1, {**STUCK, **PRESSED}), (2, 60, STUCK), (61, 70, DOOR_OPEN)]
    assert play("alarm_button", *story) == ["raised 5", "returned 61"]


def test_alarm_button_pressed_under_way_rings_when_the_door_does_not_open() -> None:
    """The car stops, and stays shut."""
    assert play("alarm_button", (0, 9, {**RIDE, **PRESSED}), (10, 30, SHUT_IN)) == ["raised 15"]


def test_alarm_button_is_not_silenced_by_one_wrong_door_sensor() -> None:
    """One sensor says open; lock and operator say that nobody can walk out."""
    assert play("alarm_button", (0, 9, {**SHUT_IN, **PRESSED, "door_closed": 0})) == ["raised 5"]


def test_alarm_button_alone_is_heard() -> None:
    """A terminal that knows of nothing but the button, or a controller that reports code 90."""
    assert play("alarm_button", (0, 9, PRESSED)) == ["raised 5"]
    assert play("alarm_button", (0, 9, {"message_codes": [90]})) == ["raised 5"]


def test_alarm_button_is_heard_during_maintenance() -> None:
    """EN 81-28: an injured mechanic may call."""
    assert play("alarm_button", (0, 9, {**STUCK, **PRESSED, "service_mode": 2})) == ["raised 5"]


@pytest.mark.parametrize(
    "story",
    [
        pytest.param([(0, 60, {**DOOR_OPEN, **PRESSED}), (61, 90, SHUT_IN)], id="children at an open door"),
        pytest.param(
            [(0, 9, {**RIDE, **PRESSED}), (10, 13, SHUT_IN), (14, 20, DOOR_OPEN)], id="door opens at the next stop"
        ),
        pytest.param([(0, 3, {**SHUT_IN, **PRESSED}), (4, 60, RIDE), (61, 70, DOOR_OPEN)], id="the lift sets off"),
    ],
)
def test_alarm_button_stays_silent(story: list[Step]) -> None:
    """EN 81-28 filters presses of people who can walk out."""
    assert play("alarm_button", *story) == []


# ------------------------------------------------------------------------------------------ overspeed


def test_overspeed_fires_and_returns_by_its_own_limits() -> None:
    """Five seconds at 120 %, downwards; over after fifteen seconds at 105 % or less."""
    fast = {**RIDE, "car_speed": -1.6 * 1.2}
    story: list[Step] = [(0, 9, fast), (10, 19, {**RIDE, "car_speed": -1.6 * 1.10}), (20, 40, RIDE)]
    assert play("overspeed", *story) == ["raised 5", "returned 35"]


@pytest.mark.parametrize(
    ("speed", "rated"),
    [(1.6 * 1.14, 1.6), (1.6 * 1.05, 1.6), (9.0, 0.0)],
    ids=["114 %", "105 %", "no rated speed known"],
)
def test_overspeed_stays_silent(speed: float, rated: float) -> None:
    """Below the governor's limit, or no limit known."""
    assert play("overspeed", (0, 60, {**RIDE, "car_speed": speed}), rated_speed=rated) == []


def test_overspeed_lets_a_jerk_pass() -> None:
    """A spike of the encoder is not five seconds."""
    assert play("overspeed", (0, 4, {**RIDE, "car_speed": 5.0}), (5, 60, RIDE)) == []


# -------------------------------------------------------------------------------- controller reported


@pytest.mark.parametrize("code", [code for code in Code if code <= Code.ENTRAPMENT])
def test_controller_reported_fires_for_its_own_code_alone(code: Code) -> None:
    """Each code has a rule of its own."""
    slug = f"controller_reported_{label(code)}"
    assert play(slug, (0, 9, {"message_codes": [code]}), (10, 30, {"message_codes": []})) == ["raised 5", "returned 20"]
    others = [other for other in Code if other not in (code, *LOCAL.get(code, ()))]
    assert play(slug, (0, 30, {"message_codes": others})) == []
    assert play(slug, (0, 4, {"message_codes": [code]}), (5, 30, {"message_codes": []})) == []


LOCAL = {
    Code.OVERTRAVEL_TOP: [Code.OVERTRAVEL_TOP_LOCAL],
    Code.OVERTRAVEL_BOTTOM: [Code.OVERTRAVEL_BOTTOM_LOCAL],
    Code.ENTRAPMENT: [Code.ENTRAPMENT_AT_LANDING_LOCAL],
}


@pytest.mark.parametrize(("code", "local"), [(code, local) for code, [local] in LOCAL.items()])
def test_local_numbers_mean_the_same(code: Code, local: Code) -> None:
    """Chongqing's 91, 92 and 93 ring like 10, 09 and 11."""
    assert play(f"controller_reported_{label(code)}", (0, 9, {"message_codes": [local]})) == ["raised 5"]


# --------------------------------------------------------------------------------------- contact lost


def test_contact_lost_fires_after_three_minutes_of_silence() -> None:
    """One reading brings the lift back."""
    assert play("contact_lost", (0, 9, SHUT_IN), (300, 300, SHUT_IN)) == ["raised 189", "returned 300"]


def test_contact_lost_stays_silent_for_an_idle_terminal() -> None:
    """An idle terminal reports every 30 s, and may miss four reports."""
    assert play("contact_lost", *[(float(at), float(at), SHUT_IN) for at in range(0, 900, 150)]) == []


# --------------------------------------------------------------------------------------------- loading


def test_file_and_class_must_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that would be lost by a slip of the pen stops the start, and says what is wanted."""
    (tmp_path / "flying_car.py").write_text("class FlyingCars: pass", encoding="utf-8")
    monkeypatch.setattr(rules, "__path__", [str(tmp_path)])
    importlib.invalidate_caches()
    with pytest.raises(ImportError, match=r"flying_car\.py.*FlyingCar\b"):
        rules.load_file("flying_car")


def test_every_file_is_loaded() -> None:
    """Nothing in the folder is forgotten, and slugs begin with their file's name."""
    files = {path.stem for path in Path(rules.__file__).parent.glob("[!_]*.py")}
    assert {next(file for file in files if slug.startswith(file)) for slug in rules.load()} == files
