"""The application: every route, guarded, on the ports and desks it is given."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from alarms.desk import AlarmDesk
from api import errors
from api.document import DESCRIPTION, TAGS, document
from api.guard import Guarded
from api.parts import HealthCheck, Parts
from api.passwords import Passwords, Patience
from api.routes import (
    alarm_kpis,
    callouts,
    catalogue,
    console,
    events,
    front,
    gateways,
    health,
    incidents,
    lifts,
    out_of_service,
    quarantine,
    runbooks,
    session,
    tickets,
    trips,
)
from api.routes import alarms as alarm_routes
from api.routes import metrics as metric_routes
from api.shell import Requests, Shell
from api.stream import Tail
from dispatch.desk import RescueDesk
from ingest.replay import ReplayResult
from lift.metrics import Metric, metric
from lift.ports import Records, Telemetry, Timepiece

_RESOURCES = (
    front, console, session, events, lifts, trips, alarm_kpis, alarm_routes, out_of_service, incidents,
    tickets, callouts, quarantine, gateways, health, metric_routes, catalogue, runbooks,
)  # fmt: skip


def create_app(
    *,
    records: Records,
    telemetry: Telemetry,
    alarms: AlarmDesk,
    rescue: RescueDesk,
    clock: Timepiece,
    replay: Callable[[int], ReplayResult],
    metrics: Callable[[], Iterable[Metric]],
    health: Callable[[], Mapping[str, HealthCheck]],
    version: str,
    chance: Callable[[int], bytes] = secrets.token_bytes,
    operators: int = 0,
) -> FastAPI:
    """Make the application. `replay` takes a quarantine id; `chance` gives that many random bytes for a token.

    Serve it with `api.server.Server`, or else call `app.state.parts.tail.close()` before stopping the server.
    """
    tail = Tail(records)
    requests = Requests()

    def all_metrics() -> list[Metric]:
        readers = metric("liftwatch_event_readers", "gauge", "Open event streams", tail.readers)
        return [*metrics(), requests.metric(), readers]

    parts = Parts(
        records=records,
        telemetry=telemetry,
        alarms=alarms,
        rescue=rescue,
        clock=clock,
        replay=replay,
        metrics=all_metrics,
        health=health,
        version=version,
        chance=chance,
        passwords=Passwords(),
        patience=Patience(),
        tail=tail,
        operators=operators,
    )
    return _assemble(parts, requests)


def openapi(app: FastAPI) -> dict[str, Any]:
    """Give the OpenAPI document of an application, the one served at /openapi.json."""
    return app.openapi()


def _assemble(parts: Parts, requests: Requests) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        parts.tail.close()

    app = FastAPI(
        title="Liftwatch",
        version=parts.version,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        # The document is a route of ours, with a row in the table of permissions; the pages that load their
        # scripts from a foreign host are replaced by our own at /.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: str(route.name),
        middleware=[Middleware(Shell, requests=requests)],
        lifespan=lifespan,
    )
    app.state.parts = parts
    app.router.route_class = Guarded
    errors.install(app)
    for resource in _RESOURCES:
        app.include_router(resource.router)
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    return app
