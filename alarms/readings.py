"""What a rule sees: the newest known value of every signal, for many lifts at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from lift import codes as code_sets
from lift.batch import Floats, Ints, Mask, Slots
from lift.codes import Code
from lift.signals import SERVICE_MODE, SIGNALS, ServiceMode, Signal

Where: TypeAlias = slice | Slots | NDArray[np.intp]
Element = TypeVar("Element", bound=np.generic)
Worked = TypeVar("Worked", bound=NDArray[Any])

ROW: Final[dict[Signal, int]] = {signal: row for row, signal in enumerate(SIGNALS)}


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """A fact that one reading cannot show: it becomes true when `begins` holds and stays so until `ends` holds.

    Where both hold in one reading, `ends` wins. The engine keeps it for every lift like a signal; a rule names
    the facts it asks for in `Rule.remembers`. Compared by identity: there is one object for each name.
    """

    name: str
    begins: Callable[[Readings], Mask]
    ends: Callable[[Readings], Mask]


@dataclass(slots=True, kw_only=True)
class Known:
    """What is known of every lift of a fleet, by slot.

    `values` is float32 [signals x lifts], rows in the order of `SIGNALS`, NaN = never known; `codes` holds sets
    of active message codes (0 = none, or never known); `facts` one row of flags a remembered fact; `rated_speed`
    is in m/s, NaN = not in the register.
    """

    values: NDArray[np.float32]
    codes: Ints
    facts: dict[Remembered, Mask]
    rated_speed: Floats

    @classmethod
    def nothing(cls, lifts: int, rated_speed: Floats | None = None) -> Known:
        """Start out knowing nothing of that many lifts."""
        unknown = np.full(lifts, np.nan, np.float32)
        rated = unknown if rated_speed is None else np.where(rated_speed > 0, rated_speed, unknown)
        values = np.full((len(SIGNALS), lifts), np.nan, np.float32)
        return cls(values=values, codes=np.zeros(lifts, np.int64), facts={}, rated_speed=rated)


@dataclass(slots=True, eq=False)
class Readings:
    """The newest known values of some lifts; every array has one entry a lift and none may be written to."""

    _known: Known
    _where: Where
    _count: int
    _values: dict[Signal, Floats] = field(default_factory=dict)
    _worked: dict[Callable[[Readings], Any], Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the lifts."""
        return self._count

    def __getitem__(self, signal: Signal) -> Floats:
        """Give a signal's newest known values in its own unit; NaN = never known."""
        values = self._values.get(signal)
        if values is None:
            values = self._values[signal] = self._look(self._known.values[ROW[signal]])
        return values

    @property
    def rated_speed(self) -> Floats:
        """Give each lift's rated speed in m/s; NaN = not in the register."""
        return self.once(_rated_speed)

    def reports(self, code: Code) -> Mask:
        """Say which controllers report a code as active at present."""
        bit = code_sets.bit(code)
        # A city's controllers report nothing nearly always, and every code is asked for in every batch.
        if not int(self.once(_any_codes)[0]) & bit:
            return self.none()
        return (self.once(_codes) & bit).astype(np.bool_)

    def remembers(self, fact: Remembered) -> Mask:
        """Say for which lifts a remembered fact is true; KeyError when no rule declares it in `remembers`."""
        return self._look(self._known.facts[fact])

    def none(self) -> Mask:
        """Give a mask that is false for every lift."""
        return self.once(_none)

    def shows(self, signal: Signal, value: int) -> Mask:
        """Say for which lifts a signal's newest known value is this one."""
        same: Mask = self[signal] == value
        return same

    def in_mode(self, modes: frozenset[ServiceMode]) -> Mask:
        """Say which lifts are known to be in one of these modes; a lift whose mode is not known is in none."""
        found = self.none()
        for mode in sorted(modes):
            found = found | self.shows(SERVICE_MODE, mode)
        return found

    def once(self, feature: Callable[[Readings], Worked]) -> Worked:
        """Work a feature out the first time it is asked for and remember it for the other rules."""
        worked: Worked | None = self._worked.get(feature)
        if worked is None:
            worked = self._worked[feature] = feature(self)
            worked.flags.writeable = False
        return worked

    def _look(self, row: NDArray[Element]) -> NDArray[Element]:
        """Pick out our lifts; a rule that writes into what it sees gets an error instead of the fleet's state."""
        seen = row[self._where]
        seen.flags.writeable = False
        return seen


def _none(now: Readings) -> Mask:
    return np.zeros(len(now), np.bool_)


def _rated_speed(now: Readings) -> Floats:
    return now._look(now._known.rated_speed)  # noqa: SLF001 - a part of Readings, outside it only for `once`


def _codes(now: Readings) -> Ints:
    return now._look(now._known.codes)  # noqa: SLF001 - as above


def _any_codes(now: Readings) -> Ints:
    return np.bitwise_or.reduce(now.once(_codes), keepdims=True)


def readings_of(
    columns: Mapping[Signal, Floats],
    *,
    lifts: int,
    codes: Ints | None = None,
    facts: Mapping[Remembered, Mask] | None = None,
    rated_speed: Floats | None = None,
) -> Readings:
    """Make readings by hand, for checks and tests; a signal that is left out was never known.

    >>> from lift.signals import CAR_SPEED
    >>> readings_of({CAR_SPEED: np.array([1.5, 0.0])}, lifts=2)[CAR_SPEED]
    array([1.5, 0. ], dtype=float32)
    """
    known = Known.nothing(lifts, rated_speed)
    for signal, values in columns.items():
        known.values[ROW[signal]] = values
    if codes is not None:
        known.codes = np.where(codes == code_sets.NOT_REPORTED, 0, codes)
    known.facts.update({fact: mask.copy() for fact, mask in (facts or {}).items()})
    return Readings(known, slice(0, lifts), lifts)
