"""Documents made from the code: the OpenAPI description, without starting anything."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from adapters.clock import SystemClock
from adapters.records_sql import SqlRecords
from adapters.telemetry_memory import MemoryTelemetry
from alarms.desk import AlarmDesk
from api.app import create_app
from dispatch.desk import RescueDesk
from dispatch.policy import Policy
from ingest.replay import ReplayResult
from lift.errors import Unavailable
from runtime.version import VERSION


def openapi_document() -> dict[str, Any]:
    """Describe the API as OpenAPI 3.1."""
    with tempfile.TemporaryDirectory() as folder:
        records = SqlRecords(f"sqlite:///{Path(folder) / 'empty.db'}")
        clock = SystemClock()
        app = create_app(
            records=records,
            telemetry=MemoryTelemetry(),
            alarms=AlarmDesk(records, clock),
            rescue=RescueDesk(records, clock, Policy()),
            clock=clock,
            replay=_no_replay,
            metrics=list,
            health=dict,
            version=VERSION,
        )
        document: dict[str, Any] = app.openapi()
        records.close()
    return document


def _no_replay(_: int) -> ReplayResult:
    raise Unavailable("ingest", "nothing runs here")
