"""The fleet: lifts numbered once, so that the hot path handles slots in arrays and never text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lift.batch import Batch
from lift.register import Lift

# Names whose slots are remembered, all lists together: a few times the largest city. Short lists are quicker looked
# up again than remembered, and the decoder gives a new object for each of them.
_REMEMBERED_MAX: Final = 1_000_000
_REMEMBER_FROM: Final = 100


class Fleet:
    """An immutable numbering of lifts: slot i is `codes[i]`, behind gateway `gateways[gateway[i]]`.

    Both the rescue code and the registration code of a lift lead to its slot.
    """

    def __init__(self, lifts: Sequence[Lift]) -> None:
        """Number the lifts in the order given, so keep that order stable to keep saved states valid."""
        self.codes: list[str] = [lift.rescue_code for lift in lifts]
        self.gateways: list[str] = list(dict.fromkeys(lift.gateway for lift in lifts))
        numbers = {name: number for number, name in enumerate(self.gateways)}
        self.gateway_number = numbers
        self.gateway: NDArray[np.int32] = np.array([numbers[lift.gateway] for lift in lifts], np.int32)
        self.rated_speed: NDArray[np.floating[Any]] = np.array([lift.rated_speed for lift in lifts], np.float32)
        self.landings: NDArray[np.floating[Any]] = np.array([lift.landings for lift in lifts], np.float32)
        self._answers: dict[int, tuple[Sequence[str], NDArray[np.int32]]] = {}
        self._remembered = 0
        self._slot = {lift.registration_code: slot for slot, lift in enumerate(lifts)}
        self._slot |= {code: slot for slot, code in enumerate(self.codes)}

    def __len__(self) -> int:
        """Count the lifts."""
        return len(self.codes)

    def slot(self, code: str) -> int:
        """Give the slot of a rescue or registration code, -1 for a lift we do not know."""
        return self._slot.get(code, -1)

    def slots(self, codes: Sequence[str]) -> NDArray[np.int32]:
        """Give the slots of many codes, -1 for each that we do not know; do not write to the answer.

        A gateway names the same lifts in every message and the decoder gives the same object for them then, so
        the latest answers are kept; not those about strangers, who may invent new names for ever.
        """
        kept = self._answers.get(id(codes))
        if kept is not None and kept[0] is codes:
            return kept[1]
        find = self._slot.get
        slots = np.array([find(code, -1) for code in codes], np.int32)
        if isinstance(codes, tuple) and _REMEMBER_FROM <= len(codes) <= _REMEMBERED_MAX and not (slots < 0).any():
            self._remembered += len(codes)
            if self._remembered > _REMEMBERED_MAX:
                self._answers.clear()
                self._remembered = len(codes)
            self._answers[id(codes)] = codes, slots
        return slots

    def in_slots(self, batch: Batch) -> Batch:
        """Renumber a batch's lifts to slots of this fleet; -1 where we do not know the lift."""
        if batch.names is self.codes:
            return batch
        lift = self.slots(batch.names)[batch.lift] if len(batch) else batch.lift
        return Batch(self.codes, lift, batch.at, batch.columns, batch.codes)
