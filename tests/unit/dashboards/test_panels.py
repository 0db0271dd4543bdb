"""Dashboards follow from the signal catalogue, and from nothing that changes."""

import ast
import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.records_sql import SqlRecords
from dashboards.generate import ALL, GENERATED, build, text
from dashboards.layout import COLUMNS, Dashboard, Row, lay_out
from dashboards.one_lift import LIFT
from dashboards.panels import COLOURS, UNITS, states, timeseries
from dashboards.queries import CODES_FIELD, highest
from ingest.ledger import Ledger
from lift import codes
from lift.batch import from_rows
from lift.codes import Code
from lift.fleet import Fleet
from lift.signals import BY_NAME, CAR_SPEED, LOAD, SIGNALS, Signal
from tests import servers

ROOT = Path(__file__).parents[3]
EVERY = pytest.mark.parametrize("dashboard", ALL, ids=lambda dashboard: dashboard.uid)
SECOND = 1_000_000


def panels(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    """Give a dashboard's panels as any reader of its JSON sees them, without the bare rows."""
    yield from (panel for panel in json.loads(text(dashboard))["panels"] if panel["type"] != "row")


def queries(dashboard: Dashboard, key: str) -> Iterator[str]:
    """Give every query of a language: `query` is InfluxQL, `expr` is PromQL."""
    yield from (target[key] for panel in panels(dashboard) for target in panel["targets"] if key in target)


def as_asked(query: str, *, start: int, end: int, step: str = "10s") -> str:
    """Fill in what Grafana fills in."""
    window = f"time >= {start}u AND time < {end}u"
    return query.replace("$lift", "063577").replace("$timeFilter", window).replace("$__interval", step)


def test_the_committed_files_are_what_the_code_makes(tmp_path: Path) -> None:
    """`make dashboards` leaves nothing to commit."""
    made = {path.name: path.read_bytes() for path in build(tmp_path)}
    assert made == {path.name: path.read_bytes() for path in GENERATED.glob("*.json")}


def test_building_takes_away_what_is_no_dashboard_any_more(tmp_path: Path) -> None:
    """A dashboard that was dropped from the code does not live on in Grafana's folder."""
    (tmp_path / "dropped.json").write_text("{}")
    assert sorted(build(tmp_path)) == sorted(tmp_path.iterdir())


@EVERY
def test_every_field_asked_for_is_in_the_catalogue(dashboard: Dashboard) -> None:
    """No panel asks for a column that nobody writes."""
    names = {name for query in queries(dashboard, "query") for name in re.findall(r'"(\w+)"', query)}
    fields = {name for name in names if not re.fullmatch(r"c\d+", name)}
    assert fields <= {*BY_NAME, CODES_FIELD, "telemetry", "lift"}


def test_the_lift_dashboard_shows_the_whole_catalogue() -> None:
    """A signal added to the catalogue is missed here until a panel shows it; so is a message code."""
    asked = " ".join(queries(LIFT, "query"))
    assert {signal.name for signal in SIGNALS if f'"{signal.name}"' not in asked} == set()
    assert {code for code in Code if f'"{CODES_FIELD}" & {codes.bit(code)} AS' not in asked} == set()


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_unit_and_names_follow_from_the_signal(signal: Signal) -> None:
    """A panel over any signal needs no more than the signal, and an enumeration names every value."""
    drawn = json.loads(json.dumps(timeseries("Any 任意", signal)))
    assert drawn["fieldConfig"]["defaults"]["unit"] == UNITS[signal.unit]
    if signal.values:
        override = json.loads(json.dumps(states("Any 任意", signal)))["fieldConfig"]["overrides"][0]
        named = override["properties"][0]["value"][0]["options"]
        assert {int(value): shown["text"] for value, shown in named.items()} == signal.values
        assert len(COLOURS[signal]) == len(signal.values)


def test_one_axis_carries_one_unit() -> None:
    """Speed and load on one axis would be read wrongly, so it is refused."""
    with pytest.raises(AssertionError, match="cannot carry"):
        timeseries("Speed and load 速度与载荷", CAR_SPEED, LOAD)


@given(st.lists(st.lists(st.tuples(st.integers(1, COLUMNS), st.integers(1, 12)), max_size=9), max_size=5))
def test_panels_never_overlap(sizes: list[list[tuple[int, int]]]) -> None:
    """Whatever their sizes, panels lie side by side inside the grid, numbered once each."""
    rows = [Row("r", [{"type": "stat", "gridPos": {"w": w, "h": h}} for w, h in band]) for band in sizes]
    placed: list[Any] = lay_out(rows)
    assert sum(panel["type"] == "stat" for panel in placed) == sum(map(len, sizes))
    _assert_laid_out(placed)


@EVERY
def test_the_dashboards_are_laid_out(dashboard: Dashboard) -> None:
    """What is committed has no overlap either, and every override matches a curve that is asked for."""
    _assert_laid_out(json.loads(text(dashboard))["panels"])
    for panel in panels(dashboard):
        shown = {target.get("alias") for target in panel["targets"]}
        shown |= {name for step in panel.get("transformations", []) for name in _renamed(step)}
        assert {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]} <= shown


@EVERY
def test_titles_are_in_both_languages(dashboard: Dashboard) -> None:
    """Every title, variable and curve can be read in English and in Chinese."""
    model = json.loads(text(dashboard))
    titles = [model["title"], model["description"], *(panel["title"] for panel in model["panels"])]
    titles += [variable["label"] for variable in model["templating"]["list"]]
    titles += [target["alias"] for panel in panels(dashboard) for target in panel["targets"] if target.get("alias")]
    assert [one for one in titles if one != "$col" and not re.search(r"[A-Za-z].*[\u4e00-\u9fff]", one)] == []


@EVERY
def test_nothing_in_the_json_is_one_installations_own(dashboard: Dashboard) -> None:
    """No number that Grafana gives out, and no data source by anything but a variable, so that any Grafana takes it."""
    model = json.loads(text(dashboard))
    assert model.keys().isdisjoint({"id", "version", "iteration"})
    assert re.fullmatch(r"[a-z-]{1,40}", model["uid"])
    offered = {"${" + variable["name"] + "}" for variable in model["templating"]["list"]}
    sources = {one["datasource"]["uid"] for panel in panels(dashboard) for one in (panel, *panel["targets"])}
    assert sources <= offered


@EVERY
def test_every_metric_asked_for_is_measured(dashboard: Dashboard, tmp_path: Path) -> None:
    """A panel over a figure that was renamed would stay empty without a word."""
    asked = {name for query in queries(dashboard, "expr") for name in re.findall(r"liftwatch_\w+", query)}
    with SqlRecords(f"sqlite:///{tmp_path}/records.db").read() as records:
        known = {f"liftwatch_{name}" for name in records.counts()}
    known |= {metric.name for metric in Ledger(Fleet([]), "readings").metrics()}
    known |= {
        name
        for path in ROOT.glob("[a-z]*/*.py")
        if path.parent.name not in {"dashboards", "tests"}
        for name in _named(path)
    }
    assert asked - known == set()


@pytest.mark.integration
def test_the_engine_of_influxdb_answers_every_query(influxdb: servers.InfluxDB, influxdb_bucket: str) -> None:
    """A real InfluxDB finds no fault with any query, and a code active for one second is seen in a wide step."""
    start = 1_795_420_800 * SECOND
    rows = [{"lift": "063577", "at": start + n * SECOND, "message_codes": [11] if n == 30 else []} for n in range(60)]
    batch = from_rows(rows)
    lines = [
        f"telemetry,lift=063577 message_codes={s}i {at}000" for s, at in zip(batch.code_sets(), batch.at, strict=True)
    ]
    _write(influxdb, influxdb_bucket, "\n".join(lines))
    answers = [
        influxdb.query(as_asked(query, start=start, end=start + 60 * SECOND, step="60s"), influxdb_bucket)
        for dashboard in ALL
        for query in queries(dashboard, "query")
    ]
    seen = {
        name: value
        for series in (one for answer in answers for one in answer)
        for row in _values(series)
        for name, value in row.items()
        if name[:2].isdigit() and value
    }
    assert seen == {"11 Entrapment 困人": codes.bit(11)}


def test_an_extreme_says_so() -> None:
    """The two curves of one signal can be told apart."""
    assert highest(CAR_SPEED).label.endswith("max 最大")


def _assert_laid_out(placed: list[Any]) -> None:
    assert [panel["id"] for panel in placed] == list(range(1, len(placed) + 1))
    boxes = [panel["gridPos"] for panel in placed]
    assert all(box["x"] >= 0 and box["x"] + box["w"] <= COLUMNS for box in boxes)
    for a, b in combinations(boxes, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]


def _renamed(step: dict[str, Any]) -> set[str]:
    return set(step["options"].get("renameByName", {}).values())


def _named(path: Path) -> set[str]:
    constants = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str) and re.fullmatch(r"liftwatch_\w+", value)}


def _values(series: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (dict(zip(series["columns"], row, strict=True)) for row in series["values"])


def _write(influxdb: servers.InfluxDB, bucket: str, lines: str) -> None:
    from influxdb_client import InfluxDBClient  # noqa: PLC0415 - only this test needs it
    from influxdb_client.client.write_api import SYNCHRONOUS  # noqa: PLC0415

    with InfluxDBClient(influxdb.url, token=influxdb.token, org=influxdb.org) as client:
        client.write_api(write_options=SYNCHRONOUS).write(bucket, record=lines)
