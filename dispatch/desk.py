"""The rescue desk: alarms and calls become tickets, people move them, clocks push them on."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from dispatch import callouts, clocks, moves, parties, rescue
from dispatch.actor import Actor, check_desk, check_move_allowed, party_of
from dispatch.log import write_down
from dispatch.policy import Policy
from lift.alarm import Alarm, Change, Priority, Transition
from lift.codes import NAMES
from lift.errors import Invalid, LiftError, NotFound, Unavailable
from lift.ports import Reads, Records, Timepiece, Writes
from lift.ticket import FINAL, Callout, Stage, Ticket

__all__ = ["Actor", "RescueDesk"]

TEXT_CHARACTERS_MAX: Final = 2000  # of a note, a reason or a summary: a page

_CLOCKS_A_TICK: Final = 1000
_UNAVAILABLE_MAX: Final = 3  # after so many the records are down, not one ticket broken
_FAILURE_TOLD_EVERY_US: Final = 60_000_000
_FAILURES_MAX: Final = 1000
_log = logging.getLogger(__name__)


class RescueDesk:
    """Opens, moves and watches the tickets of a city. It keeps nothing itself: two desks on the same records agree.

    One rescue a lift: whatever repeats joins the ticket under way. Times are the clock's, in µs since 1970 UTC,
    and never run backwards within a ticket.
    """

    def __init__(self, records: Records, clock: Timepiece, policy: Policy) -> None:
        self._records = records
        self._clock = clock
        self._policy = policy
        self._failed_at: dict[str, int] = {}

    def take(self, tx: Writes, alarms: Sequence[Alarm]) -> None:
        """Turn new emergencies into tickets in the caller's transaction: join a rescue under way, or open and order.

        Alarms of other priorities are passed over. Give each alarm once, as the alarm desk returned it.
        """
        for alarm in alarms:
            if alarm.priority is not Priority.EMERGENCY:
                continue
            facts = {
                "alarm": alarm.key,
                "rule": alarm.rule,
                "onset": alarm.onset,
                "summary": _what(alarm),
                "confidence": alarm.confidence,
                "evidence": list(alarm.evidence),
                **({"incident": alarm.incident} if alarm.incident else {}),
            }
            ticket = tx.rescue_of(alarm.lift)
            if ticket is None:
                ticket = self._open(
                    tx,
                    lift=alarm.lift,
                    source="alarm",
                    since=alarm.onset,
                    by=callouts.PLATFORM,
                    facts=facts,
                    confidence=alarm.confidence,
                )
            else:
                ticket = replace(ticket, confidence=max(ticket.confidence, alarm.confidence))
                ticket = self._join(tx, ticket, "alarm_joined", by=callouts.PLATFORM, facts=facts)
            tx.save_alarm(replace(alarm, ticket_id=ticket.ticket_id))
            self._join_mass_event(tx, alarm)

    def confirmed(self, tx: Writes, transitions: Sequence[Transition]) -> None:
        """Write on its ticket, once, that a second sign speaks for an alarm, and how sure it is now."""
        for transition in transitions:
            if transition.change is not Change.CONFIRMED:
                continue
            ticket = _ticket_of(tx, transition.key)
            if ticket is None or _is_told(tx, ticket, "confirmed", transition.key) or ticket.stage in FINAL:
                continue
            facts = {
                "alarm": transition.key,
                "rule": transition.rule,
                "at": transition.at,
                "confidence": transition.confidence,
                "evidence": list(transition.evidence),
            }
            ticket = replace(ticket, confidence=max(ticket.confidence, transition.confidence))
            self._join(tx, ticket, "confirmed", by=callouts.PLATFORM, facts=facts)

    def _join_mass_event(self, tx: Writes, alarm: Alarm) -> None:
        if alarm.incident and tx.incident(alarm.incident).mass_event_at is not None:
            self.call_together(tx, alarm.incident)

    def call_together(self, tx: Writes, incident: str) -> None:
        """In a mass event, call for every rescue of the incident as many levels at once as the city wants."""
        level = min(self._policy.mass_event_levels, len(self._policy.levels))
        for found in tx.tickets_of(incident):
            ticket = tx.ticket(found.ticket_id)
            while ticket.stage is Stage.DISPATCHED and ticket.level < level:
                ticket = callouts.order(tx, self._policy, ticket, now=self._now(ticket))

    def returned(self, tx: Writes, transitions: Sequence[Transition]) -> None:
        """Write on its ticket, once, that an alarm's condition has returned; a person decides what that means."""
        for transition in transitions:
            # Only emergencies have tickets, and a flood of others is not to be asked about one by one.
            if transition.change is not Change.RETURNED or transition.priority is not Priority.EMERGENCY:
                continue
            ticket = _ticket_of(tx, transition.key)
            if ticket is None or ticket.stage in FINAL:
                continue
            if not _is_told(tx, ticket, "condition_returned", transition.key):
                facts = {"alarm": transition.key, "rule": transition.rule, "at": transition.at}
                self._join(tx, ticket, "condition_returned", by=callouts.PLATFORM, facts=facts)

    def report_call(self, lift_code: str, *, by: Actor, summary: str) -> Ticket:
        """Take a phone call about a lift, by rescue or registration code: join the rescue under way, or open one."""
        check_desk(by, "reporting a call")
        if not summary.strip():
            raise Invalid("summary", "say what the caller reports")
        _check_text("summary", summary)
        with self._records.write() as tx:
            lift = tx.lift(lift_code).rescue_code
            facts = {"summary": summary}
            ticket = tx.rescue_of(lift)
            if ticket is not None:
                # Whoever calls is surer than any sign.
                return self._join(tx, replace(ticket, confidence=1.0), "call_joined", by=by.name, facts=facts)
            since = self._clock.now()
            return self._open(tx, lift=lift, source="call", since=since, by=by.name, facts=facts)

    def move(
        self,
        ticket_id: str,
        to: Stage,
        *,
        by: Actor,
        note: str = "",
        device_at: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Ticket:
        """Move a ticket to a stage. Raises Conflict saying what is allowed from here, NotFound for another's ticket.

        `details` must have `cause` for cause_filed and `into` for merged; `device_at` is the phone's own time (µs).
        """
        check_move_allowed(by, to)
        _check_text("note", note)
        with self._records.write() as tx:
            party = party_of(tx, by)
            ticket, now = self._settled(tx, tx.ticket(ticket_id, firm_id=party))
            wish = moves.Move(to=to, by=by.name, party=party, note=note, device_at=device_at, details=details or {})
            return moves.move(tx, self._policy, ticket, wish, now=now)

    def answer(self, callout_id: str, *, accept: bool, by: Actor, reason: str = "") -> Callout:
        """Answer a call-out. Refusing needs a reason and calls the next level at once; accepting twice is refused."""
        if not accept and not reason.strip():
            raise Invalid("reason", "say why the call-out is refused")
        _check_text("reason", reason)
        with self._records.write() as tx:
            party = party_of(tx, by)
            callout = tx.callout(callout_id, firm_id=party)
            if party not in {None, callout.party_id}:
                raise NotFound(f"there is no call-out {callout_id!r} of yours")
            ticket, now = self._settled(tx, tx.ticket(callout.ticket_id))
            callout = tx.callout(callout_id)  # its time may just have run out
            if accept:
                details = {"note": reason} if reason else None
                callouts.accept(tx, self._policy, ticket, callout, now=now, by=by.name, details=details)
            else:
                callouts.refuse(tx, self._policy, ticket, callout, now=now, by=by.name, reason=reason)
            return tx.callout(callout_id)

    def tick(self) -> int:
        """Act on every clock that has run out, each ticket by itself; gives the number of breaches marked.

        A ticket that fails is announced and tried again at the next tick; the others go on. Raises Unavailable
        when the records do not answer.
        """
        with self._records.read() as reads:
            due = reads.due_clocks(self._clock.now(), most=_CLOCKS_A_TICK)
        breaches = unavailable = 0
        for ticket_id in dict.fromkeys(ticket_id for ticket_id, _ in due):
            try:
                with self._records.write() as tx:
                    ticket = tx.ticket(ticket_id)
                    breaches += clocks.settle(tx, self._policy, ticket, now=self._now(ticket))[1]
            except Exception as error:
                unavailable += isinstance(error, Unavailable)
                if unavailable >= _UNAVAILABLE_MAX:
                    raise
                _log.exception("ticket %s: its clocks could not be handled", ticket_id)
                self._announce_failure(ticket_id, error)
        return breaches

    def verify(self, ticket_id: str) -> None:
        """Check a ticket's log against its chain of hashes; raises Conflict naming the first event that is wrong."""
        with self._records.read() as reads:
            reads.ticket(ticket_id)
            rescue.check_log(ticket_id, reads.ticket_events(ticket_id))

    def _open(
        self,
        tx: Writes,
        *,
        lift: str,
        source: str,
        since: int,
        by: str,
        facts: Mapping[str, Any],
        confidence: float = 1.0,
    ) -> Ticket:
        now = self._clock.now()
        day = parties.local_day(self._policy, now)
        ticket = rescue.opened(
            self._policy,
            ticket_id=f"{day}-{tx.next_ticket_number(day):04d}",
            lift=lift,
            firm_id=_firm_of(tx, lift),
            source=source,
            summary=str(facts["summary"]),
            since=since,
            now=now,
        )
        ticket = replace(ticket, confidence=confidence)
        tx.add_ticket(ticket)
        write_down(tx, ticket, "received", at=now, by=by, details={"source": source, **facts})
        return callouts.order(tx, self._policy, ticket, now=now, by=by)

    def _join(self, tx: Writes, ticket: Ticket, kind: str, *, by: str, facts: Mapping[str, Any]) -> Ticket:
        ticket = replace(ticket, updated_at=self._now(ticket))
        tx.save_ticket(ticket)
        write_down(tx, ticket, kind, at=ticket.updated_at, by=by, details=facts)
        return ticket

    def _settled(self, tx: Writes, ticket: Ticket) -> tuple[Ticket, int]:
        now = self._now(ticket)
        return clocks.settle(tx, self._policy, ticket, now=now)[0], now

    def _now(self, ticket: Ticket) -> int:
        # The machine's clock may be set back; a ticket's log stays in order all the same.
        return max(self._clock.now(), ticket.updated_at)

    def _announce_failure(self, ticket_id: str, error: Exception) -> None:
        now = self._clock.now()
        if now - self._failed_at.get(ticket_id, -_FAILURE_TOLD_EVERY_US) < _FAILURE_TOLD_EVERY_US:
            return
        if len(self._failed_at) >= _FAILURES_MAX:
            self._failed_at.clear()
        self._failed_at[ticket_id] = now
        data = {"ticket_id": ticket_id, "error": f"{type(error).__name__}: {error}"[:TEXT_CHARACTERS_MAX]}
        try:
            with self._records.write() as tx:
                tx.announce(kind="ticket.failed", at=now, lift="", firm_id="", data=data)
        except LiftError:
            _log.exception("ticket %s: its failure could not be announced", ticket_id)


def _what(alarm: Alarm) -> str:
    rule = alarm.rule.replace("_", " ")
    if alarm.confidence < 1 and alarm.confirmed_at is None:
        rule = f"{rule}, suspected 疑似, {alarm.confidence:.0%}"
    if alarm.code is None:
        return rule
    english, chinese = NAMES[alarm.code]
    return f"{english} {chinese} ({rule})"


def _ticket_of(reads: Reads, alarm: str) -> Ticket | None:
    try:
        return reads.ticket(reads.alarm(alarm).ticket_id or "")
    except NotFound:
        return None


def _is_told(reads: Reads, ticket: Ticket, kind: str, alarm: str) -> bool:
    log = reads.ticket_events(ticket.ticket_id)
    return any(event.kind == kind and event.details.get("alarm") == alarm for event in log)


def _firm_of(tx: Writes, lift: str) -> str:
    try:
        return tx.lift(lift).firm_id
    except NotFound:
        return ""  # nobody waits in a lift for the register to be mended


def _check_text(field: str, text: str) -> None:
    if len(text) > TEXT_CHARACTERS_MAX:
        raise Invalid(field, f"{len(text)} characters is more than {TEXT_CHARACTERS_MAX}")
