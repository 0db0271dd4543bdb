"""The stage moves of a ticket as verbs: one row makes one route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field

from api.shapes import Body, Key, MomentIn, Note
from lift.ticket import Stage


class MoveIn(Body):
    """What there is to say about a move; `device_at` is the time on the phone that recorded it."""

    note: Annotated[Note, Field(examples=["Reported by phone"])] = ""
    device_at: MomentIn | None = None

    def details(self) -> dict[str, Any]:
        """Give what only this move has to say, for the ticket's log."""
        return self.model_dump(exclude={"note", "device_at"}, exclude_none=True)


class ReleaseIn(MoveIn):
    """A release; `people` is how many were inside, as the monthly bulletins count them."""

    people: Annotated[int | None, Field(ge=0, le=1000, examples=[2])] = None


class CauseIn(MoveIn):
    """The cause, as the contracted firm found it."""

    cause: Annotated[Note, Field(min_length=1, examples=["Rubbish in the door track 门轨异物"])]


class MergeIn(MoveIn):
    """The ticket that goes on in this one's place."""

    into: Annotated[Key, Field(examples=["20261123-0006"])]


@dataclass(frozen=True, slots=True)
class Move:
    """A verb of the API: the stage it leads to, what it means, and the shape of its body."""

    to: Stage
    says: str
    body: type[MoveIn] = MoveIn


MOVES: Final[Mapping[str, Move]] = {
    "dispatch": Move(Stage.DISPATCHED, "Order the next response level now, without waiting for an answer."),
    "accept": Move(Stage.ACCEPTED, "Accept the rescue: the same as accepting the call-out that waits."),
    "depart": Move(Stage.EN_ROUTE, "Report that the crew is on its way."),
    "arrive": Move(Stage.ARRIVED, "Report that the crew is at the lift."),
    "release": Move(Stage.RELEASED, "Report that everyone is out.", ReleaseIn),
    "self-release": Move(Stage.SELF_RELEASED, "Record that the people got out by themselves.", ReleaseIn),
    "false-alarm": Move(Stage.FALSE_ALARM, "Record that nobody needed help."),
    "call-back": Move(Stage.CALLED_BACK, "Record that the desk called the passenger or the building back."),
    "file-cause": Move(Stage.CAUSE_FILED, "File the cause, as the contracted firm found it.", CauseIn),
    "merge": Move(Stage.MERGED, "Close the ticket in favour of another about the same rescue.", MergeIn),
    "cancel": Move(Stage.CANCELLED, "Cancel a rescue that is not needed."),
    "close": Move(Stage.CLOSED, "Close a ticket whose cause is filed."),
}
