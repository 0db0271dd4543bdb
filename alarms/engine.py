"""The anomaly engine: readings in, transitions of alarms out. No I/O, no clock, no thread.

Each lift's alarms follow from its own readings in their own time: before a reading at a time t is applied,
every deadline of that lift before t fires, at the moment of the deadline itself. However readings are cut into
batches, and whenever `advance` is called, the same transitions come out, as long as no reading arrives with a time
that `advance` has already passed.

After a restart: `restore` the saved state, `take` the readings stored since, `advance` to the newest of them, `resume`
at the present, and save again; what was raised before comes out once more under the same key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from alarms import saved
from alarms.learn import learn
from alarms.memory import Memory, discover
from alarms.phases import LATCHED, NEVER, NORMAL, RAISED, STANDS, Crossing, Phases
from alarms.readings import Known, Probe, Readings, Where, pick
from alarms.rule import Rule
from alarms.waves import Waves, where
from lift import codes as code_sets
from lift.alarm import Change, Transition, alarm_key
from lift.batch import Batch, Floats, Ints, Mask, Slots
from lift.errors import NotFound
from lift.fleet import Fleet
from lift.metrics import Metric, metric
from lift.signals import SIGNALS, ServiceMode, Signal

_IN_ORDER: Final = attrgetter("at", "lift", "rule", "onset")
# Two independent signs confirm a suspicion.
CONFIRMED_BY: Final = 2


class Engine:
    """Watches one fleet with a set of rules, named by slug. One thread at a time may call it.

    A rule that raises is counted in `failures` and named in `failing`; the other rules are asked all the same.
    """

    def __init__(self, fleet: Fleet, rules: Mapping[str, Rule]) -> None:
        self._fleet = fleet
        self._slugs = list(rules)
        self._rules = list(rules.values())
        self._judged = [n for n, rule in enumerate(self._rules) if not rule.measures_silence]
        self._silent = [n for n, rule in enumerate(self._rules) if rule.measures_silence]
        self._hysteresis = [rule.has_hysteresis for rule in self._rules]
        self._suspects = [n for n, rule in enumerate(self._rules) if rule.has_signs]
        self._memories = discover(map(_forgiving, (ask for rule in self._rules for ask in rule.asks)), Probe)
        self._known = Known.nothing(len(fleet), fleet.rated_speed, fleet.landings)
        self._known.remember(self._memories)
        self._confirmed: NDArray[np.bool_] = np.zeros((len(self._suspects), len(fleet)), np.bool_)
        self._newest: Ints = np.full(len(fleet), NEVER, np.int64)
        self._resumed = NEVER
        self._phases = Phases(self._rules, len(fleet))
        self._waves = Waves(len(fleet))
        self._readings = 0
        self._late = 0
        self.failures = dict.fromkeys(self._slugs, 0)
        self.failing: str | None = None
        self._crossed = {(slug, change): 0 for slug in self._slugs for change in Change}

    @property
    def rules(self) -> frozenset[str]:
        """The slugs of the rules it judges."""
        return frozenset(self._slugs)

    # ------------------------------------------------------------------------------------- readings

    def take(self, batch: Batch) -> list[Transition]:
        """Apply readings, whose lifts are the fleet's slots, and give what became of the alarms, in time order.

        A reading that is not newer than its lift's newest is counted and otherwise ignored.
        """
        assert not len(batch) or batch.names is self._fleet.codes, "batch.lift must be the fleet's slots"
        found: list[Crossing] = []
        self._readings += len(batch)
        for wave in self._waves.cut(batch):
            fresh = wave.at > self._newest.take(wave.lift, mode="clip")
            late = len(wave) - int(np.count_nonzero(fresh))
            self._late += late
            if late < len(wave):
                self._apply(wave.take(fresh) if late else wave, found)
        return self._transitions(found)

    def _apply(self, wave: Batch, found: list[Crossing]) -> None:
        here = where(wave.lift)
        self._expire(wave, here, found)
        now = Readings(self._known, here, len(wave), self._merge(wave, here), wave.at)
        learn(self._memories, self._known, now, wave, here, self._note_lapse)
        inhibited: dict[frozenset[ServiceMode], Mask] = {}
        for number in self._judged:
            try:
                self._judge(number, now, wave, here, inhibited)
            except Exception as error:  # noqa: BLE001 - whatever it is, the rules after it must still be asked
                self._note_failure(number, error)
        ripe = np.flatnonzero(pick(self._phases.due, here) <= wave.at)
        if ripe.size:
            self._fire(wave.lift[ripe], wave.at[ripe] + 1, found, speak=True)
        for order, number in enumerate(self._suspects):
            if self._phases.active[number]:
                self._confirm(order, number, wave, here, found)

    def _fire(self, lifts: Slots | NDArray[np.intp], before: Ints | int, found: list[Crossing], *, speak: bool) -> None:
        """Let deadlines pass, and say of the suspicions among them what speaks for each."""
        crossings = self._phases.fire(lifts, before, self._newest[lifts], speak=speak)
        for order, number in enumerate(self._suspects):
            raised = [each for each in crossings if each.rule == number and each.change is Change.RAISED]
            if raised:
                slots = np.array([each.lift for each in raised], np.intp)
                at = np.array([each.at for each in raised], np.int64)
                names, belief = self._signs(number, slots, at)
                for each, mine in zip(raised, belief.T, strict=True):
                    each.evidence, each.confidence = _weigh(names, mine)
                    self._confirmed[order, each.lift] = len(each.evidence) >= CONFIRMED_BY
                crossings += [
                    replace(each, change=Change.CONFIRMED) for each in raised if len(each.evidence) >= CONFIRMED_BY
                ]
        found += crossings

    def _confirm(self, order: int, number: int, wave: Batch, here: Where, found: list[Crossing]) -> None:
        """Look for the second sign of the suspicions that stand."""
        open_here = (self._phases.phase[number][here] == RAISED) & ~self._confirmed[order][here]
        which = np.flatnonzero(open_here)
        if not which.size:
            return
        slots = wave.lift[which].astype(np.intp)
        names, belief = self._signs(number, slots, wave.at[which])
        for place in np.flatnonzero(np.count_nonzero(belief, axis=0) >= CONFIRMED_BY).tolist():
            slot = int(slots[place])
            self._confirmed[order, slot] = True
            evidence, confidence = _weigh(names, belief[:, place])
            at, onset = int(wave.at[which[place]]), int(self._phases.onset[number, slot])
            found.append(Crossing(at, slot, number, Change.CONFIRMED, onset, confidence, evidence))

    def _signs(self, number: int, slots: NDArray[np.intp], at: Ints) -> tuple[list[str], Floats]:
        """Give what each sign says of some lifts: belief [signs x lifts]; a rule that raises says nothing."""
        now = Readings(self._known, slots, slots.size, _at=at)
        try:
            said = self._rules[number].signs(now)
        except Exception as error:  # noqa: BLE001 - the alarm itself must go out all the same
            self._note_failure(number, error)
            said = {}
        belief = np.zeros((len(said), slots.size), np.float64)
        for row, values in enumerate(said.values()):
            belief[row] = values
        return list(said), belief

    def _note_lapse(self, memory: Memory, error: Exception) -> None:
        self.failing = f"memory {memory.name} failed: {type(error).__name__}: {error}"

    def _note_failure(self, number: int, error: Exception) -> None:
        self.failures[self._slugs[number]] += 1
        self.failing = f"rule {self._slugs[number]} failed: {type(error).__name__}: {error}"

    def _judge(
        self,
        number: int,
        now: Readings,
        wave: Batch,
        here: Where,
        inhibited: dict[frozenset[ServiceMode], Mask],
    ) -> None:
        """Ask one rule, and move its phases where the answer is not what it was."""
        rule = self._rules[number]
        on = rule.holds(now)
        active = self._phases.active[number]
        if not active and not np.count_nonzero(on):
            return
        if active and self._hysteresis[number]:
            stands = (pick(self._phases.phase[number], here) & STANDS).astype(bool)
            on = np.where(stands, ~rule.clears(now), on)
        if rule.inhibited_in:
            if rule.inhibited_in not in inhibited:
                inhibited[rule.inhibited_in] = now.in_mode(rule.inhibited_in)
            on = on & ~inhibited[rule.inhibited_in]
        self._phases.see(number, here, wave.lift, wave.at, on)
        if rule.bridges_s and self._phases.active[number]:
            wavering = self._phases.wavers(number, here)
            if wavering.any():
                self._phases.settle(number, wave.lift[wavering & rule.settled(now)])

    def _expire(self, wave: Batch, here: Where, found: list[Crossing]) -> None:
        """Fire what was due before these readings, and end the silence of the lifts that speak again."""
        ripe = np.flatnonzero(pick(self._phases.due, here) < wave.at)
        if ripe.size:
            self._fire(wave.lift[ripe], wave.at[ripe], found, speak=True)
        heard = pick(self._newest, here)
        for number in self._silent:
            delay = int(self._phases.on_delay[number])
            since = np.maximum(heard, self._resumed)
            over = np.flatnonzero((wave.at - since > delay) & (heard > NEVER))
            if over.size:
                found += self._phases.raise_silent(number, wave.lift[over], since[over])
            if self._phases.active[number]:
                silence_is_over = np.zeros(len(wave), np.bool_)
                self._phases.see(number, here, wave.lift, wave.at, silence_is_over)

    def _merge(self, wave: Batch, here: Where) -> dict[Signal, Floats]:
        """Write what was reported over what was known and give it; what was not reported stays known."""
        self._newest[here] = wave.at
        # Column by column to be worked with, and as whole rows to be kept.
        table = pick(self._known.values, here)
        columns = np.empty((len(SIGNALS), len(wave)), np.float32)
        for signal, values in zip(SIGNALS, columns, strict=True):
            values[:] = wave.columns.get(signal, np.nan)
        missing = np.isnan(columns)
        for row in np.flatnonzero(np.logical_or.reduce(missing, axis=1)).tolist():
            np.copyto(columns[row], table[:, row], where=missing[row])
        columns.flags.writeable = False
        self._known.values[here] = columns.T if isinstance(here, slice) else np.ascontiguousarray(columns.T)
        fresh: dict[Signal, Floats] = dict(zip(SIGNALS, columns, strict=True))
        if wave.codes is not None:
            unsaid = wave.codes == code_sets.NOT_REPORTED
            codes = np.where(unsaid, pick(self._known.codes, here), wave.codes) if unsaid.any() else wave.codes
            self._known.codes[here] = codes
        return fresh

    # ----------------------------------------------------------------------------------------- time

    def advance(self, now: int) -> list[Transition]:
        """Fire every deadline up to a moment (µs), for lifts that sent nothing; give what became of the alarms.

        Call it with a time that readings still on their way have passed: a little behind the clock.
        """
        found: list[Crossing] = []
        ripe = np.flatnonzero(self._phases.due <= now)
        if ripe.size:
            self._fire(ripe, now + 1, found, speak=False)
        for number in self._silent:
            delay = int(self._phases.on_delay[number])
            if self._resumed + delay > now:
                continue
            quiet = self._phases.phase[number] == NORMAL
            quiet &= self._newest <= now - delay
            quiet &= self._newest > NEVER
            lifts = np.flatnonzero(quiet)
            if lifts.size:
                since = np.maximum(self._newest[lifts], self._resumed)
                found += self._phases.raise_silent(number, lifts, since)
        return self._transitions(found)

    def resume(self, at: int) -> None:
        """Count silence from this moment (µs) at the earliest: while we were away we could not hear anybody."""
        self._resumed = max(self._resumed, at)

    # --------------------------------------------------------------------------------------- people

    def reset(self, lift: str, rule: str) -> bool:
        """Re-arm a latched rule for one lift; False, and no effect, where nothing is latched or the alarm still stands.

        Where the condition has come back meanwhile, the lift's next reading starts a new alarm's delay.
        Raises NotFound for a lift or a rule we do not know.
        """
        slot = self._fleet.slot(lift)
        if slot < 0:
            raise NotFound(f"no lift {lift!r} is registered")
        if rule not in self._slugs:
            raise NotFound(f"there is no rule {rule!r}; rules are {', '.join(self._slugs)}")
        return self._phases.rearm(self._slugs.index(rule), slot)

    def latched(self) -> list[tuple[str, str]]:
        """Give the (lift, rule) pairs that wait for a reset, so that resets lost in a crash can be made again."""
        pairs = zip(*np.nonzero(self._phases.phase == LATCHED), strict=True)
        return [(self._fleet.codes[int(slot)], self._slugs[int(number)]) for number, slot in pairs]

    def standing(self) -> set[str]:
        """Give the keys of the alarms that stand, so that a record of one that ended unseen can be closed."""
        numbers, slots = np.nonzero(self._phases.phase & STANDS)
        onsets = self._phases.onset[numbers, slots]
        return {
            alarm_key(self._fleet.codes[slot], self._slugs[number], onset)
            for number, slot, onset in zip(numbers.tolist(), slots.tolist(), onsets.tolist(), strict=True)
        }

    def heard(self) -> Ints:
        """Give the time of each lift's newest reading (µs), far in the past for one that never reported."""
        return self._newest

    def metrics(self) -> list[Metric]:
        """Give the engine's counters and gauges."""
        return [
            metric("liftwatch_engine_readings_total", "counter", "Readings given to the rules.", self._readings),
            metric(
                "liftwatch_engine_late_readings_total",
                "counter",
                "Readings that were not newer than their lift's newest, and not judged.",
                self._late,
            ),
            metric(
                "liftwatch_lifts_never_heard",
                "gauge",
                "Registered lifts that have never reported, and are therefore not watched.",
                int(np.count_nonzero(self._newest == NEVER)),
            ),
            Metric(
                "liftwatch_rule_failures_total",
                "counter",
                "Batches that a rule could not judge; the other rules did.",
                tuple(({"rule": slug}, float(count)) for slug, count in self.failures.items() if count),
            ),
            Metric(
                "liftwatch_rule_transitions_total",
                "counter",
                "Alarms raised, confirmed and returned, by rule.",
                tuple(
                    ({"rule": slug, "change": str(change)}, float(count))
                    for (slug, change), count in self._crossed.items()
                ),
            ),
            Metric(
                "liftwatch_rule_standing",
                "gauge",
                "Lifts for which a rule's alarm stands.",
                tuple(
                    ({"rule": slug}, float(np.count_nonzero(self._phases.phase[number] & STANDS)))
                    for number, slug in enumerate(self._slugs)
                ),
            ),
        ]

    # ---------------------------------------------------------------------------------------- state

    def bytes_held(self) -> int:
        """Give the size of everything kept for the fleet; it does not grow while the engine runs."""
        known, phases = self._known, self._phases
        return (
            sum(kept.nbytes for kept in (known.values, known.rated_speed, known.codes, self._newest))
            + sum(kept.nbytes for kept in (known.words, known.levels, known.stamps, known.reached, self._confirmed))
            + sum(kept.nbytes for kept in (phases.phase, phases.onset, phases.turned, phases.due))
        )

    def save(self) -> bytes:
        """Give everything the engine remembers, for `restore`."""
        return saved.pack(self._fit(), self._known, self._confirmed, self._newest, self._resumed, self._phases)

    def restore(self, data: bytes) -> None:
        """Go on from a saved state.

        Raises Invalid, and changes nothing, when it is damaged or was saved for other lifts or rules.
        """
        self._resumed = saved.unpack(data, self._fit(), self._known, self._confirmed, self._newest, self._phases)

    def _fit(self) -> saved.Fit:
        return saved.fit(self._fleet.codes, self._slugs, [memory.name for memory in self._memories])

    def _transitions(self, found: list[Crossing]) -> list[Transition]:
        """Spell crossings out, in time order whatever order they were found in."""
        return [self._transition(crossing) for crossing in sorted(found, key=_IN_ORDER)]

    def _transition(self, crossing: Crossing) -> Transition:
        slug, rule = self._slugs[crossing.rule], self._rules[crossing.rule]
        self._crossed[slug, crossing.change] += 1
        return Transition(
            change=crossing.change,
            lift=self._fleet.codes[crossing.lift],
            rule=slug,
            code=rule.code,
            priority=rule.priority,
            latching=rule.latching,
            onset=crossing.onset,
            at=crossing.at,
            confidence=crossing.confidence,
            evidence=crossing.evidence,
        )


def _forgiving(ask: Callable[[Readings], object]) -> Callable[[Readings], object]:
    """Let a rule that fails on no readings at all keep nobody from starting: it will be named when it fails on some."""

    def asked(now: Readings) -> object:
        with contextlib.suppress(Exception):
            return ask(now)
        return None

    return asked


def _weigh(names: list[str], belief: Floats) -> tuple[tuple[str, ...], float]:
    """Name the signs that are there, and say how far they are to be believed together: 1 less the product of doubts."""
    evidence = tuple(name for name, value in zip(names, belief.tolist(), strict=True) if value > 0)
    return evidence, round(1.0 - float(np.prod(1.0 - belief)), 3) if names else 1.0
