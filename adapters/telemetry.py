"""Open the telemetry store that a setting names."""

from __future__ import annotations

from typing import Final

from lift.errors import Invalid
from lift.ports import Telemetry

SETTING: Final = "LIFTWATCH_TELEMETRY_URL"


def telemetry_open(url: str) -> Telemetry:
    """Open `memory:`, `duckdb:FOLDER` or `influxdb://HOST:PORT/BUCKET?org=ORG&token=TOKEN` (`influxdbs://` with TLS).

    Raises Invalid naming the setting for any other, Unavailable when the store does not answer.
    """
    scheme, _, rest = url.partition(":")
    # Each technology is loaded only where it is used: together they take most of a second to start.
    if scheme == "memory" and not rest:
        from adapters.telemetry_memory import MemoryTelemetry  # noqa: PLC0415

        return MemoryTelemetry()
    if scheme == "duckdb" and rest:
        from adapters.telemetry_duckdb import DuckDBTelemetry  # noqa: PLC0415

        return DuckDBTelemetry(rest)
    if scheme in ("influxdb", "influxdbs"):
        from adapters.telemetry_influxdb import InfluxDBTelemetry  # noqa: PLC0415

        return InfluxDBTelemetry(url)
    raise Invalid(
        SETTING,
        f"scheme {scheme[:40]!r} is not accepted; use memory:, duckdb:FOLDER, "
        "influxdb://HOST:PORT/BUCKET?org=ORG&token=TOKEN or influxdbs://…",
    )
