"""What the feed says of an alarm and of an incident."""

from __future__ import annotations

from typing import Any

from lift.alarm import Alarm
from lift.incident import Incident


def alarm_facts(alarm: Alarm, now: int) -> dict[str, Any]:
    """Give an alarm's facts as plain values, with its state of a moment (µs since 1970 UTC)."""
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
        "confirmed_at": alarm.confirmed_at,
        "confidence": alarm.confidence,
        "evidence": list(alarm.evidence),
        "incident": alarm.incident,
        "first_out": alarm.first_out,
        "chattering": alarm.chattering_since is not None,
    }


def incident_facts(incident: Incident) -> dict[str, Any]:
    """Give an incident's facts as plain values."""
    return {
        "key": incident.key,
        "incident_kind": str(incident.kind),
        "anchor": incident.anchor,
        "onset": incident.onset,
        "opened_at": incident.opened_at,
        "closed_at": incident.closed_at,
        "merged_into": incident.merged_into,
        "lifts": incident.lifts,
        "rescues": incident.rescues,
        "mass_event_at": incident.mass_event_at,
    }
