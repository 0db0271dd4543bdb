"""Replay: a quarantined message is tried again, once the cause of its refusal is mended."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.intake import take_in
from lift.fleet import Fleet
from lift.ports import Message, Records, Stored, Telemetry, Timepiece


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay brought: readings now stored, known already, and still refused with the reasons."""

    stored: int
    duplicate: int
    refused: int
    reasons: tuple[str, ...]


def replay(
    quarantine_id: int, *, telemetry: Telemetry, records: Records, clock: Timepiece, fleet: Fleet
) -> ReplayResult:
    """Take a refused message in again; raises NotFound. Its readings go to the store, not to live alarms.

    What was kept of it the first time is a duplicate now; a value that was taken out is filled in.
    """
    with records.read() as reads:
        item = reads.quarantine_item(quarantine_id)
    intake = take_in([Message(item.topic, item.payload)], fleet, received_at=clock.now())
    delivery = intake.deliveries[0]
    result = telemetry.append(intake.batch) if len(intake.batch) else Stored(0, 0)
    if not delivery.faults:
        with records.write() as tx:
            tx.quarantine_replayed(quarantine_id, clock.now())
    return ReplayResult(result.stored, result.duplicate, delivery.refused, delivery.reasons)
