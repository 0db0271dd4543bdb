"""Alarms that are one matter become one incident; what is its consequence is out of sight and returns by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lift.alarm import AlarmState
from lift.incident import IncidentKind
from tests.unit.alarms.city import CONTACT, DOOR, POWER, SECOND, TRAPPED, Street, street


@pytest.fixture
def city(tmp_path: Path) -> Iterator[Street]:
    """Give a street of four houses, 110 m apart, with three lifts each, six behind a gateway."""
    made = Street(street(4, 3, gateway_lifts=6), f"sqlite:///{tmp_path}/records.db")
    yield made
    made.records.close()


def test_three_lifts_without_mains_are_one_power_cut(city: Street) -> None:
    """Two may be two; with the third they are one incident, and none of them is an alarm of its own any more."""
    for lift in ("000000", "000004"):
        city.raise_(lift, POWER)
        city.later(10)
    assert city.incidents() == []
    assert city.in_sight() == ["000000 main_power_lost", "000004 main_power_lost"]
    city.raise_("000007", POWER)
    [cut] = city.incidents()
    assert (cut.kind, cut.anchor, cut.lifts) == (IncidentKind.POWER_CUT, "6000-24000", 3)
    assert city.in_sight() == []
    assert city.feed() == [
        "alarm.raised", "alarm.raised", "alarm.suppressed", "alarm.suppressed",
        "incident.opened", "incident.joined", "incident.joined",
    ]  # fmt: skip


def test_a_late_lift_joins_and_the_incident_ends_with_the_last(city: Street) -> None:
    """Whoever loses the mains next to a cut that goes on is part of it; it ends when all have them again."""
    for lift in ("000000", "000001", "000002"):
        city.raise_(lift, POWER)
    city.later(1800)
    city.raise_("000005", POWER)
    [cut] = city.incidents()
    assert cut.lifts == 4
    city.return_("000000", "000001", "000002", rule=POWER)
    assert [one.key for one in city.incidents()] == [cut.key]
    city.return_("000005", rule=POWER)
    assert city.incidents() == []
    with city.records.read() as reads:
        assert {one.left_at for one in reads.incident_lifts([cut.key])} == {city.clock.now()}


def test_losses_far_apart_in_place_or_time_are_no_power_cut(tmp_path: Path) -> None:
    """Houses three kilometres from each other, or an hour between them."""
    city = Street(street(4, 3, apart_degrees=0.03), f"sqlite:///{tmp_path}/records.db")
    for lift in ("000000", "000003", "000006"):
        city.raise_(lift, POWER)
    city.clock.move(3600)
    for lift in ("000001", "000004"):
        city.raise_(lift, POWER)
    assert city.incidents() == []
    city.records.close()


def test_two_cuts_that_grow_together_are_the_elder(tmp_path: Path) -> None:
    """Two blocks fall dark, then the one between them: one incident, the other says what it was part of."""
    city = Street(street(3, 3, apart_degrees=0.0051), f"sqlite:///{tmp_path}/records.db")
    for lift in ("000000", "000001", "000002", "000006", "000007", "000008"):
        city.raise_(lift, POWER)
    elder, younger = sorted(one.key for one in city.incidents())
    city.raise_("000003", POWER)
    [one] = city.incidents()
    assert (one.key, one.lifts) == (elder, 7)
    with city.records.read() as reads:
        assert reads.incident(younger).merged_into == elder
    city.records.close()


def test_other_alarms_of_a_dark_house_are_out_of_sight_until_it_has_mains(city: Street) -> None:
    """Not those of a house that still has them; and what holds two minutes after the end is shown."""
    for lift in ("000000", "000001", "000003"):
        city.raise_(lift, POWER)
    consequence = city.raise_("000002", DOOR)
    city.raise_("000011", DOOR)
    assert consequence.state(city.clock.now()) is AlarmState.SUPPRESSED
    assert city.in_sight() == ["000011 door_closing_fault"]
    city.return_("000000", "000001", "000003", rule=POWER)
    city.later(119)
    assert city.in_sight() == ["000011 door_closing_fault"]
    city.later(2)
    assert city.in_sight() == ["000002 door_closing_fault", "000011 door_closing_fault"]
    assert city.feed()[-1] == "alarm.unsuppressed"


def test_one_lift_without_mains_hides_its_own_alarms_only(city: Street) -> None:
    """No power cut: the lift's symptoms have one cause, its neighbour's do not."""
    city.raise_("000000", DOOR)
    city.raise_("000001", DOOR)
    city.raise_("000000", POWER)
    assert city.in_sight() == ["000000 main_power_lost", "000001 door_closing_fault"]
    city.return_("000000", rule=POWER)
    city.restart()
    city.later(121)
    assert city.in_sight() == ["000000 door_closing_fault", "000001 door_closing_fault"]


def test_people_in_a_power_cut_stay_in_sight_and_are_counted(city: Street) -> None:
    """An entrapment is linked to the incident, before and after it began; the third makes a mass event."""
    before = city.raise_("000000", TRAPPED, ago_s=30)
    for lift in ("000000", "000001", "000003"):
        city.raise_(lift, POWER)
    after = city.raise_("000003", TRAPPED, ago_s=30)
    [cut] = city.incidents()
    assert [city.alarm(one.key).incident for one in (before, after)] == [cut.key, cut.key]
    assert (cut.rescues, cut.mass_event_at) == (2, None)
    city.later(5)
    city.raise_("000004", TRAPPED, ago_s=30)
    assert city.incidents()[0].mass_event_at == city.clock.now()
    assert city.feed().count("incident.mass_event") == 1
    assert len(city.in_sight()) == 3


def test_a_gateway_that_stays_away_is_one_incident(city: Street) -> None:
    """Not for a moment's break; its lifts' lost contacts are inside, and its return ends it."""
    city.gateway("gw0", online=False)
    city.later(15)
    city.gateway("gw0", online=True)
    city.later(120)
    assert city.incidents() == []
    city.gateway("gw0", online=False)
    city.later(61)
    city.later(120)
    for lift in range(6):
        city.raise_(f"{lift:06d}", CONTACT, ago_s=180)
    [away] = city.incidents()
    assert (away.kind, away.anchor, away.lifts) == (IncidentKind.GATEWAY_OFFLINE, "gw0", 6)
    assert city.in_sight() == []
    assert "alarm.raised" not in city.feed()
    city.gateway("gw0", online=True)
    city.return_(*(f"{lift:06d}" for lift in range(6)), rule=CONTACT)
    assert city.incidents() == []
    assert city.feed()[-1] == "incident.closed"


def test_a_lift_that_stays_silent_after_its_gateways_return_shows(city: Street) -> None:
    """It has as long to speak as it had to fall silent; then the silence is its own."""
    city.gateway("gw0", online=False)
    city.later(61)
    for lift in ("000000", "000001"):
        city.raise_(lift, CONTACT, ago_s=180)
    city.gateway("gw0", online=True)
    city.return_("000000", rule=CONTACT)
    city.restart()
    city.later(179)
    assert city.in_sight() == []
    city.later(2)
    assert city.in_sight() == ["000001 contact_lost"]
    assert city.incidents() == []


def test_a_lost_contact_before_its_gateway_is_known_to_be_away_joins(city: Street) -> None:
    """The order in which it becomes known does not matter."""
    city.raise_("000000", CONTACT, ago_s=180)
    city.gateway("gw0", online=False)
    city.later(61)
    assert city.in_sight() == []
    assert city.alarm(city.raised["000000", CONTACT].key).incident == city.incidents()[0].key


def test_many_symptoms_of_one_lift_are_one_incident(city: Street) -> None:
    """They stand together; the incident ends with the last of them."""
    city.raise_("000000", DOOR)
    assert city.incidents() == []
    for rule in ("overspeed", TRAPPED):
        city.clock.move(60)
        city.raise_("000000", rule)
    [matter] = city.incidents()
    assert (matter.kind, matter.anchor, matter.lifts, matter.rescues) == (IncidentKind.LIFT, "000000", 1, 1)
    for rule in (DOOR, TRAPPED, "overspeed"):
        assert len(city.incidents()) == 1
        city.return_("000000", rule=rule)
    assert city.incidents() == []


def test_the_first_of_a_burst_is_marked(city: Street) -> None:
    """By onset, not by when its on-delay had passed; what begins a minute later is no part of it."""
    city.clock.move(100)
    later = city.raise_("000000", DOOR, ago_s=20)
    earlier = city.raise_("000000", TRAPPED, ago_s=25)
    apart = city.raise_("000000", "overspeed", ago_s=0)
    assert [city.alarm(one.key).first_out for one in (later, earlier, apart)] == [False, True, False]
    city.restart()
    earliest = city.raise_("000000", POWER, ago_s=29)
    assert [city.alarm(one.key).first_out for one in (later, earlier, earliest)] == [False, False, True]


def test_an_alarm_that_comes_and_goes_is_one_that_chatters(city: Street) -> None:
    """From the third time on it stands, silently, until it has been quiet for five minutes; a replay adds nothing."""
    past = []
    for _ in range(8):
        past.append(city.found("000000", DOOR))
        city.take(past)
        city.clock.move(10)
        past.append(city.over("000000", DOOR))
        city.take(past)
        city.later(10)
        city.restart()
    assert city.feed() == ["alarm.raised", "alarm.returned"] * 2 + ["alarm.raised"]
    with city.records.read() as reads:
        [chatters] = reads.alarms(standing=True)
    assert (chatters.chattering_since is not None, chatters.repeats) == (True, 5)
    city.later(285)
    assert city.in_sight() == ["000000 door_closing_fault"]
    city.later(10)
    assert city.alarm(chatters.key).returned_at == city.clock.now() - 305 * SECOND
    assert city.feed()[-1] == "alarm.returned"


def test_an_emergency_that_comes_and_goes_is_told_each_time(city: Street) -> None:
    """Each is recorded and shown: nobody is taken for noise."""
    for _ in range(4):
        city.raise_("000000", TRAPPED)
        city.clock.move(10)
        city.return_("000000", rule=TRAPPED)
        city.clock.move(10)
    assert city.feed() == ["alarm.raised", "alarm.returned"] * 4
