"""The smaller commands do what they say, as a person or a program calls them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.clock import SystemClock
from tests import servers
from tests.program import program


def run(*arguments: str, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "runtime", *arguments],
        input=text,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.timeout(120)
def test_a_city_is_simulated_to_files_the_same_each_time(tmp_path: Path) -> None:
    """Telemetry and truth come out, the summary says how much, and a second run writes the same readings."""
    plan = ["--lifts", "20", "--days", "0.002", "--seed", "3", "--scenario", "demo", "--json"]
    told = [json.loads(run("simulate", *plan, "--out", str(tmp_path / name)).stdout) for name in ("a", "b")]
    assert told[0] == told[1]
    assert told[0]["readings"] > 20 * 150
    first, second = (sorted((tmp_path / name / "telemetry").iterdir()) for name in ("a", "b"))
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]
    truth = [json.loads(line) for line in (tmp_path / "a" / "truth.jsonl").read_text().splitlines()]
    assert any(record["kind"] == "entrapment_between_landings" for record in truth)


def test_simulate_says_what_it_lacks(tmp_path: Path) -> None:
    """Without a place to write to, or with a folder in use, the error names the option."""
    assert "--out: say either --out FOLDER or --mqtt URL" in run("simulate").stderr
    (tmp_path / "used").touch()
    assert "is not empty; choose a new folder" in run("simulate", "--out", str(tmp_path)).stderr


@pytest.mark.timeout(120)
def test_a_gateway_on_standard_input_carries_every_good_line(tmp_path: Path) -> None:
    """Good lines are stored and receipted; a bad one is named with its number and costs nothing else."""
    with program(tmp_path / "city", scenario="life", simulated_lifts=5) as desk:
        at = SystemClock().now() // 1000
        lines = [json.dumps({"lift": "063577", "at": at - number, "car_position": number}) for number in range(3)]
        carried = run(
            "gateway",
            "demo",
            text="\n".join([*lines, "garbage", ""]),
            LIFTWATCH_MQTT_URL=desk.broker,
            LIFTWATCH_DATA_DIR=str(tmp_path / "gateway"),
        )
        assert carried.stdout == "3 readings accepted, 0 without a receipt yet\n", carried.stderr
        assert "line 4: payload: not JSON" in carried.stderr
        desk.sign_in_as("inspector")
        history = desk.get("/v1/lifts/063577/history?signals=car_position")
        assert sorted(history["signals"]["car_position"]) == [0, 1, 2]
        checked = run("audit", "verify", "--json", LIFTWATCH_DATA_DIR=str(tmp_path / "city"))
        assert json.loads(checked.stdout) == {"checked": 0, "broken": {}}


def test_the_doctor_names_what_is_wrong(tmp_path: Path) -> None:
    """A healthy machine passes; a broker that is not there is named, with exit status 1."""
    ports = {"LIFTWATCH_MQTT_PORT": str(servers.free_port()), "LIFTWATCH_HTTP_PORT": str(servers.free_port())}
    well = run("doctor", "--json", **{"LIFTWATCH_DATA_DIR": str(tmp_path), **ports})
    assert well.returncode == 0, well.stdout
    assert {finding["what"] for finding in json.loads(well.stdout)} >= {"broker", "records", "telemetry"}
    ill = run("doctor", LIFTWATCH_DATA_DIR=str(tmp_path), LIFTWATCH_MQTT_URL="mqtt://127.0.0.1:1")
    assert ill.returncode == 1
    assert "WRONG  broker" in ill.stdout


def test_a_person_is_added_for_a_role_that_exists(tmp_path: Path) -> None:
    """The password is printed once; an unknown role or a firm that is not registered is refused by name."""
    made = run("user", "add", "li", "--role", "inspector", LIFTWATCH_DATA_DIR=str(tmp_path))
    assert "li (inspector) may sign in with the password " in made.stdout
    assert "--role: 'boss' is not accepted" in run("user", "add", "li", "--role", "boss").stderr
    firm = run("user", "add", "li", "--role", "firm", "--scope", "f-9", LIFTWATCH_DATA_DIR=str(tmp_path))
    assert firm.returncode == 2
    assert "f-9" in firm.stderr


@pytest.mark.timeout(120)
def test_rules_are_evaluated_from_the_command_line() -> None:
    """The plan, every kind and every rule come out as JSON."""
    asked = ["--lifts", "20", "--hours", "0.05", "--seed", "3", "--scenario", "demo", "--json"]
    told = json.loads(run("evaluate", *asked).stdout)
    assert told["plan"].startswith("--lifts 20 --hours 0.05 --seed 3")
    assert told["kinds"]["entrapment_between_landings"]["true"] >= 1
    assert told["rules"]["entrapment_between_landings"]["false"] == 0
