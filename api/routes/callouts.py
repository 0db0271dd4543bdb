"""Call-outs: orders to firms and stations, and their answers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from api.guard import Guarded, Person, SignedIn
from api.pages import Limit
from api.parts import Parts, With
from api.shapes import Body, Key, Moment, Note, Shape
from lift.ticket import Answer, Callout

router = APIRouter(prefix="/v1/callouts", tags=["callouts"], route_class=Guarded)

CalloutId = Annotated[Key, Path(description="The call-out's id", examples=["20261123-0007-1"])]


class CalloutOut(Shape):
    """One order to one party at one response level, with its own stamps."""

    callout_id: Annotated[str, Field(examples=["20261123-0007-1"])]
    ticket_id: Annotated[str, Field(examples=["20261123-0007"])]
    level: Annotated[int, Field(examples=[1])]
    party_id: Annotated[str, Field(examples=["firm-007"])]
    party_name: Annotated[str, Field(examples=["Swift Lift Care 迅达维保"])]
    phone: Annotated[str, Field(examples=["+86 21 5550 0107"])]
    answer: Answer = Field(examples=["waiting"])
    ordered_at: Moment
    answered_at: Annotated[Moment | None, Field(examples=[None])]
    departed_at: Annotated[Moment | None, Field(examples=[None])]
    arrived_at: Annotated[Moment | None, Field(examples=[None])]
    released_at: Annotated[Moment | None, Field(examples=[None])]
    reason: Annotated[str, Field(examples=[""])]

    @classmethod
    def of(cls, callout: Callout) -> CalloutOut:
        """Shape a call-out."""
        return cls(
            callout_id=callout.callout_id,
            ticket_id=callout.ticket_id,
            level=callout.level,
            party_id=callout.party_id,
            party_name=callout.party_name,
            phone=callout.phone,
            answer=callout.answer,
            ordered_at=callout.ordered_at,
            answered_at=callout.answered_at,
            departed_at=callout.departed_at,
            arrived_at=callout.arrived_at,
            released_at=callout.released_at,
            reason=callout.reason,
        )


class Callouts(Shape):
    """Call-outs, newest first."""

    callouts: list[CalloutOut]


class Accept(Body):
    """An answer may say more."""

    reason: Annotated[Note, Field(examples=["Crew 3 is five minutes away"])] = ""


class Refuse(Body):
    """A refusal says why: the next level is ordered at once."""

    reason: Annotated[Note, Field(min_length=1, examples=["All crews are at other rescues"])]


# Who has nothing to say need not send a body.
_NO_WORDS = Accept()


@router.get("")
def callouts(
    parts: With,
    who: SignedIn,
    waiting: Annotated[bool, Query(description="Only those that nobody has answered")] = False,  # noqa: FBT002
    limit: Limit = 200,
) -> Callouts:
    """List call-outs, newest first; for a firm or crew those of its own lifts and those that went to it."""
    with parts.records.read() as tx:
        found = tx.callouts(firm_id=who.firm_id, waiting=waiting, most=limit)
    return Callouts(callouts=[CalloutOut.of(callout) for callout in found])


@router.post("/{callout_id}/accept")
def accept_callout(callout_id: CalloutId, parts: With, who: SignedIn, body: Accept = _NO_WORDS) -> CalloutOut:
    """Accept a call-out: a crew goes out."""
    return _answer(callout_id, parts, who, accept=True, reason=body.reason)


@router.post("/{callout_id}/refuse")
def refuse_callout(callout_id: CalloutId, body: Refuse, parts: With, who: SignedIn) -> CalloutOut:
    """Refuse a call-out, saying why: the next response level is ordered at once."""
    return _answer(callout_id, parts, who, accept=False, reason=body.reason)


def _answer(callout_id: str, parts: Parts, who: Person, *, accept: bool, reason: str) -> CalloutOut:
    with parts.records.read() as tx:
        # Whoever may not see a call-out is refused in the words used for one that does not exist.
        tx.callout(callout_id, firm_id=who.firm_id)
    return CalloutOut.of(parts.rescue.answer(callout_id, accept=accept, by=who.actor, reason=reason))
