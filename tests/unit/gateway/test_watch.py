"""The watch: a site sees by itself that somebody calls for help or is shut in, and marks what the platform must get."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.samples import Samples
from gateway.watch import Emergency, Sighting, Watch, emergencies
from lift.batch import from_rows

SECOND = 1_000_000
WALKING_AWAY: dict[str, Any] = {"door_closed": 0}
SHUT_IN: dict[str, Any] = {"car_speed": 0.0, "passenger": 1, "door_closed": 1, "door_zone": 1, "service_mode": 1}
BETWEEN = SHUT_IN | {"door_zone": 0, "door_closed": 0}


def watched(*rows: dict[str, Any], start: int = 0) -> tuple[list[int], list[Sighting]]:
    """Give the seconds whose samples are an emergency's, and what was seen, of one sample a second."""
    return go_on(Watch(1), *rows, start=start)


def go_on(watch: Watch, *rows: dict[str, Any], start: int = 0) -> tuple[list[int], list[Sighting]]:
    """As `watched`, of a watch that has seen something before."""
    samples = Samples(["a"])
    urgent: list[int] = []
    seen: list[Sighting] = []
    for second, row in enumerate(rows, start):
        ours, _ = samples.numbered(from_rows([{"lift": "a", "at": second * SECOND, **row}]))
        mask, sightings = watch.take(ours)
        urgent += [second] * int(mask[0])
        seen += sightings
    return urgent, seen


def seen_at(emergency: Emergency, second: int, *, begins: bool = True) -> Sighting:
    """Make what is seen of lift a."""
    return Sighting("a", emergency, second * SECOND, begins)


def test_the_alarm_button_is_an_emergency_from_its_first_sample_to_the_one_that_ends_it() -> None:
    """Pressed for three seconds: those, and the one that shows it released."""
    rows = [{"alarm_button": int(3 <= second < 6)} for second in range(10)]
    urgent, seen = watched(*rows)
    assert urgent == [3, 4, 5, 6]
    assert seen == [seen_at(Emergency.ALARM_BUTTON, 3), seen_at(Emergency.ALARM_BUTTON, 6, begins=False)]


@pytest.mark.parametrize(("shut_in", "after"), [(BETWEEN, 30), (SHUT_IN, 90)], ids=["between landings", "at a landing"])
def test_somebody_behind_a_door_that_stays_shut_is_an_emergency(shut_in: dict[str, Any], after: int) -> None:
    """After as long as the platform's own rules wait, so that a stop on the way is none."""
    urgent, seen = watched(*[shut_in] * (after + 10), SHUT_IN | {"door_closed": 0, "door_zone": 1})
    assert urgent == list(range(after, after + 11))
    assert seen == [seen_at(Emergency.ENTRAPMENT, after), seen_at(Emergency.ENTRAPMENT, after + 10, begins=False)]


@pytest.mark.parametrize(
    "change",
    [
        {"passenger": 0},
        {"car_speed": 0.5},
        {"door_closed": 0},
        {"service_mode": 2},
        {"service_mode": 4},
        {"load": 0.0},
    ],
    ids=str,
)
def test_a_near_miss_at_a_landing_is_none(change: dict[str, Any]) -> None:
    """Empty, moving, open, attended, or weightless: nobody is shut in."""
    assert watched(*[SHUT_IN | change] * 200) == ([], [])


def test_a_break_of_a_second_starts_the_waiting_anew() -> None:
    """A door that opened let them out."""
    rows = [SHUT_IN] * 60 + [SHUT_IN | WALKING_AWAY] + [SHUT_IN] * 60
    assert watched(*rows) == ([], [])


@pytest.mark.parametrize("missing", ["passenger", "car_speed", "door_closed"])
def test_a_lift_that_says_too_little_is_no_emergency(missing: str) -> None:
    """Missing is not zero: what is not known is not held against a lift."""
    row = {name: value for name, value in SHUT_IN.items() if name != missing}
    assert watched(*[row] * 200) == ([], [])


def test_what_was_said_before_is_remembered() -> None:
    """A source that tells only changes is heard as well as one that repeats itself."""
    urgent, seen = watched(BETWEEN, *[{"main_power": 1}] * 40)
    assert urgent[0] == 30
    assert seen == [seen_at(Emergency.ENTRAPMENT, 30)]


def test_what_the_controller_reports_is_an_emergency() -> None:
    """Entrapment and unintended movement by its own word; an ordinary fault is none, and silence is no end."""
    urgent, seen = watched(
        {"message_codes": [2]}, {"message_codes": [2, 11]}, {}, {"message_codes": [2]}, {"message_codes": [90]}
    )
    assert urgent == [1, 2, 3, 4]
    assert [(one.emergency, one.begins) for one in seen] == [
        (Emergency.CONTROLLER, True),
        (Emergency.CONTROLLER, False),
        (Emergency.ALARM_BUTTON, True),
    ]


def test_an_emergency_that_lasts_is_the_first_minutes_and_then_a_reminder_a_minute() -> None:
    """A button that is stuck for a week must not fill the spool; one pressed again after an hour is heard anew."""
    watch = Watch(1)
    urgent, _ = go_on(watch, *[{"alarm_button": 1}] * 600)
    assert urgent == [*range(121), *range(180, 600, 60)]
    urgent, _ = go_on(watch, *[{"message_codes": [11], "alarm_button": 1}] * 10, start=600)
    assert urgent == list(range(600, 610)), "something new about a lift that is in trouble already"
    assert watch.count() == 1


def test_readings_that_tell_of_an_emergency_by_themselves_are_known_without_a_watch() -> None:
    """The alarm button and the codes of danger; silence is not an emergency, nor is an ordinary fault."""
    codes: list[dict[str, Any]] = [{"message_codes": [2]}, {"message_codes": []}, {"message_codes": [2, 90]}]
    rows = [*codes, {}, {"alarm_button": 1}, {"alarm_button": 0}]
    mask = emergencies(from_rows([{"lift": str(i), "at": 1, **row} for i, row in enumerate(rows)]))
    assert mask.tolist() == [False, False, True, False, True, False]
