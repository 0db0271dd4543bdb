"""The domain's tables say what the standards say, and agree with each other."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lift import topics
from lift.alarm import Alarm, AlarmState, Priority
from lift.codes import NAMES, NOT_REPORTED, Code, pack, unpack
from lift.errors import BadFrame, Conflict
from lift.fleet import Fleet
from lift.signals import BY_NAME, SIGNALS
from lift.ticket import FINAL, NEXT, RESCUE, Stage, check_move
from tests.small_city import lift


def test_every_code_has_both_names() -> None:
    """A dispatcher reads the code in English or Chinese."""
    assert set(NAMES) == set(Code)
    assert all(english and chinese for english, chinese in NAMES.values())


def test_codes_fit_one_integer_and_none_is_not_unreported() -> None:
    """All codes at once are a positive number, so that "not reported" stays apart from every set."""
    assert pack(Code) > 0
    assert unpack(pack(Code)) == list(Code)
    assert unpack(NOT_REPORTED) == []
    assert pack([]) == 0


def test_signals_are_unambiguous() -> None:
    """Names are unique, ranges are ranges, and whole signals are exact in memory over their whole range."""
    assert len(BY_NAME) == len(SIGNALS)
    for signal in SIGNALS:
        assert signal.low < signal.high
        if signal.whole:
            for bound in (signal.low, signal.high):
                assert int(np.asarray(bound - 1, signal.dtype)) == bound - 1


def test_every_stage_leads_to_an_end() -> None:
    """From wherever a ticket stands it can be finished, and no final stage goes on."""
    for stage in Stage:
        reached, frontier = {stage}, [stage]
        while frontier:
            following = NEXT[frontier.pop()] - reached
            reached |= following
            frontier += following
        assert reached & FINAL


def test_a_rescue_ends_only_by_release_or_a_persons_word() -> None:
    """No path leads from a rescue under way to closed without saying how the people got out."""
    outcomes = {Stage.RELEASED, Stage.SELF_RELEASED, Stage.FALSE_ALARM, Stage.MERGED, Stage.CANCELLED}
    assert all(NEXT[stage] <= RESCUE | outcomes for stage in RESCUE)


def test_a_move_off_the_table_is_refused_with_what_is_allowed() -> None:
    """The refusal tells the dispatcher what can be done instead."""
    with pytest.raises(Conflict, match="released cannot become closed; allowed from here: called_back"):
        check_move(Stage.RELEASED, Stage.CLOSED)


ALARM = Alarm(key="1:x:0", lift="1", rule="x", code=None, priority=Priority.HIGH, latching=False, onset=0, raised_at=1)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, AlarmState.UNACKNOWLEDGED),
        ({"acknowledged_at": 2}, AlarmState.ACKNOWLEDGED),
        ({"returned_at": 3}, AlarmState.RETURNED_UNACKNOWLEDGED),
        ({"returned_at": 3, "acknowledged_at": 2}, AlarmState.NORMAL),
        ({"returned_at": 3, "latching": True}, AlarmState.LATCHED_UNACKNOWLEDGED),
        ({"returned_at": 3, "latching": True, "acknowledged_at": 4}, AlarmState.LATCHED_ACKNOWLEDGED),
        ({"returned_at": 3, "latching": True, "acknowledged_at": 4, "reset_at": 5}, AlarmState.NORMAL),
        ({"shelved_until": 11}, AlarmState.SHELVED),
        ({"shelved_until": 10}, AlarmState.UNACKNOWLEDGED),
    ],
)
def test_alarm_states_follow_isa_18_2(facts: dict[str, Any], state: AlarmState) -> None:
    """The state is derived from what happened; a shelf ends by itself."""
    assert replace(ALARM, **facts).state(now=10) is state


def test_what_hides_an_alarm_has_an_order_and_never_hides_people() -> None:
    """Out of service before suppressed before shelved; what ended unseen asks nobody; an emergency is always seen."""
    shelved = replace(ALARM, shelved_until=20)
    suppressed = replace(shelved, suppressed_by="cause")
    out = replace(suppressed, out_of_service_until=15)
    assert [alarm.state(10) for alarm in (shelved, suppressed, out)] == [
        AlarmState.SHELVED, AlarmState.SUPPRESSED, AlarmState.OUT_OF_SERVICE,
    ]  # fmt: skip
    assert out.state(15) is AlarmState.SUPPRESSED
    assert replace(out, returned_at=12).state(30) is AlarmState.NORMAL
    assert replace(shelved, returned_at=20).state(30) is AlarmState.RETURNED_UNACKNOWLEDGED
    assert replace(out, priority=Priority.EMERGENCY).state(10) is AlarmState.UNACKNOWLEDGED


@pytest.mark.parametrize(
    "text", ["", "lifts/v1/demo", "lifts/v2/demo/telemetry", "lifts/v1/a b/telemetry", "lifts/v1//x"]
)
def test_a_foreign_topic_is_refused(text: str) -> None:
    """Only topics of our own scheme are taken apart."""
    with pytest.raises(BadFrame):
        topics.parse(text)


def test_a_lift_is_found_by_both_codes_and_its_gateway_known() -> None:
    """Gateways may use the rescue code or the registration code; an unknown code has no slot."""
    fleet = Fleet([lift("000001", gateway="a"), lift("000002", gateway="b"), lift("000003", gateway="a")])
    assert fleet.slots(["000003", "3110000002", "000009"]).tolist() == [2, 1, -1]
    assert [fleet.gateways[number] for number in fleet.gateway] == ["a", "b", "a"]
