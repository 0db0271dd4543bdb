"""Which sensors can be believed: each is watched for what cannot be so, loses its vote, and gets it back by itself.

Nobody comes or goes behind a shut door, a car that runs is empty now and then, an empty car weighs nothing, and two
sensors of one door agree when it stands still. Field reports name wrong door states, flickering presence, and speeds
that keep an offset as the first causes of false alarms; counts and limits are ours, chosen on simulated days.
"""

from __future__ import annotations

from typing import Final

from alarms.memory import Remembered, Tally
from alarms.motion import SPEED_KNOWN_FROM, moving, shared, speed, standing
from alarms.readings import Readings
from alarms.rule import ATTENDED
from lift.batch import Mask
from lift.signals import (
    CAR_DIRECTION,
    CAR_STATUS,
    DOOR_CLOSED,
    DOOR_STATE,
    DOOR_ZONE,
    LOAD,
    PASSENGER,
    Direction,
    DoorState,
)

# Below any passenger: less than 1 % of rated load is less than 10 kg in most cars.
EMPTY_LOAD_MAX: Final = 0.01
# A person of 50 kg in a car for 1,000 kg weighs more.
SOMEONE_LOAD_MIN: Final = 0.03

_JUMPS_MAX: Final = 4.0
_TURNS_SAME_MAX: Final = 20.0
_DENIALS_MAX: Final = 8.0
_CONTRADICTIONS_MAX: Final = 3.0
_TRIPS_IN_ZONE_MAX: Final = 6.0


# ----------------------------------------------------------------------------------------- the door


def _state_open(now: Readings) -> Mask:
    return now.shows(DOOR_STATE, DoorState.OPEN)


def _state_shut(now: Readings) -> Mask:
    return now.shows(DOOR_STATE, DoorState.CLOSED) | now.shows(DOOR_STATE, DoorState.LOCKED)


# A sensor that is stuck never changes, while the other one goes round: so only the stuck one's tally fills up.
CLOSED_SAID_SHUT: Final = Tally(
    "door_closed_said_shut",
    counts=lambda now: now.shows(DOOR_CLOSED, 1) & _state_open(now),
    resets=lambda now: now.shows(DOOR_CLOSED, 0),
)
CLOSED_SAID_OPEN: Final = Tally(
    "door_closed_said_open",
    counts=lambda now: now.shows(DOOR_CLOSED, 0) & _state_shut(now),
    resets=lambda now: now.shows(DOOR_CLOSED, 1),
)
STATE_SAID_OPEN: Final = Tally(
    "door_state_said_open",
    counts=lambda now: _state_open(now) & now.shows(DOOR_CLOSED, 1),
    resets=_state_shut,
)
STATE_SAID_SHUT: Final = Tally(
    "door_state_said_shut",
    counts=lambda now: _state_shut(now) & now.shows(DOOR_CLOSED, 0),
    resets=_state_open,
)


@shared
def door_closed_wrong(now: Readings) -> Mask:
    """The contact that says "closed in place" does not follow the door."""
    return (now.tally(CLOSED_SAID_SHUT) >= _CONTRADICTIONS_MAX) | (now.tally(CLOSED_SAID_OPEN) >= _CONTRADICTIONS_MAX)


@shared
def door_state_wrong(now: Readings) -> Mask:
    """The operator's state does not follow the door."""
    return (now.tally(STATE_SAID_OPEN) >= _CONTRADICTIONS_MAX) | (now.tally(STATE_SAID_SHUT) >= _CONTRADICTIONS_MAX)


# ---------------------------------------------------------------------------------------- door zone

ZONE_SAID_OUTSIDE: Final = Tally(
    "door_zone_said_outside",
    # People get in and out at landings: a car that opens its door and stands is at one, nearly always.
    counts=lambda now: now.shows(DOOR_ZONE, 0) & _state_open(now) & standing(now),
    resets=lambda now: now.shows(DOOR_ZONE, 1),
)
ZONE_SAID_INSIDE: Final = Tally(
    "door_zone_said_inside",
    counts=lambda now: moving(now) & now.shows(DOOR_ZONE, 1),
    resets=lambda now: now.shows(DOOR_ZONE, 0),
)


@shared
def door_zone_stuck(now: Readings) -> Mask:
    """The door zone sensor does not change, from stop to stop."""
    inside = now.tally(ZONE_SAID_INSIDE) >= _TRIPS_IN_ZONE_MAX
    return inside | (now.tally(ZONE_SAID_OUTSIDE) >= _CONTRADICTIONS_MAX)


# ----------------------------------------------------------------------------------------- presence


def _shut(now: Readings) -> Mask:
    """Both sensors of the door, as far as they are there, say that it is shut."""
    open_somewhere = now.shows(DOOR_CLOSED, 0) | ((now[DOOR_STATE] > DoorState.UNKNOWN) & ~_state_shut(now))
    return (now.shows(DOOR_CLOSED, 1) | _state_shut(now)) & ~open_somewhere


SEEN_EMPTY: Final = Remembered(
    "seen_empty_behind_the_door",
    begins=lambda now: _shut(now) & now.shows(PASSENGER, 0),
    ends=lambda now: ~_shut(now),
)
# A radar may lose somebody who stands still once or twice; one that comes and goes all the time sees nobody.
PRESENCE_JUMPS: Final = Tally(
    "presence_jumps",
    counts=lambda now: now.remembers(SEEN_EMPTY) & now.shows(PASSENGER, 1),
    forgets_s=300.0,
    most=8.0,
)


# From one stop to the next a busy car is never empty; where it turns, everybody is out sooner or later.
ON_THE_WAY_UP: Final = Remembered(
    "on_the_way_up",
    begins=lambda now: now.shows(CAR_DIRECTION, Direction.UP),
    ends=lambda now: now.shows(CAR_DIRECTION, Direction.DOWN),
)
TURNS_OCCUPIED: Final = Tally(
    "turns_occupied",
    # A mechanic rides to and fro for an hour; and a load cell that says so too is right.
    counts=lambda now: (
        now.remembers(ON_THE_WAY_UP)
        & now.shows(PASSENGER, 1)
        & ~(now[LOAD] > SOMEONE_LOAD_MIN)
        & ~now.in_mode(ATTENDED)
    ),
    resets=lambda now: now.shows(PASSENGER, 0),
)
TURNS_EMPTY: Final = Tally(
    "turns_empty",
    counts=lambda now: (
        now.remembers(ON_THE_WAY_UP) & now.shows(PASSENGER, 0) & ~(now[LOAD] < EMPTY_LOAD_MAX) & ~now.in_mode(ATTENDED)
    ),
    resets=lambda now: now.shows(PASSENGER, 1),
)


@shared
def presence_flickers(now: Readings) -> Mask:
    """Somebody comes and goes behind the shut door."""
    return now.tally(PRESENCE_JUMPS) >= _JUMPS_MAX


# What one sensor says of a trip and the other denies, again and again. The tally of whichever sensor changes starts
# anew, so where one is fuller than the other, the sensor that has changed since is alive and the other one is stuck.
def _nothing_in_it(now: Readings) -> Mask:
    """Presence says that somebody rides, and the load cell that nobody does."""
    denied: Mask = moving(now) & now.shows(PASSENGER, 1) & (now[LOAD] < EMPTY_LOAD_MAX)
    return denied


def _something_in_it(now: Readings) -> Mask:
    """Presence says that nobody rides, and the load cell that somebody does."""
    denied: Mask = moving(now) & now.shows(PASSENGER, 0) & (now[LOAD] > SOMEONE_LOAD_MIN)
    return denied


PRESENCE_DENIED: Final = Tally("presence_denied", counts=_nothing_in_it, resets=lambda now: now.shows(PASSENGER, 0))
ABSENCE_DENIED: Final = Tally("absence_denied", counts=_something_in_it, resets=lambda now: now.shows(PASSENGER, 1))
NO_LOAD_DENIED: Final = Tally(
    "no_load_denied",
    counts=lambda now: _nothing_in_it(now) & ~presence_flickers(now),
    resets=lambda now: now[LOAD] > SOMEONE_LOAD_MIN,
)
LOAD_DENIED: Final = Tally(
    "load_denied",
    counts=lambda now: _something_in_it(now) & ~presence_flickers(now),
    resets=lambda now: now[LOAD] < EMPTY_LOAD_MAX,
)


@shared
def presence_stuck(now: Readings) -> Mask:
    """Presence is the same every time the car turns, or a load cell that is alive has denied it on several trips."""
    same = (now.tally(TURNS_OCCUPIED) >= _TURNS_SAME_MAX) | (now.tally(TURNS_EMPTY) >= _TURNS_SAME_MAX)
    return same | _stuck(now, PRESENCE_DENIED, NO_LOAD_DENIED) | _stuck(now, ABSENCE_DENIED, LOAD_DENIED)


def _stuck(now: Readings, mine: Tally, other: Tally) -> Mask:
    denied = now.tally(mine)
    return (denied >= _DENIALS_MAX) & (denied > now.tally(other))


@shared
def presence_wrong(now: Readings) -> Mask:
    """The presence sensor has no vote."""
    return presence_flickers(now) | presence_stuck(now)


@shared
def load_wrong(now: Readings) -> Mask:
    """The load cell has no vote: it shows the same while people come and go."""
    return _stuck(now, NO_LOAD_DENIED, PRESENCE_DENIED) | _stuck(now, LOAD_DENIED, ABSENCE_DENIED)


# -------------------------------------------------------------------------------------------- speed


@shared
def speed_offset(now: Readings) -> Mask:
    """The car stands by its status, and its speed sensor says otherwise."""
    return now.shows(CAR_STATUS, 0) & (speed(now) >= SPEED_KNOWN_FROM)


# Seen at each stop, for the run that follows.
OFFSET_SEEN: Final = Remembered(
    "speed_offset_seen",
    begins=speed_offset,
    ends=lambda now: now.shows(CAR_STATUS, 0) & (speed(now) < SPEED_KNOWN_FROM),
)
