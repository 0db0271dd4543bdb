"""Names for the array types the simulator works with; every one has an entry a lift unless its name says otherwise."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
Whole: TypeAlias = NDArray[np.integer[Any]]
Bits: TypeAlias = NDArray[np.uint64]
Mask: TypeAlias = NDArray[np.bool_]
Numbers: TypeAlias = NDArray[np.number[Any]]
# Positions of lifts, as numpy gives them.
Slots: TypeAlias = NDArray[np.intp]
