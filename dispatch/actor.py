"""Who may do what on the desk: the desk's own people everything, those in the field their own part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lift.errors import Forbidden, NotFound
from lift.ports import Reads
from lift.ticket import Stage

DESK: Final = frozenset({"dispatcher", "admin"})
FIELD: Final = frozenset({"firm", "crew"})
FIELD_MOVES: Final = frozenset({Stage.ACCEPTED, Stage.EN_ROUTE, Stage.ARRIVED, Stage.RELEASED, Stage.CAUSE_FILED})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `scope` is the firm's id for role firm, the crew's id for role crew, else ""."""

    name: str
    role: str
    scope: str = ""


def party_of(reads: Reads, actor: Actor) -> str | None:
    """Give the firm or station an actor acts for, None for the whole city; raises Forbidden for others."""
    if actor.role in DESK:
        return None
    if actor.role not in FIELD:
        raise Forbidden(f"role {actor.role!r} may only read; this takes a dispatcher, or the firm or crew called out")
    party = actor.scope
    if actor.role == "crew" and party:
        try:
            party = reads.crew(actor.scope).employer_id
        except NotFound as error:
            raise Forbidden(f"{actor.name} belongs to no crew of the register") from error
    if not party:
        raise Forbidden(f"{actor.name} belongs to no {actor.role} of the register")
    return party


def check_desk(actor: Actor, deed: str) -> None:
    """Raise Forbidden unless the actor works at the desk."""
    if actor.role not in DESK:
        raise Forbidden(f"{deed} takes a dispatcher; {actor.name} is a {actor.role}")


def check_move_allowed(actor: Actor, to: Stage) -> None:
    """Raise Forbidden for a stage that is not for the actor's role to set, whatever the ticket."""
    if to not in FIELD_MOVES:
        check_desk(actor, f"moving a ticket to {to}")
