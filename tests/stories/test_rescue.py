"""What the rescue desk owes the public, told as conversations."""

from typing import TYPE_CHECKING

import pytest

from dispatch.desk import Actor
from lift.alarm import AlarmState, Priority
from lift.errors import Conflict, Forbidden, Invalid, LiftError, NotFound, Unavailable
from lift.ports import OutboxItem
from lift.ticket import Answer, ClockName, Stage
from tests.small_city import CENTRAL, LONELY, OUTSIDE, SECOND, transition

if TYPE_CHECKING:
    from tests.stories.conftest import Story

SWIFT = Actor("Li", "firm", "swift")
SURE = Actor("Wang", "firm", "sure")
SWIFT_CREW = Actor("Zhou", "crew", "swift-day")
NEAR_CREW = Actor("Sun", "crew", "near-night")
INSPECTOR = Actor("Qian", "inspector")
RESCUE = (Stage.ACCEPTED, Stage.EN_ROUTE, Stage.ARRIVED, Stage.RELEASED)


def test_an_entrapment_is_rescued_and_closed(story: "Story") -> None:
    """From the alarm to the filed cause: one order, every stamp, every clock stopped, the whole log."""
    story.alarm(CENTRAL)
    story.expect_called("swift")
    story.clock.move(60)
    story.move(CENTRAL, Stage.ACCEPTED, by=SWIFT)
    story.clock.move(600)
    story.move(CENTRAL, Stage.EN_ROUTE, Stage.ARRIVED, by=SWIFT_CREW)
    story.clock.move(300)
    story.move(CENTRAL, Stage.RELEASED, by=SWIFT_CREW)
    story.move(CENTRAL, Stage.CALLED_BACK)
    story.move(CENTRAL, Stage.CAUSE_FILED, by=SWIFT, cause="rubbish in the door track")
    ticket = story.move(CENTRAL, Stage.CLOSED)

    [callout] = story.callouts(CENTRAL)
    stamps = (callout.answered_at, callout.departed_at, callout.arrived_at, callout.released_at)
    assert [None if at is None else (at - callout.ordered_at) // SECOND for at in stamps] == [60, 660, 660, 960]
    assert ticket.closed_at == story.clock.now()
    assert all(clock.stopped_at is not None for clock in ticket.clocks)
    assert [event.kind for event in story.log(CENTRAL)] == [
        "received", "dispatched", "accepted", "en_route", "arrived", "released", "called_back", "cause_filed", "closed",
    ]  # fmt: skip
    assert story.feed()[:4] == ["alarm.raised", "ticket.received", "ticket.dispatched", "callout.notified"]


def test_an_order_says_in_two_languages_where_what_and_since_when(story: "Story") -> None:
    """A person with only the message can go: code, building, address, what happened, local time."""
    story.alarm(CENTRAL)
    [order] = story.pager.sent
    for part in ("96333", CENTRAL, "Centre 大厦", "Centre Road 1", "Harbour", "Entrapment 困人", "2026-11-18 19:06:40"):
        assert part in order.text
    assert (order.phone, order.party_id) == ("phone swift", "swift")
    story.expect_called("swift")


def test_an_unanswered_callout_climbs_to_the_fire_service(story: "Story") -> None:
    """Nobody answers: firm, then the nearest station, then the fire service, which is called on and on."""
    story.alarm(CENTRAL)
    story.expect_called("swift")
    story.fast_forward(minutes=2.5)
    story.expect_called()
    story.fast_forward(minutes=0.5)
    story.expect_called("near")
    assert story.told("unanswered") == ["swift"]
    story.fast_forward(minutes=2)  # five minutes in all: every level must have been called
    story.expect_called("fire")
    story.fast_forward(minutes=2.75)
    story.expect_called()
    story.fast_forward(minutes=0.25)
    story.expect_called("fire")
    assert story.told("unanswered") == ["near", "fire"]
    assert story.feed().count("ticket.unanswered") == 1
    story.fast_forward(minutes=6)
    story.expect_called("fire", "fire")
    assert story.feed().count("ticket.unanswered") == 3
    assert story.ticket(CENTRAL).level == 3


def test_a_refusal_calls_the_next_level_at_once(story: "Story") -> None:
    """No second is lost on a party that says no; it must say why."""
    story.alarm(CENTRAL)
    story.expect_called("swift")
    with pytest.raises(Invalid, match="reason"):
        story.answer(CENTRAL, level=1, accept=False, by=SWIFT)
    refused = story.answer(CENTRAL, level=1, accept=False, by=SWIFT, reason="crew busy")
    assert (refused.answer, refused.reason) == (Answer.REFUSED, "crew busy")
    story.expect_called("near")
    story.answer(CENTRAL, level=2, accept=True, by=NEAR_CREW)
    assert story.move(CENTRAL, *RESCUE[1:], by=NEAR_CREW).stage is Stage.RELEASED


def test_a_late_yes_counts_while_nobody_else_has_said_it(story: "Story") -> None:
    """The firm answers after its time: it gets the rescue, and the station is stood down."""
    story.alarm(CENTRAL)
    story.fast_forward(minutes=3.5)
    story.expect_called("swift", "near")
    assert story.answer(CENTRAL, level=1, accept=True, by=SWIFT).answer is Answer.ACCEPTED
    assert story.told("stand-down") == ["near"]
    assert [c.answer for c in story.callouts(CENTRAL)] == [Answer.WITHDRAWN, Answer.ACCEPTED]
    with pytest.raises(Conflict, match="accepted already"):
        story.answer(CENTRAL, level=1, accept=True, by=SWIFT)
    with pytest.raises(Conflict, match="withdrawn already"):
        story.answer(CENTRAL, level=2, accept=True, by=NEAR_CREW)


def test_a_party_that_gives_back_is_replaced_at_once(story: "Story") -> None:
    """A breakdown on the way sends the ticket one level up."""
    story.alarm(CENTRAL)
    story.move(CENTRAL, Stage.ACCEPTED, Stage.EN_ROUTE, by=SWIFT)
    story.expect_called("swift")
    story.answer(CENTRAL, level=1, accept=False, by=SWIFT, reason="van broke down")
    story.expect_called("near")
    story.move(CENTRAL, Stage.ACCEPTED)
    story.move(CENTRAL, Stage.DISPATCHED)
    story.expect_called("fire")
    assert story.told("stand-down") == ["near"]


def test_an_alarm_and_a_phone_call_are_one_ticket(story: "Story") -> None:
    """Whatever comes second joins, in either order and by either code; another lift is another ticket."""
    story.alarm(CENTRAL)
    assert story.phones(f"3110{CENTRAL}").ticket_id == story.ticket(CENTRAL).ticket_id
    story.clock.move(60)
    story.alarm(CENTRAL)
    assert [event.kind for event in story.log(CENTRAL)][2:] == ["call_joined", "alarm_joined"]
    story.phones(OUTSIDE)
    story.alarm(OUTSIDE)
    assert [event.kind for event in story.log(OUTSIDE)] == ["received", "dispatched", "alarm_joined"]
    assert story.ticket(OUTSIDE).source == "call"
    story.expect_called("swift", "sure")
    with story.records.read() as reads:
        assert {alarm.ticket_id for alarm in reads.alarms(lift=CENTRAL)} == {story.ticket(CENTRAL).ticket_id}


def test_a_second_alarm_after_the_release_opens_a_second_ticket(story: "Story") -> None:
    """Someone is trapped again in a lift whose first ticket still waits for its papers."""
    story.alarm(CENTRAL)
    first = story.move(CENTRAL, *RESCUE)
    story.clock.move(60)
    story.alarm(CENTRAL)
    assert story.ticket(CENTRAL).ticket_id != first.ticket_id
    assert story.ticket(CENTRAL).ticket_id.endswith("-0002")
    story.expect_called("swift", "swift")


def test_a_condition_that_returns_does_not_end_the_rescue(story: "Story") -> None:
    """The log says so, once, however often it is said; a person decides."""
    raised = story.alarm(CENTRAL)
    story.expect_called("swift")
    story.clears(raised)
    story.clears(raised)
    assert story.ticket(CENTRAL).stage is Stage.DISPATCHED
    assert [event.kind for event in story.log(CENTRAL)].count("condition_returned") == 1
    story.move(CENTRAL, Stage.SELF_RELEASED)
    assert story.told("stand-down") == ["swift"]


def test_an_alarm_below_emergency_is_no_ticket_and_can_be_acknowledged(story: "Story") -> None:
    """It waits in the list for whoever takes note of it."""
    raised = story.alarm(CENTRAL, priority=Priority.HIGH)
    alarm = story.alarms.acknowledge(raised.key, by="Ann", note="firm informed")
    assert alarm.state(story.clock.now()) is AlarmState.ACKNOWLEDGED
    with story.records.read() as reads:
        assert reads.tickets() == []
    assert story.feed() == ["alarm.raised", "alarm.acknowledged"]


def test_a_crash_leaves_neither_alarm_nor_ticket_nor_order(story: "Story") -> None:
    """The three are one transaction, and the same readings replayed make them all."""
    found = transition(CENTRAL, story.clock.now())
    with pytest.raises(MemoryError), story.records.write() as tx:  # noqa: PT012 - the crash comes after the work
        story.desk.take(tx, story.alarms.take(tx, [found]))
        raise MemoryError
    with story.records.read() as reads:
        assert reads.alarms() == []
        assert reads.tickets() == []
        assert reads.outbox_due(story.clock.now()) == []
        assert reads.feed_end() == 0
    story.take(found)
    story.take(found)
    assert story.ticket(CENTRAL).ticket_id.endswith("-0001")
    story.expect_called("swift")


def test_a_restart_loses_no_clock_and_no_order(story: "Story") -> None:
    """Deadlines and notices are stored: the desk that comes back late goes on where the other stopped."""
    story.take()
    with story.records.write() as tx:
        story.desk.take(tx, story.alarms.take(tx, [transition(CENTRAL, story.clock.now())]))
    story.restart()
    story.outbox.deliver()
    story.expect_called("swift")
    story.clock.move(200)
    story.restart()
    story.fast_forward(minutes=0.25)
    story.expect_called("near")


def test_two_hours_in_a_lift_are_marked_as_an_accident(story: "Story") -> None:
    """The legal clock counts from when the person was trapped, and its breach is told once."""
    story.alarm(CENTRAL)
    story.expect_called("swift")
    story.move(CENTRAL, Stage.ACCEPTED)
    story.fast_forward(minutes=118)
    assert story.feed().count("clock.breached") == 1  # arrival, after 30 minutes
    story.fast_forward(minutes=4)
    breaches = [event.details for event in story.log(CENTRAL) if event.kind == "clock_breached"]
    assert [(b["clock"], (b["due"] - story.ticket(CENTRAL).opened_at) // SECOND) for b in breaches] == [
        ("arrive", 1800),
        ("legal_accident", 7170),
    ]


def test_outside_the_city_core_there_is_an_hour_to_arrive(story: "Story") -> None:
    """The arrive clock knows where the lift stands."""
    story.alarm(OUTSIDE)
    story.expect_called("sure")
    [due] = [c.due for c in story.ticket(OUTSIDE).clocks if c.name is ClockName.ARRIVE]
    assert due - story.clock.now() == 3600 * SECOND


def test_a_deadline_passed_unseen_is_still_on_record(story: "Story") -> None:
    """An arrival after its time is marked as late even when nobody looked at the clocks in between."""
    story.alarm(CENTRAL)
    story.expect_called("swift")
    story.move(CENTRAL, Stage.ACCEPTED)
    story.clock.move(1801)
    story.move(CENTRAL, Stage.ARRIVED)
    assert [e.kind for e in story.log(CENTRAL)][-2:] == ["clock_breached", "arrived"]
    assert story.desk.tick() == 0


def test_an_unknown_lift_and_an_empty_register_still_reach_someone(story: "Story") -> None:
    """Nobody waits in a lift for the register to be mended: levels without a party are passed at once."""
    story.alarm("999999")
    assert [c.level for c in story.callouts("999999")] == [2, 1]
    story.expect_called("far")  # no address, so any station
    story.policy = type(story.policy)(levels=story.policy.levels[:1])
    story.restart()
    story.alarm("888888")
    story.expect_called("last-resort")
    assert story.callouts("888888")[0].phone == "119"


def test_each_party_touches_its_own_only(story: "Story") -> None:
    """Another firm's ticket does not exist, and what is the desk's to do is refused saying so."""
    story.alarm(CENTRAL)
    story.expect_called("swift")
    ticket_id, callout_id = story.ticket(CENTRAL).ticket_id, story.callouts(CENTRAL)[0].callout_id
    refusals: list[tuple[Actor, Stage, type[LiftError]]] = [
        (SURE, Stage.ACCEPTED, NotFound),
        (NEAR_CREW, Stage.ACCEPTED, NotFound),
        (SWIFT, Stage.CANCELLED, Forbidden),
        (INSPECTOR, Stage.ACCEPTED, Forbidden),
        (Actor("x", "firm", ""), Stage.ACCEPTED, Forbidden),
        (Actor("x", "crew", "none"), Stage.ACCEPTED, Forbidden),
        (SWIFT, Stage.ARRIVED, Conflict),
    ]
    for actor, stage, error in refusals:
        with pytest.raises(error):
            story.desk.move(ticket_id, stage, by=actor)
    for actor in (SURE, NEAR_CREW):
        with pytest.raises(NotFound):
            story.desk.answer(callout_id, accept=True, by=actor)
    with pytest.raises(Forbidden, match="dispatcher"):
        story.desk.report_call(CENTRAL, by=SWIFT, summary="x")
    story.fast_forward(minutes=3)
    story.expect_called("near")
    with pytest.raises(NotFound):
        story.desk.answer(story.callouts(CENTRAL)[0].callout_id, accept=True, by=SWIFT)
    story.move(CENTRAL, Stage.ACCEPTED, by=NEAR_CREW)
    with pytest.raises(Conflict, match="another party"):
        story.desk.move(ticket_id, Stage.EN_ROUTE, by=SWIFT)
    story.move(CENTRAL, *RESCUE[1:], by=NEAR_CREW)
    story.move(CENTRAL, Stage.CALLED_BACK)
    with pytest.raises(Forbidden, match="contracted"):
        story.desk.move(ticket_id, Stage.CAUSE_FILED, by=NEAR_CREW, details={"cause": "x"})


def test_a_merge_names_a_ticket_that_someone_works_on(story: "Story") -> None:
    """A wrong code is merged into the right ticket; never into itself, nothing, or one that is over."""
    story.phones(CENTRAL)
    right = story.phones(LONELY).ticket_id
    story.expect_called("swift", "swift")
    wrong = story.ticket(CENTRAL).ticket_id
    for into in (None, wrong, "none", 5):
        with pytest.raises(Invalid, match="into"):
            story.desk.move(wrong, Stage.MERGED, by=Actor("Ann", "admin"), details={"into": into})
    story.move(CENTRAL, Stage.MERGED, into=right)
    with pytest.raises(Conflict, match="merged"):
        story.move(LONELY, Stage.MERGED, into=wrong)


def test_a_cause_must_be_said(story: "Story") -> None:
    """Filing an empty cause is refused by name."""
    story.alarm(CENTRAL)
    story.expect_called("swift")
    story.move(CENTRAL, Stage.FALSE_ALARM)
    for cause in ("", " "):
        with pytest.raises(Invalid, match="cause"):
            story.move(CENTRAL, Stage.CAUSE_FILED, cause=cause)
    with pytest.raises(Invalid, match="cause"):
        story.move(CENTRAL, Stage.CAUSE_FILED)


def test_one_broken_ticket_does_not_stop_the_others(story: "Story") -> None:
    """A ticket whose call-outs were damaged is announced, once a minute; everyone else's clocks go on."""
    story.alarm(CENTRAL)
    story.alarm(OUTSIDE)
    story.expect_called("swift", "sure")
    with story.records._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE callouts SET callout_id = 'broken' WHERE ticket_id LIKE '%-0001'")
    story.fast_forward(minutes=3.5)
    story.expect_called("near")
    assert story.feed().count("ticket.failed") == 1
    story.fast_forward(minutes=1)
    assert story.feed().count("ticket.failed") == 2
    assert [event.kind for event in story.log(CENTRAL)] == ["received", "dispatched"]


def test_what_was_changed_in_a_log_is_named(story: "Story") -> None:
    """An altered, removed or inserted line does not fit the chain."""
    story.alarm(CENTRAL)
    story.expect_called("swift")
    story.move(CENTRAL, Stage.ACCEPTED)
    ticket_id = story.ticket(CENTRAL).ticket_id
    story.desk.verify(ticket_id)
    with pytest.raises(NotFound):
        story.desk.verify("none")
    for change, said in [
        ("UPDATE ticket_events SET \"by\" = 'someone else' WHERE number = 2", "event 2 .dispatched. is not as it was"),
        ("DELETE FROM ticket_events WHERE number = 2", "event 2 is missing"),
        ("DELETE FROM ticket_events", "has no log"),
    ]:
        with story.records._engine.begin() as connection:
            connection.exec_driver_sql(change)
        with pytest.raises(Conflict, match=said):
            story.desk.verify(ticket_id)


class Line:
    """A notifier whose line is down as often as it is told."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.sent: list[str] = []

    def send(self, item: OutboxItem) -> None:
        """Fail, or take the notification."""
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(item.party_id)


def test_a_notice_that_cannot_leave_is_tried_again_and_again(story: "Story") -> None:
    """A line that is down delays an order, a little longer each time, and never loses it."""
    line = Line(*[Unavailable("sms", "down")] * 8, ValueError("a bug"))
    story.outbox = type(story.outbox)(story.records, line, story.clock)
    story.alarm(CENTRAL)
    waits = []
    while not line.sent:
        with story.records.read() as reads:
            [item] = reads.outbox_due(story.clock.now() + 3600 * SECOND)
        waits.append((item.next_at - story.clock.now()) // SECOND)
        story.clock.at = item.next_at
        story.outbox.deliver()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert story.feed().count("callout.notified") == 1
    assert story.outbox.deliver() == 0


def test_a_notice_that_is_refused_for_good_is_seen_to_be(story: "Story") -> None:
    """A wrong number is not tried again; the feed and the counts say so, and the next notice still goes out."""
    line = Line(Invalid("phone", "no such number"))
    story.outbox = type(story.outbox)(story.records, line, story.clock)
    story.take(transition(CENTRAL, story.clock.now()), transition(OUTSIDE, story.clock.now()))
    assert line.sent == ["sure"]
    assert story.feed()[-2:] == ["callout.notification_failed", "callout.notified"]
    with story.records.read() as reads:
        assert reads.counts()["notifications_given_up"] == 1
        assert reads.outbox_due(story.clock.now() + 3600 * SECOND) == []
