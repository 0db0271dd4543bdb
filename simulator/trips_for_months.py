"""Months of trips of many lifts in minutes: rows as a gateway cuts them from one reading a second, with wear and truth.

The second-by-second simulation lives a day of 1,000 lifts in minutes; wear takes weeks. Here each trip is drawn by
itself from the same plant, closed-form flights, sensor levels and wear; docs/condition-monitoring.md sets these rows
beside rows cut from second-by-second telemetry. On top comes what that simulation has not: seasons, a holiday week,
week-ends, new tenants, replaced sensors and adjusted doors, all of them harmless and all of them traps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from lift import signals as s
from lift import trips as t
from lift.batch import Batch
from lift.errors import Invalid
from lift.signals import Signal
from simulator import motion
from simulator.arrays import Floats, Slots, Whole
from simulator.cars import LEVELLING_MM, REVERSAL
from simulator.city import City
from simulator.places import hourly
from simulator.rates import LIFE, YEAR_S, Follows, Rate
from simulator.sensors import CONTROLLER_ONLY, PERSON_KG, ROPE_DRIFT
from simulator.simulation import ROOM_C, ROOM_SWING_C, SECOND_US
from simulator.truth import WEAR, Kind
from simulator.wear import CLOSE_SLOWER, DAY_S, DAYS, KNOCK, RAIL_M

DAYS_MAX: Final = 3_660
# Trips a rider: two or three people share one.
TRIPS_A_RIDER: Final = 0.62
# How exactly a gateway tells a flight's start and stand from one reading a second, in s.
_FLIGHT_ERROR_S: Final = 0.12
# Harmless changes, a lift-year: a sensor is replaced, a door adjusted, tenants come or go.
_SENSORS_A_YEAR, _DOORS_A_YEAR, _TENANTS_A_YEAR = 0.1, 0.3, 0.2
_SEASON_C: Final = 9.0
_DOOR_A_DEGREE: Final = -0.0015
_HOLIDAY: Final = 0.4
_HOLIDAY_EVERY_DAYS: Final = 120
_HOLIDAY_LASTS_DAYS: Final = 7
_MAIN_SHARE: Final = 0.8
# Of the trips, those on which nobody rides.
_EMPTY: Final = 0.3
_MOTOR_DEGREES: Final = 70.0
# What a trip warms the motor for, with the trips that nobody rides.
_RUN_S: Final = 21.0
# A lift-year at life's rate, each; nobody publishes such rates, these make enough cases to count.
_FAINT_A_YEAR: Final = 0.02
# At its end a dry guide has everything that rubs against it up by this: vibration, current, and warming in °C at
# full use. None of it alone is worth a visit.
_DRY_VIBRATION: Final = 0.16
_DRY_CURRENT: Final = 0.055
_DRY_DEGREES: Final = 16.0
# A brake that drags now and then: current and warming on its bad days, which last one or two of so many days.
_DRAG_CURRENT: Final = 0.12
_DRAG_DEGREES: Final = 30.0
_DRAG_EVERY_DAYS: Final = 8.0
_DRAG_LASTS_DAYS: Final = (1.0, 2.0)


class Faint(StrEnum):
    """Wear that the second-by-second simulation has not: it moves many features a little, or one now and then.

    Dry guides: nobody has oiled the rails; vibration, current and warmth creep up together until a shoe is gone.
    A dragging brake does not let go quite for a day or two, then does for a week, until it stays.
    """

    DRY_GUIDES = "dry_guides"
    BRAKE_DRAGS = "brake_drags"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthsPlan:
    """Which months: `start` is a local midnight in µs since 1970 UTC. Wear befalls lifts at `wear` times life's rates.

    A lift reports at most `trips_a_day` trips a day; busier ones are thinned to that, which makes wear harder to see.
    """

    lifts: int
    days: int
    seed: int
    start: int
    wear: float = 1.0
    trips_a_day: int = 40

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated; raises Invalid."""
        if not 1 <= self.days <= DAYS_MAX:
            raise Invalid("days", f"{self.days} is outside 1 to {DAYS_MAX:,}")
        if not 1 <= self.trips_a_day <= 1_000:  # noqa: PLR2004 - the busiest lift
            raise Invalid("trips_a_day", f"{self.trips_a_day} is outside 1 to 1,000")


@dataclass(frozen=True, slots=True)
class WearCase:
    """One part that wore: slot of the lift, kind, when it began and failed (µs since 1970 UTC), its cause."""

    slot: int
    kind: Kind | Faint
    began: int
    fails: int
    cause: str


class Months:
    """Trips day by day, in order of time; the same plan gives the same rows."""

    def __init__(self, city: City, plan: MonthsPlan) -> None:
        self.city = city
        self.plan = plan
        self._chance = np.random.default_rng(np.random.SeedSequence(plan.seed, spawn_key=(11,)))
        chance, count = self._chance, len(city)
        self._rough: Floats = 0.03 + 0.012 * np.abs(chance.standard_normal(count))
        self._joint_m: Floats = np.full(count, np.nan)
        # The bad days of each dragging brake: µs since 1970 UTC, [start, end].
        self._bad_days: dict[int, Whole] = {}
        self.cases = self._draw_wear()
        self._gain: Floats = np.ones(count)
        self._closing: Floats = city.plant.close_s.astype(np.float64)
        self._use: Floats = np.ones(count)
        self._levelled: Floats = np.zeros(count)
        self._hours = np.cumsum(hourly() / 24.0, axis=1)

    def _draw_wear(self) -> list[WearCase]:
        """Draw who wears when; a lift has one worn part at a time."""
        plant, plan, chance = self.city.plant, self.plan, self._chance
        cases: list[WearCase] = []
        busy: dict[int, float] = {}
        for rate in (rate for rate in LIFE if rate.kind in WEAR):
            for began, slot in self._moments(rate):
                lasts = float(chance.uniform(*DAYS))
                if busy.get(slot, -1.0) >= began:
                    continue
                busy[slot] = began + lasts + 30.0
                if rate.kind is Kind.RAIL_JOINT_WEAR:
                    top = float((plant.landings[slot] - 1) * plant.floor_m[slot])
                    self._joint_m[slot] = RAIL_M * (1 + int(chance.random() * max(1, int(top / RAIL_M))))
                day_us = int(DAY_S) * SECOND_US
                begins, fails = (plan.start + round(day * day_us) for day in (began, began + lasts))
                cases.append(WearCase(slot, rate.kind, begins, fails, rate.cause))
        cases += self._draw_faint({case.slot for case in cases})
        return sorted(cases, key=lambda case: (case.began, case.slot))

    def _draw_faint(self, worn: set[int]) -> list[WearCase]:
        """Draw faint wear for lifts in which nothing else wears, by a chance of its own."""
        plan = self.plan
        chance = np.random.default_rng(np.random.SeedSequence(plan.seed, spawn_key=(12,)))
        day_us = int(DAY_S) * SECOND_US
        cases: list[WearCase] = []
        for kind in Faint:
            mean = len(self.city) * _FAINT_A_YEAR * plan.wear * plan.days * DAY_S / YEAR_S
            for slot in chance.integers(len(self.city), size=int(chance.poisson(mean))).tolist():
                began, lasts = float(chance.random() * plan.days), float(chance.uniform(*DAYS))
                gaps = chance.exponential(_DRAG_EVERY_DAYS, 64)
                bad = chance.uniform(*_DRAG_LASTS_DAYS, 64)
                if slot in worn:
                    continue
                worn.add(slot)
                begins, fails = (plan.start + round(day * day_us) for day in (began, began + lasts))
                cases.append(WearCase(slot, kind, begins, fails, "maintenance"))
                if kind is Faint.BRAKE_DRAGS:
                    starts = began + np.cumsum(gaps) + np.cumsum(bad) - bad
                    days = np.stack([starts, np.minimum(starts + bad, began + lasts)])
                    self._bad_days[slot] = plan.start + (days * day_us).astype(np.int64)
        return cases

    def _drags(self, slots: Slots, at: Whole) -> Floats:
        """Say on which trips a brake drags, 0 or 1."""
        drags = np.zeros(len(slots))
        for slot, (starts, ends) in self._bad_days.items():
            here = np.flatnonzero(slots == slot)
            drags[here] = ((at[here, None] >= starts) & (at[here, None] < ends)).any(axis=1)
        return drags

    def _moments(self, rate: Rate) -> list[tuple[float, int]]:
        plant, plan, chance = self.city.plant, self.plan, self._chance
        bad = plant.door_batch == self.city.bad_batch
        weight = bad.astype(np.float64) if rate.follows is Follows.BAD_BATCH else plant.proneness
        mean = weight.sum() * rate.a_year * plan.wear * plan.days * DAY_S / YEAR_S
        count = int(chance.poisson(mean))
        if not count:
            return []
        slots = chance.choice(len(plant), size=count, p=weight / weight.sum())
        return sorted(zip((chance.random(count) * plan.days).tolist(), slots.tolist(), strict=True))

    def __iter__(self) -> Iterator[Batch]:
        """Give the trips of each day as one batch, in order of their times; call it once."""
        for day in range(self.plan.days):
            self._harmless()
            yield self._day(day)

    def _harmless(self) -> None:
        """Replace sensors, adjust doors, let tenants move."""
        chance, count = self._chance, len(self.city)
        a_day = DAY_S / YEAR_S
        replaced = chance.random(count) < _SENSORS_A_YEAR * a_day
        self._gain[replaced] = np.exp(chance.normal(0.0, 0.06, int(replaced.sum())))
        adjusted = chance.random(count) < _DOORS_A_YEAR * a_day
        self._closing[adjusted] = self.city.plant.close_s[adjusted] * (
            1.0 + chance.normal(0.0, 0.03, int(adjusted.sum()))
        )
        moved = chance.random(count) < _TENANTS_A_YEAR * a_day
        self._use[moved] = np.exp(chance.normal(0.0, 0.3, int(moved.sum())))

    def _day(self, day: int) -> Batch:
        plant, plan, chance = self.city.plant, self.plan, self._chance
        holiday = day % _HOLIDAY_EVERY_DAYS >= _HOLIDAY_EVERY_DAYS - _HOLIDAY_LASTS_DAYS
        quiet = (0.75 if day % 7 >= 5 else 1.0) * (_HOLIDAY if holiday else 1.0)  # noqa: PLR2004 - the week-end
        mean = np.minimum(plant.riders * TRIPS_A_RIDER * self._use * quiet, plan.trips_a_day * quiet)
        slots = np.repeat(np.arange(len(plant)), chance.poisson(mean))
        if not len(slots):
            return Batch(self.city.codes, np.empty(0, np.int32), np.empty(0, np.int64))
        cumulated = self._hours[plant.place[slots]]
        hour = (chance.random((len(slots), 1)) > cumulated).sum(axis=1) + chance.random(len(slots))
        order = np.argsort(hour, kind="stable")
        slots, hour = slots[order], hour[order]
        at = plan.start + ((day * 24.0 + np.minimum(hour, 23.999)) * 3600.0 * SECOND_US).astype(np.int64)
        columns = self._columns(slots, hour, float(day), at)
        for signal in CONTROLLER_ONLY:
            if signal in columns:
                columns[signal] = np.where(plant.retrofit[slots], np.nan, columns[signal])
        typed = {signal: values.astype(signal.dtype) for signal, values in columns.items()}
        return Batch(self.city.codes, slots.astype(np.int32), at, typed)

    def _levels(self, kind: Kind | Faint, slots: Slots, at: Whole) -> Floats:
        """Say how worn one kind of part is at each trip, 0 to 1."""
        level = np.zeros(len(slots))
        for case in self.cases:
            if case.kind is kind and case.began <= at[-1] and case.fails > at[0]:
                here = np.flatnonzero(slots == case.slot)
                part = (at[here] - case.began) / (case.fails - case.began)
                level[here] = np.where((part > 0) & (part < 1), part, 0.0)
        return level

    def _columns(self, slots: Slots, hour: Floats, day: float, at: Whole) -> dict[Signal, Floats]:
        plant, chance, count = self.city.plant, self._chance, len(slots)
        start, goal = self._journeys(slots)
        low, high = (plant.height(slots, landing) for landing in (start, goal))
        way, distance = np.sign(high - low), np.abs(high - low)
        limits = plant.speed[slots], plant.acceleration[slots], plant.jerk[slots]
        plan = motion.profile(distance, *limits)
        people = np.minimum(chance.geometric(0.5, count) - (chance.random(count) < _EMPTY), plant.people_max[slots])
        load = people * (PERSON_KG / plant.rated_kg[slots])
        outside = ROOM_C + _SEASON_C * np.sin(2 * np.pi * day / 365.0)
        room = outside + ROOM_SWING_C * np.sin(2.0 * np.pi * (hour - 9.0) / 24.0)
        seasonal = 1.0 + _DOOR_A_DEGREE * (outside - ROOM_C)
        closing = self._closing[slots] * seasonal * (1.0 + CLOSE_SLOWER * self._levels(Kind.DOOR_BELT_WEAR, slots, at))
        error = chance.normal(0.0, LEVELLING_MM, count) + way * 18.0 * self._levels(Kind.BRAKE_WEAR, slots, at)
        drift = 1.0 + ROPE_DRIFT * self._levels(Kind.ROPE_SLIP, slots, at)
        bearing = self._levels(Kind.BEARING_WEAR, slots, at)
        dry, drags = self._levels(Faint.DRY_GUIDES, slots, at), self._drags(slots, at)
        effort = (1.0 + 0.35 * bearing) * (1.0 + _DRY_CURRENT * dry) * (1.0 + _DRAG_CURRENT * drags)
        degrees = 45.0 * bearing + _DRY_DEGREES * dry + _DRAG_DEGREES * drags
        rough = self._rough[slots] * self._gain[slots] * (1.0 + _DRY_VIBRATION * dry)
        return {
            t.FROM_LANDING: self._label(slots, start),
            t.TO_LANDING: self._label(slots, goal),
            t.DISTANCE: (way * distance + (error - self._last_error(slots, error)) / 1000.0) * drift,
            t.FLIGHT_TIME: plan.duration + chance.normal(0.0, _FLIGHT_ERROR_S, count),
            t.TOP_SPEED: plan.speed * (1.0 + 0.004 * np.abs(chance.standard_normal(count))),
            # Two states seen at whole seconds: what lies between is a whole number of them.
            t.DOOR_CLOSING_TIME: np.floor(closing + chance.random(count)),
            t.DOOR_OPENING_TIME: np.floor(plant.open_s[slots] + chance.random(count)),
            t.DOOR_REVERSALS: chance.poisson(REVERSAL * 1.3, count).astype(np.float64),
            s.LEVELLING_ERROR: error,
            t.RELEVELLINGS: np.zeros(count),
            s.LOAD: load,
            **self._motor(slots, hour, plan, load, room, effort, degrees),
            **self._vibration(slots, np.stack([low, high]), plan, rough, bearing, at),
        }

    def _journeys(self, slots: Slots) -> tuple[Whole, Whole]:
        """Draw where trips begin and end: most at the main landing."""
        plant, chance, count = self.city.plant, self._chance, len(slots)
        landings, main = plant.landings[slots], plant.main[slots]
        other = (chance.random(count) * (landings - 1)).astype(np.int64)
        other += other >= main
        at_main = chance.random(count) < _MAIN_SHARE
        third = (chance.random(count) * (landings - 1)).astype(np.int64)
        third += third >= other
        one = np.where(at_main, main, third)
        up = chance.random(count) < 0.5  # noqa: PLR2004 - whoever goes up comes down
        return np.where(up, one, other), np.where(up, other, one)

    def _label(self, slots: Slots, landing: Whole) -> Floats:
        number = landing - self.city.plant.main[slots] + 1
        label: Floats = (number - (number <= 0)).astype(np.float64)
        return label

    def _last_error(self, slots: Slots, error: Floats) -> Floats:
        """Give the levelling error at which each trip began: that of the lift's trip before."""
        order = np.argsort(slots, kind="stable")
        sorted_slots, sorted_error = slots[order], error[order]
        before = np.empty(len(slots))
        before[1:] = sorted_error[:-1]
        first = np.flatnonzero(np.diff(sorted_slots, prepend=-1))
        before[first] = self._levelled[sorted_slots[first]]
        last = np.append(first[1:] - 1, len(slots) - 1)
        self._levelled[sorted_slots[last]] = sorted_error[last]
        out = np.empty(len(slots))
        out[order] = before
        return out

    def _motor(
        self,
        slots: Slots,
        hour: Floats,
        plan: motion.Profile,
        load: Floats,
        room: Floats,
        more_effort: Floats,
        degrees: Floats,
    ) -> dict[Signal, Floats]:
        plant, chance = self.city.plant, self._chance
        # Speed is gained and lost once a trip, so the mean of acceleration is twice the speed over the time.
        push = 2.0 * plan.speed / plan.duration
        effort = (0.25 + 0.9 * np.abs(load - 0.48) + 0.5 * push) * more_effort
        noise = 1.0 + 0.03 * chance.standard_normal(len(slots)) / np.sqrt(np.maximum(plan.duration, 1.0))
        busy = hourly()[plant.place[slots], np.minimum(hour, 23.0).astype(np.int64)]
        trips_an_hour = plant.riders[slots] * TRIPS_A_RIDER * self._use[slots] * busy / 24.0
        heat = np.minimum(trips_an_hour * _RUN_S / 3600.0 * np.exp(chance.normal(0.0, 0.35, len(slots))), 0.9)
        return {
            s.MOTOR_CURRENT: plant.current_a[slots] * effort * noise,
            s.MOTOR_TEMPERATURE: room + 4.0 + (_MOTOR_DEGREES + degrees) * heat,
            s.MACHINE_ROOM_TEMPERATURE: room + 8.0 * heat,
        }

    def _vibration(
        self, slots: Slots, ends: Floats, plan: motion.Profile, rough: Floats, bearing: Floats, at: Whole
    ) -> dict[Signal, Floats]:
        plant, chance, count = self.city.plant, self._chance, len(slots)
        joint = KNOCK * self._levels(Kind.RAIL_JOINT_WEAR, slots, at)
        low, high = ends.min(axis=0), ends.max(axis=0)
        met = (self._joint_m[slots] > low) & (self._joint_m[slots] < high)
        joint = np.where(met, joint, 0.0)
        # Speed rises and falls like a ramp at both ends, whose mean square is a third.
        ramp = np.minimum(plan.speed / plan.acceleration + plan.acceleration / plant.jerk[slots], plan.duration / 2)
        running = plan.speed / plant.speed[slots] * np.sqrt(1.0 - 4.0 / 3.0 * ramp / plan.duration)
        level = rough * running
        columns: dict[Signal, Floats] = {}
        for signal, weight, knocks in (
            (s.VIBRATION_X, 0.8, 0.22),
            (s.VIBRATION_Y, 0.7, 0.18),
            (s.VIBRATION_Z, 1.0, 0.06),
        ):
            noise = 1.0 + 0.15 * chance.standard_normal(count) / np.sqrt(np.maximum(plan.duration, 1.0))
            base = level * weight * noise + 0.03 * bearing + 0.0016
            # A joint is met for two readings of the trip.
            struck = (base + knocks * joint) ** 2 - base**2
            columns[signal] = np.sqrt(base**2 + 2.0 / np.maximum(plan.duration, 2.0) * struck)
        top = plant.height(slots, plant.landings[slots] - 1)
        for number, signal in enumerate(t.VIBRATION_AT):
            edges = top * number / t.HEIGHT_BANDS, top * (number + 1) / t.HEIGHT_BANDS
            columns[signal] = self._band(slots, (low, high), edges, plan, rough, joint, bearing)
        return columns

    def _band(
        self,
        slots: Slots,
        way: tuple[Floats, Floats],
        edges: tuple[Floats, Floats],
        plan: motion.Profile,
        rough: Floats,
        joint: Floats,
        bearing: Floats,
    ) -> Floats:
        """Give the strongest of the readings in one eighth of the travel, NaN where the trip does not come there."""
        plant, chance = self.city.plant, self._chance
        first, last = np.maximum(way[0], edges[0]), np.minimum(way[1], edges[1])
        reached = last > first
        inner = np.maximum(np.minimum(last - way[0], way[1] - first), 0.0)
        room = np.maximum(np.minimum(inner, 0.5 * (way[1] - way[0])), 0.0)
        speed = np.minimum(plan.speed, np.sqrt(2.0 * 0.7 * plan.acceleration * room) + 0.02)
        readings = np.maximum((last - first) / np.maximum(speed, 0.05), 0.0)
        seen = reached & (chance.random(len(slots)) < readings)
        # The largest of a few normal draws grows with the root of twice the logarithm of their number.
        peak = 0.15 * np.sqrt(2.0 * np.log(np.maximum(readings, 1.0)))
        # Where in the band the readings of a second fall is chance, and they fall where the car is slower, too.
        fallen = np.exp(chance.normal(-0.17, 0.2, len(slots)))
        base = rough * speed / plant.speed[slots] * (1.0 + peak) * fallen
        here = (self._joint_m[slots] >= edges[0]) & (self._joint_m[slots] < edges[1])
        x, y = (
            (weight * base + knocks * joint * here + 0.03 * bearing + 0.0016)
            for weight, knocks in ((0.8, 0.22), (0.7, 0.18))
        )
        return np.where(seen, np.hypot(x, y), np.nan)
