"""The watch: what a site sees by itself, with nobody to ask: somebody presses the alarm button, or is shut in.

A simple form of the platform's rules, which judge the same readings in full. Here it decides which readings are
written at once, never dropped and sent first when the line comes back, and what the site itself shows or sounds.
Nothing is added to the readings: a message code is the controller's word, and we have not heard it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lift import codes as code_sets
from lift.batch import Batch, Ints, Mask
from lift.codes import Code
from lift.signals import (
    ALARM_BUTTON,
    CAR_SPEED,
    CAR_STATUS,
    DOOR_CLOSED,
    DOOR_ZONE,
    LOAD,
    PASSENGER,
    SERVICE_MODE,
    ServiceMode,
    Signal,
)

# Field practice: 15 to 30 s between landings, 40 to 90 s at one; the longest, as the platform's rules have them.
BETWEEN_LANDINGS_S: Final = 30.0
AT_LANDING_S: Final = 90.0
# Field speed sensors keep an offset after the stop.
STANDING_M_S: Final = 0.05
# Of rated load: below any passenger.
EMPTY_LOAD: Final = 0.01

# Of an emergency that lasts, these readings are its message: the first two minutes, enough for every delay of the
# platform's rules, then one a minute, and the one that ends it. A button stuck for a week must not fill the spool.
FIRST_S: Final = 120.0
REMIND_S: Final = 60.0

# Codes with which a controller says that somebody is in danger.
DANGER: Final = code_sets.pack(
    [Code.ENTRAPMENT, Code.ENTRAPMENT_AT_LANDING_LOCAL, Code.ALARM_BUTTON, Code.UNINTENDED_CAR_MOVEMENT]
)

_KNOWN: Final[tuple[Signal, ...]] = (
    ALARM_BUTTON,
    CAR_SPEED,
    CAR_STATUS,
    DOOR_CLOSED,
    DOOR_ZONE,
    LOAD,
    PASSENGER,
    SERVICE_MODE,
)
_NEVER: Final = 2**62


class Emergency(StrEnum):
    """What is wrong, in the order in which it is looked for."""

    ALARM_BUTTON = "alarm_button"
    CONTROLLER = "controller"
    ENTRAPMENT = "entrapment"


@dataclass(frozen=True, slots=True)
class Sighting:
    """An emergency began or ended at a lift; `at` in µs since 1970 UTC, in the sample's own time."""

    lift: str
    emergency: Emergency
    at: int
    begins: bool


def emergencies(batch: Batch) -> Mask:
    """Say which readings tell by themselves of somebody in danger: the alarm button, or a code that means it."""
    pressed: Mask = batch.column(ALARM_BUTTON) == 1
    sets = batch.code_sets()
    coded: Mask = (sets != code_sets.NOT_REPORTED) & ((sets & DANGER) != 0)
    return pressed | coded


class Watch:
    """Watches lifts numbered from 0 by their newest known values. Nothing is seen at a lift that says too little."""

    def __init__(self, lifts: int) -> None:
        self._known: dict[Signal, NDArray[np.float64]] = {signal: np.full(lifts, np.nan) for signal in _KNOWN}
        self._codes: Ints = np.zeros(lifts, np.int64)
        # Since when somebody has been behind a door that does not open, and which emergencies stand since when.
        self._shut_in: Ints = np.full(lifts, _NEVER, np.int64)
        self._since: Ints = np.full((len(Emergency), lifts), _NEVER, np.int64)
        self._reminded: Ints = np.full(lifts, -_NEVER, np.int64)

    def standing(self, lift: int) -> bool:
        """Whether an emergency stands at a lift."""
        return bool((self._since[:, lift] < _NEVER).any())

    def count(self) -> int:
        """Count the lifts at which an emergency stands."""
        return int((self._since < _NEVER).any(axis=0).sum())

    def take(self, samples: Batch) -> tuple[Mask, list[Sighting]]:
        """Say which samples are an emergency's, and what began or ended. At most one sample a lift, in time order."""
        self._learn(samples)
        lift, at = samples.lift, samples.at
        stood: Mask = np.asarray((self._since[:, lift] < _NEVER).any(axis=0))
        sightings: list[Sighting] = []
        for number, (emergency, holds) in enumerate(zip(Emergency, self._holds(lift, at), strict=True)):
            since = self._since[number]
            turned = np.flatnonzero(holds != (since[lift] < _NEVER))
            for row in turned.tolist():
                name = samples.names[lift[row]]
                sightings.append(Sighting(name, emergency, int(at[row]), bool(holds[row])))
            since[lift] = np.where(holds, np.minimum(since[lift], at), _NEVER)
        return self._urgent(samples, stood, anything_new=bool(sightings)), sightings

    def _urgent(self, samples: Batch, stood: Mask, *, anything_new: bool) -> Mask:
        lift, at = samples.lift, samples.at
        since = self._since[:, lift]
        stands: Mask = np.asarray((since < _NEVER).any(axis=0))
        if not anything_new and not stands.any():
            return stands
        # The newest to begin counts, so that a button pressed after an hour's entrapment is heard as the first was.
        newest = np.where(since < _NEVER, since, -_NEVER).max(axis=0)
        first = at - newest <= int(FIRST_S * 1e6)
        due = at - self._reminded[lift] >= int(REMIND_S * 1e6)
        turned = np.zeros(len(samples), np.bool_)
        turned[stands != stood] = True
        urgent: Mask = (stands & (first | due)) | turned
        self._reminded[lift[urgent]] = at[urgent]
        return urgent

    def _holds(self, lift: NDArray[np.int32], at: Ints) -> tuple[Mask, Mask, Mask]:
        now = {signal: known[lift] for signal, known in self._known.items()}
        codes = self._codes[lift]
        pressed = (now[ALARM_BUTTON] == 1) | ((codes & code_sets.bit(Code.ALARM_BUTTON)) != 0)
        coded = (codes & DANGER & ~code_sets.bit(Code.ALARM_BUTTON)) != 0
        return pressed, coded, self._shut_in_for_long(lift, at, now)

    def _shut_in_for_long(self, lift: NDArray[np.int32], at: Ints, now: dict[Signal, NDArray[np.float64]]) -> Mask:
        """Still, occupied, and behind a shut door at a landing or wherever the door is between landings."""
        speed = np.abs(now[CAR_SPEED])
        still = (speed < STANDING_M_S) | (np.isnan(speed) & (now[CAR_STATUS] == 0))
        attended = (now[SERVICE_MODE] == ServiceMode.INSPECTION) | (now[SERVICE_MODE] == ServiceMode.FIREFIGHTER)
        between = now[DOOR_ZONE] == 0
        # Presence sensors stick, and a car parked with a stuck one looks like an entrapment; the load cell knows.
        shut = between | ((now[DOOR_CLOSED] == 1) & ~(now[LOAD] < EMPTY_LOAD))
        holds = still & shut & (now[PASSENGER] == 1) & ~attended
        self._shut_in[lift] = np.where(holds, np.minimum(self._shut_in[lift], at), _NEVER)
        waits_s = np.where(between, BETWEEN_LANDINGS_S, AT_LANDING_S)
        long: Mask = holds & (at - self._shut_in[lift] >= (waits_s * 1e6).astype(np.int64))
        return long

    def _learn(self, samples: Batch) -> None:
        for signal, known in self._known.items():
            column = samples.columns.get(signal)
            if column is not None:
                said = ~np.isnan(column)
                known[samples.lift[said]] = column[said]
        if samples.codes is not None:
            said = samples.codes != code_sets.NOT_REPORTED
            self._codes[samples.lift[said]] = samples.codes[said]
