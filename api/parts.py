"""What the routes work with: the ports and desks they were given, as arguments of a route."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from alarms.desk import AlarmDesk
from api.passwords import Passwords, Patience
from api.stream import Tail
from dispatch.desk import RescueDesk
from ingest.replay import ReplayResult
from lift.metrics import Metric
from lift.ports import Records, Telemetry, Timepiece


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How one part is; `detail` is read by those who see the whole city, so it may name lifts, and names no secret."""

    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything a route may need. `replay` takes a quarantine id; `chance` gives that many random bytes.

    `operators` is how many people share the alarm desk; 0 = as many as there are dispatchers signed in.
    """

    records: Records
    telemetry: Telemetry
    alarms: AlarmDesk
    rescue: RescueDesk
    clock: Timepiece
    replay: Callable[[int], ReplayResult]
    metrics: Callable[[], Iterable[Metric]]
    health: Callable[[], Mapping[str, HealthCheck]]
    version: str
    chance: Callable[[int], bytes]
    passwords: Passwords
    patience: Patience
    tail: Tail
    operators: int = 0


def parts_of(request: Request) -> Parts:
    """Give the parts of the application that serves a request."""
    return cast("Parts", request.app.state.parts)


async def _parts(request: Request) -> Parts:
    return parts_of(request)


With = Annotated[Parts, Depends(_parts)]
