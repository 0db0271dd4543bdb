"""Out of service: a lift's alarms, or one rule's, that a person has silenced for a time (ISA-18.2)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from api.guard import Guarded, SignedIn
from api.pages import Limit, OfLift
from api.parts import With
from api.shapes import NO_NUL, Body, Key, Moment, Note, Shape
from lift.alarm import OutOfService

router = APIRouter(prefix="/v1/out-of-service", tags=["alarms"], route_class=Guarded)

Number = Annotated[int, Path(ge=1, le=2**53, description="The entry's number", examples=[1])]


class OutOfServiceOut(Shape):
    """What is out of service, until when and why; `rule` is empty when it is the whole lift."""

    number: Annotated[int, Field(examples=[1])]
    lift: Annotated[str, Field(examples=["063577"])]
    rule: Annotated[str, Field(examples=["door_closing_fault"])]
    since: Moment
    until: Moment
    by: Annotated[str, Field(examples=["li"])]
    reason: Annotated[str, Field(examples=["Doors are being replaced"])]
    ended_at: Annotated[Moment | None, Field(examples=[None])]
    ended_by: Annotated[str | None, Field(examples=[None])]

    @classmethod
    def of(cls, entry: OutOfService) -> OutOfServiceOut:
        """Shape an entry."""
        return cls(
            number=entry.number,
            lift=entry.lift,
            rule=entry.rule,
            since=entry.since,
            until=entry.until,
            by=entry.by,
            reason=entry.reason,
            ended_at=entry.ended_at,
            ended_by=entry.ended_by,
        )


class OutOfServiceList(Shape):
    """Entries, newest first."""

    entries: list[OutOfServiceOut]


class TakeOut(Body):
    """Which lift, which rule of it or all, for how long and why. Emergencies are raised all the same."""

    lift: Annotated[Key, Field(examples=["063577"])]
    rule: Annotated[str, Field(max_length=128, pattern=NO_NUL, examples=["door_closing_fault"])] = ""
    minutes: Annotated[int, Field(ge=1, le=43_200, examples=[480])]
    reason: Annotated[Note, Field(min_length=1, examples=["Doors are being replaced"])]


@router.get("")
def out_of_service(
    parts: With,
    who: SignedIn,
    lift: OfLift = "",
    now: Annotated[bool, Query(description="Only what is out of service now")] = True,  # noqa: FBT002
    limit: Limit = 200,
) -> OutOfServiceList:
    """List what is or was out of service, newest first."""
    at = parts.clock.now() if now else None
    with parts.records.read() as tx:
        found = tx.out_of_service(at=at, lift=lift, firm_id=who.firm_id, most=limit)
    return OutOfServiceList(entries=[OutOfServiceOut.of(entry) for entry in found])


@router.post("", status_code=201)
def take_out_of_service(body: TakeOut, response: Response, parts: With, who: SignedIn) -> OutOfServiceOut:
    """Take a lift's alarms, or one rule's, out of service for up to thirty days."""
    made = parts.alarms.take_out_of_service(
        body.lift, rule=body.rule, by=who.name, minutes=body.minutes, reason=body.reason, firm_id=who.firm_id
    )
    response.headers["Location"] = f"/v1/out-of-service?lift={made.lift}"
    return OutOfServiceOut.of(made)


@router.post("/{number}/end")
def return_to_service(number: Number, parts: With, who: SignedIn) -> OutOfServiceOut:
    """End a time out of service now; what still holds shows again."""
    return OutOfServiceOut.of(parts.alarms.return_to_service(number, by=who.name, firm_id=who.firm_id))
