"""The alarm path: readings → engine → alarms → tickets, never waiting for the telemetry store.

An alarm, its ticket and the order that goes out are one transaction. What cannot be recorded at once
(records are down) waits in order and is tried again; what the process loses with its memory, it finds
again by replaying the stored minutes, since the engine raises the same alarm under the same key.
"""

from __future__ import annotations

import contextlib
import logging
import struct
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from alarms.desk import AlarmDesk
from alarms.engine import Engine
from alarms.phases import NEVER
from alarms.standing import GatewayNews
from alarms.suppression import CONTACT_LOST
from dispatch.desk import RescueDesk
from lift.alarm import Alarm, Change, Priority, Transition
from lift.batch import Batch
from lift.errors import Invalid, NotFound, Unavailable
from lift.fleet import Fleet
from lift.metrics import Metric, metric
from lift.ports import Records, Telemetry, Timepiece
from runtime import saved_file

log = logging.getLogger(__name__)

SECOND: Final = 1_000_000
# A reading may be this long on its way before silence or a passed delay is believed.
GRACE_US: Final = SECOND // 2
# A condition that was met longer ago than this comes from a backlog, so it may be over already: wait a moment
# for the readings behind it before anyone is called out.
_LATE_US: Final = 120 * SECOND
_HOLD_US: Final = 10 * SECOND
# Stored readings replayed at a start: from before the saved state, since some were still under way then.
_REPLAY_MARGIN_US: Final = 300 * SECOND
_REPLAY_WITHOUT_STATE_US: Final = 900 * SECOND
_REPLAY_MAX_US: Final = 3600 * SECOND
_WAITING_MAX: Final = 1_000_000
# Changes in one transaction, and how long one call goes on with them: alarms behind must not wait for a flood. An
# emergency is a ticket, an order and a dozen rows, another alarm one row.
_EMERGENCIES_TOGETHER_MAX: Final = 100
_TOGETHER_MAX: Final = 2000
_RECORD_S: Final = 0.2
_RECOVER_S: Final = 600.0
# A gateway whose lifts have all been silent for so long is away: each of them reports at least every 30 s.
_GATEWAY_SILENT_US: Final = 60 * SECOND
_GATEWAY_LIFTS_MIN: Final = 2
_GATEWAYS_TOGETHER_MAX: Final = 10  # each brings all its lifts
_DESK_EVERY_US: Final = SECOND
_HEADER: Final = struct.Struct("<8sqq")
_MAGIC: Final = b"LWSTATE1"


class _Waiting(NamedTuple):
    """A change to record; `order` = somebody is to be called out for it."""

    transition: Transition
    order: bool


class AlarmPath:
    """Feeds the engine and turns its transitions into alarms and tickets. One thread uses it."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        engine: Engine,
        alarms: AlarmDesk,
        rescue: RescueDesk,
        records: Records,
        clock: Timepiece,
    ) -> None:
        """Take the fleet's engine, the two desks and the records they share."""
        self._fleet = fleet
        self._engine = engine
        self._alarms = alarms
        self._rescue = rescue
        self._records = records
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self.set_aside = 0
        self._held: dict[str, tuple[int, list[Transition]]] = {}
        self._gateways: dict[str, GatewayNews] = {}
        self._silent_since: dict[str, int] = {}
        self._others: deque[Transition] = deque()
        self._desk_at = 0
        self._feed_read = 0
        self.failing: str | None = None

    @property
    def rule_failing(self) -> str | None:
        """Say which rule has failed since the start; it may have missed something in the lifts it failed on."""
        return self._engine.failing

    def take(self, batch: Batch) -> None:
        """Let the engine see readings (lifts as fleet slots) and record what comes of them."""
        self._note(self._engine.take(batch))
        self.record()

    def advance(self) -> None:
        """Let time pass: delays run out, silence is noticed, held alarms are released, resets are heard."""
        now = self._clock.now()
        self._note(self._engine.advance(now - GRACE_US))
        for _ in range(len(self._others)):
            # Taken out last, so that at no moment it looks as if nothing waited.
            self._note([self._others[0]])
            self._others.popleft()
        for key, (until, transitions) in list(self._held.items()):
            if now >= until:
                del self._held[key]
                for transition in transitions:
                    self._wait(transition, order=True)
        self.record()
        self._let_desk_advance(now)
        self._hear_resets()

    def record(self, *, within_s: float = _RECORD_S) -> None:
        """Write what waits, emergencies first, a bounded number in one transaction; what fails waits on.

        A flood (a whole city falls silent) is written bit by bit, so that neither readings nor other writers wait
        for its end.
        """
        if len(self._waiting) > 1:
            # Stable: an alarm's raise stays before its return.
            self._waiting.sort(key=lambda one: -one.transition.priority)
        until = time.monotonic() + within_s
        while (self._waiting or self._gateways) and self._record_some() and time.monotonic() < until:
            pass

    def _record_some(self) -> bool:
        """Write the first of what waits; False = the records are not available now."""
        urgent = bool(self._waiting) and self._waiting[0].transition.priority is Priority.EMERGENCY
        if self._gateways and not urgent:
            return self._tell_gateways()
        some = self._waiting[: _EMERGENCIES_TOGETHER_MAX if urgent else _TOGETHER_MAX]
        try:
            self._write(some)
        except Unavailable as error:
            self._note_failure(error)
            return False
        except Exception:
            log.exception("%d alarm changes cannot be recorded together; trying one by one", len(some))
            return self._record_one_by_one(len(some))
        del self._waiting[: len(some)]
        self.failing = None
        return True

    def _write(self, waiting: Sequence[_Waiting]) -> None:
        transitions = [one.transition for one in waiting]
        to_order = {one.transition.key for one in waiting if one.order}
        with self._records.write() as tx:
            raised = self._alarms.take(tx, transitions)
            self._rescue.take(tx, [alarm for alarm in raised if alarm.key in to_order])
            for incident in self._alarms.mass_events:
                self._rescue.call_together(tx, incident)
            self._rescue.confirmed(tx, [t for t in transitions if t.change is Change.CONFIRMED])
            self._rescue.returned(tx, [t for t in transitions if t.change is Change.RETURNED])

    def _record_one_by_one(self, count: int) -> bool:
        """Let one change that the desks choke on cost the others nothing: it is set aside and shown, not repeated."""
        for _ in range(count):
            try:
                self._write(self._waiting[:1])
            except Unavailable as error:
                self._note_failure(error)
                return False
            except Exception as error:
                self.set_aside += 1
                self.failing = f"{self._waiting[0].transition.key} was not recorded: {type(error).__name__}: {error}"
                log.exception("NOT RECORDED: %s", self._waiting[0].transition)
            del self._waiting[0]
        return True

    def _note_failure(self, error: Unavailable) -> None:
        if self.failing is None:
            log.error("cannot record %d alarm changes yet, trying on: %s", len(self._waiting), error)
        self.failing = str(error)

    def recover(self, telemetry: Telemetry, state: Path) -> int:
        """Rebuild the engine from its saved state and the stored readings since; gives their number.

        Alarms that were recorded before are met again under their own keys and change nothing.
        """
        now = self._clock.now()
        start = self._restore(state, now)
        count = 0
        newest = 0
        for batch in telemetry.replay(start=start, end=now + _REPLAY_MARGIN_US):
            ours = self._fleet.in_slots(batch)
            ours = ours.take(ours.lift >= 0)
            count += len(ours)
            newest = max(newest, int(ours.at.max(initial=0)))
            self._note(self._engine.take(ours))
        self._note(self._engine.advance(newest))
        self.record(within_s=_RECOVER_S)
        self._return_forgotten(now)
        self._engine.resume(now)
        return count

    def _restore(self, state: Path, now: int) -> int:
        """Take the engine back to its saved state; gives from when stored readings must be replayed (µs)."""
        try:
            if state.exists():
                saved_at, self._feed_read, body = _unpack(state.read_bytes())
                self._engine.restore(body)
                return max(saved_at - _REPLAY_MARGIN_US, now - _REPLAY_MAX_US)
        except Invalid as error:
            # As after a change of the register or of the rules: what still holds is found again by the replay.
            log.warning("the saved engine state does not fit any more, replaying without it: %s", error)
        with self._records.read() as records:
            self._feed_read = records.feed_end()
        return now - _REPLAY_WITHOUT_STATE_US

    def _return_forgotten(self, now: int) -> None:
        """Return alarms on record that the engine does not hold, or they would stand for ever.

        There are such after the saved state was lost: their conditions ended before what was replayed.
        """
        held = self._engine.standing() | self._held.keys()
        judged = self._engine.rules
        forgotten: list[Alarm] = []
        with self._records.read() as records:
            after = ""
            while page := records.holding_alarms(after=after):
                forgotten += [alarm for alarm in page if alarm.rule in judged and alarm.live_key not in held]
                after = page[-1].key
        for alarm in forgotten:
            self._wait(
                Transition(
                    change=Change.RETURNED,
                    lift=alarm.lift,
                    rule=alarm.rule,
                    code=alarm.code,
                    priority=alarm.priority,
                    latching=alarm.latching,
                    onset=alarm.onset if alarm.latest_onset is None else alarm.latest_onset,
                    at=now,
                ),
                order=False,
            )
        self.record(within_s=_RECOVER_S)

    def save(self, state: Path) -> bool:
        """Save the engine's state so that a start needs to replay minutes only; False = not now.

        While something waits to be recorded the state is not saved: it would hold a raised alarm that no
        record knows, and nothing would raise it again.
        """
        if self._waiting or self._held or self._gateways or self._others:
            return False
        saved_file.save(state, _HEADER.pack(_MAGIC, self._clock.now(), self._feed_read), self._engine.save())
        return True

    def metrics(self) -> list[Metric]:
        """Give the engine's figures and what waits here."""
        return [
            *self._engine.metrics(),
            metric("liftwatch_alarm_changes_waiting", "gauge", "Alarm changes not yet recorded", len(self._waiting)),
            metric("liftwatch_alarm_changes_set_aside_total", "counter", "Changes never recorded", self.set_aside),
            metric("liftwatch_alarms_held", "gauge", "Late alarms waiting for the readings behind", len(self._held)),
        ]

    def also(self, transitions: Sequence[Transition]) -> None:
        """Record what another part found with the next changes; any thread may call."""
        self._others.extend(transitions)

    def has_recorded(self) -> bool:
        """Say whether all that was told by `also` is on record; any thread may ask."""
        return not (self._others or self._waiting or self._held)

    def on_gateway(self, name: str, online: bool, at: int) -> None:
        """Hear that a gateway has come or gone at a moment (µs); told to the desk with the next changes."""
        if name in self._fleet.gateway_number:
            self._gateways[name] = GatewayNews(name, online, at)

    def _tell_gateways(self) -> bool:
        """Tell the desk what was heard of gateways, before the alarms that follow from it; False = not now."""
        some = list(self._gateways.values())[:_GATEWAYS_TOGETHER_MAX]
        try:
            with self._records.write() as tx:
                self._alarms.hear_gateways(tx, some)
        except Unavailable as error:
            self._note_failure(error)
            return False
        for one in some:
            del self._gateways[one.gateway]
        return True

    def _let_desk_advance(self, now: int) -> None:
        """Let what ends by itself end: shelves, times out of service, suppressions, chatter."""
        if now - self._desk_at < _DESK_EVERY_US:
            return
        self._desk_at = now
        try:
            self._alarms.advance()
        except Unavailable as error:
            self._note_failure(error)

    def _find_silent_gateways(self, transitions: Sequence[Transition]) -> None:
        """See whether lifts that lost contact did so because nothing at all comes through their gateway.

        The broker may be gone, or the line to it, so that no last will tells of the gateway, and the gateway watch
        counts from the last that came of any lift: too late for the lift whose turn to report was due first.
        """
        silent = [t for t in transitions if t.rule == CONTACT_LOST and t.change is Change.RAISED]
        if not silent:
            return
        fleet, heard = self._fleet, self._engine.heard()
        newest = np.full(len(fleet.gateways), NEVER, np.int64)
        np.maximum.at(newest, fleet.gateway, heard)
        reporting = np.bincount(fleet.gateway[heard > NEVER], minlength=len(fleet.gateways))
        for transition in silent:
            number = int(fleet.gateway[fleet.slot(transition.lift)])
            name, since = fleet.gateways[number], int(newest[number])
            away = reporting[number] >= _GATEWAY_LIFTS_MIN and transition.at - since >= _GATEWAY_SILENT_US
            if away and self._silent_since.get(name) != since:
                self._silent_since[name] = since
                self._gateways[name] = GatewayNews(name, online=False, at=since, sure=True)

    def _note(self, transitions: Sequence[Transition]) -> None:
        self._find_silent_gateways(transitions)
        now = self._clock.now() if transitions else 0
        for transition in transitions:
            if transition.change is Change.RAISED and transition.at < now - _LATE_US:
                self._held[transition.key] = (now + _HOLD_US, [transition])
            elif transition.change is Change.CONFIRMED and transition.key in self._held:
                self._held[transition.key][1].append(transition)
            elif transition.change is Change.RETURNED and transition.key in self._held:
                # Over before anyone could have acted: both ends go on record, nobody is called out.
                for held in self._held.pop(transition.key)[1]:
                    self._wait(held, order=False)
                self._wait(transition, order=False)
            else:
                self._wait(transition, order=True)

    def _wait(self, transition: Transition, *, order: bool) -> None:
        assert len(self._waiting) < _WAITING_MAX, "records have been down for too long to go on in memory"
        self._waiting.append(_Waiting(transition, order))

    def _hear_resets(self) -> None:
        """Re-arm latched rules that a person has reset, wherever the API that heard it runs."""
        try:
            with self._records.read() as records:
                events = records.feed(after=self._feed_read)
        except Unavailable:
            return
        for event in events:
            if event.kind == "alarm.reset":
                # A lift or rule that is gone has nothing left to re-arm.
                with contextlib.suppress(NotFound):
                    self._engine.reset(event.lift, str(event.data["rule"]))
            self._feed_read = event.event_id


def _unpack(body: bytes) -> tuple[int, int, bytes]:
    if len(body) < _HEADER.size:
        raise Invalid("engine state", "the file is cut short")
    magic, saved_at, feed_read = _HEADER.unpack_from(body)
    if magic != _MAGIC:
        raise Invalid("engine state", "the file is not an engine state of this version")
    return saved_at, feed_read, body[_HEADER.size :]
