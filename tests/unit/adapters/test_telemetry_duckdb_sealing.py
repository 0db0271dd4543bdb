"""What sealing promises: plain files, nothing lost at any point, readers undisturbed, disk given back."""

import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from adapters import telemetry_duckdb_chores as chores
from adapters import telemetry_duckdb_sealing as sealing
from adapters.telemetry_duckdb import DuckDBTelemetry
from lift.batch import Batch, from_rows
from lift.errors import Unavailable
from lift.ports import Stored, Tidied
from lift.signals import CAR_SPEED, PASSENGER

ROOT = Path(__file__).parents[3]
S = 1_000_000
DAY = 86_400 * S
ALWAYS = 2**53

# Appends a minute of two lifts at a time and tidies a day ahead after each, for ever; says what is stored.
TIDIER = """
import sys, itertools
import numpy as np
from adapters.telemetry_duckdb import DuckDBTelemetry
from lift.batch import Batch
from lift.signals import PASSENGER

store = DuckDBTelemetry(sys.argv[1])
for minute in itertools.count():
    at = np.tile(np.arange(minute * 60, minute * 60 + 60) * 1_000_000, 2)
    lift = np.repeat(np.arange(2, dtype=np.int32), 60)
    store.append(Batch(("a", "b"), lift, at, {PASSENGER: np.ones(120, np.float32)}))
    print(minute + 1, flush=True)
    while store.tidy(now=(minute * 3 + 2) * 86_400_000_000, raw_before=0, long_before=0, around=lambda a, b: ()).more:
        pass
"""


def tidy(store: DuckDBTelemetry, now: int, *, raw_before: int = 0) -> list[Tidied]:
    """Tidy to the end."""
    done = [Tidied(more=True)]
    while done[-1].more:
        done.append(store.tidy(now=now, raw_before=raw_before, long_before=0, around=lambda _a, _b: ()))
    return done


def seconds(lift: str, start: int, count: int) -> Batch:
    """Make a reading a second."""
    at = start + np.arange(count) * S
    return Batch((lift,), np.zeros(count, np.int32), at, {CAR_SPEED: np.arange(count, dtype=np.float32) % 9})


def sealed(folder: Path) -> list[Path]:
    """List the files of readings."""
    return sorted((folder / "telemetry.sealed").iterdir())


def stored(store: DuckDBTelemetry) -> list[tuple[str, int]]:
    """Give the identity of every reading there is."""
    found = [
        (batch.names[lift], at)
        for batch in store.replay(start=-ALWAYS, end=ALWAYS)
        for lift, at in zip(batch.lift.tolist(), batch.at.tolist(), strict=True)
    ]
    assert len(found) == len(set(found))
    return sorted(found)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBTelemetry]:
    """Open an empty store that has been tidied once."""
    opened = DuckDBTelemetry(tmp_path)
    tidy(opened, 0)
    yield opened
    opened.close()


def test_sealed_files_are_plain_parquet(store: DuckDBTelemetry, tmp_path: Path) -> None:
    """A day is a file of its own, sorted by lift and time, with rescue codes, and NULL for what was not reported."""
    store.append(
        from_rows(
            [
                {"lift": "b", "at": DAY - S, "passenger": 1},
                {"lift": "a", "at": DAY + S, "car_speed": 1.5, "message_codes": []},
                {"lift": "b", "at": 5 * S, "car_speed": 0},
                {"lift": "a", "at": DAY - S, "passenger": 0},
            ]
        )
    )
    tidy(store, 2 * DAY)
    first, second = sealed(tmp_path)
    assert [first.name[:10], second.name[:10]] == ["1970-01-01", "1970-01-02"]
    columns = ["name", "at", "passenger", "car_speed", "message_codes"]
    table = pq.read_table(first, columns=columns)
    rows = [list(row.values()) for row in table.set_column(1, "at", table["at"].cast("int64")).to_pylist()]
    assert rows == [["b", 5 * S, None, 0, None], ["b", DAY - S, 1, None, None], ["a", DAY - S, 0, None, None]]
    assert pq.read_table(second, columns=["name", "car_speed"]).to_pylist() == [{"name": "a", "car_speed": 1.5}]


def test_lifts_are_found_in_the_one_file_they_are_in(
    store: DuckDBTelemetry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large table becomes several files by lift; a history reads those of its lift only."""
    monkeypatch.setattr(chores, "seal", lambda *asked: sealing.seal(*asked, slice_rows=100, file_rows=200))
    for lift in "abcde":
        store.append(seconds(lift, 0, 100))
    tidy(store, 2 * DAY)
    assert len(sealed(tmp_path)) == 3
    assert len(stored(store)) == 500
    for path in sealed(tmp_path)[1:]:
        path.unlink()
    assert len(store.history("b", [CAR_SPEED], start=0, end=DAY).at) == 100
    with pytest.raises(Unavailable):
        store.history("e", [CAR_SPEED], start=0, end=DAY)


def test_what_is_sealed_a_little_at_a_time_is_merged(store: DuckDBTelemetry, tmp_path: Path) -> None:
    """Many small files of one day become one, with the same rows, the later copy of each."""
    for late in range(8):
        store.append(
            from_rows([{"lift": "a", "at": late * S, "load": 0.5}, {"lift": "a", "at": S, "passenger": late % 2}])
        )
        tidy(store, (2 * late + 2) * DAY)
    tidy(store, 40 * DAY)
    assert len(sealed(tmp_path)) == 1
    assert [at for _, at in stored(store)] == [late * S for late in range(8)]
    told = store.history("a", [PASSENGER], start=0, end=DAY)
    assert (told.at.tolist(), told.columns[PASSENGER].tolist()) == ([S], [1])


def test_a_copy_that_says_nothing_new_is_not_stored_again(store: DuckDBTelemetry, tmp_path: Path) -> None:
    """A gateway that sends a sealed hour again is told that all of it is there, and no file comes of it."""
    hour = seconds("a", 0, 3600)
    store.append(hour)
    tidy(store, 2 * DAY)
    before = sealed(tmp_path)
    assert store.append(hour) == Stored(0, 3600)
    tidy(store, 5 * DAY)
    assert sealed(tmp_path) == before


def test_disk_comes_back(store: DuckDBTelemetry, tmp_path: Path) -> None:
    """A day that is old is a file that is gone, and the tally names its bytes."""
    store.append(seconds("a", 0, 50_000))
    tidy(store, 2 * DAY)
    [file] = sealed(tmp_path)
    size = file.stat().st_size
    done = tidy(store, 9 * DAY, raw_before=8 * DAY)
    assert sealed(tmp_path) == []
    assert sum(one.freed_bytes for one in done) == size
    assert sum(one.readings for one in done) == 50_000


@pytest.mark.parametrize("failing", ["fsync", "add_run"])
def test_a_seal_that_fails_loses_nothing(
    store: DuckDBTelemetry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Whether the disk or the database refuses, rows stay where they were; the next try seals them once."""
    store.append(seconds("a", 0, 100))
    expected = stored(store)

    def refuse(*_: object) -> None:
        raise OSError("no space left") if failing == "fsync" else duckdb.IOException("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync" if failing == "fsync" else "adapters.telemetry_duckdb_pieces.add_run", refuse)
        with pytest.raises((OSError, Unavailable)):
            tidy(store, 2 * DAY)
    assert stored(store) == expected
    store.close()
    again = DuckDBTelemetry(tmp_path)
    assert stored(again) == expected
    assert sealed(tmp_path) == []
    tidy(again, 2 * DAY)
    assert stored(again) == expected
    assert len(sealed(tmp_path)) == 1
    again.close()


def test_a_kill_while_tidying_loses_nothing(tmp_path: Path) -> None:
    """After kill -9 at some moments every acknowledged reading is there once, and files are those on the list."""
    folder = tmp_path / "store"
    for minutes in (3, 7):
        command = [sys.executable, "-c", TIDIER, str(folder)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = [int(line) for line in itertools.islice(process.stdout, minutes)][-1]
            process.send_signal(signal.SIGKILL)
        store = DuckDBTelemetry(folder)
        found = stored(store)
        assert len(found) >= told * 120
        assert found == sorted((lift, i * S) for lift in "ab" for i in range(len(found) // 2))
        assert len(sealed(folder)) == len(store._readings.pieces.runs)
        store.close()


def test_readers_are_undisturbed(store: DuckDBTelemetry) -> None:
    """While tables are sealed, merged and thinned out, a history never lacks a row, nor has one twice."""
    store.append(seconds("a", 0, 5000))
    over = threading.Event()
    seen: set[int] = set()
    errors: list[BaseException] = []

    def read() -> None:
        try:
            while not over.is_set():
                seen.add(len(store.history("a", [CAR_SPEED], start=0, end=5000 * S).at))
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for day in range(2, 20, 2):
        # New rows of the same day, so that there is always something to seal and at last to merge.
        store.append(seconds("b", day * S, 10))
        tidy(store, day * DAY)
    over.set()
    for reader in readers:
        reader.join()
    assert errors == []
    assert seen == {5000}


def test_files_older_than_a_signal_are_read(store: DuckDBTelemetry, tmp_path: Path) -> None:
    """A signal that is new in the catalogue is unknown in what was sealed before."""
    store.append(from_rows([{"lift": "a", "at": S, "load": 0.5, "passenger": 1}]))
    tidy(store, 2 * DAY)
    [file] = sealed(tmp_path)
    pq.write_table(pq.read_table(file).drop_columns(["passenger"]), file)
    store.close()
    with duckdb.connect(tmp_path / "telemetry.duckdb") as database:
        database.execute("UPDATE runs SET columns = list_filter(columns, lambda name: name != 'passenger')")
    again = DuckDBTelemetry(tmp_path)
    again.append(from_rows([{"lift": "a", "at": 2 * S, "passenger": 1}]))
    [batch] = again.replay(start=0, end=ALWAYS)
    assert list(batch.rows()) == [{"lift": "a", "at": S, "load": 0.5}, {"lift": "a", "at": 2 * S, "passenger": 1}]
    again.close()
