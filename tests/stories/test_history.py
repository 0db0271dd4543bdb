"""What was lived through can be lived through again: the stored readings say what was told, to the last byte."""

from collections import Counter
from pathlib import Path

from adapters.telemetry_duckdb import DuckDBTelemetry
from alarms import rules
from alarms.engine import Engine
from lift.alarm import Change, Transition
from lift.batch import concat
from lift.fleet import Fleet
from simulator.run import Plan, Source

# A Monday, 18:00 in the city.
EVENING = 1_763_978_400_000_000
SECOND = 1_000_000
HALF_HOUR = Plan(lifts=48, seed=7, start=EVENING, seconds=1800, scenario="demo", fault_rate=40.0, line_rate=0.0)
STORED_EVERY_S = 20


def test_stored_history_gives_the_same_alarms(tmp_path: Path) -> None:
    """Half an hour of a city in trouble, heard second by second and stored, tells the same alarms from the store.

    Every field of every transition: what, whose, since when, when, how sure and why; whatever the store does to the
    order and the size of batches.
    """
    city = HALF_HOUR.city()
    fleet = Fleet(city.register.lifts)
    source = Source(city, HALF_HOUR, seed=HALF_HOUR.seed)
    live, told = Engine(fleet, rules.load()), list[Transition]()
    store = DuckDBTelemetry(tmp_path / "telemetry")
    unstored = []
    for second in range(HALF_HOUR.seconds):
        batch = source.step()
        told += live.take(fleet.in_slots(batch))
        told += live.advance(source.simulation.now - SECOND // 2)
        unstored.append(batch)
        if second % STORED_EVERY_S == STORED_EVERY_S - 1:
            store.append(concat(unstored))
            unstored = []
    end = source.simulation.now
    told += live.advance(end)
    assert not unstored

    fresh, again = Engine(fleet, rules.load()), list[Transition]()
    for batch in store.replay(start=EVENING, end=end + SECOND):
        again += fresh.take(fleet.in_slots(batch))
    again += fresh.advance(end)
    store.close()

    seen = Counter(one.change for one in told)
    assert min(seen[change] for change in Change) >= 5, seen
    assert len({one.rule for one in told}) >= 10
    assert spelt(again) == spelt(told)
    assert fresh.save() == live.save()


def spelt(transitions: list[Transition]) -> bytes:
    """Write transitions out with all their fields, in order of time, lift and rule."""
    ordered = sorted(transitions, key=lambda one: (one.at, one.lift, one.rule, one.onset, one.change))
    return "\n".join(map(repr, ordered)).encode()
