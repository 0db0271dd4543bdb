"""Health: whether the platform and its parts work, for anyone who asks."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from api.guard import Anybody, Guarded
from api.parts import HealthCheck, With
from api.plainly import meaning
from api.shapes import Shape

router = APIRouter(prefix="/v1", tags=["platform"], route_class=Guarded)


class PartOut(Shape):
    """How one part is; `en` and `zh` say what it means for a desk when it does not work, and are empty when it does.

    `detail` may name hosts, gateways and lifts: it is for those who are signed in and see the whole city, else empty.
    """

    ok: Annotated[bool, Field(examples=[True])]
    detail: Annotated[str, Field(examples=["connected"])]
    en: Annotated[str, Field(examples=[""])]
    zh: Annotated[str, Field(examples=[""])]

    @classmethod
    def of(cls, name: str, check: HealthCheck, *, in_detail: bool) -> PartOut:
        """Shape how a part is."""
        en, zh = ("", "") if check.ok else meaning(name, check.detail)
        return cls(ok=check.ok, detail=check.detail if in_detail else "", en=en, zh=zh)


class HealthOut(Shape):
    """How the platform is: `ok` when every part is."""

    status: Literal["ok", "down"] = Field(examples=["ok"])
    version: Annotated[str, Field(examples=["0.1.0"])]
    parts: dict[str, PartOut] = Field(examples=[{"broker": {"ok": True, "detail": "connected", "en": "", "zh": ""}}])


_DOWN: Final[dict[int | str, dict[str, Any]]] = {503: {"model": HealthOut, "description": "A part is down"}}


@router.get("/health", responses=_DOWN)
def health(parts: With, response: Response, who: Anybody) -> HealthOut:
    """Say whether every part works; 503, with the same body, when one does not."""
    in_detail = who is not None and who.firm_id is None
    checks = {name: PartOut.of(name, check, in_detail=in_detail) for name, check in parts.health().items()}
    well = all(check.ok for check in checks.values())
    response.status_code = 200 if well else 503
    return HealthOut(status="ok" if well else "down", version=parts.version, parts=checks)
