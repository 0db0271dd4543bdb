"""The alarm desk: records what the engine finds and what people do about it (ISA-18.2, IEC 62682)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from lift.alarm import Alarm, AlarmState, Change, Priority, Transition
from lift.errors import Conflict, Invalid, NotFound
from lift.ports import Reads, Records, Timepiece, Writes

SHELVE_MAX_MIN: Final = 480  # one shift of eight hours: the next shift decides for itself
NOTE_CHARACTERS_MAX: Final = 2000

_MINUTE_US: Final = 60_000_000


class AlarmDesk:
    """Keeps the city's alarms: each recorded once, each change and each action announced on the feed.

    Actions take `firm_id` to limit them to one firm's lifts: another firm's alarm is NotFound.
    """

    def __init__(self, records: Records, clock: Timepiece) -> None:
        self._records = records
        self._clock = clock

    def take(self, tx: Writes, transitions: Iterable[Transition]) -> list[Alarm]:
        """Record transitions in the caller's transaction; gives the alarms that are new, in order.

        Taking the same transitions again changes nothing. A return whose raise was never recorded is ignored.
        """
        raised: list[Alarm] = []
        for transition in transitions:
            if transition.change is Change.RETURNED:
                self._return(tx, transition)
                continue
            alarm = _alarm(transition)
            if tx.add_alarm(alarm):
                self._end_earlier(tx, alarm)
                self._announce(tx, "alarm.raised", alarm)
                raised.append(alarm)
        return raised

    def acknowledge(self, key: str, *, by: str, note: str = "", firm_id: str | None = None) -> Alarm:
        """Take note of an alarm; it stands until its condition returns. Raises Conflict naming who was first."""
        _check_note("note", note)
        with self._records.write() as tx:
            alarm = tx.alarm(key, firm_id=firm_id)
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
            if not _standing(alarm):
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

    def _return(self, tx: Writes, transition: Transition) -> None:
        try:
            alarm = tx.alarm(transition.key)
        except NotFound:
            return
        if alarm.returned_at is None:
            self._save(tx, "alarm.returned", replace(alarm, returned_at=transition.at))

    def _end_earlier(self, tx: Writes, alarm: Alarm) -> None:
        # A condition holds once at a time. An engine that lost its state may raise it anew without having
        # said that the earlier one ended, which would then stand for ever.
        for earlier in tx.open_alarms(alarm.lift, alarm.rule):
            if earlier.onset < alarm.onset:
                self._save(tx, "alarm.returned", replace(earlier, returned_at=alarm.onset))

    def _save(self, tx: Writes, kind: str, alarm: Alarm, **action: object) -> Alarm:
        tx.save_alarm(alarm)
        self._announce(tx, kind, alarm, **action)
        return alarm

    def _announce(self, tx: Writes, kind: str, alarm: Alarm, **action: object) -> None:
        now = self._clock.now()
        data = {**_facts(alarm, now), **action}
        tx.announce(kind=kind, at=now, lift=alarm.lift, firm_id=_firm_of(tx, alarm.lift), data=data)


def _alarm(transition: Transition) -> Alarm:
    return Alarm(
        key=transition.key,
        lift=transition.lift,
        rule=transition.rule,
        code=transition.code,
        priority=transition.priority,
        latching=transition.latching,
        onset=transition.onset,
        raised_at=transition.at,
    )


def _standing(alarm: Alarm) -> bool:
    return alarm.returned_at is None or (alarm.latching and alarm.reset_at is None)


def _facts(alarm: Alarm, now: int) -> dict[str, Any]:
    return {
        "key": alarm.key,
        "lift": alarm.lift,
        "rule": alarm.rule,
        "code": None if alarm.code is None else int(alarm.code),
        "priority": alarm.priority.name.lower(),
        "latching": alarm.latching,
        "onset": alarm.onset,
        "raised_at": alarm.raised_at,
        "returned_at": alarm.returned_at,
        "state": str(alarm.state(now)),
    }


def _firm_of(tx: Reads, lift: str) -> str:
    try:
        return tx.lift(lift).firm_id
    except NotFound:
        return ""  # an alarm is never lost for want of an entry in the register


def _check_note(field: str, text: str) -> None:
    if len(text) > NOTE_CHARACTERS_MAX:
        raise Invalid(field, f"{len(text)} characters is more than {NOTE_CHARACTERS_MAX}")
