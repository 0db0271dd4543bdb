"""Stored history, however it is cut into batches, replays to the alarms that were raised live."""

from __future__ import annotations

import numpy as np

from alarms import rules
from alarms.engine import Engine
from lift.alarm import Change, Transition
from lift.batch import Batch, concat
from lift.fleet import Fleet
from simulator.run import Plan, Source

# A Monday, 18:00 in the city.
EVENING = 1_763_978_400_000_000
PLAN = Plan(lifts=40, seed=5, start=EVENING, seconds=400, scenario="demo", fault_rate=20.0, line_rate=0.0)


def test_replay_is_the_same_to_the_last_byte() -> None:
    """Second by second, in one piece in any order, and after a restart half way: the same transitions."""
    city = PLAN.city()
    fleet = Fleet(city.register.lifts)
    source = Source(city, PLAN, seed=PLAN.seed)
    lived = [fleet.in_slots(source.step()) for _ in range(PLAN.seconds)]
    whole = concat(lived)
    end = int(whole.at.max())
    live = play(fleet, lived, end)
    shuffled = whole.take(np.random.default_rng(1).permutation(len(whole)))
    half = PLAN.seconds // 2
    assert len(live) >= len(fleet)
    assert {transition.change for transition in live} == set(Change)
    assert play(fleet, [shuffled], end) == live
    assert play(fleet, [concat(lived[:half]), concat(lived[half:])], end, restarts=True) == live


def play(fleet: Fleet, batches: list[Batch], end: int, *, restarts: bool = False) -> list[Transition]:
    """Give every transition in order of time, lift and rule."""
    engine = Engine(fleet, rules.load())
    found: list[Transition] = []
    for batch in batches:
        found += engine.take(batch)
        if restarts:
            state, engine = engine.save(), Engine(fleet, rules.load())
            engine.restore(state)
    found += engine.advance(end)
    return sorted(found, key=lambda one: (one.at, one.lift, one.rule, one.onset, one.change))
