"""docs/gateway.md: its file passes the check, its driver works, and its tables name every key there is."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest

from adapters.clock import SystemClock
from deploy import make_secrets
from gateway import config, drivers
from gateway.driver import Driver, Surroundings
from gateway.drivers import jsonlines
from gateway.raw_block import RawBlock, check
from lift.batch import from_rows
from tests.unit.gateway.configured import document

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/gateway.md").read_text()


def block(language: str) -> str:
    """Give the page's block of code in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_example_file_passes_the_check(tmp_path: Path) -> None:
    """Who copies it and fills in the files it names can start."""
    make_secrets.certificates(tmp_path, [])
    (tmp_path / "password").write_text("x")
    (tmp_path / "map.toml").write_text((ROOT / "gateway/maps/retrofit_box.toml").read_text())
    (tmp_path / "gateway.toml").write_text(block("toml"))
    found, problems = config.read(tmp_path / "gateway.toml", {})
    assert problems == []
    assert found is not None
    assert found.lifts == ("063577", "063578")


def test_the_example_line_of_raw_acceleration_is_taken() -> None:
    """Who writes such lines has them accepted as they stand."""
    taken: list[RawBlock] = []
    reported: list[tuple[int, str]] = []
    line = block("json").encode()
    assert list(jsonlines.batches([line], lambda n, why: reported.append((n, why)), take_raw=taken.append)) == []
    assert reported == []
    check(taken[0])
    assert taken[0].acceleration.shape == (2, 3)


def test_the_example_driver_works(tmp_path: Path) -> None:
    """It reads what is there, names what is not, and stops."""
    names: dict[str, Any] = {"from_rows": from_rows}
    exec(block("python"), names)  # noqa: S102 - our own page
    (tmp_path / "a").write_text("21500\n")
    (tmp_path / "b").write_text("warm\n")
    text = 'every_s = 0.1\n[lifts.a]\nsensor = "a"\n[lifts.b]\nsensor = "b"\n'
    root = document(text, tmp_path).root
    driver: Driver = names["Thermometer"](root, dict(root.section("lifts").each()))
    around = Surroundings(SystemClock(), threading.Event())
    batches = driver.batches(around)
    (row,) = next(batches).rows()
    assert (row["lift"], row["machine_room_temperature"]) == ("a", 21.5)
    assert list(around.troubles.present()) == ["b"]
    around.stop.set()
    assert next(batches, None) is None


@pytest.mark.parametrize("name", drivers.names())
def test_every_key_is_on_the_page(name: str) -> None:
    """What the check accepts is explained: the keys of the file, of each driver and of its lifts."""
    read = document(f"[{name}]\nx = 1\n[lifts.a]\nx = 1\n")
    section, lift = read.root.section(name), next(lift for _, lift in read.root.section("lifts").each())
    drivers.load(name)(section, {"a": lift})
    for one in (section, lift):
        one.finish()
    told = [problem.reason.partition("accepted: ")[2] for problem in read.problems if "x" in problem.key]
    keys = {key for listed in told for key in listed.split(", ")} - {"nothing"}
    assert told
    missing = {key for key in keys if f"`{key}`" not in PAGE and f"`{key}," not in PAGE}
    assert missing == set()
