"""The engine's promises: timing by the readings' own time, latching, silence, late readings, saved state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from alarms import rules
from alarms.engine import Engine
from alarms.readings import Readings
from alarms.rule import ATTENDED, Rule
from lift.alarm import Priority, Transition
from lift.batch import EMPTY, Batch, Mask, concat
from lift.errors import Invalid, NotFound
from lift.metrics import Metric
from lift.signals import CAR_SPEED, PASSENGER, ServiceMode
from tests.unit.alarms.timeline import LIFT, US, batch_for, make_fleet, play, spell


class Occupied(Rule):
    """Someone is in the car for 5 s; over when it was empty for 2 s."""

    priority = Priority.HIGH
    on_delay_s = 5.0
    off_delay_s = 2.0
    inhibited_in = ATTENDED

    def holds(self, now: Readings) -> Mask:
        """Occupied."""
        return now.shows(PASSENGER, 1)


class Latching(Occupied):
    """The same, and a person must reset it."""

    latching = True


class Bridging(Occupied):
    """The same, and three seconds out of the car do not start the delay again."""

    bridges_s = 3.0


class AtOnce(Occupied):
    """The same, without any delay."""

    on_delay_s = 0.0
    off_delay_s = 0.0


class Fast(Rule):
    """Above 2 m/s, until below 1 m/s."""

    priority = Priority.LOW
    on_delay_s = 1.0

    def holds(self, now: Readings) -> Mask:
        """Fast."""
        return now[CAR_SPEED] > 2

    def clears(self, now: Readings) -> Mask:
        """Slow."""
        return now[CAR_SPEED] < 1


IN, OUT = {"passenger": 1}, {"passenger": 0}


def test_alarm_is_raised_when_its_delay_has_passed_and_not_before() -> None:
    """The raise carries the moment of the deadline, whatever the reading that brought it to light."""
    assert play(Occupied(), (0, 4, IN)) == []
    assert play(Occupied(), (0, 5, IN)) == ["raised 5"]
    assert play(Occupied(), (0, 0, IN), (60, 60, IN)) == ["raised 5"]


def test_condition_that_ends_at_the_deadline_is_not_raised() -> None:
    """Five seconds are five seconds in which every reading agreed, the last one included."""
    assert play(Occupied(), (0, 4, IN), (5, 20, OUT)) == []


def test_deadline_of_another_rule_does_not_hurry_the_alarm() -> None:
    """One rule is overdue when the reading comes that ends the other's condition just in time."""
    engine = engine_of(Fast(), Occupied())
    assert send(engine, 0, passenger=1, car_speed=3.0) == []
    assert send(engine, 5, passenger=0) == ["raised 1"]


def test_alarm_fires_for_a_lift_that_sends_nothing_more() -> None:
    """Terminals report on a change: silence means that nothing changed."""
    assert play(Occupied(), (0, 0, IN), end=4.9) == []
    assert play(Occupied(), (0, 0, IN), end=5) == ["raised 5"]


def test_interruption_starts_the_delay_again() -> None:
    """The condition must hold without a break."""
    assert play(Occupied(), (0, 3, IN), (4, 4, OUT), (5, 9, IN), (10, 10, IN)) == ["raised 10"]


def test_bridged_breaks_do_not_start_the_delay_again() -> None:
    """A short break is bridged, a long one is not; nothing is raised in a break."""
    assert play(Bridging(), (0, 2, IN), (3, 4, OUT), (5, 20, IN)) == ["raised 5"]
    assert play(Bridging(), (0, 2, IN), (3, 5, OUT), (6, 20, IN)) == ["raised 6"]
    assert play(Bridging(), (0, 2, IN), (3, 6, OUT), (7, 20, IN)) == ["raised 12"]
    assert play(Bridging(), (0, 2, IN), (3, 60, OUT)) == []


def test_off_delay_outlasts_a_flicker() -> None:
    """An alarm returns only when its condition was over for the whole off-delay."""
    assert play(Occupied(), (0, 9, IN), (10, 11, OUT), (12, 20, IN)) == ["raised 5"]
    assert play(Occupied(), (0, 9, IN), (10, 20, OUT)) == ["raised 5", "returned 12"]


def test_rule_without_delays_answers_at_the_reading() -> None:
    """No delay means now."""
    assert play(AtOnce(), (0, 2, IN), (3, 3, OUT)) == ["raised 0", "returned 3"]


def test_missing_value_does_not_erase_the_known_one() -> None:
    """A reading that does not mention the passenger does not free him."""
    assert play(Occupied(), (0, 0, IN), (1, 9, {"load": 0.1})) == ["raised 5"]


def test_hysteresis_keeps_an_alarm_between_its_limits() -> None:
    """Between the limits nothing begins and nothing ends."""
    steps = [(0, 3, {"car_speed": 1.5}), (4, 9, {"car_speed": 2.5}), (10, 15, {"car_speed": 1.5})]
    assert play(Fast(), *steps, (16, 16, {"car_speed": 0.5})) == ["raised 5", "returned 16"]


def test_attended_mode_holds_alarms_back_and_ends_standing_ones() -> None:
    """A mechanic on the car roof is no entrapment; an alarm that stands when he takes over returns."""
    mechanic = {"service_mode": int(ServiceMode.INSPECTION)}
    normal = {"service_mode": int(ServiceMode.NORMAL)}
    assert play(Occupied(), (0, 20, IN | mechanic)) == []
    assert play(Occupied(), (0, 9, IN | normal), (10, 20, IN | mechanic)) == ["raised 5", "returned 12"]
    assert play(Occupied(), (0, 9, IN | mechanic), (10, 20, IN | normal)) == ["raised 15"]


@pytest.mark.parametrize("mode", [mode for mode in ServiceMode if mode not in ATTENDED])
def test_no_other_mode_hides_an_entrapment(mode: ServiceMode) -> None:
    """Power loss, fire return, earthquake, stopped and unknown modes still find trapped people."""
    trapped = {"service_mode": int(mode), "car_speed": 0, "door_zone": 0, "passenger": 1}
    assert play("entrapment_between_landings", (0, 31, trapped)) == ["raised 30"]


# ----------------------------------------------------------------------------------------- latching


def engine_of(*rule: Rule, lifts: int = 1) -> Engine:
    """Make an engine of rules named by their classes."""
    return Engine(make_fleet(lifts), {type(each).__name__.lower(): each for each in rule})


def send(engine: Engine, at: float, lift: str = LIFT, **values: float) -> list[str]:
    """Send one reading."""
    return spell(engine.take(batch_for(engine._fleet, [{"lift": lift, "at": at, **values}])))


def test_latched_rule_is_raised_once_until_reset() -> None:
    """What happened once must be looked at by a person before it can be news again."""
    engine = engine_of(Latching())
    seconds = [(at, at % 20 < 10) for at in range(60)]
    found = [each for at, inside in seconds for each in send(engine, at, passenger=int(inside))]
    assert found == ["raised 5", "returned 12"]
    assert engine.latched() == [(LIFT, "latching")]
    assert engine.reset(LIFT, "latching")
    assert engine.latched() == []
    assert [each for at in range(60, 66) for each in send(engine, at, passenger=1)] == ["raised 65"]


def test_reset_has_no_effect_while_the_alarm_stands() -> None:
    """Nobody can reset what is still going on."""
    engine = engine_of(Latching())
    send(engine, 0, passenger=1)
    assert send(engine, 5, passenger=1) == ["raised 5"]
    assert not engine.reset(LIFT, "latching")
    send(engine, 6, passenger=0)
    assert not engine.reset(LIFT, "latching")
    assert send(engine, 8, passenger=0) == ["returned 8"]


def test_reset_while_the_condition_is_back_makes_it_news() -> None:
    """Whoever resets while it happens again must hear of it: a reset is never lost, and never silences a rule."""
    engine = engine_of(Latching())
    for at in (0, 5):
        send(engine, at, passenger=1)
    for at in (6, 8):
        send(engine, at, passenger=0)
    assert send(engine, 20, passenger=1) == []
    assert engine.reset(LIFT, "latching")
    assert send(engine, 30, passenger=1) == []
    assert send(engine, 35, passenger=1) == ["raised 35"]


def test_reset_of_the_unknown_says_so() -> None:
    """Neither a lift nor a rule is guessed."""
    engine = engine_of(Latching())
    with pytest.raises(NotFound, match="999999"):
        engine.reset("999999", "latching")
    with pytest.raises(NotFound, match="latching"):
        engine.reset(LIFT, "none_such")


# ------------------------------------------------------------------------------------------ silence


def test_contact_is_lost_after_three_minutes_and_back_with_the_next_reading() -> None:
    """Each reading starts the three minutes again."""
    assert play("contact_lost", (0, 0, IN), (100, 100, IN), end=279.9) == []
    assert play("contact_lost", (0, 0, IN), (100, 100, IN), end=280) == ["raised 280"]
    assert play("contact_lost", (0, 0, IN), (280, 281, IN)) == ["raised 180", "returned 280"]
    assert play("contact_lost", (0, 0, IN), (180, 180, IN)) == []


def test_restart_raises_no_flood() -> None:
    """While we were away we could not hear anybody: silence counts from our return."""
    engine = Engine(make_fleet(3), {"contact_lost": rules.load()["contact_lost"]})
    send(engine, 0, passenger=1)
    engine.resume(1000 * US)
    assert engine.advance(1100 * US) == []
    assert send(engine, 1100, passenger=1) == []
    send(engine, 1100, lift="100002", passenger=1)
    assert spell(engine.advance(1200 * US)) == []
    assert spell(engine.advance(1280 * US)) == ["raised 1280", "raised 1280"]


def test_lift_that_never_reported_is_counted_and_not_alarmed() -> None:
    """A first start is not a flood of lost contacts."""
    engine = Engine(make_fleet(3), rules.load())
    engine.resume(0)
    send(engine, 1, passenger=0)
    assert engine.advance(170 * US) == []
    assert value(engine.metrics(), "liftwatch_lifts_never_heard") == 2


# ------------------------------------------------------------------------------------- late readings


def test_late_readings_are_counted_and_change_nothing() -> None:
    """Backfill that is older than what we know, or the same once more, is for the store alone."""
    engine = engine_of(Occupied())
    send(engine, 100, passenger=0)
    assert send(engine, 50, passenger=1) == []
    assert send(engine, 100, passenger=1) == []
    assert spell(engine.advance(200 * US)) == []
    assert value(engine.metrics(), "liftwatch_engine_late_readings_total") == 2
    assert value(engine.metrics(), "liftwatch_engine_readings_total") == 3


def test_alarm_never_returns_before_it_was_raised() -> None:
    """A delayed reading may show that the condition was over already; the log still reads forwards."""
    engine = engine_of(AtOnce(), Occupied())
    send(engine, 0, passenger=1)
    engine.advance(10 * US)
    found = engine.take(batch_for(engine._fleet, [{"lift": LIFT, "at": 1, "passenger": 0}]))
    found += engine.advance(20 * US)
    assert [(each.rule, each.at / US) for each in found] == [("atonce", 1), ("occupied", 5)]


def test_several_readings_of_a_lift_in_one_batch_are_taken_in_time_order() -> None:
    """Ten seconds of two lifts in one message, in any order, are ten seconds of two lifts."""
    fleet = make_fleet(2)
    rows = [{"lift": code, "at": at, "passenger": 1} for at in range(10) for code in fleet.codes]
    mixed = [rows[number] for number in np.random.default_rng(3).permutation(len(rows))]
    engine = Engine(fleet, {"occupied": Occupied()})
    assert spell(engine.take(batch_for(fleet, mixed))) == ["raised 5", "raised 5"]


def test_messages_of_several_gateways_put_together_are_one_batch() -> None:
    """Long runs of neighbours are judged run by run; the answer is the same as lift by lift."""
    fleet = make_fleet(3000)
    engine = Engine(fleet, {"atonce": AtOnce()})
    order = [*range(2000, 3000), *range(1000), *range(1000, 2000)]
    rows = [{"lift": fleet.codes[slot], "at": 1 + slot, "passenger": slot % 2} for slot in order]
    found = engine.take(batch_for(fleet, rows))
    assert [(each.lift, each.at // US) for each in found] == [
        (fleet.codes[slot], 1 + slot) for slot in range(1, 3000, 2)
    ]


def test_empty_batch_is_nothing() -> None:
    """No readings, no transitions."""
    assert engine_of(Occupied()).take(EMPTY) == []


def test_batch_that_is_not_in_fleet_slots_is_refused() -> None:
    """A wrong numbering would ring at the wrong lift."""
    engine = engine_of(Occupied())
    with pytest.raises(AssertionError, match="slots"):
        engine.take(Batch([LIFT], np.zeros(1, np.int32), np.ones(1, np.int64)))


# ------------------------------------------------------------------------------------------- state


def test_a_rule_that_fails_is_named_and_silences_no_other() -> None:
    """A fault in one rule costs that rule: the others still find the trapped passenger, and the fault shows."""

    class Faulty(Occupied):
        """A rule that cannot be asked."""

        def holds(self, now: Readings) -> Mask:
            """Fail."""
            message = "a fault of ours"
            raise ValueError(message)

    fleet = make_fleet()
    engine = Engine(fleet, {"faulty": Faulty(), **rules.load()})
    trapped = {"lift": LIFT, "car_status": 0, "door_zone": 0, "door_closed": 1, "passenger": 1}
    found = [one for at in (0, 31) for one in engine.take(batch_for(fleet, [{**trapped, "at": at}]))]
    assert [one.rule for one in found] == ["entrapment_between_landings"]
    assert engine.failures["faulty"] == 2
    assert engine.failing == "rule faulty failed: ValueError: a fault of ours"


def test_saved_state_goes_on_where_it_was() -> None:
    """Pending, standing and latched alarms, known values and silence survive a restart."""
    fleet = make_fleet(40)
    chance = np.random.default_rng(96333)
    batches = [
        batch_for(fleet, [{"lift": code, "at": at, **values(chance)} for code in fleet.codes])
        for at in range(0, 400, 4)
    ]
    straight, first, second = (Engine(fleet, rules.load()) for _ in range(3))
    expected = [transition for batch in batches for transition in straight.take(batch)]
    found = [transition for batch in batches[:50] for transition in first.take(batch)]
    second.restore(first.save())
    found += [transition for batch in batches[50:] for transition in second.take(batch)]
    assert len(expected) > 100
    assert found == expected
    assert second.save() == straight.save()


def values(chance: np.random.Generator) -> dict[str, Any]:
    """Make a reading in which much is wrong."""
    return {
        "car_speed": float(chance.choice([0, 0, 0, 2.5])),
        "door_zone": int(chance.random() < 0.05),
        "passenger": int(chance.random() < 0.97),
        "door_closed": int(chance.random() < 0.5),
        "door_state": int(chance.integers(0, 7)),
        "alarm_button": int(chance.random() < 0.05),
        "main_power": int(chance.random() < 0.9),
        "message_codes": [4] if chance.random() < 0.7 else [],
    }


def test_restored_state_replaces_everything() -> None:
    """Nothing of what was known before stays beside it."""
    engine = engine_of(Occupied())
    empty = engine.save()
    send(engine, 0, passenger=1, load=0.5)
    engine.advance(10 * US)
    engine.restore(empty)
    assert engine.save() == empty


def test_state_of_other_lifts_or_rules_is_refused() -> None:
    """A state is only good for the fleet and the rules it was made by; refusing it changes nothing."""
    engine = engine_of(Occupied(), lifts=2)
    send(engine, 0, passenger=1)
    before = engine.save()
    with pytest.raises(Invalid, match="other lifts"):
        engine.restore(engine_of(Occupied(), lifts=3).save())
    with pytest.raises(Invalid, match="other rules"):
        engine.restore(engine_of(Latching(), lifts=2).save())
    assert engine.save() == before


def test_damaged_state_is_refused() -> None:
    """A file cut off by a power loss, or with one bit turned, is not believed."""
    engine = engine_of(Occupied())
    data = engine.save()
    turned = bytearray(data)
    turned[-1] ^= 1
    for damaged in (b"", b"hello", data[:-1], bytes(turned)):
        with pytest.raises(Invalid, match="engine state"):
            engine.restore(damaged)


# ---------------------------------------------------------------------------------------- metrics


def value(metrics: Iterable[Metric], name: str, **labels: str) -> float:
    """Find one sample."""
    found = [
        number
        for metric in metrics
        if metric.name == name
        for of, number in metric.samples
        if labels.items() <= of.items()
    ]
    assert len(found) == 1, (name, labels, found)
    return found[0]


def test_metrics_tell_what_stands() -> None:
    """Raised, returned and standing alarms are counted by rule."""
    engine = engine_of(AtOnce(), lifts=2)
    send(engine, 0, passenger=1)
    send(engine, 0, lift="100002", passenger=1)
    send(engine, 1, passenger=0)
    metrics = engine.metrics()
    assert value(metrics, "liftwatch_rule_standing", rule="atonce") == 1
    assert value(metrics, "liftwatch_rule_transitions_total", rule="atonce", change="raised") == 2
    assert value(metrics, "liftwatch_rule_transitions_total", rule="atonce", change="returned") == 1


def test_transition_says_what_it_is_about() -> None:
    """Code, priority and latching travel with the transition; its key is the same in every replay."""
    fleet = make_fleet()
    engine = Engine(fleet, rules.load())
    trapped = {"car_speed": 0, "door_zone": 0, "passenger": 1}
    found: list[Transition] = []
    for at in range(31):
        found += engine.take(batch_for(fleet, [{"lift": LIFT, "at": at, **trapped}]))
    assert [each.key for each in found] == [f"{LIFT}:entrapment_between_landings:0"]
    assert found[0].priority is Priority.EMERGENCY
    assert found[0].code is not None
    assert int(found[0].code) == 11


def test_concat_of_single_readings_is_the_same_as_the_readings() -> None:
    """Coalescing messages changes nothing."""
    fleet = make_fleet(2)
    parts = [batch_for(fleet, [{"lift": fleet.codes[at % 2], "at": at, "passenger": 1}]) for at in range(12)]
    engine = Engine(fleet, {"occupied": Occupied()})
    assert spell(engine.take(concat(parts))) == ["raised 5", "raised 6"]
