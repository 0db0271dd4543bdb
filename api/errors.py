"""Errors as `application/problem+json` (RFC 9457): one table from our errors to a status, one shape for all."""

from __future__ import annotations

import http
import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from lift.errors import (
    BadFrame,
    Conflict,
    Forbidden,
    Invalid,
    LiftError,
    NotFound,
    NotSignedIn,
    Unavailable,
)

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
BODY_BYTES_MAX: Final = 1_000_000
# A part that is down is asked again soon: someone may be waiting in a car.
_RETRY_AFTER_S: Final = 5


class SlowDown(LiftError):
    """Too many sign-ins failed; the next attempt may be made after a wait."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many failed sign-ins; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


STATUS: Final[Mapping[type[LiftError], int]] = {
    BadFrame: 422,
    Conflict: 409,
    Forbidden: 403,
    Invalid: 422,
    NotFound: 404,
    NotSignedIn: 401,
    SlowDown: 429,
    Unavailable: 503,
}


def install(app: FastAPI) -> None:
    """Make every error of this application a problem."""
    app.add_exception_handler(LiftError, _lift_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)


def problem(
    status: int,
    detail: str,
    *,
    kind: str = "",
    headers: Mapping[str, str] | None = None,
    **more: str | Sequence[Mapping[str, str]],
) -> Response:
    """Make a problem of a status; `kind` names it for programs, `more` are members of its own."""
    title = http.HTTPStatus(status).phrase
    body = {
        "type": f"urn:liftwatch:problem:{kind or title.lower().replace(' ', '-')}",
        "title": title,
        "status": status,
        "detail": detail,
        **more,
    }
    return Response(orjson.dumps(body), status, headers, MEDIA_TYPE)


def unexpected(error: Exception) -> Response:
    """Make a problem of an error nobody foresaw: the reader learns a reference, the log learns the rest."""
    reference = secrets.token_hex(6)
    log.error("unexpected error, reference %s", reference, exc_info=error)
    return problem(500, f"something went wrong here; the log has it under reference {reference}", reference=reference)


def of_lift_error(error: LiftError) -> Response:
    """Make the problem that a refusal of ours is."""
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)
    if status is None:
        return unexpected(error)
    kind = type(error).__name__
    match error:
        case Invalid():
            return problem(status, str(error), kind=kind, errors=[_fault(error.field, error.reason)])
        case NotSignedIn():
            return problem(status, str(error), kind=kind, headers={"WWW-Authenticate": "Bearer"})
        case SlowDown():
            return problem(status, str(error), kind=kind, headers={"Retry-After": str(error.retry_after_s)})
        case Unavailable():
            log.warning("%s", error)
            text = f"{error.part} does not answer at the moment; try again"
            return problem(status, text, kind=kind, headers={"Retry-After": str(_RETRY_AFTER_S)})
        case _:
            return problem(status, str(error), kind=kind)


def _lift_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, LiftError)
    return of_lift_error(error)


def _validation_error(_request: Request, error: Exception) -> Response:
    """Name each wrong field; what was sent is not repeated, since it may be a password."""
    assert isinstance(error, RequestValidationError)
    faults = [_fault(_field(fault["loc"]), fault["msg"]) for fault in error.errors()]
    detail = "; ".join(f"{fault['field']}: {fault['reason']}" for fault in faults)
    return problem(422, detail, kind="Invalid", errors=faults)


def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail if error.detail != http.HTTPStatus(error.status_code).phrase else ""
    return problem(error.status_code, detail or _PLAIN.get(error.status_code, ""), headers=error.headers)


_PLAIN: Final[Mapping[int, str]] = {
    404: "there is nothing at this address; / lists what there is",
    405: "this address does not know this method; / lists what there is",
    413: f"the body may have at most {BODY_BYTES_MAX:,} bytes",
}


def _fault(field: str, reason: str) -> dict[str, str]:
    return {"field": field, "reason": reason}


def _field(place: Sequence[Any]) -> str:
    """Name a field as its sender knows it: `minutes` of a body, `limit` of a query.

    >>> _field(("body", "minutes")), _field(("body",)), _field(("query", "limit"))
    ('minutes', 'body', 'limit')
    """
    return ".".join(str(part) for part in (place[1:] if len(place) > 1 else place))
