"""Signing in and out."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Annotated, Final

from fastapi import APIRouter, Request, Response
from pydantic import Field

from api.guard import COOKIE, Guarded, SignedIn, hash_token
from api.parts import Parts, With
from api.permissions import Role, may
from api.shapes import Body, Moment, Shape
from lift.errors import NotFound, NotSignedIn
from lift.ports import User

# A shift and the hand-over after it.
SESSION_S: Final = 12 * 3600
_TOKEN_BYTES: Final = 32

router = APIRouter(prefix="/v1", tags=["session"], route_class=Guarded)


class SignIn(Body):
    """A name and its password."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$", examples=["dispatcher"])]
    password: Annotated[str, Field(min_length=1, max_length=256, examples=["correct horse battery staple"])]


class SessionOut(Shape):
    """A sign-in: send the token as `Authorization: Bearer <token>`."""

    token: Annotated[str, Field(examples=["p2Vh0mR3qkE5mX9tB1cT7wYzA4sD6fG8hJ0kL2nQ4uI"])]
    expires_at: Moment
    role: Role = Field(examples=["dispatcher"])


class Me(Shape):
    """Who is signed in; `scope` is the firm of a firm's people and the crew of a crew's.

    `may` lists the operations of this document that they may use, so that a screen offers nothing that is refused.
    """

    name: Annotated[str, Field(examples=["dispatcher"])]
    display_name: Annotated[str, Field(examples=["Li Na 李娜"])]
    role: Role = Field(examples=["dispatcher"])
    scope: Annotated[str, Field(examples=[""])]
    may: Annotated[list[str], Field(examples=[["acknowledge_alarm", "alarms"]])]


@router.post("/session", status_code=201)
def sign_in(body: SignIn, request: Request, response: Response, parts: With) -> SessionOut:
    """Sign in with name and password; gives a token and sets it as a cookie, for a browser's EventSource."""
    user = _checked(body, request.client.host if request.client else "", parts)
    token = urlsafe_b64encode(parts.chance(_TOKEN_BYTES)).rstrip(b"=").decode()
    expires_at = parts.clock.now() + SESSION_S * 1_000_000
    with parts.records.write() as tx:
        tx.save_session(hash_token(token), user.name, expires_at)
    # A browser may send the cookie without TLS only where the desk itself is served without.
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, token, SESSION_S, httponly=True, samesite="strict", secure=secure)
    return SessionOut(token=token, expires_at=expires_at, role=Role(user.role))


@router.delete("/session", status_code=204)
def sign_out(response: Response, parts: With, who: SignedIn) -> None:
    """End this sign-in; its event streams end too."""
    with parts.records.write() as tx:
        tx.end_session(who.token_hash)
    parts.tail.end(who.token_hash)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


@router.get("/me")
def me(who: SignedIn) -> Me:
    """Say who is signed in."""
    return Me(name=who.name, display_name=who.display_name, role=who.role, scope=who.scope, may=may(who.role))


def _checked(body: SignIn, place: str, parts: Parts) -> User:
    """Give the user whose password this is; unknown names and wrong passwords are refused alike."""
    parts.patience.attempt(body.name, place, parts.clock.now())
    user = _find(parts, body.name)
    if parts.passwords.fits(body.password, user.password_hash if user else None) and user is not None:
        parts.patience.succeeded(body.name, place)
        return user
    raise NotSignedIn("name and password do not fit")


def _find(parts: Parts, name: str) -> User | None:
    try:
        with parts.records.read() as tx:
            user = tx.user(name)
    except NotFound:
        return None
    return user if user.password_hash and user.role in set(Role) else None
