"""The two wire encodings of a batch: Arrow IPC (many lifts, fast) and JSON (any terminal or script).

A decoder is a pure function from bytes to a `Frame`. It keeps every reading it can, says what it refused
and why, and raises BadFrame only when nothing in the message can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lift.batch import Batch

# A message larger than this is refused unread.
PAYLOAD_BYTES_MAX: Final = 4 * 1024 * 1024
# More readings than this in one message are refused: each lift has one reading a second.
READINGS_MAX: Final = 100_000
# Refusals listed one by one for a message; beyond them only their number is kept.
REFUSALS_MAX: Final = 100
# Characters of a reason that are kept: one that quotes the sender must not be as long as what it was sent.
REASON_CHARACTERS_MAX: Final = 300
# Characters of one value from outside that a reason quotes.
SHOWN_CHARACTERS_MAX: Final = 40
# Names of fields outside the catalogue that are kept of a message: enough to see what is misspelt.
UNKNOWN_FIELDS_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was refused in a message. `row` counts from 0; None = the message or a whole column.

    `lost` says that the whole reading was refused; otherwise only the one value, and the reading is kept
    without it, so that a broken thermometer cannot blind the rule that finds trapped people.
    """

    row: int | None
    field: str
    reason: str
    lost: bool = False

    def __str__(self) -> str:
        """Name what and where, for a person.

        >>> print(Refusal(3, "car_speed", "90 m/s is outside -20 to 20"))
        reading 3, car_speed: 90 m/s is outside -20 to 20
        """
        where = "every reading" if self.row is None else f"reading {self.row}"
        return f"{where}, {self.field}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Stamp:
    """The number a gateway gave a message, which a receipt names when its readings are durable."""

    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded message. `batch.lift` still indexes the sender's own names, known to us or not.

    `rows[i]` is the number that reading i of the batch had in the message; None = none was lost. `lost` counts the
    readings that were. Of the refusals the first REFUSALS_MAX are spelled out and `more` says how many there were
    beyond. `unknown_fields` names the first fields that are not of the catalogue. Where several messages were decoded
    together, `more` and `unknown_in` say in which (see `Refusals`); else the message has the number 0.
    """

    batch: Batch
    stamp: Stamp | None
    refusals: tuple[Refusal, ...] = ()
    unknown_fields: tuple[str, ...] = ()
    rows: NDArray[np.int64] | None = None
    lost: int = 0
    unknown_in: frozenset[int] = frozenset()
    more: Mapping[int, int] = field(default_factory=dict)


class Refusals:
    """Collects refusals in bounded memory: a message of a hundred thousand faults must not fill it with reasons.

    `origin[row]` is the number of the message that a row came in, where several are decoded together; None = one
    message, number 0.
    """

    def __init__(self, origin: Sequence[int] | None = None) -> None:
        self._origin = origin
        self._spelled: dict[int, int] = {}
        self.more: dict[int, int] = {}
        self.told: list[Refusal] = []

    def add(self, row: int | None, name: str, reason: Callable[[], str], *, lost: bool = False) -> None:
        """Note that a field, or with `lost` a reading, is refused; the reason is asked for only if it is kept."""
        message = 0 if row is None or self._origin is None else self._origin[row]
        spelled = self._spelled.get(message, 0)
        if spelled < REFUSALS_MAX:
            self._spelled[message] = spelled + 1
            self.told.append(Refusal(row, name, clipped(reason()), lost))
        else:
            self.more[message] = self.more.get(message, 0) + 1


def clipped(reason: str) -> str:
    """Bound the length of a reason.

    >>> len(clipped("x" * 5000))
    300
    """
    return reason if len(reason) <= REASON_CHARACTERS_MAX else reason[: REASON_CHARACTERS_MAX - 1] + "…"


def shown(value: object) -> str:
    """Quote a value from outside in a few characters, however large or deep it is.

    >>> shown("x" * 100), shown([[]]), shown({}), shown(None)
    ("'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…", 'a list', 'an object', 'null')
    """
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    if value is None:
        return "null"
    # Of a text only the beginning is spelled; a number has few digits.
    text = repr(value[:SHOWN_CHARACTERS_MAX] if isinstance(value, str) else value)
    whole = not isinstance(value, str) or len(value) <= SHOWN_CHARACTERS_MAX
    return text if whole and len(text) <= SHOWN_CHARACTERS_MAX else text[:SHOWN_CHARACTERS_MAX] + "…"
