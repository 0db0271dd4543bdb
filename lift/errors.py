"""One tree of errors; the HTTP layer maps each to a status once, nobody else thinks about HTTP."""

from __future__ import annotations


class LiftError(Exception):
    """Anything Liftwatch refuses or cannot do, in words a person can act on."""


class NotFound(LiftError):
    """There is no such thing, or it is not yours to see."""


class Conflict(LiftError):
    """The thing exists but its present state does not allow this."""


class Invalid(LiftError):
    """The input is wrong; the message names the field, its value and what is accepted."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class BadFrame(Invalid):
    """A message from outside cannot be read; goes to quarantine with this reason."""


class NotSignedIn(LiftError):
    """The request carries no valid sign-in."""


class Forbidden(LiftError):
    """The signed-in person's role does not allow this."""


class Unavailable(LiftError):
    """A part we depend on does not answer; trying again later may work."""

    def __init__(self, part: str, reason: object) -> None:
        super().__init__(f"{part} is unavailable: {reason}")
        self.part = part
