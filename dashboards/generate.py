"""Write the dashboards as the JSON files that Grafana provisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from dashboards.city_desk import CITY_DESK
from dashboards.layout import Dashboard
from dashboards.one_lift import LIFT

ALL: Final[tuple[Dashboard, ...]] = (LIFT, CITY_DESK)
GENERATED: Final = Path(__file__).with_name("generated")


def text(dashboard: Dashboard) -> str:
    """Give a dashboard's file: the same bytes every time, one value a line, so that changes can be reviewed."""
    return json.dumps(dashboard.model, ensure_ascii=False, indent=2) + "\n"


def build(folder: Path = GENERATED) -> list[Path]:
    """Write every dashboard to `<uid>.json` in a folder, and take away JSON files of dashboards that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {folder / f"{dashboard.uid}.json": dashboard for dashboard in ALL}
    for gone in set(folder.glob("*.json")) - set(files):
        gone.unlink()
    for path, dashboard in files.items():
        path.write_text(text(dashboard), "utf-8")
    return list(files)
