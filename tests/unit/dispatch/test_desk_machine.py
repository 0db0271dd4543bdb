"""The desk attacked at random: whatever people, time and crashes do, what we promise about a ticket holds."""

import tempfile
from collections import Counter
from itertools import pairwise

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from adapters.records_sql import SqlRecords
from alarms.desk import AlarmDesk
from dispatch.desk import Actor, RescueDesk
from dispatch.policy import Policy
from lift.errors import Conflict, LiftError
from lift.ticket import NEXT, RESCUE, Answer, ClockName, Stage, Ticket
from tests.small_city import CENTRAL, CITY, LONELY, OUTSIDE, StandingClock, transition

LIFTS = (CENTRAL, OUTSIDE, LONELY, "999999")
DISPATCHER = Actor("Ann", "dispatcher")
ACTORS = (
    DISPATCHER,
    Actor("Li", "firm", "swift"),
    Actor("Wang", "firm", "sure"),
    Actor("Sun", "crew", "near-night"),
    Actor("Qian", "inspector"),
)
STAGES = {str(stage) for stage in Stage}


class Desk(RuleBasedStateMachine):
    """A city, its desk, and the worst of days."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = StandingClock()
        self.open()
        with self.records.write() as tx:
            tx.register(CITY)

    def open(self) -> None:
        """Start the process."""
        self.records = SqlRecords(f"sqlite:///{self.folder.name}/records.db")
        self.alarms = AlarmDesk(self.records, self.clock)
        self.desk = RescueDesk(self.records, self.clock, Policy())

    def teardown(self) -> None:
        """End the process and throw its records away."""
        self.records.close()
        self.folder.cleanup()

    def tickets(self) -> list[Ticket]:
        """Give all tickets."""
        with self.records.read() as reads:
            return reads.tickets(most=1000)

    @rule(lift=st.sampled_from(LIFTS))
    def alarm(self, lift: str) -> None:
        """An entrapment is found; no two of one lift begin in the same microsecond, or they are one alarm."""
        self.clock.at += 1
        with self.records.write() as tx:
            self.desk.take(tx, self.alarms.take(tx, [transition(lift, self.clock.now())]))
            assert tx.rescue_of(lift) is not None

    @rule(lift=st.sampled_from(LIFTS[:3]))
    def call(self, lift: str) -> None:
        """Someone phones."""
        assert self.desk.report_call(lift, by=DISPATCHER, summary="stuck").stage in RESCUE

    @rule(seconds=st.sampled_from([-5, 0.5, 14, 61, 179, 181, 301, 1801, 7201]), tick=st.booleans())
    def wait(self, seconds: float, tick: bool) -> None:  # noqa: FBT001 - Hypothesis passes it by name
        """Time passes, or the machine's clock is set back; the desk may or may not look."""
        self.clock.move(seconds)
        if not tick:
            return
        self.desk.tick()
        now = self.clock.now()
        with self.records.read() as reads:
            assert reads.due_clocks(now) == []

    @precondition(lambda self: self.tickets())
    @rule(data=st.data(), to=st.sampled_from(Stage), by=st.sampled_from(ACTORS))
    def move(self, data: st.DataObject, to: Stage, by: Actor) -> None:
        """Anyone tries any move on any ticket; the table decides what a dispatcher may do."""
        ticket = data.draw(st.sampled_from(self.tickets()))
        others = [t.ticket_id for t in self.tickets() if t.ticket_id != ticket.ticket_id and NEXT[t.stage]]
        details = {"cause": "rubbish", "into": others[0] if others else "none"}
        possible = to in NEXT[ticket.stage] and (to is not Stage.MERGED or bool(others))
        try:
            moved = self.desk.move(ticket.ticket_id, to, by=by, details=details)
        except LiftError as error:
            assert not (possible and by is DISPATCHER), error  # noqa: PT017 - the table is the oracle
            if by is DISPATCHER and to not in NEXT[ticket.stage]:
                assert isinstance(error, Conflict)  # noqa: PT017 - as above
        else:
            assert possible
            assert moved.stage is to

    @precondition(lambda self: self.tickets())
    @rule(data=st.data(), accept=st.booleans(), by=st.sampled_from(ACTORS))
    def answer(self, data: st.DataObject, accept: bool, by: Actor) -> None:  # noqa: FBT001 - as above
        """Anyone answers any call-out."""
        with self.records.read() as reads:
            callout = data.draw(st.sampled_from(reads.callouts(most=1000)))
            before = reads.ticket(callout.ticket_id).stage
        try:
            answered = self.desk.answer(callout.callout_id, accept=accept, by=by, reason="so")
        except LiftError:
            return
        assert before in {Stage.DISPATCHED, Stage.ACCEPTED, Stage.EN_ROUTE}
        assert answered.answer is (Answer.ACCEPTED if accept else Answer.REFUSED)

    @rule()
    def restart(self) -> None:
        """The process ends and starts again; nothing has changed."""
        before = self.everything()
        self.records.close()
        self.open()
        assert self.everything() == before

    def everything(self) -> object:
        """Give all that is on record."""
        with self.records.read() as reads:
            tickets = reads.tickets(most=1000)
            logs = [reads.ticket_events(ticket.ticket_id) for ticket in tickets]
            return tickets, logs, reads.callouts(most=1000), reads.outbox_due(2**62, most=1000), reads.feed(after=0)

    @invariant()
    def one_rescue_a_lift(self) -> None:
        """A lift is rescued once at a time."""
        under_way = Counter(ticket.lift for ticket in self.tickets() if ticket.stage in RESCUE)
        assert set(under_way.values()) <= {1}

    @invariant()
    def logs_are_whole_and_stages_lawful(self) -> None:
        """Every log verifies, runs forward in time, walks along the table and climbs one level at a time."""
        for ticket in self.tickets():
            self.desk.verify(ticket.ticket_id)
            with self.records.read() as reads:
                log = reads.ticket_events(ticket.ticket_id)
            assert all(earlier.at <= later.at for earlier, later in pairwise(log))
            stages = [Stage(event.kind) for event in log if event.kind in STAGES]
            assert all(later in NEXT[earlier] for earlier, later in pairwise(stages))
            assert stages[-1] is ticket.stage
            levels = [0, *(event.details["level"] for event in log if event.kind == "dispatched")]
            assert all(later - earlier in {0, 1} for earlier, later in pairwise(levels))
            assert all(later == 3 or later != earlier for earlier, later in pairwise(levels))
            assert levels[-1] == ticket.level

    @invariant()
    def every_breach_is_told_once(self) -> None:
        """A clock that ran over is in the log exactly once, and one that did not never."""
        for ticket in self.tickets():
            with self.records.read() as reads:
                log = reads.ticket_events(ticket.ticket_id)
            told = Counter(
                (e.details["clock"], e.details["level"], e.details["due"]) for e in log if e.kind == "clock_breached"
            )
            assert set(told.values()) <= {1}
            for clock in ticket.clocks:
                marked = told[str(clock.name), clock.level, clock.due] == 1
                assert marked == (clock.breached_at is not None)
                if clock.stopped_at is not None:
                    assert marked == (clock.stopped_at >= clock.due), clock

    @invariant()
    def somebody_is_on_it(self) -> None:
        """While people may be inside, a call-out waits with a clock running, or one is accepted, and one only."""
        for ticket in self.tickets():
            with self.records.read() as reads:
                answers = Counter(callout.answer for callout in reads.callouts(ticket_id=ticket.ticket_id))
            if ticket.stage is Stage.DISPATCHED:
                assert answers[Answer.WAITING] >= 1
                assert answers[Answer.ACCEPTED] == 0
                assert any(
                    clock.name is ClockName.ACCEPT and clock.stopped_at is None and clock.breached_at is None
                    for clock in ticket.clocks
                )
            elif ticket.stage in RESCUE:
                assert answers[Answer.WAITING] == 0
                assert answers[Answer.ACCEPTED] == 1
            else:
                assert answers[Answer.WAITING] == 0


TestDesk = Desk.TestCase
TestDesk.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    phases=[Phase.explicit, Phase.generate],
)
