"""What whoever keeps Liftwatch running reads when a part fails."""

import io
from dataclasses import replace
from pathlib import Path

from runtime.app import Liftwatch, RoleName, Status
from runtime.settings import load
from runtime.statusline import StatusLine
from tests import servers
from tests.program import until

WELL = Status(0, 3, 1, None, {})


def test_a_failing_part_is_told_once_and_so_is_its_return() -> None:
    """The meaning, in both languages, comes at once on a line that stays; the status line names the part."""
    stream = io.StringIO()
    line = StatusLine(stream)
    down = replace(WELL, failing={"broker": "not connected"})
    for status in (WELL, down, down, WELL):
        line.show(status, 0)
    told = stream.getvalue()
    assert told.count("! broker: no line to the MQTT broker") == 1
    assert told.count("(not connected)") == 1
    assert told.count("收不到任何电梯数据") == 1
    assert told.count("ok broker works again 已恢复") == 1


def test_a_full_disk_is_named() -> None:
    """Whoever can make room learns it from the same line, in both languages."""
    stream = io.StringIO()
    StatusLine(stream).show(replace(WELL, failing={"telemetry": "OSError: [Errno 28] No space left on device"}), 0)
    assert "THE DISK IS FULL: readings cannot be stored" in stream.getvalue()
    assert "磁盘已满" in stream.getvalue()


def test_a_status_without_records_is_still_a_status(tmp_path: Path, postgresql: servers.PostgreSQL) -> None:
    """The database goes and comes back: the program stays, says so, and then counts again."""
    settings = load(data_dir=tmp_path, records_url=postgresql.fresh(), telemetry_url="influxdb://127.0.0.1:9/none")
    with Liftwatch(settings, [RoleName.DISPATCH]) as watch:
        assert watch.status().tickets == 0
        assert watch.status().failing == {}
        postgresql.kill()
        assert until(lambda: "records" in watch.status().failing, within_s=20)
        assert watch.status().tickets is None
        stream = io.StringIO()
        StatusLine(stream).show(watch.status(), 0)
        assert "业务数据库无响应" in stream.getvalue()
        assert "open ticket" not in stream.getvalue()
        postgresql.start()
        assert until(lambda: watch.status().tickets == 0, within_s=20)
