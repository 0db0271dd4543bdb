"""Replay: a quarantined message is tried again, once the cause of its refusal is mended."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.intake import take_in
from ingest.keeper import Store
from lift import topics
from lift.errors import BadFrame
from lift.fleet import Fleet
from lift.ports import Message, Records, Stored, Timepiece


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay brought: readings now stored, known already, and still refused with the reasons."""

    stored: int
    duplicate: int
    refused: int
    reasons: tuple[str, ...]


def replay(quarantine_id: int, *, telemetry: Store, records: Records, clock: Timepiece, fleet: Fleet) -> ReplayResult:
    """Take a refused message in again; raises NotFound. Its readings go to the store, not to live alarms.

    What was kept of it the first time is a duplicate now; a value that was taken out is filled in.
    """
    with records.read() as reads:
        item = reads.quarantine_item(quarantine_id)
    kind = _kind(item.topic)
    intake = take_in([Message(item.topic, item.payload)], fleet, received_at=clock.now(), kind=kind)
    delivery = intake.deliveries[0]
    append = telemetry.append_trips if kind == topics.TRIPS else telemetry.append
    result = append(intake.batch) if len(intake.batch) else Stored(0, 0)
    if not delivery.faults:
        with records.write() as tx:
            tx.quarantine_replayed(quarantine_id, clock.now())
    return ReplayResult(result.stored, result.duplicate, delivery.refused, delivery.reasons)


def _kind(topic: str) -> str:
    try:
        return topics.TRIPS if topics.parse(topic).kind == topics.TRIPS else topics.TELEMETRY
    except BadFrame:
        return topics.TELEMETRY
