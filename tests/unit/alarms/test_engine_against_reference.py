"""The vectorised engine against a slow one that takes one reading of one lift at a time and is plainly right."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hypothesis import event, given, settings
from hypothesis import strategies as st

from alarms.engine import Engine
from alarms.memory import Highest, Remembered, Tally
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority, Transition
from lift.batch import Floats, Mask
from lift.codes import Code
from lift.signals import ALARM_BUTTON, CAR_HEIGHT, CAR_SPEED, DOOR_ZONE, PASSENGER
from tests.unit.alarms.timeline import US, batch_for, make_fleet

LIFTS = 3
HALF_SECOND = US // 2

Row: TypeAlias = dict[str, Any]
Found: TypeAlias = tuple[str, str, str, int, int, float]

# What, of which rule, since when, when, how sure.
Told: TypeAlias = tuple[str, str, int, int, float]

CALLED = Remembered("called", begins=lambda now: now.shows(ALARM_BUTTON, 1), ends=lambda now: now.shows(DOOR_ZONE, 1))


ENTRIES = Tally("entries", counts=lambda now: now.shows(PASSENGER, 1), forgets_s=8.0, most=2.0)
CALLS = Tally(
    "calls",
    counts=lambda now: now.remembers(CALLED) & now.shows(PASSENGER, 1),
    resets=lambda now: now[CAR_SPEED] >= 2,
)
SUMMIT = Highest("summit", when=lambda now: now[CAR_HEIGHT] >= -1e9, of=lambda now: now[CAR_HEIGHT])


class Occupied(Rule):
    """On-delay and off-delay."""

    priority, on_delay_s, off_delay_s = Priority.LOW, 3.0, 2.0

    def holds(self, now: Readings) -> Mask:
        """Occupied."""
        return now.shows(PASSENGER, 1)


class Fast(Rule):
    """Hysteresis, latching, inhibition."""

    priority, on_delay_s, off_delay_s, latching, inhibited_in = Priority.LOW, 1.5, 0.0, True, ATTENDED
    heard_s = 1.0

    def holds(self, now: Readings) -> Mask:
        """Fast."""
        return now[CAR_SPEED] >= 2

    def clears(self, now: Readings) -> Mask:
        """Slow."""
        return now[CAR_SPEED] <= 1


class Reported(Rule):
    """No delay, a code."""

    priority, on_delay_s = Priority.LOW, 0.0

    def holds(self, now: Readings) -> Mask:
        """Reported."""
        return now.reports(Code.POSITION_LOST)


class Called(Rule):
    """A remembered fact, bridged breaks."""

    priority, on_delay_s, off_delay_s, bridges_s, heard_s = Priority.LOW, 4.0, 1.0, 3.0, 2.0

    def holds(self, now: Readings) -> Mask:
        """Called."""
        return now.remembers(CALLED)

    def settled(self, now: Readings) -> Mask:
        """Someone is in the car."""
        return now.shows(PASSENGER, 1)


class Entered(Rule):
    """A tally that leaks and is bounded; it leaks while nothing is counted, too."""

    priority, on_delay_s = Priority.LOW, 0.0

    def holds(self, now: Readings) -> Mask:
        """Twice within four seconds, of late."""
        return now.tally(ENTRIES) >= 1.5


class Busy(Rule):
    """A tally that is reset and rests on a fact, and the greatest height."""

    priority, on_delay_s = Priority.LOW, 0.0

    def holds(self, now: Readings) -> Mask:
        """Often called, or seldom as high."""
        high: Mask = (now.highest(SUMMIT) >= 9) & (now[CAR_HEIGHT] < 1)
        return (now.tally(CALLS) >= 2) | high


class Suspected(Rule):
    """A suspicion with signs."""

    priority, on_delay_s = Priority.LOW, 2.0

    def holds(self, now: Readings) -> Mask:
        """Occupied."""
        return now.shows(PASSENGER, 1)

    def signs(self, now: Readings) -> Mapping[str, Floats]:
        """Occupied, called, reported."""
        return {
            "occupied": now.shows(PASSENGER, 1) * 0.5,
            "called": now.remembers(CALLED) * 0.75,
            "reported": now.reports(Code.POSITION_LOST) * 0.5,
        }


class Silent(Rule):
    """Silence."""

    priority, on_delay_s, measures_silence = Priority.LOW, 6.0, True


RULES: dict[str, Rule] = {
    "occupied": Occupied(),
    "fast": Fast(),
    "reported": Reported(),
    "called": Called(),
    "entered": Entered(),
    "busy": Busy(),
    "suspected": Suspected(),
    "silent": Silent(),
}


@dataclass
class SlowRule:
    """One rule of one lift, by the book; times in µs."""

    slug: str
    on_delay: int
    off_delay: int
    holds: Callable[[Row], bool]
    clears: Callable[[Row], bool]
    latching: bool = False
    bridged: int = 0
    signs: Callable[[Row], list[float]] | None = None
    state: str = "normal"
    confirmed: bool = False
    heard: int = 35 * US
    onset: int = 0
    since: int = 0

    def until(self, moment: int, known: Row, newest: int, found: list[Told], *, speaks: bool) -> None:
        """Let a deadline up to a moment, included, pass."""
        at = max(self.onset + self.on_delay, self.since)
        if self.state == "pending" and at <= moment and newest < at - self.heard:
            self.state = "normal" if speaks else "pending"
        elif self.state == "pending" and at <= moment:
            self.state, self.confirmed = "raised", False
            found.append(("raised", self.slug, self.onset, at, self.sure(known)))
            self.confirm(at, known, found)
        elif self.state == "wavering" and self.since + self.bridged <= moment:
            self.state = "normal"
        elif self.state == "leaving" and self.since + self.off_delay <= moment:
            self.state = "latched" if self.latching else "normal"
            found.append(("returned", self.slug, self.onset, self.since + self.off_delay, 1.0))

    def sure(self, known: Row) -> float:
        """Say how far to believe the signs."""
        if self.signs is None:
            return 1.0
        return round(1.0 - math.prod(1.0 - sign for sign in self.signs(known)), 3)

    def confirm(self, at: int, known: Row, found: list[Told]) -> None:
        """Tell once when two signs are there."""
        if self.signs is None or self.confirmed or self.state != "raised":
            return
        if sum(sign > 0 for sign in self.signs(known)) >= 2:
            self.confirmed = True
            found.append(("confirmed", self.slug, self.onset, at, self.sure(known)))

    def look(self, at: int, known: Row) -> None:
        """See whether the condition began or ended."""
        if self.state == "normal" and self.holds(known):
            self.state, self.onset, self.since = "pending", at, at
        elif self.state == "pending" and not self.holds(known):
            self.state, self.since = ("wavering" if self.bridged else "normal"), at
        elif self.state == "wavering" and self.holds(known):
            self.state, self.since = "pending", at
        elif self.state == "raised" and self.clears(known):
            self.state, self.since = "leaving", at
        elif self.state == "leaving" and not self.clears(known):
            self.state = "raised"


def slow_rules() -> list[SlowRule]:
    """Spell the same conditions over plain dictionaries."""

    def attended(known: Row) -> bool:
        return known.get("service_mode") in (2, 4)

    def speed(known: Row) -> float | None:
        return known.get("car_speed")

    def fast(known: Row) -> bool:
        return (speed(known) or 0) >= 2 and not attended(known)

    def slow(known: Row) -> bool:
        now = speed(known)
        return attended(known) or (now is not None and now <= 1)

    def busy(known: Row) -> bool:
        high = known.get("summit", 0) >= 9 and known.get("car_height", 1) < 1
        return bool(known.get("calls", 0) >= 2 or high)

    def signs(known: Row) -> list[float]:
        return [
            0.5 * (known.get("passenger") == 1),
            0.75 * bool(known.get("called")),
            0.5 * (7 in known.get("message_codes", [])),
        ]

    def simple(test: Callable[[Row], bool]) -> tuple[Callable[[Row], bool], Callable[[Row], bool]]:
        return test, lambda known: not test(known)

    return [
        SlowRule("occupied", 3 * US, 2 * US, *simple(lambda known: known.get("passenger") == 1)),
        SlowRule("fast", 3 * US // 2, 0, fast, slow, latching=True, heard=US),
        SlowRule("reported", 0, 0, *simple(lambda known: 7 in known.get("message_codes", []))),
        SlowRule("called", 4 * US, US, *simple(lambda known: bool(known.get("called"))), bridged=3 * US, heard=2 * US),
        SlowRule("entered", 0, 0, *simple(lambda known: known.get("entries", 0) >= 1.5)),
        SlowRule("busy", 0, 0, *simple(busy)),
        SlowRule("suspected", 2 * US, 0, *simple(lambda known: known.get("passenger") == 1), signs=signs),
    ]


@dataclass
class SlowLift:
    """All rules of one lift."""

    rules: list[SlowRule] = field(default_factory=slow_rules)
    known: Row = field(default_factory=dict)
    newest: int | None = None
    silent_since: int | None = None
    found: list[Told] = field(default_factory=list)

    def until(self, moment: int, *, speaks: bool = False) -> None:
        """Let time pass up to a moment, included; `speaks` = until the lift's next reading."""
        for rule in self.rules:
            rule.until(moment, self.known, self.newest or 0, self.found, speaks=speaks)
        if self.newest is not None and self.silent_since is None and self.newest + 6 * US <= moment:
            self.silent_since = self.newest
            self.found.append(("raised", "silent", self.newest, self.newest + 6 * US, 1.0))

    def reading(self, at: int, values: Row) -> None:
        """Apply one reading."""
        self.until(at - 1, speaks=True)
        if self.silent_since is not None:
            self.found.append(("returned", "silent", self.silent_since, at, 1.0))
            self.silent_since = None
        since = 0.0 if self.newest is None else (at - self.newest) / US
        self.newest = at
        before = dict(self.known)
        self.known |= values
        if self.known.get("door_zone") == 1:
            self.known["called"] = False
        elif self.known.get("alarm_button") == 1:
            self.known["called"] = True
        self.count(before, since)
        for rule in self.rules:
            rule.look(at, self.known)
            if rule.state == "wavering" and self.known.get("passenger") == 1:
                rule.state = "normal"
        self.until(at)
        for rule in self.rules:
            rule.confirm(at, self.known, self.found)

    def count(self, before: Row, since_s: float) -> None:
        """Keep the tallies and the summit."""
        known = self.known
        inside, was_inside = known.get("passenger") == 1, before.get("passenger") == 1
        left = max(0.0, before.get("entries", 0.0) - since_s / 8.0)
        known["entries"] = min(2.0, left + 1.0) if inside and not was_inside else left
        calling, was_calling = bool(known.get("called")) and inside, bool(before.get("calling"))
        known["calls"] = before.get("calls", 0) + (calling and not was_calling)
        known["calling"] = calling
        if known.get("car_speed", 0) >= 2:
            known["calls"] = 0
        if "car_height" in known:
            known["summit"] = max(known["car_height"], before.get("summit", -1e9))


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "passenger": st.integers(0, 1),
        "car_speed": st.sampled_from([0.0, 1.5, 2.5]),
        "service_mode": st.sampled_from([1, 1, 1, 2, 4, 5]),
        "alarm_button": st.integers(0, 1),
        "door_zone": st.sampled_from([0, 0, 1]),
        "car_height": st.sampled_from([0.0, 0.0, 10.0]),
        "message_codes": st.sampled_from([[], [7], [7, 11], [1]]),
    },
)
# Half seconds between readings: deadlines often fall exactly on a reading.
GAPS = st.integers(1, 6) | st.integers(1, 30)
HISTORY = st.lists(st.tuples(GAPS, VALUES), max_size=25)


def reference(histories: list[list[tuple[int, Row]]], end: int) -> list[Found]:
    """Play every lift alone."""
    found: list[Found] = []
    for code, history in zip(make_fleet(LIFTS).codes, histories, strict=True):
        lift = SlowLift()
        for at, values in history:
            lift.reading(at, values)
        lift.until(end)
        found += [(change, code, rule, onset, at, sure) for change, rule, onset, at, sure in lift.found]
    return sorted(found)


def flat(transitions: list[Transition]) -> list[Found]:
    """Say the same of the engine's transitions."""
    return sorted(
        (
            str(each.change),
            each.lift,
            each.rule,
            each.onset,
            each.at,
            1.0 if each.change == "returned" else each.confidence,
        )
        for each in transitions
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(HISTORY, min_size=LIFTS, max_size=LIFTS), st.data())
def test_transitions_do_not_depend_on_batches_or_on_when_anybody_looked(
    gaps: list[list[tuple[int, Row]]], data: st.DataObject
) -> None:
    """Any interleaving, any batches, any calls of advance, and a restart anywhere: the reference's transitions."""
    histories: list[list[tuple[int, Row]]] = [[] for _ in gaps]
    for history, steps in zip(histories, gaps, strict=True):
        at = 1_000 * US
        for gap, values in steps:
            at += gap * HALF_SECOND
            history.append((at, values))
    end = max((history[-1][0] for history in histories if history), default=1_000 * US) + 20 * US
    fleet = make_fleet(LIFTS)
    engine = Engine(fleet, RULES)
    waiting = [list(history) for history in histories]
    found: list[Transition] = []
    while any(waiting):
        rows = []
        for code, readings in zip(fleet.codes, waiting, strict=True):
            count = data.draw(st.integers(0, len(readings)))
            rows += [{"lift": code, "at": at / US, **values} for at, values in readings[:count]]
            del readings[:count]
        found += engine.take(batch_for(fleet, data.draw(st.permutations(rows)) if len(rows) < 9 else rows))
        soonest = min((readings[0][0] for readings in waiting if readings), default=end)
        found += engine.advance(data.draw(st.integers(soonest - 5 * US, soonest - 1)))
        if data.draw(st.integers(0, 4)) == 0:
            state, engine = engine.save(), Engine(fleet, RULES)
            engine.restore(state)
    found += engine.advance(end)
    event(f"about {len(found) // 10 * 10} transitions")
    assert flat(found) == reference(histories, end)
