"""What people look at is one process; that another is gone must be seen there."""

from pathlib import Path

from adapters.records_sql import SqlRecords
from api.parts import HealthCheck
from runtime.app import Liftwatch, RoleName
from runtime.heartbeat import SILENT_US, beat, heard
from runtime.settings import load
from tests import servers
from tests.program import until
from tests.small_city import START, StandingClock


def test_silence_is_told_and_so_is_what_fails(tmp_path: Path) -> None:
    """What fails there fails here under its own name; after 40 s without a beat nothing of the role is believed."""
    records = SqlRecords(f"sqlite:///{tmp_path}/records.db")
    full = HealthCheck(ok=False, detail="No space left on device")
    with records.write() as tx:
        assert heard(tx, "ingest", START) == {}
        beat(tx, "ingest", START, {"telemetry": full, "broker": HealthCheck(ok=True)})
    with records.read() as reads:
        assert heard(reads, "ingest", START + SILENT_US) == {"ingest": HealthCheck(ok=True), "telemetry": full}
        silent = heard(reads, "ingest", START + SILENT_US + 1)
        assert heard(reads, "dispatch", START) == {}
    records.close()
    assert not silent["ingest"].ok
    assert "40 s" in silent["ingest"].detail


def test_a_process_that_dies_is_missed_by_another(tmp_path: Path) -> None:
    """The process with the rescues' clocks ends, and another one says so."""
    settings = load(data_dir=tmp_path, mqtt_port=servers.free_port(), telemetry_url="influxdb://127.0.0.1:9/none")
    with Liftwatch(settings, [RoleName.BROKER]) as other:
        with Liftwatch(settings, [RoleName.DISPATCH]):
            assert until(lambda: "clocks" in other._health(), within_s=20)
            assert other.status().failing == {}
        other.clock = StandingClock(other.clock.now() + 2 * SILENT_US)  # type: ignore[assignment]
        assert "dispatch" in other.status().failing["clocks"]
