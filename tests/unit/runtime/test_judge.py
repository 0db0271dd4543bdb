"""The judge of rules is judged itself, with truths and alarms made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lift.alarm import Priority
from lift.codes import Code
from runtime.evaluate import evaluate, plan_of, text, to_json
from runtime.judge import SECOND_US, Raised, Score, judge
from simulator.truth import CODE, ENTRAPMENTS, NEAR_MISSES, Kind, Truth

LIFT, GATEWAY = "100001", "gw-1"
RUN = 7_200


def truth(kind: Kind, onset: float, end: float | None, *, lift: str = LIFT, observable: float | None = None) -> Truth:
    """Make a record, in s."""
    code = CODE.get(kind)
    return Truth(
        event=1,
        lift=lift,
        kind=kind,
        code=None if code is None else int(code),
        cause="test",
        near_miss=kind in NEAR_MISSES,
        onset=round(onset * SECOND_US),
        observable_at=round((onset if observable is None else observable) * SECOND_US),
        end=None if end is None else round(end * SECOND_US),
        people=int(kind in ENTRAPMENTS),
        trapped_s=0.0,
    )


def alarm(rule: str, at: float, *, out: float | None = None, lift: str = LIFT, code: Code | None = None) -> Raised:
    """Make an alarm, in s."""
    return Raised(
        lift=lift,
        gateway=GATEWAY,
        rule=rule,
        code=code,
        priority=Priority.EMERGENCY,
        onset=round((at - 30) * SECOND_US),
        at=round(at * SECOND_US),
        out=round((at if out is None else out) * SECOND_US),
    )


def judged(alarms: list[Raised], truths: list[Truth]) -> Score:
    """Judge two hours."""
    return judge(alarms, truths, lift_days=1.0, began=0, ended=RUN * SECOND_US)


BETWEEN = "entrapment_between_landings"
TRAPPED = truth(Kind.ENTRAPMENT_BETWEEN_LANDINGS, 1_000, 2_000)


def test_an_alarm_in_its_record_finds_it() -> None:
    """Found, with the delay from when it could be seen until it came out."""
    score = judged([alarm(BETWEEN, 1_031, out=1_032)], [TRAPPED])
    kind = score.kinds[TRAPPED.kind]
    assert (kind.true, kind.found, kind.missed, kind.delays) == (1, 1, 0, [32.0])
    assert (score.rules[BETWEEN].true, score.rules[BETWEEN].false) == (1, 0)


def test_many_alarms_of_one_record_are_all_true_and_find_it_once() -> None:
    """Two rules of one kind share its records; the first alarm gives the delay."""
    score = judged([alarm("entrapment_at_landing", 1_100), alarm(BETWEEN, 1_031)], [TRAPPED])
    assert (score.kinds[TRAPPED.kind].found, score.kinds[TRAPPED.kind].delays) == (1, [31.0])
    assert sum(rule.true for rule in score.rules.values()) == 2


@pytest.mark.parametrize(
    ("late", "found"), [pytest.param(2_029, 1, id="within the slack"), pytest.param(2_031, 0, id="beyond it")]
)
def test_an_alarm_after_the_end_finds_nothing(late: float, found: int) -> None:
    """Half a minute is forgiven, no more."""
    score = judged([alarm(BETWEEN, late)], [TRAPPED])
    assert (score.kinds[TRAPPED.kind].found, score.rules[BETWEEN].false) == (found, 1 - found)


def test_a_wrong_clock_is_forgiven_where_the_platform_heard_in_time() -> None:
    """The readings' own time is an hour off; the alarm came out while people were trapped."""
    assert judged([alarm(BETWEEN, 5_000, out=1_040)], [TRAPPED]).rules[BETWEEN].true == 1


def test_another_lift_excuses_nothing() -> None:
    """An alarm next door is false, and the record is missed."""
    score = judged([alarm(BETWEEN, 1_031, lift="100002")], [TRAPPED])
    assert (score.kinds[TRAPPED.kind].missed, score.rules[BETWEEN].false) == (1, 1)
    assert {case.what for case in score.cases} == {"missed", "false"}


def test_what_another_kind_implies_is_true_but_finds_nothing() -> None:
    """A car with people stuck between landings is stopped outside the zone; nobody looked for that record."""
    score = judged([alarm("stopped_outside_door_zone", 1_046)], [TRAPPED])
    assert score.rules["stopped_outside_door_zone"].true == 1
    assert score.kinds[TRAPPED.kind].missed == 1


def test_a_cascade_is_judged_record_by_record() -> None:
    """A power cut found is not its entrapment found."""
    cut = truth(Kind.MAIN_POWER_LOST, 990, 3_000)
    score = judged([alarm("main_power_lost", 995, code=Code.MAIN_POWER_LOST)], [cut, TRAPPED])
    assert (score.kinds[cut.kind].found, score.kinds[TRAPPED.kind].missed) == (1, 1)


def test_a_near_miss_that_fools_is_named() -> None:
    """A stuck sensor excuses no emergency: it is counted against the rule, by near miss."""
    stuck = truth(Kind.PRESENCE_STUCK, 500, 6_000)
    score = judged([alarm(BETWEEN, 1_031)], [stuck])
    assert score.rules[BETWEEN].false == 1
    assert score.fooled == {("presence_stuck", BETWEEN): 1}
    assert judged([alarm(BETWEEN, 1_031)], []).fooled == {("nothing", BETWEEN): 1}


@pytest.mark.parametrize(
    ("record", "brief"),
    [
        pytest.param(truth(Kind.ENTRAPMENT_BETWEEN_LANDINGS, 1_000, 1_030), 1, id="over before anybody is due"),
        pytest.param(truth(Kind.ENTRAPMENT_BETWEEN_LANDINGS, RUN - 30, None), 1, id="the run ends first"),
        pytest.param(truth(Kind.ENTRAPMENT_BETWEEN_LANDINGS, 1_000, 1_040), 0, id="just long enough"),
        pytest.param(truth(Kind.ENTRAPMENT_BETWEEN_LANDINGS, -9_000, None), 0, id="begun before the run"),
    ],
)
def test_only_what_could_be_seen_long_enough_is_missed(record: Truth, brief: int) -> None:
    """Brief records are counted apart, and found ones are found however brief."""
    score = judged([], [record])
    assert (score.kinds[record.kind].brief, score.kinds[record.kind].missed) == (brief, 1 - brief)


def test_what_no_signal_shows_is_counted_and_not_missed() -> None:
    """Only where the truth says so; whoever finds it all the same has found it."""
    hidden = replace(truth(Kind.SAFETY_CHAIN_OPEN, 1_000, 2_000), observable_at=None)
    score = judged([], [hidden]).kinds[hidden.kind]
    assert (score.true, score.hidden, score.brief, score.missed) == (1, 1, 0, 0)
    told = judged([alarm("safety_chain_open_running", 1_004)], [hidden]).kinds[hidden.kind]
    assert (told.found, told.hidden, told.delays) == (1, 0, [4.0])


def test_trouble_of_a_gateway_belongs_to_its_lifts() -> None:
    """Records of the line carry the gateway's name."""
    late = truth(Kind.CLOCK_JUMP, 1_000, 1_600, lift=GATEWAY)
    assert judged([alarm("contact_lost", 1_200)], [late]).rules["contact_lost"].true == 1


def test_what_is_left_behind_is_true_for_the_rules_that_see_it() -> None:
    """A battery is still charging hours after the cut; the entrapment rules get no such grace."""
    cut = truth(Kind.MAIN_POWER_LOST, 100, 1_000)
    score = judged([alarm("battery_low", 5_000), alarm("main_power_lost", 5_000, code=Code.MAIN_POWER_LOST)], [cut])
    assert (score.rules["battery_low"].true, score.rules["main_power_lost"].false) == (1, 1)


def test_a_rule_nobody_has_described_is_judged_by_its_code() -> None:
    """A new rule needs no entry in the table where its code says what it finds."""
    fault = truth(Kind.POSITION_LOST, 1_000, 1_100)
    assert judged([alarm("brand_new", 1_010, code=Code.POSITION_LOST)], [fault]).kinds[fault.kind].found == 1
    assert judged([alarm("brand_new", 1_010)], [fault]).rules["brand_new"].false == 1


def test_scores_add_up() -> None:
    """Two sections together count what both count."""
    both = judged([alarm(BETWEEN, 1_031)], [TRAPPED])
    both.add(judged([alarm(BETWEEN, 1_031)], []))
    assert (both.lift_days, both.rules[BETWEEN].true, both.rules[BETWEEN].false) == (2.0, 1, 1)
    assert both.per_10k(both.rules[BETWEEN].false) == 5_000.0


@pytest.mark.timeout(120)
def test_an_evaluation_finds_the_emergencies_and_cries_no_wolf() -> None:
    """A small city in which much goes wrong: no emergency is missed and none is false; text and JSON say so."""
    plan = plan_of(lifts=60, hours=0.2, seed=3, fault_rate=20.0, near_miss_rate=None, line_rate=5.0, scenario="demo")
    score = evaluate(plan)
    emergencies = [rule for rule in score.rules.values() if rule.priority == "emergency"]
    assert sum(rule.true for rule in emergencies) >= 5
    assert sum(rule.false for rule in emergencies) == 0
    assert sum(score.kinds[kind].missed for kind in ENTRAPMENTS) == 0
    told = to_json(score, plan)
    assert told["codes"]["11"]["recall"] == 1.0
    assert "entrapment_between_landings" in text(score, plan)
