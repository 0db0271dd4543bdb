"""Alarms: what the rules found and what people do about it, by ISA-18.2 (IEC 62682)."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field

from alarms.condition.features import RULES as MAINTENANCE
from api import sight
from api.guard import Guarded, SignedIn
from api.pages import Before, Limit, OfLift, next_page
from api.parts import With
from api.shapes import NO_NUL, Body, Key, Moment, Note, Shape
from lift.alarm import Alarm, AlarmState, Priority
from lift.alarm_ports import AlarmFilter
from lift.codes import NAMES, label
from lift.repair import Repair

router = APIRouter(prefix="/v1/alarms", tags=["alarms"], route_class=Guarded)

PriorityName = Literal["low", "medium", "high", "emergency"]

_KEY_EXAMPLE = "063577:entrapment_between_landings:1795420800000000"

AlarmKey = Annotated[Key, Path(description="The alarm's key", examples=[_KEY_EXAMPLE])]


class AlarmOut(Shape):
    """An alarm with its state of this moment; `code` is null where no GB/T 24476 code fits.

    `en` and `zh` name the code, or what the condition monitor found; null where there is neither.
    """

    key: Annotated[str, Field(examples=[_KEY_EXAMPLE])]
    lift: Annotated[str, Field(examples=["063577"])]
    rule: Annotated[str, Field(examples=["entrapment_between_landings"])]
    code: Annotated[str | None, Field(examples=["11"])]
    en: Annotated[str | None, Field(examples=["Entrapment"])]
    zh: Annotated[str | None, Field(examples=["困人"])]
    priority: Annotated[str, Field(examples=["emergency"], description="journal, low, medium, high or emergency")]
    state: AlarmState = Field(examples=["unacknowledged"])
    latching: Annotated[bool, Field(examples=[False])]
    onset: Moment
    raised_at: Moment
    returned_at: Annotated[Moment | None, Field(examples=[None])]
    acknowledged_at: Annotated[Moment | None, Field(examples=[None])]
    acknowledged_by: Annotated[str | None, Field(examples=[None])]
    reset_at: Annotated[Moment | None, Field(examples=[None])]
    shelved_until: Annotated[Moment | None, Field(examples=[None])]
    ticket_id: Annotated[str | None, Field(examples=["20261123-0007"])]
    confirmed_at: Annotated[Moment | None, Field(examples=[None], description="When a second sign joined the first")]
    confidence: Annotated[float, Field(examples=[0.7], description="How far to believe it, 0 to 1")]
    evidence: Annotated[list[str], Field(examples=[["no_motion", "passenger"]])]
    shown_at: Annotated[Moment | None, Field(examples=[None], description="When people first saw it")]
    incident: Annotated[str, Field(examples=[""], description="Key of the incident it belongs to")]
    suppressed_by: Annotated[str, Field(examples=[""], description="Key of the alarm or incident that explains it")]
    out_of_service_until: Annotated[Moment | None, Field(examples=[None])]
    first_out: Annotated[bool, Field(examples=[False], description="First of a burst of the lift's alarms")]
    chattering: Annotated[bool, Field(examples=[False])]
    repeats: Annotated[int, Field(examples=[0], description="How often its condition came back while it chattered")]

    @classmethod
    def of(cls, alarm: Alarm, now: int) -> AlarmOut:
        """Shape an alarm as it stands at `now`, in µs since 1970 UTC."""
        en, zh = _names(alarm)
        return cls(
            key=alarm.key,
            lift=alarm.lift,
            rule=alarm.rule,
            code=None if alarm.code is None else label(alarm.code),
            en=en,
            zh=zh,
            priority=alarm.priority.name.lower(),
            state=alarm.state(now),
            latching=alarm.latching,
            onset=alarm.onset,
            raised_at=alarm.raised_at,
            returned_at=alarm.returned_at,
            acknowledged_at=alarm.acknowledged_at,
            acknowledged_by=alarm.acknowledged_by,
            reset_at=alarm.reset_at,
            shelved_until=alarm.shelved_until,
            ticket_id=alarm.ticket_id,
            confirmed_at=alarm.confirmed_at,
            confidence=alarm.confidence,
            evidence=list(alarm.evidence),
            shown_at=alarm.shown_at,
            incident=alarm.incident,
            suppressed_by=alarm.suppressed_by,
            out_of_service_until=alarm.out_of_service_until,
            first_out=alarm.first_out,
            chattering=alarm.chattering_since is not None,
            repeats=alarm.repeats,
        )


def _names(alarm: Alarm) -> tuple[str | None, str | None]:
    if alarm.code is not None:
        return NAMES[alarm.code]
    rule = MAINTENANCE.get(alarm.rule)
    return (None, None) if rule is None else (rule.en, rule.zh)


class Alarms(Shape):
    """A page of alarms, newest first; `next` is the next page's `before`, null on the last."""

    alarms: list[AlarmOut]
    next: Moment | None


class Acknowledge(Body):
    """What was seen to; the note is kept with who and when."""

    note: Annotated[Note, Field(examples=["Calling the passenger now"])] = ""


class Shelve(Body):
    """For how long, at most a shift, and why."""

    minutes: Annotated[int, Field(ge=1, le=480, examples=[60])]
    reason: Annotated[Note, Field(min_length=1, examples=["Door sensor is being replaced"])]


class Repaired(Body):
    """What was replaced or adjusted."""

    reason: Annotated[Note, Field(min_length=1, examples=["Door belt replaced"])]


class RepairOut(Shape):
    """A repair as recorded; baselines of its features begin anew with the day after it."""

    number: Annotated[int, Field(examples=[17])]
    alarm: Annotated[str, Field(examples=["063577:door_closing_slower:1795420800000000"])]
    lift: Annotated[str, Field(examples=["063577"])]
    rule: Annotated[str, Field(examples=["door_closing_slower"])]
    evidence: Annotated[list[str], Field(examples=[["door closing time"]])]
    at: Moment
    by: Annotated[str, Field(examples=["east"])]
    reason: Annotated[str, Field(examples=["Door belt replaced"])]

    @classmethod
    def of(cls, repair: Repair) -> RepairOut:
        """Shape a repair."""
        return cls(
            number=repair.number,
            alarm=repair.alarm,
            lift=repair.lift,
            rule=repair.rule,
            evidence=list(repair.evidence),
            at=repair.at,
            by=repair.by,
            reason=repair.reason,
        )


class Reset(Body):
    """What was mended."""

    note: Annotated[Note, Field(examples=["Brake adjusted and tested"])] = ""


# Who has nothing to say need not send a body.
_NO_NOTE = Acknowledge()
_NO_MENDING = Reset()


@router.get("")
def alarms(
    parts: With,
    who: SignedIn,
    *,
    lift: OfLift = "",
    standing: Annotated[bool | None, Query(description="Only those whose condition holds, or is latched")] = None,
    chattering: Annotated[bool | None, Query(description="Only those that come and go")] = None,
    stale: Annotated[bool, Query(description="Only those that have been standing for 24 h")] = False,
    incident: Annotated[str, Query(max_length=128, pattern=NO_NUL, description="Only those inside this one")] = "",
    journal: Annotated[
        bool, Query(description="Also the lines of lifts' journals, which ask nobody to act: service modes, held doors")
    ] = False,
    priority: Annotated[PriorityName | None, Query(description="Only of this priority")] = None,
    before: Before = None,
    limit: Limit = 50,
) -> Alarms:
    """List alarms, newest first."""
    now = parts.clock.now()
    which = AlarmFilter(
        lift=lift,
        standing=standing,
        chattering=chattering,
        stale_at=now if stale else None,
        incident=incident,
        journal=journal,
        priority=None if priority is None else Priority[priority.upper()],
    )
    with parts.records.read() as tx:
        found = tx.alarms(which=which, firm_id=who.firm_id, before=before, most=limit)
    return Alarms(
        alarms=[AlarmOut.of(entry, now) for entry in found],
        next=next_page(found, limit, lambda entry: entry.raised_at),
    )


@router.get("/{key}")
def alarm(key: AlarmKey, parts: With, who: SignedIn) -> AlarmOut:
    """Show one alarm."""
    with parts.records.read() as tx:
        return AlarmOut.of(sight.alarm(tx, who, key), parts.clock.now())


@router.post("/{key}/acknowledge")
def acknowledge_alarm(key: AlarmKey, parts: With, who: SignedIn, body: Acknowledge = _NO_NOTE) -> AlarmOut:
    """Take note of an alarm; it stands until its condition returns."""
    done = parts.alarms.acknowledge(key, by=who.name, note=body.note, firm_id=who.firm_id)
    return AlarmOut.of(done, parts.clock.now())


@router.post("/{key}/shelve")
def shelve_alarm(key: AlarmKey, body: Shelve, parts: With, who: SignedIn) -> AlarmOut:
    """Put an alarm out of sight for up to a shift; never an emergency."""
    done = parts.alarms.shelve(key, by=who.name, minutes=body.minutes, reason=body.reason, firm_id=who.firm_id)
    return AlarmOut.of(done, parts.clock.now())


@router.post("/{key}/unshelve")
def unshelve_alarm(key: AlarmKey, parts: With, who: SignedIn) -> AlarmOut:
    """Bring a shelved alarm back into sight."""
    return AlarmOut.of(parts.alarms.unshelve(key, by=who.name, firm_id=who.firm_id), parts.clock.now())


@router.post("/{key}/repaired")
def repaired_alarm(key: AlarmKey, body: Repaired, parts: With, who: SignedIn) -> RepairOut:
    """Report that what a maintenance alarm found has been mended, so that its baseline begins anew."""
    return RepairOut.of(parts.alarms.repaired(key, by=who.name, reason=body.reason, firm_id=who.firm_id))


@router.post("/{key}/reset")
def reset_alarm(key: AlarmKey, parts: With, who: SignedIn, body: Reset = _NO_MENDING) -> AlarmOut:
    """Release a latched alarm whose condition has returned, so that it may be raised anew."""
    done = parts.alarms.reset(key, by=who.name, note=body.note, firm_id=who.firm_id)
    return AlarmOut.of(done, parts.clock.now())
