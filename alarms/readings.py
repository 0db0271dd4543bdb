"""What a rule sees: the newest known value of every signal, for many lifts at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from alarms.memory import FOREVER_S, Highest, Memory, Remembered, Tally
from lift import codes as code_sets
from lift.batch import Floats, Ints, Mask, Slots
from lift.codes import Code
from lift.signals import SERVICE_MODE, SIGNALS, ServiceMode, Signal

Where: TypeAlias = slice | Slots | NDArray[np.intp]
Element = TypeVar("Element", bound=np.generic)
Worked = TypeVar("Worked", bound=NDArray[Any])

ROW: Final[dict[Signal, int]] = {signal: row for row, signal in enumerate(SIGNALS)}


# Flags in one number; its sign is left alone.
WORD_BITS: Final = 62


@dataclass(slots=True, kw_only=True)
class Known:
    """What is known of every lift of a fleet, by slot.

    `values` is float32 [lifts x signals], columns in the order of `SIGNALS`, NaN = never known; `codes` holds sets
    of active message codes (0 = none, or never known); `rated_speed` (m/s) and `landings` (how many the lift
    serves) are NaN where the register does not say. Of memories, `row` says which row is whose: `levels` and
    `stamps` (µs) of tallies, `reached` of heights, and `bit` which bit of a lift's `words` [words x lifts]: whether
    a fact is true, whether what a tally counts is going on, and in the bit after that whether its level means
    anything. What belongs to one lift lies together: lifts come in any order, and each place in memory that must be
    looked up costs more than the sums.
    """

    values: NDArray[np.float32]
    codes: Ints
    rated_speed: Floats
    landings: Floats
    row: dict[Memory, int] = field(default_factory=dict)
    bit: dict[Memory, int] = field(default_factory=dict)
    words: Ints = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    levels: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    stamps: Ints = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    reached: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    @classmethod
    def nothing(cls, lifts: int, rated_speed: Floats | None = None, landings: Floats | None = None) -> Known:
        """Start out knowing nothing of that many lifts but what the register says, where 0 says nothing."""
        unknown = np.full(lifts, np.nan, np.float32)
        rated, served = (
            unknown if said is None else np.where(said > 0, said, unknown) for said in (rated_speed, landings)
        )
        values = np.full((lifts, len(SIGNALS)), np.nan, np.float32)
        return cls(values=values, codes=np.zeros(lifts, np.int64), rated_speed=rated, landings=served)

    def remember(self, memories: Sequence[Memory]) -> None:
        """Make room for memories: nothing has happened yet."""
        lifts = self.codes.size
        counts = {Remembered: 0, Tally: 0, Highest: 0}
        bits = 0
        for memory in memories:
            self.row[memory] = counts[type(memory)]
            counts[type(memory)] += 1
            # The two flags of a tally stay in one word.
            bits += isinstance(memory, Tally) and bits % WORD_BITS == WORD_BITS - 1
            self.bit[memory] = bits
            bits += {Remembered: 1, Tally: 2, Highest: 0}[type(memory)]
        self.words = np.zeros((-(-bits // WORD_BITS), lifts), np.int64)
        self.levels = np.zeros((counts[Tally], lifts), np.float32)
        # Zeros: the machine gives such pages only when they are first written to.
        self.stamps = np.zeros((counts[Tally], lifts), np.int64)
        self.reached = np.full((counts[Highest], lifts), np.nan, np.float32)


def pick(kept: NDArray[Element], where: Where) -> NDArray[Element]:
    """Give the entries of some lifts: neighbours as a view, others as a copy.

    `take` with "clip" is a third of the work of an index array; slots are within the fleet, so nothing is clipped.
    """
    return kept[where] if isinstance(where, slice) else kept.take(where, axis=0, mode="clip")


@dataclass(slots=True, eq=False)
class Readings:
    """The newest known values of some lifts; every array has one entry a lift and none may be written to."""

    _known: Known
    _where: Where
    _count: int
    _values: dict[Signal, Floats] = field(default_factory=dict)
    _at: Ints | None = None
    _worked: dict[Any, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the lifts."""
        return self._count

    def __getitem__(self, signal: Signal) -> Floats:
        """Give a signal's newest known values in its own unit; NaN = never known."""
        values = self._values.get(signal)
        if values is None:
            # Not `pick`: `take` would copy the whole column, which does not lie together, to pick from it.
            values = self._values[signal] = self._known.values[self._where, ROW[signal]]
            values.flags.writeable = False
        return values

    @property
    def rated_speed(self) -> Floats:
        """Give each lift's rated speed in m/s; NaN = not in the register."""
        return self.once(_rated_speed)

    @property
    def landings(self) -> Floats:
        """Give how many landings each lift serves; NaN = not in the register."""
        return self.once(_landings)

    def reports(self, code: Code) -> Mask:
        """Say which controllers report a code as active at present."""
        bit = code_sets.bit(code)
        # A city's controllers report nothing nearly always, and every code is asked for in every batch.
        if not int(self.once(_any_codes)[0]) & bit:
            return self.none()
        return (self.once(_codes) & bit).astype(np.bool_)

    def remembers(self, fact: Remembered) -> Mask:
        """Say for which lifts a remembered fact is true."""
        known: Mask | None = self._worked.get(fact)
        if known is None:
            known = self._worked[fact] = self.flag(self._known.bit[fact])
        return known

    def flag(self, bit: int) -> Mask:
        """Give one flag of every lift."""
        if not self.perhaps(bit):
            return self.none()
        word = self.words[bit // WORD_BITS]
        flag: Mask = (word & (1 << bit % WORD_BITS)) != 0
        return flag

    def perhaps(self, bit: int) -> bool:
        """Say whether any lift may have a flag; most flags are down in a whole batch, and nobody need look closer."""
        return bool(self._up()[bit // WORD_BITS] >> bit % WORD_BITS & 1)

    def turn(self, bit: int, where: NDArray[np.intp]) -> None:
        """Turn a flag over in some of the lifts, by position; the engine writes the words back."""
        self.words[bit // WORD_BITS][where] ^= 1 << bit % WORD_BITS
        self._up()[bit // WORD_BITS] |= 1 << bit % WORD_BITS

    @property
    def words(self) -> list[Ints]:
        """Give the lifts' flags, many in one number."""
        words = self._worked.get("words")
        if words is None:
            words = self._worked["words"] = [np.array(pick(word, self._where)) for word in self._known.words]
        return words

    def _up(self) -> list[int]:
        """Give the flags that are, or have been, up in any of the lifts."""
        up = self._worked.get("up")
        if up is None:
            up = self._worked["up"] = [int(np.bitwise_or.reduce(word)) if len(word) else 0 for word in self.words]
        return up

    def hold(self, fact: Remembered, true: Mask) -> None:
        """Take in what a fact has become with these readings."""
        true.flags.writeable = False
        self._worked[fact] = true

    def tally(self, tally: Tally) -> Floats:
        """Give how often something has begun of late, less what has leaked since."""
        level: Floats | None = self._worked.get(tally)
        if level is None:
            level = self._worked[tally] = self._leaked(tally)
            level.flags.writeable = False
        return level

    def highest(self, memory: Highest) -> Floats:
        """Give the largest value reached so far; NaN = none yet."""
        reached: Floats = self._look(self._known.reached[self._known.row[memory]])
        return reached

    def _leaked(self, tally: Tally) -> Floats:
        at_all = self.flag(self._known.bit[tally] + 1)
        if not np.count_nonzero(at_all):
            return self.once(_nothing)
        row, some = self._known.row[tally], at_all.nonzero()[0]
        lifts = some + self._where.start if isinstance(self._where, slice) else self._where[some]
        level = np.zeros(self._count, np.float32)
        level[some] = self._known.levels[row, lifts]
        if self._at is not None and tally.forgets_s < FOREVER_S:
            since = (self._at[some] - self._known.stamps[row, lifts]).astype(np.float32)
            level[some] = np.maximum(level[some] - since / np.float32(1e6 * tally.forgets_s), np.float32(0.0))
        return level

    def none(self) -> Mask:
        """Give a mask that is false for every lift."""
        return self.once(_none)

    def shows(self, signal: Signal, value: int) -> Mask:
        """Say for which lifts a signal's newest known value is this one."""
        key = (signal, value)
        same: Mask | None = self._worked.get(key)
        if same is None:
            same = self._worked[key] = self[signal] == value
            same.flags.writeable = False
        return same

    def in_mode(self, modes: frozenset[ServiceMode]) -> Mask:
        """Say which lifts are known to be in one of these modes; a lift whose mode is not known is in none."""
        found: Mask | None = self._worked.get(modes)
        if found is None:
            found = self.none()
            for mode in sorted(modes):
                found = found | self.shows(SERVICE_MODE, mode)
            self._worked[modes] = found
        return found

    def once(self, feature: Callable[[Readings], Worked]) -> Worked:
        """Work a feature out the first time it is asked for and remember it for the other rules."""
        worked: Worked | None = self._worked.get(feature)
        if worked is None:
            worked = self._worked[feature] = feature(self)
            worked.flags.writeable = False
        return worked

    def part(self, some: NDArray[np.intp]) -> Readings:
        """Give the readings of some of these lifts, by position."""
        lifts = some + self._where.start if isinstance(self._where, slice) else self._where[some]
        at = None if self._at is None else self._at[some]
        return Readings(self._known, lifts, some.size, _at=at, _worked={"words": [word[some] for word in self.words]})

    def _look(self, row: NDArray[Element]) -> NDArray[Element]:
        """Pick out our lifts; a rule that writes into what it sees gets an error instead of the fleet's state."""
        seen = pick(row, self._where)
        seen.flags.writeable = False
        return seen


def _none(now: Readings) -> Mask:
    return np.zeros(len(now), np.bool_)


def _nothing(now: Readings) -> Floats:
    return np.zeros(len(now), np.float32)


def _rated_speed(now: Readings) -> Floats:
    return now._look(now._known.rated_speed)  # noqa: SLF001 - a part of Readings, outside it only for `once`


def _landings(now: Readings) -> Floats:
    return now._look(now._known.landings)  # noqa: SLF001 - as above


def _codes(now: Readings) -> Ints:
    return now._look(now._known.codes)  # noqa: SLF001 - as above


def _any_codes(now: Readings) -> Ints:
    return np.bitwise_or.reduce(now.once(_codes), keepdims=True)


def readings_of(
    columns: Mapping[Signal, Floats],
    *,
    lifts: int,
    codes: Ints | None = None,
    memories: Mapping[Memory, Any] | None = None,
    rated_speed: Floats | None = None,
    landings: Floats | None = None,
) -> Readings:
    """Make readings by hand, for checks and tests; a signal that is left out was never known.

    >>> from lift.signals import CAR_SPEED
    >>> readings_of({CAR_SPEED: np.array([1.5, 0.0])}, lifts=2)[CAR_SPEED]
    array([1.5, 0. ], dtype=float32)
    """
    known = Known.nothing(lifts, rated_speed, landings)
    for signal, values in columns.items():
        known.values[:, ROW[signal]] = values
    if codes is not None:
        known.codes = np.where(codes == code_sets.NOT_REPORTED, 0, codes)
    known.remember(list(memories or {}))
    for memory, value in (memories or {}).items():
        row = known.row[memory]
        match memory:
            case Remembered():
                known.words[known.bit[memory] // WORD_BITS] |= (
                    np.asarray(value, np.int64) << known.bit[memory] % WORD_BITS
                )
            case Tally():
                known.levels[row] = value
                bit = known.bit[memory] + 1
                known.words[bit // WORD_BITS] |= 1 << bit % WORD_BITS
            case Highest():
                known.reached[row] = value
    return Readings(known, slice(0, lifts), lifts)


class Probe(Readings):
    """Readings of no lifts that take down in `asked` which memories they are asked for."""

    def __init__(self) -> None:
        super().__init__(Known.nothing(0), slice(0, 0), 0)
        self.asked: list[Memory] = []

    def remembers(self, fact: Remembered) -> Mask:
        """Take the fact down."""
        self.asked.append(fact)
        return self.none()

    def tally(self, tally: Tally) -> Floats:
        """Take the tally down."""
        self.asked.append(tally)
        return np.zeros(0, np.float32)

    def highest(self, memory: Highest) -> Floats:
        """Take the height down."""
        self.asked.append(memory)
        return np.zeros(0, np.float32)
