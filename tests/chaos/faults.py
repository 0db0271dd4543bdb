"""What can go wrong, and when: drawn from a seed, so that a run can be repeated."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """One way to hurt the way from a gateway's spool to the store."""

    KILL_GATEWAY = "kill -9 of a gateway"
    KILL_BROKER = "kill -9 of the broker"
    KILL_INGEST = "kill -9 of ingest"
    FREEZE_INGEST = "ingest frozen"
    CUT_GATEWAY = "a gateway's line cut"
    CUT_INGEST = "ingest's line cut"
    HALF_OPEN_GATEWAY = "a gateway's line half open"
    HALF_OPEN_INGEST = "ingest's line half open"
    SPOOL_DISK_FULL = "the spools' disk full"
    STORE_DISK_FULL = "the store's disk full: it refuses writes"
    CLOCK_GATEWAY = "a gateway's clock jumps"
    CLOCK_INGEST = "the platform's clock jumps"


# A process that is killed is started again at once; everything else lasts for a while: (least, most) s.
LASTS_S: Final[dict[Kind, tuple[float, float]]] = {
    Kind.KILL_GATEWAY: (0.0, 0.0),
    Kind.KILL_BROKER: (0.0, 1.0),
    Kind.KILL_INGEST: (0.0, 1.0),
    Kind.FREEZE_INGEST: (1.0, 6.0),
    Kind.CUT_GATEWAY: (0.5, 6.0),
    Kind.CUT_INGEST: (0.5, 6.0),
    Kind.HALF_OPEN_GATEWAY: (1.0, 6.0),
    Kind.HALF_OPEN_INGEST: (1.0, 6.0),
    Kind.SPOOL_DISK_FULL: (1.0, 5.0),
    Kind.STORE_DISK_FULL: (1.0, 5.0),
    Kind.CLOCK_GATEWAY: (1.0, 8.0),
    Kind.CLOCK_INGEST: (1.0, 8.0),
}
# Which fault may strike before the one before it is over: as often as this.
_TWO_AT_ONCE: Final = 0.25
_PAUSE_S: Final = (0.2, 2.5)
# Forward, less than what the platform refuses as future; backward, an hour.
_JUMPS_S: Final = (-3600.0, -30.0, -1.0, 5.0, 40.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `gateway` is whose it is where it is a gateway's, `jump_s` how far a clock jumps.

    It strikes `after_s` after the one before has healed, or, if `overlaps`, after that has struck.
    """

    number: int
    kind: Kind
    after_s: float
    lasts_s: float
    gateway: int
    jump_s: float
    overlaps: bool


def faults(seed: int, count: int, gateways: int) -> Iterator[Fault]:
    """Draw faults: every kind comes once in each dozen, in an order of chance."""
    chance = random.Random(seed)
    deck: list[Kind] = []
    for number in range(count):
        if not deck:
            deck = list(Kind)
            chance.shuffle(deck)
        kind = deck.pop()
        yield Fault(
            number=number,
            kind=kind,
            after_s=chance.uniform(*_PAUSE_S),
            lasts_s=chance.uniform(*LASTS_S[kind]),
            gateway=chance.randrange(gateways),
            jump_s=chance.choice(_JUMPS_S),
            overlaps=chance.random() < _TWO_AT_ONCE,
        )
