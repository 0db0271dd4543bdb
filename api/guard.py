"""The guard before every route: who is this, may they, and does the request really come from them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Final, cast
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security.utils import get_authorization_scheme_param
from starlette.concurrency import run_in_threadpool

from api.parts import Parts, parts_of
from api.permissions import OPEN, RULES, Role, check
from dispatch.actor import Actor, party_of
from lift.errors import Forbidden, NotSignedIn, Unavailable

COOKIE: Final = "liftwatch_session"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_TOKEN_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who is signed in. `party` is the firm or station they act for, "" for those who see the whole city."""

    name: str
    display_name: str
    role: Role
    scope: str
    party: str
    token_hash: str

    @property
    def firm_id(self) -> str | None:
        """What limits their view, as the ports want it; None = the whole city."""
        return self.party if self.role in _LIMITED else None

    @property
    def actor(self) -> Actor:
        """Who they are to the rescue desk."""
        return Actor(self.name, str(self.role), self.scope)


_LIMITED: Final = frozenset({Role.FIRM, Role.CREW})


class Guarded(APIRoute):
    """A route that first asks the table of permissions; one without a row there cannot be built."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Put the guard before the route, so that a stranger learns nothing from how the body is parsed."""
        if self.name not in RULES and self.name not in OPEN:
            message = f"route {self.name} ({self.path}) needs a row in api/permissions.py"
            raise LookupError(message)
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            if self.name in OPEN:
                _check_not_foreign(request)
            else:
                request.state.person = await _admit(request, self.name)
            return await handle(request)

        return guarded


async def _person(request: Request) -> Person:
    return cast("Person", request.state.person)


SignedIn = Annotated[Person, Depends(_person)]


async def _anybody(request: Request) -> Person | None:
    try:
        token, _ = _token(request)
        return await run_in_threadpool(find_person, parts_of(request), hash_token(token))
    except (NotSignedIn, Forbidden, Unavailable):
        return None


# For a route that is open to everybody: who asks, None for a stranger and while the records do not answer.
Anybody = Annotated[Person | None, Depends(_anybody)]


def hash_token(token: str) -> str:
    """Give what is stored of a token: with it nobody can sign in."""
    return hashlib.sha256(token.encode()).hexdigest()


def find_person(parts: Parts, token_hash: str) -> Person | None:
    """Give whose unexpired sign-in this is."""
    with parts.records.read() as tx:
        user = tx.session_user(token_hash, parts.clock.now())
        if user is None:
            return None
        try:
            role = Role(user.role)
        except ValueError:
            raise Forbidden(f"this account has the role {user.role!r}, which may do nothing here") from None
        actor = Actor(user.name, user.role, user.scope)
        return Person(
            name=user.name,
            display_name=user.display_name,
            role=role,
            scope=user.scope,
            # An account that names no firm or crew is refused here: it would otherwise see everything or nothing.
            party=(party_of(tx, actor) or "") if role in _LIMITED else "",
            token_hash=token_hash,
        )


async def _admit(request: Request, name: str) -> Person:
    token, from_cookie = _token(request)
    person = await run_in_threadpool(find_person, parts_of(request), hash_token(token))
    if person is None:
        raise NotSignedIn("this sign-in has ended or never was; sign in again at POST /v1/session")
    check(name, person.role)
    if from_cookie and request.method not in _SAFE_METHODS:
        _check_same_origin(request)
    return person


def _token(request: Request) -> tuple[str, bool]:
    """Find the token and whether a cookie carried it; a bearer token counts first."""
    scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
    if token and scheme.lower() == "bearer":
        return token[:_TOKEN_CHARACTERS_MAX], False
    token = request.cookies.get(COOKIE, "")
    if not token:
        raise NotSignedIn("sign in at POST /v1/session, then send the header `Authorization: Bearer <token>`")
    return token[:_TOKEN_CHARACTERS_MAX], True


def _check_same_origin(request: Request) -> None:
    """Refuse a change that a browser may have been tricked into by another site's page."""
    if not _same_origin(request):
        raise Forbidden(
            "a change signed in by cookie needs the header Origin (of this site) or Sec-Fetch-Site: same-origin; "
            "programs send `Authorization: Bearer <token>` instead"
        )


def _check_not_foreign(request: Request) -> None:
    """Keep another site's page from signing its visitor in here as somebody else."""
    says = {"origin", "sec-fetch-site"} & set(request.headers.keys())
    if request.method not in _SAFE_METHODS and says and not _same_origin(request):
        raise Forbidden("this request comes from a page of another site")


def _same_origin(request: Request) -> bool:
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    if origin is not None:
        return urlsplit(origin).netloc == request.headers.get("host")
    return site is not None
