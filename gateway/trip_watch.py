"""What is known of each car between two readings: standing or moving since when, and the sums of the trip so far."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.doors import Doors
from lift import signals as s
from lift import trips as t
from lift.batch import Floats, Ints, Mask, Slots
from lift.signals import ServiceMode, Signal

# What is looked at in a reading, in this order.
USED: Final[tuple[Signal, ...]] = (
    s.CAR_STATUS,
    s.CAR_SPEED,
    s.CAR_HEIGHT,
    s.CAR_POSITION,
    s.DOOR_STATE,
    s.DOOR_ZONE,
    s.SERVICE_MODE,
    s.MOTOR_CURRENT,
    s.VIBRATION_X,
    s.VIBRATION_Y,
    s.VIBRATION_Z,
    s.LOAD,
    s.MOTOR_TEMPERATURE,
    s.MACHINE_ROOM_TEMPERATURE,
    s.RUN_COUNT,
    s.LEVELLING_ERROR,
)
_AT: Final = {signal: number for number, signal in enumerate(USED)}
_COLUMN: Final = {signal: number for number, signal in enumerate(t.TRIP_SIGNALS)}
_BANDS: Final = [_COLUMN[signal] for signal in t.VIBRATION_AT]

# Terminals report every second under way; a longer silence may hide anything.
GAP_S: Final = 5.0
# Idle terminals report every 10 to 30 s; whoever moves after a longer silence may have moved for long.
IDLE_S: Final = 35.0
# Re-levelling and drifting off stay under 0.3 m/s (EN 81-20 5.12.1.1.4) and battery rescue too; a trip does not.
TRIP_M_S: Final = 0.35
# A trip leaves the unlocking zone, at most ±0.35 m (EN 81-20 5.3.8.1).
TRIP_M: Final = 0.5
# Without a status a car moves when it is faster than a sensor's error.
MOVING_M_S: Final = 0.05
# Below this travel there are no eighths worth telling apart.
TRAVEL_M: Final = 2.0
# Lifts are set to 0.8 to 1.6 m/s³, and none to more than 2; the middle one is for where a height cannot tell.
_JERK_MIN, _JERK, _JERK_MAX = 0.5, 1.0, 2.0
# So long a car stays under MOVING_M_S.
_UNSEEN_S: Final = 0.3
_NEAR_M, _SLOW_M_S = 0.02, 0.02
_ONSET_S: Final = 1.5
_NEVER: Final = np.iinfo(np.int64).min // 2
_UNKNOWN, _STANDING, _MOVING = 0, 1, 2
# Averaged over the trip: the mean of the current, the root mean square of vibration.
_MEANS: Final = (s.MOTOR_CURRENT, s.VIBRATION_X, s.VIBRATION_Y, s.VIBRATION_Z)
# The newest that is said under way and, but for the load that begins to leave, with the first word of the stand.
_NEWEST: Final = (s.LOAD, s.MOTOR_TEMPERATURE, s.MACHINE_ROOM_TEMPERATURE, s.RUN_COUNT, s.CAR_POSITION)
# What may be said later at the stand, where it has not been said yet.
_AT_STAND: Final = (
    (t.TO_LANDING, s.CAR_POSITION),
    *((signal, signal) for signal in (s.LEVELLING_ERROR, s.RUN_COUNT, s.MOTOR_TEMPERATURE, s.MACHINE_ROOM_TEMPERATURE)),
)
_AT_LANDING: Final = (t.TO_LANDING, s.LEVELLING_ERROR)


Phases: TypeAlias = NDArray[np.int8]


class Finished(NamedTuple):
    """Finished trips: slots, start and stand in µs, and a row of `TRIP_SIGNALS` each."""

    lifts: Slots
    start: Ints
    stop: Ints
    values: Floats


class TripWatch:
    """Many lifts; `step` takes at most one reading of each."""

    def __init__(self, count: int, *, hold_s: float) -> None:
        self._hold_us = round(hold_s * 1e6)
        self._doors = Doors(count)
        self._phase = np.full(count, _UNKNOWN, np.int8)
        self._last = np.full(count, _NEVER, np.int64)
        # At the last reading of the standing car; of the moving one.
        self._rest_height, self._rest_landing, self._rest_count, self._rest_speed = np.full((4, count), np.nan)
        self._height, self._speed = np.full((2, count), np.nan)
        # The lowest and highest car ever seen here.
        self._low, self._high = np.full((2, count), np.nan)
        # The trip under way.
        self._start = np.zeros(count, np.int64)
        self._top, self._run = np.zeros((2, count))
        self._attended = np.zeros(count, np.bool_)
        self._sums, self._counts = np.zeros((2, len(_MEANS), count))
        self._newest = np.full((len(_NEWEST), count), np.nan)
        self._bands = np.full((count, t.HEIGHT_BANDS), np.nan)
        # The trip that has come to a stand and waits to be reported.
        self._waits = np.zeros(count, np.bool_)
        self._begun, self._stop = np.zeros((2, count), np.int64)
        self._landed = np.zeros(count, np.bool_)
        self._row = np.full((count, len(t.TRIP_SIGNALS)), np.nan)

    def step(self, lifts: Slots, at: Ints, values: Floats) -> Iterator[Finished]:
        """Take one reading of some lifts, `values` being a row for each of USED; yields what is finished with it."""
        newer = at > self._last[lifts]
        if not newer.all():
            lifts, at, values = lifts[newer], at[newer], values[:, newer]
        after_s = (at - self._last[lifts]) / 1e6
        self._last[lifts] = at
        status, speed = values[_AT[s.CAR_STATUS]], values[_AT[s.CAR_SPEED]]
        within_s = after_s + np.where(np.isnan(status), _UNSEEN_S, 0.0)
        before = self._phase[lifts]
        told = ~(np.isnan(status) & np.isnan(speed))
        moves = np.where(np.isnan(status), np.abs(speed) > MOVING_M_S, status == 1)
        moves = np.where(told, moves, before == _MOVING)
        lost = after_s > np.where(before == _MOVING, GAP_S, IDLE_S)
        self._doors.forget(lifts[after_s > GAP_S])
        before = np.where(lost, _UNKNOWN, before)
        # Who is first seen moving has left unseen: that trip is not ours.
        self._phase[lifts] = np.where(moves, np.where(before == _UNKNOWN, _UNKNOWN, _MOVING), _STANDING)
        self._phase[lifts[~told]] = before[~told]
        yield from self._follow(lifts, at, values, (after_s, within_s), moves, before)
        self._learn(lifts, values)
        due = self._waits[lifts] & (at > self._stop[lifts] + self._hold_us)
        if due.any():
            yield self._report(lifts[due])

    def flush(self) -> Finished:
        """Give what waits."""
        return self._report(np.flatnonzero(self._waits).astype(np.int32))

    def _follow(
        self, lifts: Slots, at: Ints, values: Floats, times_s: tuple[Floats, Floats], moves: Mask, before: Phases
    ) -> Iterator[Finished]:
        """Carry the readings into the trips: who leaves, who is under way, who comes to a stand, who stands.

        `times_s` are s since the reading before, and since when what is new may have been so.
        """
        after_s, within_s = times_s
        leaves = moves & (before == _STANDING)
        runs = moves & (before != _UNKNOWN)
        stands = ~moves
        arrives = stands & (before == _MOVING)
        if leaves.any():
            self._leave(lifts[leaves], at[leaves], values[:, leaves], within_s[leaves])
        if runs.any():
            self._under_way(lifts[runs], values[:, runs], np.where(leaves, 0.0, after_s)[runs])
        if arrives.any():
            yield from self._arrive(
                lifts[arrives], at[arrives] - _us(after_s[arrives]), values[:, arrives], within_s[arrives]
            )
        opened, took_s = self._doors.take(lifts, at, values[_AT[s.DOOR_STATE]])
        column = _COLUMN[t.DOOR_OPENING_TIME]
        first = self._waits[opened] & (self._phase[opened] == _STANDING) & np.isnan(self._row[opened, column])
        self._row[opened[first], column] = took_s[first]
        self._at_rest(lifts[stands], values[:, stands])

    def _leave(self, lifts: Slots, at: Ints, values: Floats, within_s: Floats) -> None:
        """Begin a trip."""
        speed, height = values[_AT[s.CAR_SPEED]], values[_AT[s.CAR_HEIGHT]]
        gone = np.abs(height - self._rest_height[lifts])
        self._start[lifts] = at - _us(onset_s(gone, np.abs(self._less_offset(lifts, speed)), within_s))
        self._top[lifts] = np.nan
        self._run[lifts] = 0.0
        self._attended[lifts] = False
        self._sums[:, lifts] = 0.0
        self._counts[:, lifts] = 0.0
        self._newest[:, lifts] = np.nan
        self._bands[lifts] = np.nan
        self._speed[lifts] = 0.0

    def _under_way(self, lifts: Slots, values: Floats, after_s: Floats) -> None:
        """Add a reading of a moving car to its trip."""
        speed = self._less_offset(lifts, values[_AT[s.CAR_SPEED]])
        self._top[lifts] = np.fmax(self._top[lifts], np.abs(speed))
        self._run[lifts] += 0.5 * (speed + self._speed[lifts]) * after_s
        self._speed[lifts] = speed
        self._height[lifts] = values[_AT[s.CAR_HEIGHT]]
        self._attended[lifts] |= values[_AT[s.SERVICE_MODE]] == ServiceMode.INSPECTION
        for number, signal in enumerate(_MEANS):
            value = values[_AT[signal]]
            told = ~np.isnan(value)
            squared = value if signal is s.MOTOR_CURRENT else value * value
            self._sums[number, lifts] += np.where(told, squared, 0.0)
            self._counts[number, lifts] += told
        self._hear(lifts, values, _NEWEST)
        self._shake(lifts, values)

    def _hear(self, lifts: Slots, values: Floats, signals: tuple[Signal, ...]) -> None:
        """Keep the newest of some signals."""
        for signal in signals:
            number, value = _NEWEST.index(signal), values[_AT[signal]]
            self._newest[number, lifts] = np.where(np.isnan(value), self._newest[number, lifts], value)

    def _shake(self, lifts: Slots, values: Floats) -> None:
        """Keep the strongest sideways vibration of each eighth of the travel."""
        x, y = values[_AT[s.VIBRATION_X]], values[_AT[s.VIBRATION_Y]]
        sideways = np.where(np.isnan(x) | np.isnan(y), np.fmax(x, y), np.hypot(x, y))
        travel = self._high[lifts] - self._low[lifts]
        above = values[_AT[s.CAR_HEIGHT]] - self._low[lifts]
        good = ~np.isnan(sideways) & ~np.isnan(above) & (travel >= TRAVEL_M)
        lifts, sideways = lifts[good], sideways[good]
        band = np.clip(above[good] / travel[good] * t.HEIGHT_BANDS, 0, t.HEIGHT_BANDS - 1).astype(np.intp)
        self._bands[lifts, band] = np.fmax(self._bands[lifts, band], sideways)

    def _arrive(self, lifts: Slots, moved_at: Ints, values: Floats, within_s: Floats) -> Iterator[Finished]:
        """End a movement last seen at `moved_at`: a trip, a re-levelling of the trip before, or neither."""
        self._hear(lifts, values, _NEWEST[1:])
        height = values[_AT[s.CAR_HEIGHT]]
        landing, count = (self._newest[_NEWEST.index(signal), lifts] for signal in (s.CAR_POSITION, s.RUN_COUNT))
        left = onset_s(np.abs(height - self._height[lifts]), np.abs(self._speed[lifts]), within_s)
        stop = moved_at + _us(left)
        distance = height - self._rest_height[lifts]
        # Without a height the speed is added up; the half second at each end that no reading shows is small.
        distance = np.where(np.isnan(distance), self._run[lifts] + 0.5 * self._speed[lifts] * left, distance)
        counted = count > self._rest_count[lifts]
        fast = (self._top[lifts] > TRIP_M_S) | np.isnan(self._top[lifts]) | counted
        elsewhere = np.abs(landing - self._rest_landing[lifts]) > 0
        trip = np.where(np.isnan(distance), elsewhere, fast & (np.abs(distance) >= TRIP_M)) & ~self._attended[lifts]
        again = self._waits[lifts] & ~trip & ~(np.abs(distance) >= TRIP_M) & ~self._attended[lifts] & ~counted
        self._row[lifts[again], _COLUMN[t.RELEVELLINGS]] += 1.0
        lifts, stop, distance = lifts[trip], stop[trip], distance[trip]
        if not len(lifts):
            return
        waiting = lifts[self._waits[lifts]]
        if len(waiting):
            yield self._report(waiting)
        self._note(lifts, stop, distance)

    def _note(self, lifts: Slots, stop: Ints, distance: Floats) -> None:
        """Write the row of a trip, as far as it is known at the stand."""
        row = np.full((len(lifts), len(t.TRIP_SIGNALS)), np.nan)
        counts = self._counts[:, lifts]
        means = np.full(counts.shape, np.nan)
        np.divide(self._sums[:, lifts], counts, out=means, where=counts > 0)
        known: dict[Signal, Floats] = {
            t.FROM_LANDING: self._rest_landing[lifts],
            t.DISTANCE: distance,
            t.FLIGHT_TIME: (stop - self._start[lifts]) / 1e6,
            t.TOP_SPEED: self._top[lifts],
            t.DOOR_CLOSING_TIME: self._doors.closing_s[lifts],
            t.DOOR_REVERSALS: self._doors.reversals[lifts],
            t.RELEVELLINGS: np.zeros(len(lifts)),
            s.MOTOR_CURRENT: means[0],
            **{signal: np.sqrt(means[1 + number]) for number, signal in enumerate(_MEANS[1:])},
            **dict(zip((*_NEWEST[:-1], t.TO_LANDING), self._newest[:, lifts], strict=True)),
        }
        for signal, values in known.items():
            row[:, _COLUMN[signal]] = values
        row[:, _BANDS] = self._bands[lifts]
        self._row[lifts] = row
        self._begun[lifts], self._stop[lifts] = self._start[lifts], stop
        self._waits[lifts] = True
        self._landed[lifts] = True
        self._doors.departed(lifts)

    def _at_rest(self, lifts: Slots, values: Floats) -> None:
        """Note where a car stands, and fill what its trip still lacks."""
        for kept, signal in (
            (self._rest_height, s.CAR_HEIGHT),
            (self._rest_landing, s.CAR_POSITION),
            (self._rest_count, s.RUN_COUNT),
        ):
            value = values[_AT[signal]]
            kept[lifts] = np.where(np.isnan(value), kept[lifts], value)
        # Only a car that is said to stand shows its sensor's error; a slow one shows its speed.
        speed = values[_AT[s.CAR_SPEED]]
        tells = ~np.isnan(speed) & (values[_AT[s.CAR_STATUS]] == 0)
        self._rest_speed[lifts] = np.where(tells, speed, self._rest_speed[lifts])
        waits = self._waits[lifts]
        if not waits.any():
            return
        lifts, values = lifts[waits], values[:, waits]
        # A car outside the unlocking zone has reached no landing, whatever the nearest one is and wherever it crawls.
        self._landed[lifts] &= values[_AT[s.DOOR_ZONE]] != 0
        landed = self._landed[lifts]
        self._row[lifts[~landed], _COLUMN[t.TO_LANDING]] = np.nan
        for column, signal in _AT_STAND:
            held, value = self._row[lifts, _COLUMN[column]], values[_AT[signal]]
            fills = np.isnan(held) & (landed | (column not in _AT_LANDING))
            self._row[lifts, _COLUMN[column]] = np.where(fills, value, held)

    def _learn(self, lifts: Slots, values: Floats) -> None:
        """Learn the travel from the heights seen."""
        height = values[_AT[s.CAR_HEIGHT]]
        self._low[lifts] = np.fmin(self._low[lifts], height)
        self._high[lifts] = np.fmax(self._high[lifts], height)

    def _less_offset(self, lifts: Slots, speed: Floats) -> Floats:
        """Take off what the speed sensor says of a standing car."""
        offset = self._rest_speed[lifts]
        less: Floats = speed - np.where(np.isnan(offset), 0.0, offset)
        return less

    def _report(self, lifts: Slots) -> Finished:
        self._waits[lifts] = False
        return Finished(lifts, self._begun[lifts], self._stop[lifts], self._row[lifts])


def onset_s(gone: Floats, speed: Floats, within_s: Floats) -> Floats:
    """Say how long ago a car began to move, from the m gone since and its m/s now; from the other end, to its stand.

    A lift begins with constant jerk: gone = jτ³/6 and speed = jτ²/2, so τ = 3 · gone / speed whatever the jerk, as long
    as that is one that lifts have. Where the way is too short to measure, τ = √(2 · speed / 1 m/s³). Never longer than
    `within_s`, the time since the reading before.
    """
    far = (gone > _NEAR_M) & (speed > _SLOW_M_S)
    least, likely, longest = (np.sqrt(2.0 * speed / jerk) for jerk in (_JERK_MAX, _JERK, _JERK_MIN))
    # A car that levels badly, or rolls back, has gone a way that does not belong to its speed.
    by_way = np.clip(3.0 * gone / np.where(far, speed, 1.0), least, longest)
    most = np.minimum(within_s, _ONSET_S)
    found = np.where(far, by_way, likely)
    onset: Floats = np.clip(np.where(np.isnan(found), 0.5 * most, found), 0.0, most)
    return onset


def _us(seconds: Floats) -> Ints:
    micros: Ints = np.rint(seconds * 1e6).astype(np.int64)
    return micros
