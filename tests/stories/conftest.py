"""A rescue desk to tell stories about: what happens, how time passes, and who is called."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.records_sql import SqlRecords
from alarms.desk import AlarmDesk
from dispatch.desk import Actor, RescueDesk
from dispatch.outbox import Outbox
from dispatch.policy import Policy
from lift.alarm import Alarm, Change, Priority, Transition
from lift.codes import Code
from lift.ports import OutboxItem
from lift.ticket import Callout, Stage, Ticket, TicketEvent
from tests.small_city import CITY, SECOND, StandingClock, transition

DISPATCHER = Actor("Ann", "dispatcher")
TICK_S = 15.0


class Pager:
    """A notifier that keeps what it was given."""

    def __init__(self) -> None:
        self.sent: list[OutboxItem] = []

    def send(self, item: OutboxItem) -> None:
        """Keep a notification."""
        self.sent.append(item)


class Story:
    """One city's desk on real records, with its clock in the teller's hand. Orders nobody expected fail the story."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = StandingClock()
        self.pager = Pager()
        self.policy = Policy()
        self._open()
        with self.records.write() as tx:
            tx.register(CITY)

    def _open(self) -> None:
        self.records = SqlRecords(self.url)
        self.alarms = AlarmDesk(self.records, self.clock)
        self.desk = RescueDesk(self.records, self.clock, self.policy)
        self.outbox = Outbox(self.records, self.pager, self.clock)

    def restart(self) -> None:
        """End the process and start it again on the same records."""
        self.records.close()
        self._open()

    def take(self, *transitions: Transition) -> list[Alarm]:
        """Let the engine's findings reach both desks in one transaction, as in the running platform."""
        with self.records.write() as tx:
            alarms = self.alarms.take(tx, transitions)
            self.desk.take(tx, alarms)
            for incident in self.alarms.mass_events:
                self.desk.call_together(tx, incident)
            self.desk.confirmed(tx, transitions)
            self.desk.returned(tx, transitions)
        self.outbox.deliver()
        return alarms

    def alarm(
        self,
        lift: str,
        *,
        code: Code = Code.ENTRAPMENT,
        priority: Priority = Priority.EMERGENCY,
        latching: bool = False,
    ) -> Transition:
        """Let an alarm be raised at this moment."""
        onset = self.clock.now() - 30 * SECOND
        raised = transition(lift, onset, code=code, priority=priority, latching=latching)
        self.take(raised)
        return raised

    def clears(self, raised: Transition) -> None:
        """Let an alarm's condition return to normal at this moment."""
        onset, latching = raised.onset, raised.latching
        self.take(transition(raised.lift, onset, change=Change.RETURNED, priority=raised.priority, latching=latching))

    def phones(self, lift: str, summary: str = "two people inside 两人被困") -> Ticket:
        """Let someone call the hotline."""
        ticket = self.desk.report_call(lift, by=DISPATCHER, summary=summary)
        self.outbox.deliver()
        return ticket

    def fast_forward(self, *, minutes: float) -> None:
        """Let time pass while the desk watches its clocks."""
        left = minutes * 60
        while left > 0:
            self.clock.move(min(left, TICK_S))
            left -= TICK_S
            self.desk.tick()
            self.outbox.deliver()

    def move(self, lift: str, *stages: Stage, by: Actor = DISPATCHER, **details: str) -> Ticket:
        """Move the lift's ticket from stage to stage."""
        ticket = self.ticket(lift)
        for stage in stages:
            ticket = self.desk.move(ticket.ticket_id, stage, by=by, details=details)
        self.outbox.deliver()
        return ticket

    def answer(self, lift: str, *, level: int, accept: bool, by: Actor = DISPATCHER, reason: str = "") -> Callout:
        """Answer the newest call-out of a level."""
        callout = next(c for c in self.callouts(lift) if c.level == level)
        answered = self.desk.answer(callout.callout_id, accept=accept, by=by, reason=reason)
        self.outbox.deliver()
        return answered

    def ticket(self, lift: str) -> Ticket:
        """Give the lift's newest ticket."""
        with self.records.read() as reads:
            return reads.tickets(lift=lift)[0]

    def callouts(self, lift: str) -> list[Callout]:
        """Give the call-outs of the lift's newest ticket, newest first."""
        with self.records.read() as reads:
            return reads.callouts(ticket_id=self.ticket(lift).ticket_id)

    def log(self, lift: str) -> list[TicketEvent]:
        """Give the log of the lift's newest ticket, after checking its chain."""
        ticket = self.ticket(lift)
        self.desk.verify(ticket.ticket_id)
        with self.records.read() as reads:
            return reads.ticket_events(ticket.ticket_id)

    def told(self, kind: str) -> list[str]:
        """Give who was told something of a kind, and forget it."""
        told = [item.party_id for item in self.pager.sent if item.kind == kind]
        self.pager.sent = [item for item in self.pager.sent if item.kind != kind]
        return told

    def expect_called(self, *parties: str) -> None:
        """Check who has been ordered since last asked, in order."""
        assert self.told("order") == list(parties)

    def feed(self) -> list[str]:
        """Give the kinds of all events so far."""
        with self.records.read() as reads:
            return [event.kind for event in reads.feed(after=0, most=1000)]

    def end(self) -> None:
        """Check that nobody was ordered whom the story did not expect."""
        assert self.told("order") == []
        self.records.close()


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """Give a desk in a small city where nothing has happened yet."""
    story = Story(f"sqlite:///{tmp_path}/records.db")
    yield story
    story.end()
