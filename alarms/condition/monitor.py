"""The condition monitor of a fleet: trips in, maintenance alarms out. No I/O, no clock, no thread.

Trips of a day are summed, lift by lift. When a day is over, the day's mean of each feature is set against the lift's
own first two weeks (a frozen baseline, so that wear is never learned away) and against its peers of the same make and
model on the same day (seasons and holidays befall all of them). Three kinds of chart judge what is left:

- one a feature, frozen: a lasting change, too large for chance and large enough for a visit;
- one a lift over all features, frozen: many small changes at once (`alarms.condition.together`);
- adaptive ones: what a lift has never done, be it gone tomorrow (`alarms.condition.day_charts`).

A day closes by the trips' own time, so that trips give the same alarms however they are cut into batches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from alarms.condition import saved
from alarms.condition.baselines import BASELINE_DAYS, DAYS_BEYOND, RETURNS_AT, SMOOTHING, Baselines, Followed
from alarms.condition.day_charts import DayCharts, worth_naming
from alarms.condition.day_sums import LANDINGS, STEP, DaySums
from alarms.condition.features import ALL, CHANGED, NOVEL, POSITION, RULES
from alarms.condition.together import Together
from lift.alarm import Change, Transition
from lift.batch import Batch, Ints, Mask
from lift.errors import Invalid
from lift.fleet import Fleet
from lift.register import Lift
from lift.repair import Repair

DAY_US: Final = 86_400_000_000
# China's one time zone; a day is over when trips of the next have been coming for two hours.
ZONE_US: Final = 8 * 3_600_000_000
GRACE_US: Final = 2 * 3_600_000_000

# Many small changes are worth a visit when the root of the sum of their squares, each in the smallest change that
# alone is worth one, reaches this. Tuned.
WORTH: Final = 0.7
# Lifts whose adaptive charts are brought on together: few enough for a processor's cache.
_TOGETHER: Final = 4_096
_NEVER: Final = np.iinfo(np.int64).min
_RULES: Final = tuple(RULES)
_RULE_OF: Final = np.array([_RULES.index(feature.rule) for feature in ALL])
_CHANGED, _NOVEL = _RULES.index(CHANGED), _RULES.index(NOVEL)
# Rules of one feature or several, each with charts of its own.
_SINGLE: Final = min(_CHANGED, _NOVEL)


class ConditionMonitor:
    """Watches the trips of one fleet. One thread at a time may call it.

    `peers` numbers each lift's group of equals (same make and model); None: all are one group. `without` names rules
    to leave out, for trials.
    """

    def __init__(
        self, fleet: Fleet, peers: Sequence[int] | None = None, *, without: frozenset[str] = frozenset()
    ) -> None:
        lifts = len(fleet)
        self._used = [rule not in without for rule in _RULES]
        self._fleet = fleet
        numbers: Ints = np.zeros(lifts, np.int64) if peers is None else np.asarray(peers, np.int64)
        if len(numbers) != lifts:
            raise Invalid("peers", f"has {len(numbers)} numbers for {lifts} lifts")
        order: Ints = np.argsort(numbers, kind="stable")
        groups = np.split(order, 1 + np.flatnonzero(np.diff(numbers[order])))
        # The oldest day that is open, the newest time seen, and the newest repair that has been seen to.
        self._day = _NEVER
        self._newest = _NEVER
        self._repaired = 0
        self._repairs: list[Repair] = []
        self.late = 0
        self._sums = DaySums(fleet)
        self._baselines = Baselines(lifts, groups)
        self._together = Together(len(ALL), lifts, groups)
        self._charts = [DayCharts(min(_TOGETHER, lifts - start)) for start in range(0, lifts, _TOGETHER)]
        self._changed_days: NDArray[np.uint8] = np.zeros(lifts, np.uint8)
        self._onset: NDArray[np.int64] = np.full((len(_RULES), lifts), _NEVER, np.int64)
        self._fit = self._name(groups)

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
        self._sums.add(trips, day % 2)

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
        self._renew_until(self._day)
        return found

    def _close(self, day: int) -> list[Transition]:
        parity, shape = day % 2, (len(ALL), len(self._fleet))
        well = np.empty(shape, np.bool_)
        errors, strays, spread, worth = (np.empty(shape, np.float32) for _ in range(4))
        told = np.zeros(len(self._fleet), np.bool_)
        # Feature by feature: the arrays of one fit into a processor's cache even for a megacity.
        for number in range(len(ALL)):
            one: Followed = self._baselines.follow(number, self._sums.mean(parity, number))
            well[number], errors[number], worth[number] = one.well, one.errors, one.worth
            strays[number], spread[number] = one.strays, one.spread
            told |= one.told
        trips = self._sums.trips(parity)
        self._sums.clear(parity)
        at = (day + 1) * DAY_US - ZONE_US + GRACE_US
        beyond = self._baselines.beyond >= DAYS_BEYOND
        found = [one for rule in range(_SINGLE) for one in self._judge(rule, well, beyond, at)]
        found += self._judge_together(worth, self._together.take(errors, told), told, at)
        found += self._judge_new(strays, spread, trips, at)
        return sorted(found, key=lambda one: (one.lift, one.rule))

    def _judge(self, rule: int, well: Mask, beyond: Mask, at: int) -> list[Transition]:
        """Raise what was beyond its limit on two days, and let return what is well again."""
        mine = rule == _RULE_OF
        signs = np.flatnonzero(mine)
        raised = np.flatnonzero(beyond[mine].any(axis=0) & (self._onset[rule] == _NEVER))
        evidence = {lift: [sign for sign in signs.tolist() if beyond[sign, lift]] for lift in raised.tolist()}
        return self._tell(rule, evidence, well[mine].all(axis=0), at - DAYS_BEYOND * DAY_US, at)

    def _judge_together(self, worth: NDArray[np.float32], far: Mask, told: Mask, at: int) -> list[Transition]:
        """Raise many small changes that together are worth a visit; they give way to an alarm of a single rule.

        `worth` [features, lifts]: of the features of one rule, which say much the same, only the largest counts.
        """
        of_rules = np.stack([worth[rule == _RULE_OF].max(axis=0) for rule in range(_SINGLE)])
        whole = np.sqrt((of_rules * of_rules).sum(axis=0))
        days = self._changed_days
        sick = far & (whole > WORTH)
        days[...] = np.where(told, np.where(sick, np.minimum(days + 1, DAYS_BEYOND), 0), days)
        raised = np.flatnonzero((days >= DAYS_BEYOND) & ~self._stands(len(_RULES)))
        evidence = {lift: worth_naming(worth[:, lift]) for lift in raised.tolist()}
        well = (whole < RETURNS_AT * WORTH) | self._stands(_SINGLE)
        return self._tell(_CHANGED, evidence, well, at - DAYS_BEYOND * DAY_US, at)

    def _judge_new(
        self, strays: NDArray[np.float32], spread: NDArray[np.float32], trips: NDArray[np.uint16], at: int
    ) -> list[Transition]:
        """Raise what a lift has never done; it gives way to an alarm of a single rule."""
        evidence: dict[int, list[int]] = {}
        over = np.empty(len(self._fleet), np.bool_)
        for number, charts in enumerate(self._charts):
            here = slice(number * _TOGETHER, (number + 1) * _TOGETHER)
            new = charts.take(strays[:, here], spread[:, here], trips[here])
            evidence |= {here.start + lift: signs for lift, signs in new.items()}
            over[here] = charts.over_at()
        stands = self._stands(len(_RULES))
        evidence = {lift: signs for lift, signs in evidence.items() if not stands[lift]}
        return self._tell(_NOVEL, evidence, over | self._stands(_SINGLE), at - DAY_US, at)

    def _stands(self, rules: int) -> Mask:
        """Say of which lifts an alarm of the first so many rules stands."""
        return np.asarray((self._onset[:rules] != _NEVER).any(axis=0))

    def _tell(self, rule: int, evidence: dict[int, list[int]], well: Mask, since: int, at: int) -> list[Transition]:
        """Let return what is well, and raise what is in evidence; `evidence` gives features by slot."""
        onset = self._onset[rule]
        returned = np.flatnonzero(well & (onset != _NEVER))
        found = [self._transition(Change.RETURNED, rule, lift, at, ()) for lift in returned.tolist()]
        onset[returned] = _NEVER
        for lift, signs in evidence.items() if self._used[rule] else ():
            if not self._mending(rule, lift):
                onset[lift] = since
                found.append(self._transition(Change.RAISED, rule, lift, at, tuple(ALL[n].name for n in signs)))
        return found

    def _mending(self, rule: int, lift: int) -> bool:
        """Whether somebody said that this is mended, on a day that is still open: its charts know nothing of it yet."""
        code = self._fleet.codes[lift]
        return any(one.lift == code and (rule >= _SINGLE or one.rule == _RULES[rule]) for one in self._repairs)

    def _transition(self, change: Change, rule: int, slot: int, at: int, evidence: tuple[str, ...]) -> Transition:
        return Transition(
            change=change,
            lift=self._fleet.codes[slot],
            rule=_RULES[rule],
            code=None,
            priority=RULES[_RULES[rule]].priority,
            latching=False,
            onset=int(self._onset[rule, slot]),
            at=at,
            evidence=evidence,
        )

    def standing(self) -> dict[str, int]:
        """Count for each rule the lifts with an alarm that stands; any thread may ask."""
        return {rule: int(np.count_nonzero(self._onset[n] != _NEVER)) for n, rule in enumerate(_RULES)}

    # ---------------------------------------------------------------------------------------- people

    @property
    def newest_repair(self) -> int:
        """The number of the newest repair that was told; after a restore, of those that are in the saved state."""
        return self._repairs[-1].number if self._repairs else self._repaired

    def renew(self, repair: Repair) -> list[Transition]:
        """Begin a new baseline for what a repaired alarm was about, with the first day that begins after the repair.

        The rule's alarm stands no more, be it the repaired one or one raised since, which is given; it is not raised
        while the day of the repair is open. Repairs come in order of their numbers; one that was told before, or is of
        a lift or rule that is not ours, changes nothing.
        """
        found: list[Transition] = []
        if repair.number <= self.newest_repair:
            return found
        slot = self._fleet.slot(repair.lift)
        if slot >= 0 and repair.rule in RULES:
            rule = _RULES.index(repair.rule)
            if self._onset[rule, slot] != _NEVER:
                found.append(self._transition(Change.RETURNED, rule, slot, repair.at, ()))
            self._onset[rule, slot] = _NEVER
        self._repairs.append(repair)
        self._renew_until(self._day)
        return found

    def _renew_until(self, day: int) -> None:
        """See to the repairs of days before this one."""
        while self._repairs and (self._repairs[0].at + ZONE_US) // DAY_US < day:
            repair = self._repairs.pop(0)
            self._repaired = repair.number
            slot = self._fleet.slot(repair.lift)
            if slot < 0 or repair.rule not in RULES:
                continue
            features = np.array([one.rule == repair.rule or one.name in repair.evidence for one in ALL])
            self._baselines.forget(features, slot)
            self._charts[slot // _TOGETHER].forget(features, slot % _TOGETHER)
            self._changed_days[slot] = 0
            if features[ALL.index(POSITION)]:
                self._sums.forget_heights(slot)

    # ----------------------------------------------------------------------------------------- state

    def bytes_held(self) -> int:
        """Give the size of everything kept for the fleet; it does not grow while the monitor runs."""
        return sum(array.nbytes for array in self._arrays())

    def save(self, file: IO[bytes]) -> None:
        """Write everything the monitor remembers, for `restore`, but for repairs it has not seen to."""
        saved.write(file, self._fit, (self._day, self._newest, self._repaired), self._arrays())

    def restore(self, file: IO[bytes]) -> None:
        """Go on from a saved state; raises Invalid, and changes nothing, when it is damaged or of other lifts."""
        self._day, self._newest, self._repaired = saved.read(file, self._fit, self._arrays())
        self._repairs = []

    def _arrays(self) -> list[NDArray[Any]]:
        parts = [part.arrays() for part in (self._sums, self._baselines, self._together)]
        parts += [charts.arrays() for charts in self._charts]
        return [*(array for part in parts for array in part.values()), self._changed_days, self._onset]

    def _name(self, groups: Sequence[Ints]) -> bytes:
        told = [feature.name for feature in ALL], _RULES, BASELINE_DAYS, SMOOTHING, LANDINGS, STEP, len(groups)
        return hashlib.blake2b("\n".join([repr(told), *self._fleet.codes]).encode(), digest_size=16).digest()


def peers_of(lifts: Sequence[Lift]) -> list[int]:
    """Number the groups of lifts of one make and model."""
    numbers: dict[tuple[str, str], int] = {}
    return [numbers.setdefault((lift.make, lift.model), len(numbers)) for lift in lifts]
