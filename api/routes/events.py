"""The live event stream."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from api import sight
from api.guard import Guarded, SignedIn, find_person
from api.parts import With
from api.stream import Reader
from lift.errors import Invalid

router = APIRouter(prefix="/v1", tags=["events"], route_class=Guarded)

_EXAMPLE: Final = (
    "id: 1207\nevent: ticket.received\n"
    'data: {"id":1207,"kind":"ticket.received","at":"2026-11-23T08:00:00.000000Z","lift":"063577",'
    '"firm_id":"firm-007","data":{"ticket_id":"20261123-0007"}}\n\n'
)
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Server-sent events",
        "content": {"text/event-stream": {"schema": {"type": "string", "examples": [_EXAMPLE]}}},
    }
}


class EventStream(StreamingResponse):
    """A stream of server-sent events."""

    media_type = "text/event-stream"


@router.get("/events", response_class=EventStream, responses=_STREAM)
async def events(
    parts: With,
    who: SignedIn,
    last_event_id: Annotated[str | None, Header(description="The last id seen, as a browser sends it")] = None,
    after: Annotated[str | None, Query(description="The same, for clients that set no header")] = None,
) -> EventStream:
    """Follow what happens in the city, each event once and in order, from the last id seen or from now on.

    Without an id the stream begins with a `hello` event whose id is the present end; the same happens when the id
    is of another database or so old that events after it are removed, and then the client should load what it shows
    anew. A comment every 15 s says that the line is alive.
    """
    parts.tail.check_room()
    reader = Reader(
        token_hash=who.token_hash,
        sees=lambda line: sight.event(who, line),
        # Someone whose role or firm has changed signs on to the stream again, and gets what is theirs now.
        signed_in=lambda: find_person(parts, who.token_hash) == who,
    )
    start = _event_id("Last-Event-ID", last_event_id) if last_event_id else _event_id("after", after)
    # A proxy that gathers answers would hold events back.
    return EventStream(parts.tail.read(reader, start), headers={"X-Accel-Buffering": "no"})


def _event_id(field: str, text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()):
        raise Invalid(field, f"{text[:40]!r} is not an event's id, a whole number")
    return int(text)
