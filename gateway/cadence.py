"""The cadence of reports: which samples are worth sending.

At once when any flag, choice, count or code changes, or an analogue signal by its deadband; every second while the
car moves or somebody is in it; else every 10 to 30 s (GB/T 24476 terminals in practice; the design asks for the same).
So the platform's newest known value of every signal is at most a deadband off, and that for one interval at most.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lift import codes as code_sets
from lift.batch import Batch, Ints, Mask, Slots
from lift.errors import Invalid
from lift.signals import (
    BATTERY,
    CAR_HEIGHT,
    CAR_SPEED,
    CAR_STATUS,
    LEVELLING_ERROR,
    LOAD,
    MACHINE_ROOM_TEMPERATURE,
    MOTOR_CURRENT,
    MOTOR_TEMPERATURE,
    PASSENGER,
    RUNNING_HOURS,
    TEST_CALL_AGE,
    VIBRATION_X,
    VIBRATION_Y,
    VIBRATION_Z,
    Signal,
)

INTERVAL_S: Final = 20.0
INTERVAL_S_MIN: Final = 10.0
INTERVAL_S_MAX: Final = 30.0

# Samples come a little early or late.
_EARLY_US: Final = 100_000
_LIVE_US: Final = 1_000_000 - _EARLY_US
# A car whose speed is below this stands: offsets of field sensors after a stop stay under it.
MOVING_M_S: Final = 0.05
_SECOND_US: Final = 1_000_000
_LONG_AGO: Final = -(2**62)

# How far an analogue signal may wander before an idle lift reports it; in the signal's own unit. A signal that is not
# here is reported at every change. Each is a small part of what any rule's threshold leaves as margin, and above the
# noise of a sensor at rest.
DEADBANDS: Final[dict[Signal, float]] = {
    CAR_SPEED: 0.02,  # cars stand below 0.05 m/s
    CAR_HEIGHT: 0.005,  # EN 81-20: levels to 10 mm, and re-levels from 20 mm
    LOAD: 0.005,  # an empty car shows less than 0.01 of its rated load
    BATTERY: 0.01,
    VIBRATION_X: 0.02,  # GB/T 10058 limits begin at 0.15 m/s²
    VIBRATION_Y: 0.02,
    VIBRATION_Z: 0.02,
    MOTOR_CURRENT: 0.5,
    MOTOR_TEMPERATURE: 1.0,
    MACHINE_ROOM_TEMPERATURE: 0.5,  # limits of machine rooms are whole degrees: 5 to 40 °C (EN 81-20)
    LEVELLING_ERROR: 1.0,
    RUNNING_HOURS: 0.1,  # grows only while the lift runs, and then it reports every second
    TEST_CALL_AGE: 1.0,
}


class Cadence:
    """Picks the samples to report, for lifts numbered from 0; its memory is a value a signal and lift.

    A value that a sample lacks is no change: a source may tell different signals at different moments.
    """

    def __init__(self, lifts: int, *, interval_s: float = INTERVAL_S) -> None:
        """Begin with every lift due. Raises Invalid for an interval outside 10 to 30 s."""
        self._lifts = lifts
        self.interval_s = _checked(interval_s)
        self._told: dict[Signal, NDArray[np.float64]] = {}
        self._codes: Ints = np.full(lifts, code_sets.NOT_REPORTED, np.int64)
        self._at: Ints = np.full(lifts, _LONG_AGO, np.int64)
        self._busy: Mask = np.zeros(lifts, np.bool_)
        # Lifts that begin together shall not report together for ever: the golden ratio keeps neighbours apart.
        self._spread = np.arange(lifts) * 0.618_034 % 1.0

    def set_interval(self, interval_s: float) -> None:
        """Let idle lifts report so often; raises Invalid outside 10 to 30 s."""
        self.interval_s = _checked(interval_s)

    def pick(self, samples: Batch) -> Mask:
        """Say which samples to report, and take them as reported. At most one sample a lift; lifts are our numbers."""
        lift = samples.lift
        changed = np.zeros(len(samples), np.bool_)
        for signal, column in samples.columns.items():
            told = self._told.get(signal)
            if told is None:
                told = self._told[signal] = np.full(self._lifts, np.nan)
            before = told[lift]
            # Also where one of the two is missing: only what is known to be the same is the same.
            same = np.abs(column - before) < DEADBANDS[signal] if signal in DEADBANDS else column == before
            changed |= ~same & ~np.isnan(column)
        if samples.codes is not None:
            changed |= (samples.codes != self._codes[lift]) & (samples.codes != code_sets.NOT_REPORTED)
        since = samples.at - self._at[lift]
        report = changed | (since >= self._wait(samples)) | (since < 0)
        self._remember(samples, report)
        return report

    def forget(self, lift: Slots) -> None:
        """Report the next samples of these lifts whatever they say: the last ones have not reached the disk."""
        self._at[lift] = _LONG_AGO

    def _wait(self, samples: Batch) -> Ints:
        """Say how long after the last report each lift is due again, in µs."""
        lift = samples.lift
        status, occupied = samples.column(CAR_STATUS), samples.column(PASSENGER)
        speed = np.abs(samples.column(CAR_SPEED))
        # What a sample does not say stays as it was.
        said = ~(np.isnan(status) & np.isnan(occupied) & np.isnan(speed))
        busy: Mask = (status == 1) | (occupied == 1) | (speed >= MOVING_M_S)
        busy = np.where(said, busy, self._busy[lift])
        self._busy[lift] = busy
        return np.where(busy, _LIVE_US, int(self.interval_s * _SECOND_US) - _EARLY_US)

    def _remember(self, samples: Batch, report: Mask) -> None:
        lift = samples.lift[report]
        spread = self._spread[lift] * self.interval_s * _SECOND_US * (self._at[lift] == _LONG_AGO)
        self._at[lift] = samples.at[report] - spread.astype(np.int64)
        for signal, column in samples.columns.items():
            values = column[report]
            known = ~np.isnan(values)
            self._told[signal][lift[known]] = values[known]
        if samples.codes is not None:
            codes = samples.codes[report]
            said = codes != code_sets.NOT_REPORTED
            self._codes[lift[said]] = codes[said]


def _checked(interval_s: float) -> float:
    if not INTERVAL_S_MIN <= interval_s <= INTERVAL_S_MAX:
        raise Invalid("seconds", f"{interval_s:g} is outside {INTERVAL_S_MIN:g} to {INTERVAL_S_MAX:g} s")
    return interval_s
