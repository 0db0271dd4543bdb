"""Trips: what is known of each finished trip of one lift, newest first by pages, as JSON or CSV."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, Field

from api import sight
from api.guard import Guarded, SignedIn
from api.history import COLUMNS, CSV_TYPE, MEDIA_TYPE, encode, moments, parse_signals, to_csv, wants_csv
from api.parts import With
from api.routes.lifts import LiftCode
from api.shapes import MomentIn
from lift.errors import Invalid
from lift.ports import History
from lift.trips import TRIP_BY_NAME, TRIP_SIGNALS

router = APIRouter(prefix="/v1/lifts", tags=["lifts"], route_class=Guarded)

# About 2 MB of JSON with every signal.
_TRIPS_MAX: Final = 5000

_NEXT: Final = {
    "type": ["string", "null"],
    "format": "date-time",
    "description": "What to ask for as `end` to see earlier trips; null = there are none",
}
_EXAMPLE: Final = {
    "lift": "063577",
    "at": ["2026-11-23T08:00:12.000000Z"],
    "signals": {"from_landing": [1], "to_landing": [7], "distance": [18.0]},
    "next": "2026-11-23T08:00:12.000000Z",
}
_ROWS: Final = "lift,at,distance\r\n063577,2026-11-23T08:00:12.000000Z,18.0\r\n"
_TRIPS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Trips as columns, one entry a trip in order of time; null = not measured",
        "headers": {"Link": {"description": "The page of earlier trips, rel=next", "schema": {"type": "string"}}},
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["lift", "at", "signals", "next"],
                    "properties": {**COLUMNS, "next": _NEXT},
                    "examples": [_EXAMPLE],
                }
            },
            CSV_TYPE: {"schema": {"type": "string", "examples": [_ROWS]}},
        },
    }
}


class TripsAsked(BaseModel):
    """Which trips, which of their signals, and how they are to be written."""

    signals: str = Field(
        "", max_length=1000, description="Names of trip signals; all if left out", examples=["distance,jerk_max"]
    )
    start: MomentIn | None = Field(None, description="From this moment on")
    end: MomentIn | None = Field(
        None, description="Until before this moment; now if left out. A page's `next` goes here"
    )
    limit: int = Field(200, ge=1, le=_TRIPS_MAX, description="So many of the newest trips")
    format: Literal["json", "csv"] | None = Field(
        None, description="What the answer is; otherwise the Accept header says it"
    )


@router.get("/{code}/trips", responses=_TRIPS, response_class=Response)
def lift_trips(
    code: LiftCode,
    request: Request,
    parts: With,
    who: SignedIn,
    asked: Annotated[TripsAsked, Query()],
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """Give one lift's newest trips as columns or as CSV; `next` asks for the earlier ones."""
    wanted = parse_signals(asked.signals, TRIP_BY_NAME) if asked.signals else list(TRIP_SIGNALS)
    until = parts.clock.now() + 1 if asked.end is None else asked.end
    since = 0 if asked.start is None else asked.start
    if since >= until:
        raise Invalid("start", "must be earlier than `end`")
    with parts.records.read() as tx:
        key = sight.lift(tx, who, code).rescue_code
    # One more says whether there is another page.
    found = parts.telemetry.trips(key, wanted, start=since, end=until, most=asked.limit + 1)
    page = _last(found, asked.limit)
    following = moments(page.at[:1])[0] if len(found.at) > asked.limit else None
    headers = {"Vary": "Accept"}
    if following is not None:
        query = request.url.include_query_params(end=following).query
        headers["Link"] = f'<{request.url.path}?{query}>; rel="next"'
    if wants_csv(asked.format, accept):
        return Response(to_csv(key, wanted, page), media_type=CSV_TYPE, headers=headers)
    return Response(encode(key, wanted, page, next=following), media_type=MEDIA_TYPE, headers=headers)


def _last(found: History, most: int) -> History:
    return History(found.at[-most:], {signal: values[-most:] for signal, values in found.columns.items()})
