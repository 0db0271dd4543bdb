"""What the embedded store promises beyond the contract: it survives a kill, and it says who is in the way."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest

from adapters.telemetry_duckdb import DuckDBTelemetry
from adapters.telemetry_duckdb_sql import Statements
from adapters.telemetry_kinds import READINGS
from lift.batch import from_rows
from lift.errors import Invalid, Unavailable
from lift.ports import Stored
from lift.signals import PASSENGER

ROOT = Path(__file__).parents[3]
ALWAYS = 2**53

# Appends readings of one lift for ever, a second apart and as many at once as it is told, and says after each append
# how many are stored.
APPENDER = """
import sys
import numpy as np
from adapters.telemetry_duckdb import DuckDBTelemetry
from lift.batch import Batch
from lift.signals import PASSENGER

store, each = DuckDBTelemetry(sys.argv[1]), int(sys.argv[2])
for stored in range(0, sys.maxsize, each):
    at = np.arange(stored, stored + each) * 1_000_000
    store.append(Batch(("063577",), np.zeros(each, np.int32), at, {PASSENGER: np.ones(each, np.float32)}))
    print(stored + each, flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of a store that is not there yet."""
    return tmp_path / "var" / "telemetry"


@pytest.fixture
def appender(folder: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """Run another process that appends to the store."""
    command = [sys.executable, "-c", APPENDER, str(folder), str(request.param)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def acknowledged(process: subprocess.Popen[str], appends: int) -> int:
    """Wait for so many appends and give how many readings are stored."""
    assert process.stdout is not None
    return [int(process.stdout.readline()) for _ in range(appends)][-1]


@pytest.mark.parametrize(("appender", "appends"), [(10, 40), (130_000, 4)], indirect=["appender"])
def test_what_was_acknowledged_survives_a_kill(appender: subprocess.Popen[str], appends: int, folder: Path) -> None:
    """After kill -9 every reading whose append had returned is there, and its copy is a duplicate."""
    stored = acknowledged(appender, appends)
    appender.send_signal(signal.SIGKILL)
    appender.wait()
    store = DuckDBTelemetry(folder)
    told = np.concatenate([batch.at for batch in store.replay(start=0, end=stored * 1_000_000)])
    assert told.tolist() == (np.arange(stored) * 1_000_000).tolist()
    assert store.append(from_rows([{"lift": "063577", "at": (stored - 1) * 1_000_000}])) == Stored(0, 1)
    store.close()


@pytest.mark.parametrize("appender", [10], indirect=True)
def test_one_process_at_a_time(appender: subprocess.Popen[str], folder: Path) -> None:
    """A second process is refused with the setting to change; when the first is gone it gets in."""
    acknowledged(appender, 1)
    with pytest.raises(Invalid, match=r"LIFTWATCH_TELEMETRY_URL: .*open in another process"):
        DuckDBTelemetry(folder)
    appender.kill()
    appender.wait()
    DuckDBTelemetry(folder).close()


def test_one_store_a_process(folder: Path) -> None:
    """Two stores over one file would not know each other's readings, so the second is refused."""
    first = DuckDBTelemetry(folder)
    with pytest.raises(Invalid, match=r"LIFTWATCH_TELEMETRY_URL: .*open in this process already"):
        DuckDBTelemetry(folder)
    first.close()
    DuckDBTelemetry(folder).close()


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A file where the folder should be is named."""
    (tmp_path / "telemetry").write_text("not a folder")
    with pytest.raises(Invalid, match=r"LIFTWATCH_TELEMETRY_URL: .*telemetry cannot be a folder"):
        DuckDBTelemetry(tmp_path / "telemetry")


def test_a_file_of_something_else_is_refused(folder: Path) -> None:
    """A file that is no database is named and left as it is."""
    folder.mkdir(parents=True)
    (folder / "telemetry.duckdb").write_text("a diary, not a database" * 1000)
    with pytest.raises(Invalid, match="LIFTWATCH_TELEMETRY_URL"):
        DuckDBTelemetry(folder)
    assert (folder / "telemetry.duckdb").read_text().startswith("a diary")


def test_a_closed_store_is_unavailable(folder: Path) -> None:
    """After closing, every verb says that the store is not there instead of failing somehow."""
    store = DuckDBTelemetry(folder)
    store.close()
    with pytest.raises(Unavailable):
        store.append(from_rows([{"lift": "063577", "at": 1}]))
    with pytest.raises(Unavailable):
        store.history("063577", [PASSENGER], start=0, end=ALWAYS)
    store.close()


def test_an_older_database_gains_new_signals(folder: Path) -> None:
    """A signal that is new in the catalogue is unknown for old readings and kept for new ones."""
    store = DuckDBTelemetry(folder)
    store.append(from_rows([{"lift": "063577", "at": 1, "load": 0.5, "passenger": 1}]))
    store.close()
    with duckdb.connect(folder / "telemetry.duckdb") as database:
        database.execute("ALTER TABLE telemetry_1 DROP COLUMN passenger")
    store = DuckDBTelemetry(folder)
    store.append(from_rows([{"lift": "063577", "at": 2, "passenger": 1}]))
    [batch] = store.replay(start=0, end=ALWAYS)
    assert list(batch.rows()) == [{"lift": "063577", "at": 1, "load": 0.5}, {"lift": "063577", "at": 2, "passenger": 1}]
    store.close()


def test_missing_is_null_on_disk(folder: Path) -> None:
    """Whoever opens the file with another tool finds NULL where nothing was reported, never 0 and never NaN."""
    store = DuckDBTelemetry(folder)
    store.append(from_rows([{"lift": "063577", "at": 1, "passenger": 1, "car_speed": 1.5, "message_codes": []}]))
    store.append(from_rows([{"lift": "063577", "at": 2, "load": 0.5}, {"lift": "063577", "at": 3, "car_speed": 0}]))
    store.close()
    with duckdb.connect(folder / "telemetry.duckdb", read_only=True) as database:
        told = database.execute("SELECT passenger, car_speed, load, message_codes FROM telemetry_1").fetchall()
        names = database.execute("SELECT lift, name FROM lifts").fetchall()
        widths = dict(database.execute("SELECT column_name, data_type FROM duckdb_columns()").fetchall())
    assert told == [(1, 1.5, None, 0), (None, None, 0.5, None), (None, 0, None, None)]
    assert names == [(0, "063577")]
    columns = Statements(READINGS).columns
    assert {name: widths[name] for name in columns} == columns


def test_a_resend_leaves_the_file_alone(folder: Path) -> None:
    """A gateway that sends an hour again, unreceipted, costs no rewriting of what is stored."""
    store = DuckDBTelemetry(folder)
    times = range(0, 3_600_000_000, 1_000_000)
    hour = from_rows([{"lift": "063577", "at": at, "passenger": at // 7 % 2, "message_codes": []} for at in times])
    store.append(hour)
    files = [folder / "telemetry.duckdb", folder / "telemetry.duckdb.wal"]
    before = [path.stat().st_size for path in files if path.exists()]
    assert store.append(hour) == Stored(0, 3600)
    after = [path.stat().st_size for path in files if path.exists()]
    assert sum(after) - sum(before) < 1_000
    store.close()


def test_an_append_that_fails_leaves_nothing(folder: Path) -> None:
    """When a part of an append cannot be written nothing of it stays, and it can be repeated."""
    store = DuckDBTelemetry(folder)
    store.append(from_rows([{"lift": "063577", "at": 2, "passenger": 1}]))
    # Without their column the codes have no place; the new lift's name went in before, in the same transaction.
    store._readings._writer.execute("ALTER TABLE telemetry_1 RENAME COLUMN message_codes TO gone")
    both = from_rows([{"lift": "310117", "at": 1}, {"lift": "063577", "at": 2, "message_codes": [11]}])
    with pytest.raises(Unavailable):
        store.append(both)
    store._readings._writer.execute("ALTER TABLE telemetry_1 RENAME COLUMN gone TO message_codes")
    assert [dict(store.newest()), store._readings.count(0, ALWAYS)] == [{"063577": 2}, 1]
    assert store.append(both) == Stored(1, 1)
    store.close()
    store = DuckDBTelemetry(folder)
    assert dict(store.newest()) == {"063577": 2, "310117": 1}
    store.close()
