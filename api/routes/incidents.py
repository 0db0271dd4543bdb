"""Incidents: alarms that are one matter, such as an area's power cut or a dead gateway."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from api.guard import Guarded, Person, SignedIn
from api.pages import Before, Limit, next_page
from api.parts import With
from api.routes.alarms import AlarmOut
from api.routes.tickets import TicketOut
from api.shapes import Body, Key, Moment, Note, Shape
from lift.alarm_ports import AlarmFilter
from lift.incident import INCIDENT_NAMES, Incident, IncidentKind, IncidentLift
from lift.ports import Reads

router = APIRouter(prefix="/v1/incidents", tags=["incidents"], route_class=Guarded)

_KEY_EXAMPLE = "power_cut:6246-24294:1795420800000000"
_ALARMS_MAX = 200

IncidentKey = Annotated[Key, Path(description="The incident's key", examples=[_KEY_EXAMPLE])]


class IncidentOut(Shape):
    """An incident as it stands; for a firm the counts are those of its own lifts."""

    key: Annotated[str, Field(examples=[_KEY_EXAMPLE])]
    kind: IncidentKind = Field(examples=["power_cut"])
    en: Annotated[str, Field(examples=["Area power cut"])]
    zh: Annotated[str, Field(examples=["区域停电"])]
    anchor: Annotated[str, Field(examples=["6246-24294"], description="Neighbourhood, gateway or lift")]
    onset: Moment
    opened_at: Moment
    closed_at: Annotated[Moment | None, Field(examples=[None])]
    merged_into: Annotated[str, Field(examples=[""], description="The incident that this was a part of")]
    lifts: Annotated[int, Field(examples=[40], description="Ever inside")]
    lifts_inside: Annotated[int, Field(examples=[38], description="Inside now")]
    rescues: Annotated[int, Field(examples=[3], description="Lifts with an emergency")]
    mass_event_at: Annotated[Moment | None, Field(examples=[None], description="Since when levels are sent together")]
    acknowledged_at: Annotated[Moment | None, Field(examples=[None])]
    acknowledged_by: Annotated[str | None, Field(examples=[None])]

    @classmethod
    def of(cls, incident: Incident, lifts: list[IncidentLift], rescues: int) -> IncidentOut:
        """Shape an incident with those of its lifts, and the number of their rescues, that the reader may see."""
        en, zh = INCIDENT_NAMES[incident.kind]
        return cls(
            key=incident.key,
            kind=incident.kind,
            en=en,
            zh=zh,
            anchor=incident.anchor,
            onset=incident.onset,
            opened_at=incident.opened_at,
            closed_at=incident.closed_at,
            merged_into=incident.merged_into,
            lifts=len(lifts),
            lifts_inside=sum(lift.left_at is None for lift in lifts),
            rescues=rescues,
            mass_event_at=incident.mass_event_at,
            acknowledged_at=incident.acknowledged_at,
            acknowledged_by=incident.acknowledged_by,
        )


class LiftInside(Shape):
    """A lift that is or was inside an incident."""

    lift: Annotated[str, Field(examples=["063577"])]
    firm_id: Annotated[str, Field(examples=["firm-007"])]
    joined_at: Moment
    left_at: Annotated[Moment | None, Field(examples=[None])]


class IncidentFull(IncidentOut):
    """An incident with its lifts, its tickets and its newest alarms."""

    inside: list[LiftInside]
    tickets: list[TicketOut]
    alarms: list[AlarmOut]


class Incidents(Shape):
    """A page of incidents, newest first; `next` is the next page's `before`, null on the last."""

    incidents: list[IncidentOut]
    next: Moment | None


class AcknowledgeIncident(Body):
    """What was seen to; the note is kept with who and when."""

    note: Annotated[Note, Field(examples=["Grid operator informed"])] = ""


# Who has nothing to say need not send a body.
_NO_NOTE = AcknowledgeIncident()


@router.get("")
def incidents(
    parts: With,
    who: SignedIn,
    open: Annotated[bool | None, Query(description="true: going on; false: over")] = None,  # noqa: A002
    kind: Annotated[IncidentKind | None, Query(description="Only of this kind")] = None,
    before: Before = None,
    limit: Limit = 50,
) -> Incidents:
    """List incidents, newest first; a firm's list holds those with a lift of its own."""
    with parts.records.read() as tx:
        found = tx.incidents(is_open=open, kind=kind or "", firm_id=who.firm_id, before=before, most=limit)
        shaped = _shaped(tx, who, found)
    return Incidents(incidents=shaped, next=next_page(found, limit, lambda entry: entry.opened_at))


@router.get("/{incident_key}")
def incident(incident_key: IncidentKey, parts: With, who: SignedIn) -> IncidentFull:
    """Show one incident: its lifts, its tickets and its alarms, for a firm its own part of them."""
    now = parts.clock.now()
    with parts.records.read() as tx:
        found = tx.incident(incident_key, firm_id=who.firm_id)
        [shaped] = _shaped(tx, who, [found])
        inside = tx.incident_lifts([incident_key], firm_id=who.firm_id)
        which = AlarmFilter(incident=incident_key)
        return IncidentFull(
            **dict(shaped),
            inside=[
                LiftInside(lift=one.lift, firm_id=one.firm_id, joined_at=one.joined_at, left_at=one.left_at)
                for one in inside
            ],
            tickets=[TicketOut.of(ticket) for ticket in tx.tickets_of(incident_key, firm_id=who.firm_id)],
            alarms=[AlarmOut.of(alarm, now) for alarm in tx.alarms(which=which, firm_id=who.firm_id, most=_ALARMS_MAX)],
        )


@router.post("/{incident_key}/acknowledge")
def acknowledge_incident(
    incident_key: IncidentKey, parts: With, who: SignedIn, body: AcknowledgeIncident = _NO_NOTE
) -> IncidentOut:
    """Take note of an incident; its alarms in sight are acknowledged one by one."""
    done = parts.alarms.acknowledge_incident(incident_key, by=who.name, note=body.note)
    with parts.records.read() as tx:
        return _shaped(tx, who, [done])[0]


def _shaped(tx: Reads, who: Person, found: list[Incident]) -> list[IncidentOut]:
    lifts: dict[str, list[IncidentLift]] = defaultdict(list)
    for one in tx.incident_lifts([entry.key for entry in found], firm_id=who.firm_id):
        lifts[one.incident].append(one)
    return [IncidentOut.of(entry, lifts[entry.key], _rescues(tx, who, entry)) for entry in found]


def _rescues(tx: Reads, who: Person, entry: Incident) -> int:
    if who.firm_id is None or not entry.rescues:
        return entry.rescues
    return len({ticket.lift for ticket in tx.tickets_of(entry.key, firm_id=who.firm_id)})
