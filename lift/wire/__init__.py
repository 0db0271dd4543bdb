"""The two wire encodings of a batch: Arrow IPC (many lifts, fast) and JSON (any terminal or script).

A decoder is a pure function from bytes to a `Frame`. It keeps every reading it can, says what it refused
and why, and raises BadFrame only when nothing in the message can be read.
"""

from __future__ import annotations

from dataclasses import dataclass
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

    `rows[i]` is the number that reading i of the batch had in the message; None = none was lost.
    """

    batch: Batch
    stamp: Stamp | None
    refusals: tuple[Refusal, ...] = ()
    unknown_fields: tuple[str, ...] = ()
    rows: NDArray[np.int64] | None = None
