"""Whatever happens in whatever order, nobody in danger is hidden, and nothing is hidden for ever."""

import contextlib
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from alarms.bursts import QUIET_US
from alarms.recording import Recorder
from lift.alarm import Alarm, AlarmState, Priority, Transition
from lift.errors import Conflict
from lift.incident import IncidentKind
from tests.unit.alarms.city import CONTACT, POWER, PRIORITIES, SECOND, Street, street

REGISTER = street(3, 2, gateway_lifts=3)
LIFTS = st.sampled_from([lift.rescue_code for lift in REGISTER.lifts])
RULES = st.sampled_from(sorted(PRIORITIES))
GATEWAYS = st.sampled_from(["gw0", "gw1"])


class Undone(Exception):
    """A transaction fails after the desk has done its work."""


class LifeCycle(RuleBasedStateMachine):
    """Drives the engine's findings, people, gateways, time, crashes and replays against one desk."""

    @initialize()
    def open(self) -> None:
        """Begin with a city without alarms."""
        self.folder = tempfile.TemporaryDirectory()
        self.city = Street(REGISTER, f"sqlite:///{Path(self.folder.name)}/records.db")
        self.past: list[Transition] = []
        self.away: set[str] = set()

    def teardown(self) -> None:
        """Let everything end by itself, and see that nothing stays hidden."""
        if not hasattr(self, "city"):
            return
        for gateway in sorted(self.away):
            self.city.gateway(gateway, online=True)
        for _ in range(3):
            self.city.later(31 * 24 * 3600)
        causes = {lift for lift, name in self.city.raised if name == POWER}
        for alarm in self.standing():
            if alarm.state(self.city.clock.now()) is AlarmState.SUPPRESSED:
                assert causes, f"{alarm.key} is out of sight for nothing"
        for lift, name in list(self.city.raised):
            self.city.return_(lift, rule=name)
        for _ in range(3):
            self.city.later(QUIET_US / SECOND + 1)
        assert [alarm.key for alarm in self.standing() if not alarm.latching] == []
        assert self.city.incidents() == []
        self.city.records.close()
        self.folder.cleanup()

    def standing(self) -> list[Alarm]:
        """Give the alarms that stand."""
        with self.city.records.read() as reads:
            return reads.alarms(standing=True, most=1000)

    @rule(lift=LIFTS, name=RULES, ago_s=st.sampled_from([0.0, 5.0, 30.0, 200.0]))
    def raise_(self, lift: str, name: str, ago_s: float) -> None:
        """Raise an alarm where none of its rule stands, as the engine does."""
        if (lift, name) not in self.city.raised:
            self.city.clock.move(0.001)
            self.city.raise_(lift, name, ago_s=ago_s)
            self.past.append(self.city.raised[lift, name])

    @rule(data=st.data())
    def return_(self, data: st.DataObject) -> None:
        """Let one that stands return."""
        if self.city.raised:
            lift, name = data.draw(st.sampled_from(sorted(self.city.raised)))
            self.city.clock.move(0.001)
            over = self.city.over(lift, name)
            self.city.take([over])
            self.past.append(over)

    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """Say again what was said before, in order, as after a crash: nothing changes."""
        if self.past:
            first = data.draw(st.integers(0, len(self.past) - 1))
            before = self.rows()
            assert self.city.take(self.past[first:]) == []
            assert self.rows() == before

    @rule(gateway=GATEWAYS)
    def gateway_goes(self, gateway: str) -> None:
        """Let a gateway go away."""
        self.away.add(gateway)
        self.city.gateway(gateway, online=False)

    @rule(gateway=GATEWAYS)
    def gateway_comes(self, gateway: str) -> None:
        """Let a gateway come back."""
        self.away.discard(gateway)
        self.city.gateway(gateway, online=True)

    @rule(seconds=st.sampled_from([1.0, 15.0, 61.0, 130.0, 305.0]))
    def time_passes(self, seconds: float) -> None:
        """Let time pass."""
        self.city.later(seconds)

    @rule(lift=LIFTS, minutes=st.sampled_from([1, 10]))
    def take_out(self, lift: str, minutes: int) -> None:
        """Take a lift out of service."""
        self.city.desk.take_out_of_service(lift, by="Ann", minutes=minutes, reason="works")

    @rule(data=st.data(), deed=st.sampled_from(["acknowledge", "shelve", "reset"]))
    def act(self, data: st.DataObject, deed: str) -> None:
        """Let a person do something with an alarm, whether it makes sense or not."""
        keys = [alarm.key for alarm in self.standing()]
        if not keys:
            return
        key = data.draw(st.sampled_from(sorted(keys)))
        try:
            if deed == "acknowledge":
                self.city.desk.acknowledge(key, by="Ann")
            elif deed == "shelve":
                self.city.desk.shelve(key, by="Ann", minutes=5, reason="noise")
            else:
                self.city.desk.reset(key, by="Ann")
        except Conflict:
            return

    @rule(lift=LIFTS, name=RULES)
    def crash(self, lift: str, name: str) -> None:
        """Lose a transaction after the desk has worked on it, and go on with the same desk."""
        kept = dict(self.city.raised)
        before = self.rows()
        with contextlib.suppress(Undone), self.city.records.write() as tx:
            self.city.desk.take(tx, [self.city.found(lift, name)])
            raise Undone
        self.city.raised = kept
        assert self.rows() == before

    @rule()
    def restart(self) -> None:
        """Start the process again."""
        self.city.restart()
        # The broker keeps each gateway's last word and gives it to whoever subscribes.
        for gateway in sorted(self.away):
            self.city.gateway(gateway, online=False)

    @invariant()
    def nobody_in_danger_is_hidden(self) -> None:
        """An emergency is always in sight."""
        now = self.city.clock.now()
        hidden = {AlarmState.SHELVED, AlarmState.SUPPRESSED, AlarmState.OUT_OF_SERVICE}
        for alarm in self.standing():
            assert alarm.priority is not Priority.EMERGENCY or alarm.state(now) not in hidden

    @invariant()
    def all_that_holds_is_on_record(self) -> None:
        """Each alarm of the engine stands on record once, under its key or folded into one that chatters."""
        live = sorted(alarm.live_key for alarm in self.standing() if alarm.returned_at is None and not alarm.quiet_from)
        assert live == sorted(raised.key for raised in self.city.raised.values())

    @invariant()
    def what_is_suppressed_has_a_cause(self) -> None:
        """A cause that stands, or that has ended so recently that its consequences may linger."""
        alarms = {alarm.key: alarm for alarm in self.standing()}
        incidents = {incident.key for incident in self.city.incidents()}
        with self.city.records.read() as reads:
            for alarm in alarms.values():
                cause = alarm.suppressed_by
                if not cause or cause in incidents or cause in alarms:
                    continue
                known = reads.alarms_by_key([cause]).get(cause)
                ended = known.returned_at if known is not None else reads.incident(cause).closed_at
                assert ended is not None

    @invariant()
    def incidents_hold_something(self) -> None:
        """An open incident has a gateway that is away, or alarms that stand."""
        inside = {alarm.incident for alarm in self.standing() if alarm.returned_at is None}
        for incident in self.city.incidents():
            assert incident.key in inside or incident.kind is IncidentKind.GATEWAY_OFFLINE

    @invariant()
    def a_desk_that_starts_now_remembers_the_same(self) -> None:
        """What the desk remembers is what the records say."""
        ours = self.city.desk._recorder
        with self.city.records.write() as tx:
            ours._begin(tx)
            fresh = Recorder(self.city.clock, ours._grouping)
            fresh._begin(tx)
            kept, found = memory(ours), memory(fresh)
            assert {name: kept[name] for name in kept if kept[name] != found[name]} == {
                name: found[name] for name in kept if kept[name] != found[name]
            }

    def rows(self) -> tuple[object, ...]:
        """Give everything on record about alarms and incidents."""
        with self.city.records.read() as reads:
            incidents = reads.incidents(most=1000)
            inside = reads.incident_lifts(incident.key for incident in incidents)
            return reads.alarms(most=1000), incidents, inside, reads.feed_end()


def memory(recorder: Recorder) -> dict[str, object]:
    """Give what a recorder remembers, in an order that does not depend on how it came to know it."""
    grouper = recorder._grouper
    contact = {lift: {n: a for n, a in rules.items() if n == CONTACT} for lift, rules in grouper.of_lift.items()}
    assert all(alarm.lift == lift for lift, rules in contact.items() for alarm in rules.values())
    return {
        "standing": {a.key: a for rules in grouper.of_lift.values() for a in rules.values()},
        "incidents": {key: vars_of(one) for key, one in grouper.incidents.items()},
        "inside": {
            key: (sorted(i.lifts), sorted(i.ever), sorted(i.alarms), sorted(i.rescued), sorted(i.dark), sorted(i.cells))
            for key, i in grouper._inside.items()
        },
        "dark": {b: sorted(lifts) for b, lifts in grouper._dark_in.items() if lifts},
        "pending": {cell: sorted(lifts) for cell, lifts in grouper._pending.items()},
        "cut": dict(grouper._cut_at),
        "lift": dict(grouper._lift_incident),
        "gateway": dict(grouper._gateway_incident),
        "suppressed": {cause: sorted(alarms) for cause, alarms in grouper._suppressed.items()},
        "lingering": {cause: at for cause, at in grouper._lingering.items() if cause in grouper._suppressed},
    }


def vars_of(incident: object) -> dict[str, object]:
    """Give an incident's facts but for what people did, which a desk leaves to the records."""
    return {
        name: getattr(incident, name)
        for name in incident.__dataclass_fields__  # type: ignore[attr-defined]
        if not name.startswith("acknowledged")
    }


TestLifeCycle = LifeCycle.TestCase
TestLifeCycle.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
