"""From rows of panels to a dashboard: places on Grafana's grid, numbers, variables, the envelope."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from dashboards.queries import Json

# Grafana's grid is 24 columns wide; heights are in its rows of 30 pixels.
COLUMNS: Final = 24
# The dashboard model of Grafana 11; newer ones read it and bring it up to date by themselves.
SCHEMA_VERSION: Final = 39

INFLUXDB_UID: Final = "liftwatch-influxdb"
PROMETHEUS_UID: Final = "liftwatch-prometheus"
TAG: Final = "liftwatch"


@dataclass(frozen=True, slots=True)
class Row:
    """A titled band of panels, filled from left to right and wrapped at the edge."""

    title: str
    panels: Sequence[Json]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard as Grafana stores it; `uid` is its address and never changes."""

    uid: str
    model: Json

    @property
    def title(self) -> str:
        """The title that people see."""
        return str(self.model["title"])


def dashboard(
    uid: str, title: str, *, about: str, rows: Sequence[Row], variables: Sequence[Json], span: str
) -> Dashboard:
    """Put rows and variables into a dashboard; `span` is the time it shows at first, such as 1h.

    Nothing in it depends on when or where it is made, so the same code gives the same JSON.
    """
    model: Json = {
        "uid": uid,
        "title": title,
        "description": about,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": f"now-{span}", "to": "now"},
        "refresh": "10s",
        "annotations": {"list": []},
        "links": [_others()],
        "templating": {"list": list(variables)},
        "panels": lay_out(rows),
    }
    return Dashboard(uid, model)


def lay_out(rows: Iterable[Row]) -> list[Json]:
    """Give every panel its place on the grid and its number, in reading order."""
    placed: list[Json] = []
    y = 0
    for row in rows:
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        placed.append({"type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []})
        band, y = _fill(row.panels, y + 1)
        placed += band
    return [{"id": number, **panel} for number, panel in enumerate(placed, 1)]


def _fill(panels: Iterable[Json], top: int) -> tuple[list[Json], int]:
    """Place panels side by side from `top` on; gives them and the first free line below."""
    placed: list[Json] = []
    x, y, bottom = 0, top, top
    for panel in panels:
        size = cast("dict[str, int]", panel["gridPos"])
        if x + size["w"] > COLUMNS:
            x, y = 0, bottom
        placed.append({**panel, "gridPos": {"x": x, "y": y, "w": size["w"], "h": size["h"]}})
        x += size["w"]
        bottom = max(bottom, y + size["h"])
    return placed, bottom


def source_variable(name: str, label: str, *, kind: str, uid: str) -> Json:
    """Let the reader choose a data source of a kind; ours is chosen at first."""
    return {
        "type": "datasource",
        "name": name,
        "label": label,
        "query": kind,
        "current": {"text": uid, "value": uid},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "refresh": 1,
        "regex": "",
    }


def text_variable(name: str, label: str, *, first: str) -> Json:
    """Let the reader type a value; `first` stands there at first."""
    chosen = {"text": first, "value": first}
    return {
        "type": "textbox",
        "name": name,
        "label": label,
        "query": first,
        "current": chosen,
        "options": [{"selected": True, **chosen}],
        "hide": 0,
    }


def _others() -> Json:
    return {
        "type": "dashboards",
        "title": "Liftwatch",
        "tags": [TAG],
        "asDropdown": False,
        "includeVars": False,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }
