"""The machinery of many lifts as arrays: what a lift is, as opposed to what it is doing."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from simulator.arrays import Floats, Mask, Slots, Whole

# Calls are kept as bits of one 64-bit integer a lift, so a lift serves at most this many landings.
LANDINGS_MAX = 63
GROUP_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """What each lift is; every array has one entry a lift.

    `speed`, `acceleration`, `jerk` in m/s, m/s², m/s³; `floor_m` and `entrance_m` (what the main landing's storey
    is higher than the others) in m; landings count from 0 at the bottom and `main` is the one people come in by.
    A group is the lifts `group_first` to `group_first + group_size - 1`. `riders` is people a day,
    `people_max` what the car holds. `open_s`, `close_s` are door times when new. `proneness` multiplies fault rates
    (mean 1). `rescue_device` = drives to a landing by battery when the mains fail. `code_level`: 0 the controller
    reports no codes, 1 codes of its own faults, 2 also code 11. `retrofit` = no load, motor or battery signals.
    """

    speed: Floats
    acceleration: Floats
    jerk: Floats
    landings: Whole
    main: Whole
    floor_m: Floats
    entrance_m: Floats
    group_first: Whole
    group_size: Whole
    building: Whole
    district: Whole
    place: Whole
    riders: Floats
    people_max: Whole
    rated_kg: Floats
    open_s: Floats
    close_s: Floats
    current_a: Floats
    proneness: Floats
    age_years: Floats
    door_batch: Whole
    rescue_device: Mask
    code_level: Whole
    retrofit: Mask

    def __len__(self) -> int:
        """Count the lifts."""
        return len(self.speed)

    def take(self, which: Slots) -> Plant:
        """Give the machinery of some lifts, each as a group of its own with its share of the demand."""
        picked = {field.name: getattr(self, field.name)[which] for field in fields(self)}
        picked["group_first"] = np.arange(len(which), dtype=np.int32)
        picked["group_size"] = np.ones(len(which), np.int8)
        return Plant(**picked)

    def section(self, first: int, end: int) -> Plant:
        """Give the machinery of the lifts first <= slot < end; groups must not be cut."""
        picked = {field.name: getattr(self, field.name)[first:end] for field in fields(self)}
        picked["group_first"] = picked["group_first"] - np.int32(first)
        return Plant(**picked)

    def height(self, slots: Slots, landing: Whole) -> Floats:
        """Give the height in m of landings above the lowest one."""
        return landing * self.floor_m[slots] + (landing > self.main[slots]) * self.entrance_m[slots]

    def nearest(self, slots: Slots, height: Floats) -> Whole:
        """Give the landing nearest to a height in m."""
        floor, entrance, main = self.floor_m[slots], self.entrance_m[slots], self.main[slots]
        above = height > main * floor + 0.5 * (floor + entrance)
        landing = np.rint((height - above * entrance) / floor).astype(np.int32)
        landing = np.where(above, np.maximum(landing, main + 1), np.minimum(landing, main))
        return np.clip(landing, 0, self.landings[slots] - 1)
