"""`liftwatch score`, `score trips`, `clusters`: files in whatever form in, one score a row out, clear refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from adapters.clock import SystemClock
from adapters.records_sql import SqlRecords
from alarms.clusters import attributes_of, find_clusters
from alarms.desk import AlarmDesk
from lift.alarm import Priority
from lift.errors import Invalid
from runtime import settings as settings_module
from runtime.cli import app
from runtime.clusters import read_batches
from runtime.score import read_recording, score_file, score_trip_files
from runtime.tables import read_table
from simulator.acceleration import record_trip
from simulator.city import build_city
from tests.small_city import CENTRAL, transition
from tests.small_city import CITY as SMALL_CITY

CITY = build_city(lifts=20, seed=6)
SLOT = int(np.argmax(CITY.plant.landings))


def write(path: Path, text: str, *, encoding: str = "utf-8") -> Path:
    """Write a file."""
    path.write_text(text, encoding)
    return path


def call(*arguments: str) -> str:
    """Run the command line and give its output."""
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("stamps", "clock"),
    [
        (("2026-01-01 00:00:00", "2026-01-01 00:05:00"), True),
        (("2026-01-01T00:00:00Z", "2026-01-01T00:05:00+00:00"), True),
        (("01/02/2026 00:00", "01/02/2026 00:05"), True),
        (("1767225600", "1767225900"), True),
        (("1767225600000", "1767225900000"), True),
        (("0", "300"), False),
    ],
)
def test_times_of_any_usual_form_are_read(tmp_path: Path, stamps: tuple[str, str], clock: bool) -> None:  # noqa: FBT001
    """ISO, other calendars, epoch in any unit and plain numbers, five minutes apart; the stamps stay word for word."""
    file = write(tmp_path / "a.csv", f"When,Value\n{stamps[0]},1\n{stamps[1]},2\n")
    table = read_table(file)
    assert table.stamps == list(stamps)
    assert table.clock is clock
    assert np.diff(table.times) == pytest.approx(300.0)


def test_odd_exports_are_read(tmp_path: Path) -> None:
    """Semicolons, decimal commas, a byte order mark, gaps, flags, a column of text, short rows."""
    file = write(tmp_path / "a.csv", "t;a;b;note\n1;1,5;true;x\n2;;false;y\n3;2\n", encoding="utf-8-sig")
    table = read_table(file)
    assert table.names == ["a", "b"]
    assert np.array_equal(table.values, [[1.5, 1.0], [np.nan, 0.0], [2.0, np.nan]], equal_nan=True)


def test_a_file_without_a_header_is_read(tmp_path: Path) -> None:
    """The first row counts when it holds numbers."""
    assert len(read_table(write(tmp_path / "a.csv", "1,5\n2,6\n")).stamps) == 2


def test_values_alone_are_read(tmp_path: Path) -> None:
    """One column is values, and their rows are their times; labels beside are not looked at."""
    for text in ("5\n6\n", "value\n5\n6\n"):
        table = read_table(write(tmp_path / "a.csv", text))
        assert (table.stamps, table.values.tolist(), table.clock) == (["0", "1"], [[5.0], [6.0]], False)
    assert read_table(write(tmp_path / "a.csv", "t,v,is_anomaly\n1,2,0\n2,3,1\n")).names == ["v"]


def test_what_cannot_be_read_is_named_by_its_line(tmp_path: Path) -> None:
    """A cell that is neither a number nor a word for none counts as missing, and is told of, beside all scores."""
    text = (
        "timestamp,value,note\n2026-01-01,1,a\n\nyesterday,,b\n2026-01-03,ERR,c\n2026-01-04,NaN,d\n2026-01-05,bad,e\n"
    )
    file = write(tmp_path / "a.csv", text)
    result = CliRunner().invoke(app, ["score", str(file)])
    assert len(result.stdout.splitlines()) == 6
    assert result.stderr.splitlines() == [
        f"liftwatch: {file}: line 4, times: 'yesterday' is no time and counts as missing",
        f"liftwatch: {file}: line 5, value: 'ERR' is no number and counts as missing, and 1 more like it",
    ]


def test_a_bad_cell_of_a_recording_is_named_by_its_line(tmp_path: Path) -> None:
    """A trip of raw acceleration with a word in it is refused, and the refusal says where the word is."""
    file = write(tmp_path / "trip.csv", "time,x,y,z\n0,0,0,9.8\n0.01,0,oops,9.8\n")
    with pytest.raises(Invalid, match=r"trip\.csv: line 3, y: 'oops' is no number"):
        read_recording(file)


@pytest.mark.parametrize(
    "text", ["", "timestamp,value\n", "timestamp,value\n1,x\n2,y\n", "timestamp,label\n1,0\n2,1\n"]
)
def test_what_is_no_series_is_refused(tmp_path: Path, text: str) -> None:
    """An empty file, no numbers, nothing but the answer: the refusal names the file."""
    with pytest.raises(Invalid, match=r"a\.csv"):
        read_table(write(tmp_path / "a.csv", text))


def test_score_gives_a_score_for_each_row(tmp_path: Path) -> None:
    """Row by row, in order, as CSV, as JSON and into a file; the spike at the end is the highest."""
    rows = [*(f"{n},{np.sin(n):.4f}" for n in range(300)), "300,50", "301,"]
    file = write(tmp_path / "a.csv", "timestamp,value\n" + "\n".join(rows) + "\n")
    lines = call("score", str(file)).splitlines()
    assert lines[0] == "timestamp,score"
    assert [line.split(",")[0] for line in lines[1:]] == [str(n) for n in range(302)]
    scores = [float(line.split(",")[1]) for line in lines[1:]]
    assert int(np.argmax(scores)) == 300
    assert json.loads(call("score", str(file), "--json"))[300]["score"] == pytest.approx(scores[300], abs=1e-6)
    call("score", "--calibrate", "100", str(file), "--out", str(tmp_path / "out.csv"))
    assert (tmp_path / "out.csv").read_text().count("\n") == 303
    assert score_file(file)[1][:200] == pytest.approx(scores[:200], abs=1e-6)


def recordings(folder: Path, count: int, *, worn_from: int) -> list[Path]:
    """Write recordings of trips, the later ones with a worn bearing."""
    files = []
    for number in range(count):
        chance = np.random.default_rng(number)
        origin, goal = (0, 5) if number % 2 else (6, 1)
        trip = record_trip(
            CITY.plant,
            SLOT,
            origin=origin,
            goal=goal,
            chance=chance,
            rate_hz=200,
            bearing=0.9 * (number >= worn_from),
        )
        lines = [
            f"{at:.4f},{x:.4f},{y:.4f},{z + 9.81:.4f}"
            for at, (x, y, z) in zip(trip.time.tolist(), trip.axes.tolist(), strict=True)
        ]
        files.append(write(folder / f"{number:02d}.csv", "time,acc_x,acc_y,acc_z\n" + "\n".join(lines) + "\n"))
    return files


def test_score_trips_gives_a_score_for_each_trip(tmp_path: Path) -> None:
    """A row a trip with its file; the worn ones are alarms, the healthy ones are not."""
    files = recordings(tmp_path, 18, worn_from=13)
    told = json.loads(call("score", "trips", *map(str, files), "--healthy", "8", "--json"))
    assert [row["file"] for row in told] == [str(file) for file in files]
    scores = [row["score"] for row in told]
    assert max(scores[:13]) < 0.5 < min(scores[14:])
    assert call("score", "trips", *map(str, files)).splitlines()[0] == "file,start,score"


def test_recordings_with_a_calendar_keep_their_start(tmp_path: Path) -> None:
    """ISO times and epoch milliseconds come out as ISO; columns may stand in any order."""
    start = 1_767_225_600.0
    for number, iso in enumerate((False, True)):
        stamps = [_iso(start + n / 50) if iso else f"{start * 1e3 + n * 20:.0f}" for n in range(500)]
        rows = [f"{np.sin(9 * n):.4f},{n % 7},{n % 3},{stamp}" for n, stamp in enumerate(stamps)]
        file = write(tmp_path / f"{number}.csv", "z,y,x,timestamp\n" + "\n".join(rows) + "\n")
        time, axes, clock = read_recording(file)
        assert clock
        assert time[0] == pytest.approx(start, abs=1e-3)
        assert axes[1].tolist() == pytest.approx([1.0, 1.0, np.sin(9)], abs=1e-3)
        scored = score_trip_files([file] * 6)
        assert scored[0].start.startswith("2026-01-01T00:00:0")


def _iso(at: float) -> str:
    return str(np.datetime64(round(at * 1e3), "ms"))


def test_a_recording_that_is_none_is_refused(tmp_path: Path) -> None:
    """Too few columns, no numbers, no file: the refusal names the file."""
    for text in ("a,b\n1,2\n", "time,x,y,z\n1,a,b,c\n", "time,x,y,z\n1,2,3,4\n"):
        with pytest.raises(Invalid, match=r"bad\.csv"):
            score_trip_files([write(tmp_path / "bad.csv", text)])
    with pytest.raises(Invalid, match="absent"):
        score_trip_files([tmp_path / "absent.csv"])


def test_batches_are_read_by_either_code(tmp_path: Path) -> None:
    """A lift is named by its rescue or its registration code; others are unknown."""
    lifts = CITY.register.lifts[:3]
    text = f"lift,door batch\n{lifts[0].rescue_code},D1\n{lifts[1].registration_code},D2\nnobody,D3\n"
    assert read_batches(write(tmp_path / "b.csv", text), lifts) == {"door batch": ["D1", "D2", ""]}
    with pytest.raises(Invalid, match=r"none\.csv"):
        read_batches(tmp_path / "none.csv", lifts)


def test_clusters_of_an_empty_city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without lifts and alarms nothing stands out, and a program reads an empty list."""
    monkeypatch.setenv("LIFTWATCH_DATA_DIR", str(tmp_path))
    assert json.loads(call("clusters", "--json")) == []
    assert "no group stands out" in call("clusters")


def test_clusters_count_faults_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mechanic at work is on record beside the fault that he mends, and is none."""
    monkeypatch.setenv("LIFTWATCH_DATA_DIR", str(tmp_path))
    records = SqlRecords(settings_module.load().records)
    found = [
        transition(CENTRAL, SystemClock().now(), rule=rule, code=None, priority=priority)
        for rule, priority in (("mode_changed_43", Priority.JOURNAL), ("door_closing_fault", Priority.MEDIUM))
    ]
    with records.write() as tx:
        tx.register(SMALL_CITY)
        assert len(AlarmDesk(records, SystemClock()).take(tx, found)) == 2
    records.close()
    assert " 1 faults" in call("clusters")


def test_a_bad_batch_stands_out_by_the_register_alone() -> None:
    """The register names each lift's component batch, so a bad one is found without another file."""
    lifts = build_city(lifts=400, seed=3).register.lifts
    bad = max({lift.batch for lift in lifts}, key=lambda batch: sum(lift.batch == batch for lift in lifts))
    slow = [lift.rescue_code for n, lift in enumerate(lifts) if lift.batch == bad or n % 40 == 0]
    faults = [(code, "door_closing_slower") for code in slow]
    found = find_clusters([lift.rescue_code for lift in lifts], attributes_of(lifts), faults)
    assert (found[0].attribute, found[0].value) == ("batch", bad)
