"""The OpenAPI document: FastAPI's, with our errors, our sign-in and the roles of each route written in."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.errors import MEDIA_TYPE
from api.permissions import OPEN, RULES, either
from api.shapes import sample, shapes

DESCRIPTION: Final = """Watches a city's lifts and runs its 96333 rescue desk. Monitor-only: nothing here moves a lift.

Sign in at `POST /v1/session` and send the token as `Authorization: Bearer <token>`; a browser gets a cookie as well.
All times are RFC 3339 in UTC. Errors are `application/problem+json` (RFC 9457). What another firm owns answers exactly
like what does not exist."""

TAGS: Final = [
    {"name": "session", "description": "Signing in and out"},
    {"name": "events", "description": "The live event stream"},
    {"name": "lifts", "description": "The register, live state and history"},
    {"name": "alarms", "description": "What the rules found, by ISA-18.2"},
    {"name": "incidents", "description": "Alarms that are one matter: power cuts, dead gateways, one lift's symptoms"},
    {"name": "tickets", "description": "Rescues from the first call to the filed cause"},
    {"name": "callouts", "description": "Orders to firms and stations, and their answers"},
    {"name": "quarantine", "description": "Messages that could not be taken in"},
    {"name": "gateways", "description": "Which are there, how their clocks stand, and what became of every reading"},
    {"name": "platform", "description": "Health, figures and the catalogue of signals and codes"},
]

_METHODS: Final = frozenset({"get", "post", "delete"})
_PROBLEM: Final = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong, in words a person can act on. `errors` names each wrong field.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "reference": {"type": "string", "description": "Under which the log has an unexpected error"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {"field": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
    "examples": [
        {
            "type": "urn:liftwatch:problem:Invalid",
            "title": "Unprocessable Content",
            "status": 422,
            "detail": "minutes: 600 is not within 1 to 480, one shift",
            "errors": [{"field": "minutes", "reason": "600 is not within 1 to 480, one shift"}],
        }
    ],
}


def document(app: FastAPI) -> dict[str, Any]:
    """Make the document once and keep it."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            tags=app.openapi_tags,
            routes=app.routes,
        )
        for item in made["paths"].values():
            for method in _METHODS & item.keys():
                _complete(item[method])
        parts = made["components"]
        for unused in ("HTTPValidationError", "ValidationError"):
            parts["schemas"].pop(unused, None)
        # FastAPI drops every null on its way, so examples are written in afterwards.
        for shape in shapes():
            if shape.__name__ in parts["schemas"]:
                parts["schemas"][shape.__name__]["examples"] = [sample(shape)]
        parts["schemas"]["Problem"] = _PROBLEM
        parts["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "cookie": {"type": "apiKey", "in": "cookie", "name": "liftwatch_session"},
        }
        made["security"] = [{"bearer": []}, {"cookie": []}]
        app.openapi_schema = made
    return app.openapi_schema


def _complete(operation: dict[str, Any]) -> None:
    name = operation["operationId"]
    if name in OPEN:
        operation["security"] = []
        who = "Open to all."
    else:
        who = f"For the role {either(RULES[name].roles)}."
    operation["description"] = f"{operation.get('description', '')}\n\n{who}".strip()
    operation["responses"].pop("422", None)
    operation["responses"]["default"] = {
        "description": "Refused or failed",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
