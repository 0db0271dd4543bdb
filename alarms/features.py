"""Shared maths of the rules: what the car and its door are doing, from signals that may be missing or wrong.

Every feature is false for a lift it knows too little about, and is worked out once a batch however many
rules ask for it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from alarms.health import (
    EMPTY_LOAD_MAX,
    OFFSET_SEEN,
    SOMEONE_LOAD_MIN,
    door_closed_wrong,
    door_state_wrong,
    door_zone_stuck,
    load_wrong,
    presence_wrong,
)
from alarms.memory import Highest, Remembered, Tally
from alarms.motion import LEVELLING_SPEED_MAX, RELEVELLING_SPEED_MAX, moving, shared, speed, standing
from alarms.readings import Readings
from alarms.rule import ATTENDED
from lift.batch import Floats, Mask
from lift.codes import Code
from lift.signals import (
    ALARM_BUTTON,
    CAR_HEIGHT,
    CAR_POSITION,
    CAR_SPEED,
    CAR_STATUS,
    DOOR_CLOSED,
    DOOR_LOCK,
    DOOR_STATE,
    DOOR_ZONE,
    LEVELLING_ERROR,
    LOAD,
    MAIN_POWER,
    PASSENGER,
    SAFETY_CHAIN,
    VIBRATION_X,
    VIBRATION_Y,
    DoorState,
)

__all__ = ["RELEVELLING_SPEED_MAX", "load_wrong", "moving", "shared", "speed", "standing"]


@shared
def in_door_zone(now: Readings) -> Mask:
    """Car is where its doors may be unlocked; a sensor that is stuck says nothing."""
    return now.shows(DOOR_ZONE, 1) & ~door_zone_stuck(now)


@shared
def outside_door_zone(now: Readings) -> Mask:
    """Car is between landings; a sensor that is stuck says nothing."""
    return now.shows(DOOR_ZONE, 0) & ~door_zone_stuck(now)


@shared
def beyond_levelling(now: Readings) -> Mask:
    """Car is, or moves, where no levelling with open doors is allowed."""
    return outside_door_zone(now) | (speed(now) > LEVELLING_SPEED_MAX)


@shared
def weighed(now: Readings) -> Mask:
    """The load cell finds somebody in the car."""
    return (now[LOAD] > SOMEONE_LOAD_MIN) & ~load_wrong(now)


@shared
def weighs_nothing(now: Readings) -> Mask:
    """The load cell contradicts a presence sensor: less than 1 % of rated load is less than 10 kg in most cars."""
    return (now[LOAD] < EMPTY_LOAD_MAX) & ~load_wrong(now)


@shared
def occupied(now: Readings) -> Mask:
    """Someone is inside the car: a presence sensor that can be believed says so, or the load cell does."""
    return (now.shows(PASSENGER, 1) & ~presence_wrong(now)) | weighed(now)


@shared
def perhaps_occupied(now: Readings) -> Mask:
    """Someone is inside, or the sensor that would tell us cannot be believed and the load cell does not deny it."""
    return occupied(now) | (presence_wrong(now) & ~weighs_nothing(now))


def _door_votes(now: Readings) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Count the sources that call the door open and those that call it shut.

    Vision sensors that read the door wrongly are the field's first cause of false alarms, so three sources vote; one
    that does not follow the door has no vote.
    """
    state, closed = ~door_state_wrong(now), ~door_closed_wrong(now)
    state_shut = now.shows(DOOR_STATE, DoorState.CLOSED) | now.shows(DOOR_STATE, DoorState.LOCKED)
    state_open = (now[DOOR_STATE] > DoorState.UNKNOWN) & ~state_shut
    return (
        _count(now.shows(DOOR_CLOSED, 0) & closed, now.shows(DOOR_LOCK, 0), state_open & state),
        _count(now.shows(DOOR_CLOSED, 1) & closed, now.shows(DOOR_LOCK, 1), state_shut & state),
    )


def _count(a: Mask, b: Mask, c: Mask) -> NDArray[np.int8]:
    return a.view(np.int8) + b.view(np.int8) + c.view(np.int8)


def _votes(now: Readings) -> NDArray[np.int8]:
    both: NDArray[np.int8] = now.once(_stacked_votes)
    return both


def _stacked_votes(now: Readings) -> NDArray[np.int8]:
    return np.stack(_door_votes(now))


@shared
def door_open(now: Readings) -> Mask:
    """Most of the sources that know say that the car door is not shut."""
    opened, shut = _votes(now)
    more: Mask = opened > shut
    return more


@shared
def door_shut(now: Readings) -> Mask:
    """At least as many sources say that the car door is shut as say that it is not.

    A tie counts as shut: panels that are closed over a lock contact that does not make are a common way to be
    trapped. Not so where the operator says that the door stands wide open.
    """
    opened, shut = _votes(now)
    wide_open = now.shows(DOOR_STATE, DoorState.OPEN) & ~door_state_wrong(now)
    shut_or_tied: Mask = (shut > opened) | ((shut > 0) & (shut == opened) & ~wide_open)
    return shut_or_tied


@shared
def open_at_landing(now: Readings) -> Mask:
    """People can walk out."""
    return door_open(now) & in_door_zone(now)


@shared
def mains_lost(now: Readings) -> Mask:
    """The mains sensor, or the controller, says that there are no mains."""
    return now.shows(MAIN_POWER, 0) | now.reports(Code.MAIN_POWER_LOST)


@shared
def attended(now: Readings) -> Mask:
    """A trained person controls the car: what happens under his hands is nothing to remember."""
    return now.in_mode(ATTENDED)


# EN 81-28 asks that a press be filtered when the door is open at a landing, or opens at the next stop.
ALARM_CALL: Final = Remembered(
    "alarm_call",
    begins=lambda now: now.shows(ALARM_BUTTON, 1) | now.reports(Code.ALARM_BUTTON),
    ends=open_at_landing,
)

# Whoever is in a car that has opened at this landing could have walked out. Once it sets off, or tries to, no more.
OPENED_HERE: Final = Remembered(
    "opened_here",
    begins=open_at_landing,
    ends=lambda now: outside_door_zone(now) | ((moving(now) | now.shows(CAR_STATUS, 1)) & door_shut(now)),
)

# A door that a rescuer opens on a car standing between landings is not the car's own movement.
DOOR_OPEN_ON_THE_WAY: Final = Remembered(
    "door_open_on_the_way",
    begins=lambda now: door_open(now) & (in_door_zone(now) | moving(now)),
    ends=lambda now: door_shut(now) | attended(now),
)

# The chain runs through the door contacts, so at a landing it opens at every stop; under way it must not. A car that
# stands with an open door "outside the zone" is more often at a landing with a zone sensor that has failed.
CHAIN_BROKEN_UNDER_WAY: Final = Remembered(
    "chain_broken_under_way",
    begins=lambda now: (
        now.shows(SAFETY_CHAIN, 0)
        & ((outside_door_zone(now) & ~door_open(now)) | (moving(now) & beyond_levelling(now)))
    ),
    ends=lambda now: now.shows(SAFETY_CHAIN, 1) | attended(now),
)

# A car that leaves a landing with its door open is seen to move; a door zone sensor that fails is not.
CREPT: Final = Remembered(
    "crept_with_open_door",
    begins=lambda now: door_open(now) & (moving(now) | now.shows(CAR_STATUS, 1)),
    ends=lambda now: door_shut(now) | attended(now),
)

# ------------------------------------------------------------------------- the end of the hoistway

# EN 81-20 5.3.8.1: the unlocking zone reaches at most 0.20 m to either side of a landing.
ZONE_REACH_M: Final = 0.2
# A basement may be so much higher or lower than the storeys above, in storeys, and is counted all the same.
_STOREYS_OFF_MAX: Final = 0.25


@shared
def _opened(now: Readings) -> Mask:
    """Car stands at a landing for people to get in and out: what it shows then is what that landing is."""
    return open_at_landing(now) & standing(now)


def _height(now: Readings) -> Floats:
    return now[CAR_HEIGHT]


TOP_LANDING: Final = Highest("top_landing", when=_opened, of=_height)
MAIN_LANDING: Final = Highest("main_landing", when=lambda now: _opened(now) & now.shows(CAR_POSITION, 1), of=_height)


def _storey(number: Floats) -> Floats:
    """Number the landings upwards without a gap: people leave out the 0 between -1 and 1."""
    storey: Floats = number + (number < 0)
    return storey


def _last_storey(now: Readings) -> Floats:
    """Say which number the last landing has, as far as one reading shows: heights are counted from the lowest landing.

    Either the car stands at the lowest, or it stands above the main landing, number 1, and that is so many of the
    storeys between the two above the lowest.
    """
    number, height, main = _storey(now[CAR_POSITION]), now[CAR_HEIGHT], now.highest(MAIN_LANDING)
    lowest = np.where(np.abs(height) <= ZONE_REACH_M, number, np.float32(np.nan))
    storeys = number - 1
    above = (storeys > 0) & (height > main)
    below = np.divide(main * storeys, height - main, out=np.full_like(height, np.nan), where=above)
    whole = np.rint(below)
    counted = np.where(np.abs(below - whole) <= _STOREYS_OFF_MAX, 1 - whole, np.float32(np.nan))
    last: Floats = np.fmax(lowest, counted) + now.landings - 1
    return last


# Where the numbers contradict each other the greater: then no landing counts as the last, and nothing is said.
LAST_STOREY: Final = Highest("last_storey", when=_opened, of=_last_storey)


def landings_above(now: Readings) -> Mask:
    """Car's position says that there are further landings above; false where the last one's number is not known."""
    above: Mask = _storey(now[CAR_POSITION]) < now.highest(LAST_STOREY)
    return above


def _in_top_zone(now: Readings) -> Mask:
    """Car is in the door zone of the landing that must be the last."""
    at_last: Mask = _storey(now[CAR_POSITION]) == now.highest(LAST_STOREY)
    return at_last & in_door_zone(now)


# The door zone is one stretch of the hoistway: outside it, and higher than a place inside it, is above it. A car that
# comes up for the first time is seen in it once at least, since it is slow there.
TOP_ZONE_DEPTH: Final = Highest("top_zone_depth", when=_in_top_zone, of=lambda now: -now[CAR_HEIGHT])

# ------------------------------------------------------------------------------------ slow counters

TRIED_TO_CLOSE: Final = Remembered(
    "tried_to_close", begins=lambda now: now.shows(DOOR_STATE, DoorState.CLOSING), ends=door_shut
)


def _turned_back(now: Readings) -> Mask:
    state = now[DOOR_STATE]
    opens = (state == DoorState.OPENING) | (state == DoorState.OPEN) | (state == DoorState.HELD)
    turned: Mask = opens & now.remembers(TRIED_TO_CLOSE)
    return turned


REVERSALS: Final = Tally("door_reversals", counts=_turned_back, forgets_s=60.0, most=60.0, resets=door_shut)

# A search run goes at about levelling speed, 0.3 m/s (EN 81-20).
CREEP_MAX: Final = 0.4
# Every run with a goal is faster than that within a second, and slow again only at its goal.
WENT_FAST: Final = Remembered("went_fast", begins=lambda now: speed(now) > CREEP_MAX, ends=standing)

# Slower than this is noise of the speed sensor.
_GOES_M_S: Final = 0.02
WENT_UP: Final = Remembered(
    "went_up",
    begins=lambda now: now.shows(CAR_STATUS, 1) & (now[CAR_SPEED] > _GOES_M_S) & door_shut(now),
    ends=lambda now: now.shows(CAR_STATUS, 0),
)
WENT_DOWN: Final = Remembered(
    "went_down",
    begins=lambda now: now.shows(CAR_STATUS, 1) & (now[CAR_SPEED] < -_GOES_M_S) & door_shut(now),
    ends=lambda now: now.shows(CAR_STATUS, 0),
)
ROLL_BACKS: Final = Tally(
    "roll_backs",
    counts=lambda now: now.remembers(WENT_UP) & now.remembers(WENT_DOWN) & ~now.remembers(OFFSET_SEEN),
    forgets_s=4 * 3600.0,
    most=12.0,
)
RELEVELLINGS: Final = Tally(
    "relevellings",
    counts=lambda now: open_at_landing(now) & now.shows(CAR_STATUS, 1) & (speed(now) <= RELEVELLING_SPEED_MAX),
    forgets_s=600.0,
    most=24.0,
)
# EN 81-20 5.12.1.1.4: stops within 10 mm, kept within 20 mm.
STOPS_OFF_10: Final = Tally(
    "stops_off_10_mm",
    counts=lambda now: standing(now) & (np.abs(now[LEVELLING_ERROR]) > 10.0),  # noqa: PLR2004 - named above
    forgets_s=6 * 3600.0,
    most=12.0,
)
STOPS_OFF_20: Final = Tally(
    "stops_off_20_mm",
    counts=lambda now: standing(now) & (np.abs(now[LEVELLING_ERROR]) > 20.0),  # noqa: PLR2004 - named above
    forgets_s=6 * 3600.0,
    most=12.0,
)
# Half as much again as GB/T 10058 lets through, as RMS over a second.
_SHAKEN_M_S2: Final = 0.1
SHAKES: Final = Tally(
    "shakes",
    counts=lambda now: moving(now) & ((now[VIBRATION_X] > _SHAKEN_M_S2) | (now[VIBRATION_Y] > _SHAKEN_M_S2)),
    forgets_s=1800.0,
    most=40.0,
)

# ------------------------------------------------------------------------------ signs of entrapment

# How far each sign is believed alone: our choice, by what else it may mean.
_SEEN_AND_WEIGHED: Final = 0.9
_SEEN: Final = 0.7
_NOT_KNOWN_EMPTY: Final = 0.4
_CALLED: Final = 0.8
_REPORTED: Final = 0.9


def controller_says_trapped(now: Readings) -> Mask:
    """The controller reports an entrapment, by the supervision table's code or the local one."""
    return now.reports(Code.ENTRAPMENT) | now.reports(Code.ENTRAPMENT_AT_LANDING_LOCAL)


def entrapment_signs(now: Readings) -> dict[str, Floats]:
    """Weigh what speaks for an entrapment in a car that stands shut: someone seen, a call for help, the controller."""
    seen = np.where(occupied(now), np.where(weighed(now), _SEEN_AND_WEIGHED, _SEEN), 0.0)
    return {
        "someone_in_a_standing_car": np.where(perhaps_occupied(now), np.maximum(seen, _NOT_KNOWN_EMPTY), seen),
        "alarm_button": np.where(now.remembers(ALARM_CALL), _CALLED, 0.0),
        "controller": np.where(controller_says_trapped(now), _REPORTED, 0.0),
    }
