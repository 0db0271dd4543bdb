"""Runs: files that say everything, the same bytes on any number of processes, and refusals that name the cause."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lift import signals as s
from lift.errors import Invalid
from simulator import record, run
from simulator.published import ENTRAPMENT_RATE, STUCK
from simulator.report import Figure, Verdict, report
from simulator.run import Plan, Reports, simulate, stream
from simulator.truth import Truth

# A Monday, 18:00 in the city.
EVENING = 1_763_978_400_000_000
SMALL = Plan(lifts=40, seed=3, start=EVENING, seconds=90, scenario="demo")
# Two sections.
LARGE = Plan(lifts=run.SECTION_LIFTS + 3_000, seed=3, start=EVENING, seconds=6, fault_rate=20.0)


def fingerprint(folder: Path) -> dict[str, str]:
    """Hash every file."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_the_same_bytes_on_any_number_of_processes(tmp_path: Path) -> None:
    """A second run, and a run on two processes, write the same files."""
    heard: list[float] = []
    simulate(tmp_path / "one", LARGE, progress=heard.append)
    simulate(tmp_path / "again", LARGE)
    simulate(tmp_path / "two", LARGE, workers=2)
    files = fingerprint(tmp_path / "one")
    assert len([name for name in files if name.startswith("telemetry")]) == 2
    assert files == fingerprint(tmp_path / "again") == fingerprint(tmp_path / "two")
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(1.0)


def test_a_run_writes_what_it_says(tmp_path: Path) -> None:
    """Telemetry has the batch's columns, truth is the same in both forms, usage has a line a lift."""
    summary = simulate(tmp_path / "out", SMALL)
    table = pq.read_table(tmp_path / "out" / "telemetry")
    assert table.num_rows == summary.readings == 40 * 90
    assert set(table.column_names) == {"lift", "at", "message_codes", *(signal.name for signal in s.SIGNALS)}
    records = record.read_truth(tmp_path / "out")
    assert len(records) == summary.records > 0
    written = pq.read_table(tmp_path / "out" / "truth.parquet").to_pylist()
    assert [row["kind"] for row in written] == [one.kind for one in records]
    assert [row["lift"] for row in written] == [one.lift for one in records]
    assert all(set(json.loads(one.to_json())) == set(Truth.__dataclass_fields__) for one in records)
    usage = record.read_columns(tmp_path / "out" / "usage.parquet")
    assert len(usage["lift"]) == 40
    assert (usage["energy_kwh"] > 0).all()


def test_a_stream_is_what_a_run_writes(tmp_path: Path) -> None:
    """Publishing second by second gives the readings that the files hold."""
    simulate(tmp_path / "out", SMALL)
    streamed = sum(float(np.nansum(batch.columns[s.CAR_HEIGHT])) for batch in stream(SMALL) if len(batch))
    assert streamed > 0
    assert sum(len(batch) for batch in stream(SMALL)) == 40 * 90


def test_terminals_send_less(tmp_path: Path) -> None:
    """With the terminals' own cadence, idle lifts keep quiet."""
    quiet = Plan(lifts=40, seed=3, start=EVENING, seconds=90, reports=Reports.TERMINAL)
    assert simulate(tmp_path / "out", quiet).readings < 0.7 * 40 * 90


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    """Nothing is overwritten."""
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(Invalid, match="not empty"):
        simulate(tmp_path, SMALL)


@pytest.mark.parametrize(
    ("change", "field"), [({"seconds": 0}, "days"), ({"scenario": "x"}, "scenario"), ({"lifts": 0}, "lifts")]
)
def test_an_impossible_plan_is_refused(tmp_path: Path, change: dict[str, int | str], field: str) -> None:
    """The error names the setting."""
    facts = {"lifts": 5, "seed": 1, "start": EVENING, "seconds": 5} | change
    with pytest.raises(Invalid) as refusal:
        simulate(tmp_path / "out", Plan(**facts))  # type: ignore[arg-type]
    assert refusal.value.field == field


def test_a_report_compares_any_run(tmp_path: Path) -> None:
    """Even a short run gets its report, with honest intervals and a page of pictures."""
    simulate(tmp_path / "out", SMALL)
    result = report(tmp_path / "out")
    assert (tmp_path / "out" / "report.html").read_text("utf-8").count("<svg") == len(result.figures) + 1
    facts = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert [line["verdict"] for line in facts["figures"]] == [figure.verdict for figure in result.figures]
    rate = result.figures[0]
    assert rate.low <= rate.value <= rate.high
    assert str(rate.verdict) in result.text()


def test_a_report_needs_a_simulation(tmp_path: Path) -> None:
    """A wrong folder is named."""
    with pytest.raises(Invalid, match="holds no plan"):
        report(tmp_path)


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [
        (600.0, 550.0, 650.0, Verdict.INSIDE),
        (360.0, 340.0, 380.0, Verdict.WITHIN_ERROR),
        (300.0, 280.0, 320.0, Verdict.OUTSIDE),
        (np.nan, np.nan, np.nan, Verdict.NO_DATA),
    ],
)
def test_a_verdict_is_plain(value: float, low: float, high: float, verdict: Verdict) -> None:
    """Inside, within its error, outside, or no data."""
    assert Figure(ENTRAPMENT_RATE, value, low, high, 1).verdict is verdict


def test_what_nobody_publishes_gets_no_verdict() -> None:
    """A figure without a source is shown, not judged."""
    assert Figure(STUCK, 1.0, 0.5, 1.5, 1).verdict is Verdict.UNPUBLISHED
