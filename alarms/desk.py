"""The alarm desk: records what the engine finds and what people do about it (ISA-18.2, IEC 62682)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from alarms import rules
from alarms.condition.features import RULES as MAINTENANCE
from alarms.recording import Recorder
from alarms.standing import GatewayNews, Grouping
from alarms.telling import alarm_facts, incident_facts
from lift.alarm import Alarm, AlarmState, OutOfService, Priority, Transition
from lift.alarm_ports import Announcement
from lift.errors import Conflict, Invalid, NotFound
from lift.incident import Incident
from lift.ports import Reads, Records, Timepiece, Writes
from lift.repair import Repair

SHELVE_MAX_MIN: Final = 480  # one shift of eight hours: the next shift decides for itself
OUT_OF_SERVICE_MAX_MIN: Final = 30 * 24 * 60  # a month: whoever needs longer looks at it again
NOTE_CHARACTERS_MAX: Final = 2000

_MINUTE_US: Final = 60_000_000
_ALARMS_OF_A_LIFT_MAX: Final = 1000


class AlarmDesk:
    """Keeps the city's alarms: each recorded once, each change and each action announced on the feed.

    Actions take `firm_id` to limit them to one firm's lifts: another firm's alarm is NotFound. Only one desk at a
    time may `take`, `hear_gateways` and `advance`; any number may act for people.
    """

    def __init__(self, records: Records, clock: Timepiece, grouping: Grouping | None = None) -> None:
        """Take the records and what makes alarms one matter."""
        self._records = records
        self._clock = clock
        self._recorder = Recorder(clock, grouping or Grouping())

    # ------------------------------------------------------------------------------- what is found

    def take(self, tx: Writes, transitions: Iterable[Transition]) -> list[Alarm]:
        """Record transitions in the caller's transaction; gives the alarms that are new, in order.

        Taking the same transitions again changes nothing. A return or a confirmation whose raise was never recorded
        is ignored.
        """
        return self._recorder.take(tx, transitions)

    @property
    def mass_events(self) -> tuple[str, ...]:
        """Give the incidents that the last `take` has made mass events."""
        return self._recorder.mass_events

    def hear_gateways(self, tx: Writes, news: Iterable[GatewayNews]) -> None:
        """Hear in the caller's transaction which gateways are there or away."""
        self._recorder.hear_gateways(tx, news)

    def advance(self) -> None:
        """Let time pass: shelves, times out of service and suppressions end, and chatter that is quiet returns."""
        with self._records.read() as reads:
            due = self._recorder.has_due(reads)
        if due:
            with self._records.write() as tx:
                self._recorder.advance(tx)

    # -------------------------------------------------------------------------------- what people do

    def acknowledge(self, key: str, *, by: str, note: str = "", firm_id: str | None = None) -> Alarm:
        """Take note of an alarm; it stands until its condition returns. Raises Conflict naming who was first."""
        _check_note("note", note)
        with self._records.write() as tx:
            alarm = tx.alarm(key, firm_id=firm_id)
            _check_shown(alarm)
            if alarm.acknowledged_at is not None:
                raise Conflict(f"alarm {key} was acknowledged already, by {alarm.acknowledged_by}")
            alarm = replace(alarm, acknowledged_at=self._clock.now(), acknowledged_by=by)
            return self._save(tx, "alarm.acknowledged", alarm, by=by, note=note)

    def shelve(self, key: str, *, by: str, minutes: int, reason: str, firm_id: str | None = None) -> Alarm:
        """Put a standing alarm out of sight for up to one shift; never an EMERGENCY."""
        if not 1 <= minutes <= SHELVE_MAX_MIN:
            raise Invalid("minutes", f"{minutes} is not within 1 to {SHELVE_MAX_MIN}, one shift")
        if not reason.strip():
            raise Invalid("reason", "say why the alarm may be out of sight")
        _check_note("reason", reason)
        with self._records.write() as tx:
            alarm = tx.alarm(key, firm_id=firm_id)
            if alarm.priority is Priority.EMERGENCY:
                raise Conflict(f"alarm {key} is an emergency: people may be in danger, so it cannot be shelved")
            _check_shown(alarm)
            if not alarm.standing:
                raise Conflict(f"alarm {key} has already cleared: there is nothing to shelve")
            alarm = replace(alarm, shelved_until=self._clock.now() + minutes * _MINUTE_US)
            return self._save(tx, "alarm.shelved", alarm, by=by, minutes=minutes, reason=reason)

    def unshelve(self, key: str, *, by: str, firm_id: str | None = None) -> Alarm:
        """Bring a shelved alarm back into sight; raises Conflict when it is not shelved."""
        with self._records.write() as tx:
            alarm = tx.alarm(key, firm_id=firm_id)
            if alarm.state(self._clock.now()) is not AlarmState.SHELVED:
                raise Conflict(f"alarm {key} is not shelved")
            return self._save(tx, "alarm.unshelved", replace(alarm, shelved_until=None), by=by)

    def reset(self, key: str, *, by: str, note: str = "", firm_id: str | None = None) -> Alarm:
        """Release a latched alarm whose condition has returned; the engine may then raise it anew."""
        _check_note("note", note)
        with self._records.write() as tx:
            alarm = tx.alarm(key, firm_id=firm_id)
            if not alarm.latching:
                raise Conflict(f"alarm {key} does not latch: it ends by itself")
            if alarm.returned_at is None:
                raise Conflict(f"the condition of alarm {key} still holds: it can be reset once it has returned")
            if alarm.reset_at is not None:
                raise Conflict(f"alarm {key} was reset already")
            alarm = replace(alarm, reset_at=self._clock.now())
            return self._save(tx, "alarm.reset", alarm, by=by, note=note)

    def repaired(self, key: str, *, by: str, reason: str, firm_id: str | None = None) -> Repair:
        """Hear that what a maintenance alarm found has been mended: its baseline begins anew with the next day.

        Raises Conflict for an alarm that is no finding of the condition monitor, or was reported as repaired before.
        """
        if not reason.strip():
            raise Invalid("reason", "say what was replaced or adjusted")
        _check_note("reason", reason)
        with self._records.write() as tx:
            alarm = tx.alarm(key, firm_id=firm_id)
            if alarm.rule not in MAINTENANCE:
                raise Conflict(
                    f"alarm {key} is no finding of the condition monitor: it has no baseline that could begin anew"
                )
            repair = Repair(
                number=0,
                alarm=key,
                lift=alarm.lift,
                rule=alarm.rule,
                onset=alarm.onset if alarm.latest_onset is None else alarm.latest_onset,
                evidence=alarm.evidence,
                at=self._clock.now(),
                by=by,
                reason=reason,
            )
            repair = tx.add_repair(repair)
            self._save(tx, "alarm.repaired", alarm, by=by, reason=reason)
            return repair

    def take_out_of_service(
        self, lift: str, *, rule: str = "", by: str, minutes: int, reason: str, firm_id: str | None = None
    ) -> OutOfService:
        """Take a lift's alarms, or those of one rule, out of service for up to a month.

        Emergencies are raised as ever, since someone may be in the car all the same. Raises Conflict for a rule that
        finds them.
        """
        if not 1 <= minutes <= OUT_OF_SERVICE_MAX_MIN:
            raise Invalid("minutes", f"{minutes} is not within 1 to {OUT_OF_SERVICE_MAX_MIN}, thirty days")
        if not reason.strip():
            raise Invalid("reason", "say why the alarms are out of service")
        _check_note("reason", reason)
        now = self._clock.now()
        with self._records.write() as tx:
            code = tx.lift(lift, firm_id=firm_id).rescue_code
            _check_rule(tx, code, rule)
            entry = tx.add_out_of_service(
                OutOfService(
                    number=0, lift=code, rule=rule, since=now, until=now + minutes * _MINUTE_US, by=by, reason=reason
                )
            )
            self._announce_lift(tx, "lift.out_of_service", entry, by=by, reason=reason)
            self._apply(tx, code, by=by)
            return entry

    def return_to_service(self, number: int, *, by: str, firm_id: str | None = None) -> OutOfService:
        """End a time out of service now; raises Conflict when it is over already."""
        now = self._clock.now()
        with self._records.write() as tx:
            entry = tx.out_of_service_item(number, firm_id=firm_id)
            if entry.ended_at is not None or entry.until <= now:
                raise Conflict(f"entry {number} is over already: lift {entry.lift} is back in service")
            entry = replace(entry, ended_at=now, ended_by=by)
            tx.save_out_of_service(entry)
            self._announce_lift(tx, "lift.in_service", entry, by=by)
            self._apply(tx, entry.lift, by=by)
            return entry

    def acknowledge_incident(self, key: str, *, by: str, note: str = "") -> Incident:
        """Take note of an incident; its alarms are acknowledged one by one where they are in sight."""
        _check_note("note", note)
        now = self._clock.now()
        with self._records.write() as tx:
            incident = tx.incident(key)
            if incident.acknowledged_at is not None:
                raise Conflict(f"incident {key} was acknowledged already, by {incident.acknowledged_by}")
            incident = replace(incident, acknowledged_at=now, acknowledged_by=by)
            tx.save_incident(incident)
            facts = {**incident_facts(incident), "acknowledged_at": now, "by": by, "note": note}
            tx.announce_all([Announcement("incident.acknowledged", now, "", "", facts)])
            return incident

    # ------------------------------------------------------------------------------------- helpers

    def _apply(self, tx: Writes, lift: str, *, by: str) -> None:
        """Bring a lift's standing alarms in line with what of it is out of service now."""
        now = self._clock.now()
        entries = tx.out_of_service(at=now, lift=lift)
        for alarm in tx.alarms(lift=lift, standing=True, most=_ALARMS_OF_A_LIFT_MAX):
            if alarm.priority in {Priority.EMERGENCY, Priority.JOURNAL}:
                continue
            until = max((entry.until for entry in entries if entry.covers(alarm.rule, now)), default=None)
            if until == alarm.out_of_service_until:
                continue
            changed = replace(alarm, out_of_service_until=until)
            if changed.shown_at is None and changed.hidden(now) is None:
                changed = replace(changed, shown_at=now)
            self._save(tx, "alarm.in_service" if until is None else "alarm.out_of_service", changed, by=by)

    def _announce_lift(self, tx: Writes, kind: str, entry: OutOfService, **action: object) -> None:
        now = self._clock.now()
        data = {"number": entry.number, "rule": entry.rule, "until": entry.until, **action}
        tx.announce(kind=kind, at=now, lift=entry.lift, firm_id=_firm_of(tx, entry.lift), data=data)

    def _save(self, tx: Writes, kind: str, alarm: Alarm, **action: object) -> Alarm:
        tx.save_alarm(alarm)
        now = self._clock.now()
        data: dict[str, Any] = {**alarm_facts(alarm, now), **action}
        tx.announce(kind=kind, at=now, lift=alarm.lift, firm_id=_firm_of(tx, alarm.lift), data=data)
        return alarm


def _check_rule(reads: Reads, lift: str, rule: str) -> None:
    if not rule:
        return
    known = rules.load()
    seen = {alarm.rule: alarm.priority for alarm in reads.alarms(lift=lift, most=_ALARMS_OF_A_LIFT_MAX)}
    if rule not in known and rule not in seen:
        raise Invalid("rule", f"{rule[:60]!r} is no rule; rules are {', '.join(known)}")
    priority = known[rule].priority if rule in known else seen[rule]
    if priority is Priority.EMERGENCY:
        raise Conflict(f"rule {rule} finds people in danger: it cannot be taken out of service")


def _check_shown(alarm: Alarm) -> None:
    if alarm.priority is Priority.JOURNAL:
        raise Conflict(f"{alarm.key} is a line of the lift's journal: it asks nobody to act")


def _firm_of(tx: Reads, lift: str) -> str:
    try:
        return tx.lift(lift).firm_id
    except NotFound:
        return ""  # an alarm is never lost for want of an entry in the register


def _check_note(field: str, text: str) -> None:
    if len(text) > NOTE_CHARACTERS_MAX:
        raise Invalid(field, f"{len(text)} characters is more than {NOTE_CHARACTERS_MAX}")
