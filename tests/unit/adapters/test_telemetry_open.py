"""The setting that names a telemetry store, and the store in memory's own bound."""

from pathlib import Path

import pytest

from adapters.telemetry import telemetry_open
from adapters.telemetry_duckdb import DuckDBTelemetry
from adapters.telemetry_influxdb import InfluxDBTelemetry
from adapters.telemetry_memory import MemoryTelemetry
from lift.batch import from_rows
from lift.errors import Invalid, Unavailable
from lift.ports import Stored


def test_each_scheme_opens_its_store(tmp_path: Path) -> None:
    """The address alone chooses the technology."""
    kinds = {
        "memory:": MemoryTelemetry,
        f"duckdb:{tmp_path}/telemetry": DuckDBTelemetry,
        "influxdb://localhost/lifts?org=o&token=t": InfluxDBTelemetry,
        "influxdbs://localhost/lifts?org=o&token=t": InfluxDBTelemetry,
    }
    for url, kind in kinds.items():
        store = telemetry_open(url)
        assert isinstance(store, kind)
        store.close()


@pytest.mark.parametrize("url", ["", "duckdb", "duckdb:", "memory:7", "mongo://host/telemetry", "var/telemetry"])
def test_any_other_is_refused(url: str) -> None:
    """The setting is named, with what is accepted."""
    with pytest.raises(Invalid, match=r"LIFTWATCH_TELEMETRY_URL: .*memory:, duckdb:FOLDER"):
        telemetry_open(url)


def test_memory_is_bounded() -> None:
    """The store in memory refuses more than it may hold, all or none, rather than forget."""
    store = MemoryTelemetry(readings_max=3)
    two, more = ([{"lift": "a", "at": at} for at in times] for times in ((1, 2), (3, 4)))
    store.append(from_rows(two))
    with pytest.raises(Unavailable, match="at most 3"):
        store.append(from_rows(more))
    assert store.append(from_rows(more[:1])) == Stored(1, 0)
    assert dict(store.newest()) == {"a": 3}
