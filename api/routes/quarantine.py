"""Quarantine: messages that could not be taken in, with their bytes, until someone mends the cause."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from pydantic import Field

from api.guard import Guarded
from api.pages import next_page
from api.parts import With
from api.shapes import Moment, Shape
from lift.ports import Quarantined

router = APIRouter(prefix="/v1/quarantine", tags=["quarantine"], route_class=Guarded)

_ID_MAX: Final = 2**63 - 1
# Each message of a page passes through memory with its bytes, which may be 4 MB.
_PAGE_MAX: Final = 50

QuarantineId = Annotated[int, Path(ge=1, le=_ID_MAX, description="The message's number", examples=[12])]


class QuarantinedOut(Shape):
    """A refused message, or the refused part of one."""

    quarantine_id: Annotated[int, Field(examples=[12])]
    received_at: Moment
    topic: Annotated[str, Field(examples=["lifts/v1/demo/telemetry"])]
    gateway: Annotated[str, Field(examples=["demo"])]
    reasons: Annotated[list[str], Field(examples=[["reading 3, car_speed: 90 is outside -20 to 20 m/s"]])]
    readings_refused: Annotated[int, Field(examples=[1])]
    payload_bytes: Annotated[int, Field(examples=[42])]
    replayed_at: Annotated[Moment | None, Field(examples=[None])]

    @classmethod
    def of(cls, item: Quarantined) -> QuarantinedOut:
        """Shape a refused message without its bytes."""
        return cls(
            quarantine_id=item.quarantine_id,
            received_at=item.received_at,
            topic=item.topic,
            gateway=item.gateway,
            reasons=list(item.reasons),
            readings_refused=item.readings_refused,
            payload_bytes=len(item.payload),
            replayed_at=item.replayed_at,
        )


class QuarantinePage(Shape):
    """A page of refused messages, newest first; `next` is the next page's `before`, null on the last."""

    messages: list[QuarantinedOut]
    next: Annotated[int | None, Field(examples=[12])]


class QuarantinedFull(QuarantinedOut):
    """A refused message with its bytes; `text` is null where they are not printable."""

    payload_base64: Annotated[str, Field(examples=["eyJsaWZ0IjoiMDYzNTc3In0="])]
    text: Annotated[str | None, Field(examples=['{"lift":"063577"}'])]


class ReplayOut(Shape):
    """What a replay brought: readings now stored, known already, and still refused with their reasons."""

    stored: Annotated[int, Field(examples=[41])]
    duplicate: Annotated[int, Field(examples=[0])]
    refused: Annotated[int, Field(examples=[0])]
    reasons: Annotated[list[str], Field(examples=[[]])]


@router.get("")
def quarantine(
    parts: With,
    waiting: Annotated[bool | None, Query(description="true: not replayed yet; false: replayed")] = None,
    before: Annotated[int | None, Query(ge=1, le=_ID_MAX, description="Only smaller numbers")] = None,
    limit: Annotated[int, Query(ge=1, le=_PAGE_MAX, description="At most so many entries")] = 20,
) -> QuarantinePage:
    """List refused messages, newest first."""
    with parts.records.read() as tx:
        found = tx.quarantined(waiting=waiting, before=before, most=limit)
    return QuarantinePage(
        messages=[QuarantinedOut.of(item) for item in found],
        next=next_page(found, limit, lambda item: item.quarantine_id),
    )


@router.get("/{quarantine_id}")
def quarantine_item(quarantine_id: QuarantineId, parts: With) -> QuarantinedFull:
    """Show one refused message with its bytes, as base64 and, where it is text, as text."""
    with parts.records.read() as tx:
        item = tx.quarantine_item(quarantine_id)
    brief = QuarantinedOut.of(item)
    return QuarantinedFull(**dict(brief), payload_base64=b64encode(item.payload).decode(), text=printable(item.payload))


@router.post("/{quarantine_id}/replay")
def replay_quarantined(quarantine_id: QuarantineId, parts: With) -> ReplayOut:
    """Take a refused message in again, after its cause is mended; its readings raise no live alarms."""
    result = parts.replay(quarantine_id)
    return ReplayOut(
        stored=result.stored, duplicate=result.duplicate, refused=result.refused, reasons=list(result.reasons)
    )


def printable(payload: bytes) -> str | None:
    r"""Give bytes as text when they are that.

    >>> printable(b'{"a": 1}\n'), printable(b"\xff\xff"), printable(b"\x00")
    ('{"a": 1}\n', None, None)
    """
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return None
    return text if all(char.isprintable() or char in "\t\r\n" for char in text) else None
