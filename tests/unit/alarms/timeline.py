"""Short time lines of one lift, played through the real engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from alarms import rules
from alarms.engine import Engine
from alarms.rule import Rule
from lift.alarm import Transition
from lift.batch import Batch, from_rows
from lift.fleet import Fleet
from tests.small_city import lift

US = 1_000_000
LIFT = "100001"

Values: TypeAlias = Mapping[str, Any]
# From this second to that one, both included, one reading a second that shows these values.
Step: TypeAlias = tuple[float, float, Values]


def make_fleet(lifts: int = 1, rated_speed: float = 1.6, landings: int = 12) -> Fleet:
    """Make a fleet of lifts 100001, 100002, ..."""
    return Fleet([lift(f"{100_001 + number}", rated_speed=rated_speed, landings=landings) for number in range(lifts)])


def batch_for(fleet: Fleet, rows: Sequence[Mapping[str, Any]]) -> Batch:
    """Make a batch whose lifts are the fleet's slots, as the engine wants it; `at` in seconds."""
    batch = from_rows([{**row, "at": round(row["at"] * US)} for row in rows])
    return Batch(fleet.codes, fleet.slots(batch.names)[batch.lift], batch.at, batch.columns, batch.codes)


def spell(transitions: Sequence[Transition]) -> list[str]:
    """Write transitions as a person would: what, and at which second."""
    return [f"{transition.change} {transition.at / US:g}" for transition in transitions]


def play(rule: str | Rule, *steps: Step, rated_speed: float = 1.6, end: float | None = None) -> list[str]:
    """Play a time line against one rule, by slug or itself, and tell what its alarm did.

    Time ends at `end`, or with the last reading.
    """
    fleet = make_fleet(rated_speed=rated_speed)
    engine = Engine(fleet, {rule: rules.load()[rule]} if isinstance(rule, str) else {"rule": rule})
    return live(engine, fleet, steps, end=end)


def live(engine: Engine, fleet: Fleet, steps: Sequence[Step], *, end: float | None = None) -> list[str]:
    """Play a time line against the engine of a fleet, as `play` does."""
    found: list[Transition] = []
    second = 0.0
    for first, last, values in steps:
        second = first
        while second <= last:
            found += engine.take(batch_for(fleet, [{"lift": LIFT, "at": second, **values}]))
            second += 1
    found += engine.advance(round((second - 1 if end is None else end) * US))
    return spell(found)
