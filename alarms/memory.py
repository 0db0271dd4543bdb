"""What the engine remembers of every lift beside its newest values: facts, tallies and heights reached.

Each is declared once, by what a reading shows, and kept by the engine lift by lift in the readings' own time. A rule
just asks `Readings` for it; the engine finds out which ones its rules ask for (`discover`): nothing is declared twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from alarms.readings import Probe, Readings
    from lift.batch import Floats, Mask

FOREVER_S: Final = float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """A fact that one reading cannot show: it becomes true when `begins` holds and stays so until `ends` holds.

    Where both hold in one reading, `ends` wins. Compared by identity: there is one object for each name.
    """

    name: str
    begins: Callable[[Readings], Mask]
    ends: Callable[[Readings], Mask]

    @property
    def asks(self) -> tuple[Callable[[Readings], object], ...]:
        """Give everything it looks at readings with."""
        return (self.begins, self.ends)


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """How often something has begun of late: a bucket that gains one each time `counts` becomes true, and leaks.

    One is forgotten every `forgets_s`; nothing is counted beyond `most`, so that it recovers in a bounded time; where
    `resets` holds it is empty at once. Arithmetic is plain subtraction, so that replays agree to the last bit.
    Compared by identity: there is one object for each name.
    """

    name: str
    counts: Callable[[Readings], Mask]
    forgets_s: float = FOREVER_S
    most: float = 1000.0
    resets: Callable[[Readings], Mask] | None = None

    @property
    def asks(self) -> tuple[Callable[[Readings], object], ...]:
        """Give everything it looks at readings with."""
        return (self.counts,) if self.resets is None else (self.counts, self.resets)


@dataclass(frozen=True, slots=True, eq=False)
class Highest:
    """The largest value that `of` has ever given while `when` held, NaN = none yet; from NaN nothing is learned.

    `of` is only asked about the lifts for which `when` holds.
    """

    name: str
    when: Callable[[Readings], Mask]
    of: Callable[[Readings], Floats]

    @property
    def asks(self) -> tuple[Callable[[Readings], object], ...]:
        """Give everything it looks at readings with."""
        return (self.when, self.of)


Memory: TypeAlias = Remembered | Tally | Highest


def discover(asks: Iterable[Callable[[Readings], object]], probe: Callable[[], Probe]) -> list[Memory]:
    """Find every memory that conditions ask for, and those that memories ask for, each after what it needs itself.

    `probe` makes readings of no lifts that take down in `asked` what they are asked for. Raises ValueError for two
    memories of one name, and for one that needs itself.
    """
    found: dict[Memory, None] = {}
    open_now: list[Memory] = []

    def visit(ask: Callable[[Readings], object]) -> None:
        looking = probe()
        ask(looking)
        for memory in looking.asked:
            if memory in open_now:
                raise ValueError(f"memory {memory.name!r} needs itself")
            if memory in found:
                continue
            open_now.append(memory)
            for deeper in memory.asks:
                visit(deeper)
            open_now.pop()
            found[memory] = None

    for ask in asks:
        visit(ask)
    names = [memory.name for memory in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two memories are named {', '.join(twice)}")
    return list(found)
