"""The condition monitor of a fleet: trips in, maintenance alarms out. No I/O, no clock, no thread.

Trips of a day are summed, lift by lift. When a day is over, the day's mean of each feature is set against the lift's
own first two weeks (a frozen baseline, so that wear is never learned away) and against its peers of the same make and
model on the same day (seasons and holidays befall all of them). What is left goes into an EWMA chart; a lasting change,
too large for chance and large enough for a visit, becomes an alarm, and returns when it is gone.

A day closes by the trips' own time, so that trips give the same alarms however they are cut into batches.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from alarms.condition.features import ALL, FEATURES, MAIN_LANDING, RULES
from lift import trips as t
from lift.alarm import Change, Priority, Transition
from lift.batch import Batch, Floats, Ints, Mask
from lift.errors import Invalid
from lift.fleet import Fleet

DAY_US: Final = 86_400_000_000
# China's one time zone; a day is over when trips of the next have been coming for two hours.
ZONE_US: Final = 8 * 3_600_000_000
GRACE_US: Final = 2 * 3_600_000_000

# ---- The tuned parameters; figures in docs/condition-monitoring.md.
# Days that make the baseline, the smoothing of the chart in days, and the alarm limit in standard errors.
BASELINE_DAYS: Final = 14
SMOOTHING: Final = 0.3
LIMIT: Final = 6.0
# Days in a row beyond the limit.
DAYS_BEYOND: Final = 2

TRIPS_LEAST: Final = 3
PEERS_LEAST: Final = 8
# Of a large group so many are asked for their median.
_ASKED: Final = 2_048
# The own spread of a day counts like 14 days, the peers' like five.
_PEERS_COUNT: Final = 5.0
# A change must come down to this part of what is worth a visit before the alarm returns.
_RETURNS_AT: Final = 0.5
# Sums are kept in whole steps, so that their order cannot matter.
_STEP: Final = 1e-4
_EXTREME: Final = 1e5
LANDINGS: Final = 64
_BELOW: Final = 8
# Below this height the error of levelling hides what ropes do.
_HIGH_M: Final = 6.0
_NEVER: Final = np.iinfo(np.int64).min
_RULES: Final = tuple(RULES)
_RULE_OF: Final = np.array([_RULES.index(feature.rule) for feature in ALL])
_OF_A_FEATURE: Final = ("days", "mean", "squares", "average", "weight", "beyond")
_MAGIC: Final = b"LWCONDIT"
_HEAD: Final = struct.Struct("<8sI16sqq")


class ConditionMonitor:
    """Watches the trips of one fleet. One thread at a time may call it.

    `peers` numbers each lift's group of equals (same make and model); None: all are one group.
    """

    def __init__(self, fleet: Fleet, peers: Sequence[int] | None = None) -> None:
        lifts, features = len(fleet), len(ALL)
        self._fleet = fleet
        self._peers: Ints = np.zeros(lifts, np.int64) if peers is None else np.asarray(peers, np.int64)
        if len(self._peers) != lifts:
            raise Invalid("peers", f"has {len(self._peers)} numbers for {lifts} lifts")
        self._order: Ints = np.argsort(self._peers, kind="stable")
        cuts = 1 + np.flatnonzero(np.diff(self._peers[self._order]))
        self._groups: list[Ints] = np.split(self._order, cuts)
        # The oldest day that is open, and the newest time seen.
        self._day = _NEVER
        self._newest = _NEVER
        self.late = 0
        self._state: dict[str, NDArray[Any]] = {
            "sums": np.zeros((2, features, lifts), np.int64),
            "counts": np.zeros((2, features, lifts), np.uint16),
            "days": np.zeros((features, lifts), np.uint8),
            "mean": np.zeros((features, lifts), np.float32),
            "squares": np.zeros((features, lifts), np.float32),
            "average": np.zeros((features, lifts), np.float32),
            "weight": np.zeros((features, lifts), np.float32),
            "beyond": np.zeros((features, lifts), np.uint8),
            "heights": np.zeros((lifts, LANDINGS), np.float32),
            "onset": np.full((len(_RULES), lifts), _NEVER, np.int64),
        }

    # ---------------------------------------------------------------------------------------- trips

    def take(self, trips: Batch) -> list[Transition]:
        """Add finished trips, whose lifts are the fleet's slots (-1: not ours), and give what became of the alarms.

        Trips of a day that has closed are counted in `late` and otherwise ignored.
        """
        assert not len(trips) or trips.names is self._fleet.codes, "trips.lift must be the fleet's slots"
        found: list[Transition] = []
        if not len(trips):
            return found
        seen = np.maximum.accumulate(np.maximum(trips.at, self._newest))
        # The day that is the oldest open one once a trip has come, so that a batch is cut where days close.
        opens = (seen + ZONE_US - GRACE_US) // DAY_US
        edges = [0, *(1 + np.flatnonzero(np.diff(opens))).tolist(), len(trips)]
        for start, end in pairwise(edges):
            found += self._close_until(int(opens[start]))
            self._add(trips.take(np.arange(start, end)))
        self._newest = int(seen[-1])
        return found

    def advance(self, now: int) -> list[Transition]:
        """Close the days that were over two hours before a moment (µs), and give what became of the alarms."""
        if self._day == _NEVER:
            return []
        self._newest = max(self._newest, now)
        return self._close_until((now + ZONE_US - GRACE_US) // DAY_US)

    def _add(self, trips: Batch) -> None:
        day = (trips.at + ZONE_US) // DAY_US
        good = (trips.lift >= 0) & (day >= self._day)
        self.late += int(np.count_nonzero(day < self._day))
        if not good.all():
            trips, day = trips.take(good), day[good]
        speed = self._fleet.rated_speed[trips.lift].astype(np.float64)
        values = [feature.of(trips, speed) for feature in FEATURES]
        values.append(self._off_height(trips))
        for parity in (0, 1):
            here = np.flatnonzero(day % 2 == parity)
            if len(here):
                self._sum(parity, trips.lift[here], [value[here] for value in values])

    def _sum(self, parity: int, lift: NDArray[np.int32], values: list[Floats]) -> None:
        lifts, at = np.unique(lift, return_inverse=True)
        sums, counts = self._state["sums"][parity], self._state["counts"][parity]
        for number, value in enumerate(values):
            known = np.isfinite(value)
            if not known.any():
                continue
            steps = np.rint(np.clip(np.where(known, value, 0.0), -_EXTREME, _EXTREME) / _STEP)
            # Whole numbers below 2**53 add up exactly in any order.
            sums[number, lifts] += np.bincount(at, steps, minlength=len(lifts)).astype(np.int64)
            counts[number, lifts] += np.bincount(at, known, minlength=len(lifts)).astype(np.uint16)

    def _off_height(self, trips: Batch) -> Floats:
        """Give how far distances stray from the heights of the landings as first met, as a share of the height."""
        start, goal = trips.column(t.FROM_LANDING), trips.column(t.TO_LANDING)
        up = start == MAIN_LANDING
        other = np.where(up, goal, start)
        climbed = np.where(up, 1.0, -1.0) * trips.column(t.DISTANCE)
        column = other + _BELOW
        good = (up ^ (goal == MAIN_LANDING)) & (column >= 0) & (column < LANDINGS) & np.isfinite(climbed)
        rows = np.flatnonzero(good)
        off = np.full(len(trips), np.nan)
        known = self._state["heights"].reshape(-1)
        landing = trips.lift[rows].astype(np.int64) * LANDINGS + column[rows].astype(np.int64)
        height = climbed[rows]
        # Who meets a landing first says how high it lies; everybody after is compared with that.
        _, first = np.unique(landing, return_index=True)
        first = first[known[landing[first]] == 0.0]
        known[landing[first]] = height[first]
        reference = known[landing].astype(np.float64)
        high = np.abs(reference) >= _HIGH_M
        high[first] = False
        off[rows[high]] = height[high] / reference[high] - 1.0
        return off

    # ----------------------------------------------------------------------------------------- days

    def _close_until(self, day: int) -> list[Transition]:
        """Close every open day before this one."""
        found: list[Transition] = []
        if self._day == _NEVER:
            self._day = day
        # After a silence of many days there is nothing in most of them: two are open at most.
        for closing in range(self._day, min(day, self._day + 2)):
            found += self._close(closing)
        self._day = max(self._day, day)
        return found

    def _close(self, day: int) -> list[Transition]:
        well = np.empty((len(ALL), len(self._fleet)), np.bool_)
        # Feature by feature: the arrays of one fit into a processor's cache even for a megacity.
        for number in range(len(ALL)):
            well[number] = self._follow(number, day % 2)
        return self._judge(well, (day + 1) * DAY_US - ZONE_US + GRACE_US)

    def _follow(self, number: int, parity: int) -> Mask:
        """Bring one feature's charts on by a day; gives the lifts that are well."""
        state = {name: self._state[name][number] for name in _OF_A_FEATURE}
        sums, counts = self._state["sums"][parity, number], self._state["counts"][parity, number]
        enough = counts >= TRIPS_LEAST
        value = np.where(enough, sums / np.maximum(counts, 1) * _STEP, np.nan)
        sums[:] = 0
        counts[:] = 0
        days, mean, squares = state["days"], state["mean"], state["squares"]
        mature = days >= BASELINE_DAYS
        strays = np.where(mature, value - mean, np.nan)
        own = np.where(mature, squares / np.maximum(days - 1.0, 1.0), np.nan)
        common, usual = self._of_peers(strays, own)
        # A day of the baseline (Welford, Technometrics 4, 1962).
        learns = enough & ~mature
        off = np.where(learns, value - mean, 0.0)
        days += learns
        mean += off / np.maximum(days, 1)
        squares += off * np.where(learns, value - mean, 0.0)
        told = enough & mature
        self._chart(state, np.where(told, strays - common, 0.0), told)
        spread = (own * BASELINE_DAYS + usual * _PEERS_COUNT) / (BASELINE_DAYS + _PEERS_COUNT)
        average, weight, beyond = state["average"], state["weight"], state["beyond"]
        # Not knowing the baseline exactly counts as well.
        error = np.sqrt(spread * (weight + 1.0 / BASELINE_DAYS))
        with np.errstate(invalid="ignore", divide="ignore"):
            # Whatever inflates the charts of all lifts alike, such as weekly rhythm, is no sign of wear in one.
            inflated = max(1.4826 * self._median(np.abs(average / error)), 1.0)
        strength = np.abs(average) if ALL[number].sides > 1 else average
        least = ALL[number].least
        sick = told & (strength > np.maximum(LIMIT * inflated * error, least))
        beyond[:] = np.where(told, np.where(sick, np.minimum(beyond + 1, 250), 0), beyond)
        well: Mask = ~(strength > _RETURNS_AT * least)
        return well

    def _of_peers(self, strays: Floats, own: Floats) -> tuple[Floats, Floats]:
        """Give what the peers of each lift stray by today, and their usual spread.

        Both are medians, so that a few sick lifts do not count.
        """
        common, usual = np.empty_like(strays), np.empty_like(own)
        everybody = self._median(strays), self._median(own)
        for group in self._groups:
            theirs = strays[group]
            few = np.count_nonzero(np.isfinite(theirs)) < PEERS_LEAST
            common[group] = everybody[0] if few else self._median(theirs)
            usual[group] = everybody[1] if few else self._median(own[group])
        return common, usual

    @staticmethod
    def _median(values: Floats) -> float:
        """Give the median of what is known; 0 where nothing is.

        Of many lifts every so-manieth is asked, which is exact enough and far quicker.
        """
        known = values[np.isfinite(values)]
        known = known[:: max(1, len(known) // _ASKED)]
        return float(np.median(known)) if len(known) else 0.0

    @staticmethod
    def _chart(state: Mapping[str, NDArray[Any]], off: Floats, told: Mask) -> None:
        """Move the EWMA of each lift; `weight` is the sum of its squared shares, which says how much it knows."""
        average, weight = state["average"], state["weight"]
        keep = np.where(told, np.float32(1.0 - SMOOTHING), np.float32(1.0))
        average *= keep
        average += SMOOTHING * off
        weight *= keep * keep
        weight += told * np.float32(SMOOTHING * SMOOTHING)

    def _judge(self, well: Mask, at: int) -> list[Transition]:
        """Raise what was beyond its limit on two days, and let return what is well again."""
        state, beyond = self._state, self._state["beyond"]
        found: list[Transition] = []
        for number, rule in enumerate(_RULES):
            mine = number == _RULE_OF
            onset = state["onset"][number]
            raised = np.flatnonzero((beyond[mine] >= DAYS_BEYOND).any(axis=0) & (onset == _NEVER))
            returned = np.flatnonzero(well[mine].all(axis=0) & (onset != _NEVER))
            onset[raised] = at - DAYS_BEYOND * DAY_US
            signs = np.flatnonzero(mine)
            for slot in raised.tolist():
                evidence = tuple(ALL[sign].name for sign in signs.tolist() if beyond[sign, slot] >= DAYS_BEYOND)
                found.append(self._transition(Change.RAISED, rule, slot, int(onset[slot]), at, evidence))
            found += [
                self._transition(Change.RETURNED, rule, slot, int(onset[slot]), at, ()) for slot in returned.tolist()
            ]
            onset[returned] = _NEVER
        return sorted(found, key=lambda one: (one.lift, one.rule))

    def _transition(
        self, change: Change, rule: str, slot: int, onset: int, at: int, evidence: tuple[str, ...]
    ) -> Transition:
        priority: Priority = RULES[rule]
        return Transition(
            change=change,
            lift=self._fleet.codes[slot],
            rule=rule,
            code=None,
            priority=priority,
            latching=False,
            onset=onset,
            at=at,
            evidence=evidence,
        )

    # ---------------------------------------------------------------------------------------- people

    def renew(self, lift: str, rule: str) -> bool:
        """Begin a new baseline for what a rule watches, after a part was replaced or adjusted; False: no such lift."""
        slot = self._fleet.slot(lift)
        if slot < 0 or rule not in RULES:
            return False
        mine = _RULES.index(rule) == _RULE_OF
        for name in _OF_A_FEATURE:
            self._state[name][mine, slot] = 0
        if rule == ALL[-1].rule:
            self._state["heights"][slot] = 0.0
        return True

    # ----------------------------------------------------------------------------------------- state

    def bytes_held(self) -> int:
        """Give the size of everything kept for the fleet; it does not grow while the monitor runs."""
        return sum(array.nbytes for array in self._state.values())

    def save(self) -> bytes:
        """Give everything the monitor remembers, for `restore`."""
        # Views and one join: a megacity's state is copied once.
        parts = [array.reshape(-1).view(np.uint8).data for array in self._state.values()]
        checksum = 0
        for part in parts:
            checksum = zlib.crc32(part, checksum)
        return b"".join([_HEAD.pack(_MAGIC, checksum, self._fit(), self._day, self._newest), *parts])

    def restore(self, data: bytes) -> None:
        """Go on from a saved state; raises Invalid, and changes nothing, when it is damaged or of other lifts."""
        size = sum(array.nbytes for array in self._state.values())
        if len(data) < _HEAD.size or data[: len(_MAGIC)] != _MAGIC:
            raise Invalid("condition state", f"{len(data)} bytes that are no saved state")
        _, checksum, fit, day, newest = _HEAD.unpack_from(data)
        if fit != self._fit():
            raise Invalid("condition state", "was saved for other lifts, features or parameters")
        body = memoryview(data)[_HEAD.size :]
        if len(body) != size or zlib.crc32(body) != checksum:
            raise Invalid("condition state", "is damaged or cut off: its checksum does not fit")
        offset = 0
        for array in self._state.values():
            array[...] = np.frombuffer(body, array.dtype, array.size, offset).reshape(array.shape)
            offset += array.nbytes
        self._day, self._newest = day, newest

    def _fit(self) -> bytes:
        told = [feature.name for feature in ALL], _RULES, BASELINE_DAYS, SMOOTHING, LANDINGS, _STEP
        return hashlib.blake2b("\n".join([repr(told), *self._fleet.codes]).encode(), digest_size=16).digest()
