"""Chance: when and where things are going to happen, drawn minute by minute (or hour by hour) from the rates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from simulator.arrays import Floats, Slots
from simulator.planned import Planned
from simulator.plant import Plant
from simulator.rates import LIFE, YEAR_S, Follows, Pace, Rate, Scope
from simulator.truth import WEAR, Kind
from simulator.wear import DAY_S, DAYS

# About so many lifts hang on one medium-voltage feeder.
FEEDER_LIFTS: Final = 60
_WORK_FROM_H: Final = 8.0
_WORK_TO_H: Final = 17.0
# Working hours are 9 of 24: squeezed into them, a rate is so many times higher.
_WORK_DENSITY: Final = 24.0 / (_WORK_TO_H - _WORK_FROM_H)


class Schedule:
    """Draws what is going to happen. `factor` times life's rates, each group once more by its `pace`."""

    def __init__(
        self,
        plant: Plant,
        *,
        bad_batch: int,
        chance: np.random.Generator,
        factor: float = 1.0,
        pace: Mapping[Pace, float] | None = None,
        rates: tuple[Rate, ...] = LIFE,
    ) -> None:
        self._plant = plant
        self._chance = chance
        self._bad = plant.door_batch == bad_batch
        self._feeder = _feeders(plant)
        scale = {group: factor * (1.0 if pace is None else pace.get(group, 1.0)) for group in Pace}
        self._rates = [(rate, rate.a_year * scale[rate.pace] / YEAR_S) for rate in rates]
        self._groups = 0
        self._cumulated: dict[Follows, Floats] = {}

    def set_hour(self, hour: Floats | float, demand: Floats) -> None:
        """Take on a local hour and the lifts' present demand (mean 1 over a day)."""
        plant = self._plant
        hours: Floats = np.broadcast_to(np.asarray(hour, np.float64), len(plant))
        working = ((hours >= _WORK_FROM_H) & (hours < _WORK_TO_H)) * _WORK_DENSITY
        weights: dict[Follows, Floats] = {
            Follows.WEAR_AND_USE: plant.proneness * demand,
            Follows.USE: demand,
            Follows.EVEN: np.ones(len(plant)),
            Follows.WORKING_HOURS: working,
            Follows.BAD_BATCH: self._bad * demand,
        }
        self._cumulated = {follows: np.cumsum(weight) for follows, weight in weights.items()}

    def draw(self, start: float, lasts_s: float) -> list[Planned]:
        """Draw everything that begins in start <= t < start + lasts_s, in s."""
        planned: list[Planned] = []
        for rate, a_second in self._rates:
            cumulated = self._cumulated[rate.follows]
            expected = a_second * lasts_s * float(cumulated[-1])
            if rate.scope is not Scope.LIFT:
                planned += self._draw_areas(rate, expected, cumulated, start, lasts_s)
                continue
            for slot in self._pick(cumulated, int(self._chance.poisson(expected))).tolist():
                planned.append(self._plan(rate, slot, start + lasts_s * float(self._chance.random()), 0))
        return planned

    def draw_begun(self, wear_scale: float) -> list[Planned]:
        """Draw the wear that is under way already at the start, at negative times, as if life had gone on before."""
        low, high = DAYS
        planned: list[Planned] = []
        for rate, a_second in self._rates:
            if rate.kind not in WEAR:
                continue
            mean_s = 0.5 * (low + high) * DAY_S * wear_scale
            cumulated = self._cumulated[rate.follows]
            for slot in self._pick(cumulated, int(self._chance.poisson(a_second * mean_s * float(cumulated[-1])))):
                lasts = float(self._chance.uniform(low, high)) * DAY_S * wear_scale
                planned.append(self._plan(rate, int(slot), -lasts * float(self._chance.random()), 0, lasts))
        return planned

    def _draw_areas(
        self, rate: Rate, expected: float, cumulated: Floats, start: float, lasts_s: float
    ) -> list[Planned]:
        """Strike all lifts of a building or a feeder at once, so that each lift is struck at its own rate."""
        planned: list[Planned] = []
        area = self._plant.building if rate.scope is Scope.BUILDING else self._feeder
        # A lift brings its whole area along, so candidates are thinned by the area's size.
        for slot in self._pick(cumulated, int(self._chance.poisson(expected))).tolist():
            members = np.flatnonzero(area == area[slot])
            if self._chance.random() * len(members) >= 1.0:
                continue
            self._groups += 1
            at = start + lasts_s * float(self._chance.random())
            lasts = float(np.clip(2400.0 * np.exp(self._chance.normal(0.0, 0.7)), 300.0, 6 * 3600.0))
            planned += [
                self._plan(rate, int(member), at, self._groups, lasts if rate.kind is Kind.MAIN_POWER_LOST else None)
                for member in members
            ]
        return planned

    def _pick(self, cumulated: Floats, count: int) -> Slots:
        draw = self._chance.random(count) * cumulated[-1]
        found: Slots = np.searchsorted(cumulated, draw, side="right")
        return np.minimum(found, len(cumulated) - 1)

    def _plan(self, rate: Rate, slot: int, at: float, group: int, lasts_s: float | None = None) -> Planned:
        return Planned(
            at=at, slot=slot, kind=rate.kind, cause=rate.cause, loaded=rate.loaded, lasts_s=lasts_s, group=group
        )


def _feeders(plant: Plant) -> Slots:
    """Number the feeders: neighbouring buildings of one district hang on one."""
    order = np.lexsort((plant.building, plant.district))
    rank = np.empty(len(plant), np.int64)
    rank[order] = np.arange(len(plant)) // FEEDER_LIFTS
    # A building is never split between two feeders: all its lifts take the feeder of the first.
    first_lift = np.unique(plant.building, return_index=True)[1]
    number = np.searchsorted(plant.building[first_lift], plant.building)
    return rank[first_lift[number]]
