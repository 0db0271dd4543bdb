"""Panels over the signal catalogue: units, steps and names of values follow from the signal itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from dashboards.queries import INFLUXDB, PROMETHEUS, Curve, Json, active_codes, latest, mean
from lift.codes import Code
from lift.signals import (
    ALARM_BUTTON,
    BRAKE_RELEASED,
    CAR_DIRECTION,
    CAR_STATUS,
    DOOR_CLOSED,
    DOOR_LOCK,
    DOOR_STATE,
    DOOR_ZONE,
    MAIN_POWER,
    PASSENGER,
    SAFETY_CHAIN,
    SERVICE_MODE,
    Signal,
)

Colour: TypeAlias = str
Steps: TypeAlias = Sequence[tuple[float | None, Colour]]

# The catalogue's units as Grafana spells them.
UNITS: Final[Mapping[str, str]] = {
    "": "none",
    "h": "h",
    "m/s": "velocityms",
    "m": "lengthm",
    "mm": "lengthmm",
    "m/s²": "accMS2",
    "A": "amp",
    "°C": "celsius",
    "of rated": "percentunit",
    "of full": "percentunit",
}

CALM: Final[Colour] = "green"
BUSY: Final[Colour] = "blue"
WARN: Final[Colour] = "orange"
ALERT: Final[Colour] = "red"
QUIET: Final[Colour] = "#6e7280"
STRANGE: Final[Colour] = "purple"

# Colours in the order of a signal's values. Red is kept for what endangers a person or stops the lift.
COLOURS: Final[Mapping[Signal, tuple[Colour, ...]]] = {
    SERVICE_MODE: (ALERT, CALM, WARN, ALERT, ALERT, WARN, ALERT, STRANGE),
    CAR_STATUS: (QUIET, BUSY),
    CAR_DIRECTION: (QUIET, BUSY, "dark-blue"),
    DOOR_ZONE: (WARN, CALM),
    DOOR_CLOSED: (WARN, CALM),
    PASSENGER: (QUIET, BUSY),
    DOOR_STATE: (STRANGE, "light-blue", CALM, "light-blue", BUSY, "dark-green", WARN),
    SAFETY_CHAIN: (ALERT, CALM),
    DOOR_LOCK: (WARN, CALM),
    BRAKE_RELEASED: (QUIET, BUSY),
    MAIN_POWER: (ALERT, CALM),
    ALARM_BUTTON: (QUIET, ALERT),
}

# A lift that is silent for longer has lost contact; shorter gaps are an idle terminal's pauses.
CONTACT_LOST_MS: Final = 180_000


def timeseries(title: str, *curves: Signal | Curve, height: int = 8, width: int = 12) -> Json:
    """Draw signals of one unit over time; a signal alone is averaged, a whole one keeps its last value."""
    drawn = [_curve(one) for one in curves]
    units = {curve.signal.unit for curve in drawn}
    assert len(units) == 1, f"{title}: one axis cannot carry {sorted(units)}"
    whole = all(curve.signal.whole for curve in drawn)
    panel = _panel("timeseries", title, width, height, INFLUXDB, [curve.target() for curve in drawn])
    panel["interval"] = "1s"
    panel["fieldConfig"] = _fields(
        unit=UNITS[drawn[0].signal.unit],
        custom={
            "drawStyle": "line",
            "lineInterpolation": "stepAfter" if whole else "linear",
            "lineWidth": 1,
            "fillOpacity": 8,
            "showPoints": "auto",
            "spanNulls": CONTACT_LOST_MS,
        },
        decimals=0 if whole else None,
    )
    panel["options"] = _curves_options(shown=len(drawn) > 1)
    return panel


def states(title: str, *curves: Signal | Curve, height: int = 8, width: int = 24) -> Json:
    """Draw flags and enumerations as bars of colour over time, one a row, with the catalogue's names of values."""
    drawn = [_curve(one) for one in curves]
    panel = _panel("state-timeline", title, width, height, INFLUXDB, [curve.target() for curve in drawn])
    panel["interval"] = "1s"
    panel["fieldConfig"] = _fields(
        custom=_BARS, overrides=[_override(curve.label, mappings=[_names(curve.signal)]) for curve in drawn]
    )
    panel["options"] = _BARS_OPTIONS
    return panel


def code_states(title: str, *codes: Code, height: int = 8, width: int = 12) -> Json:
    """Draw when each message code was active, one a row."""
    panel = _panel("state-timeline", title, width, height, INFLUXDB, [active_codes(*codes)])
    panel["interval"] = "1s"
    idle = {"type": "value", "options": {"0": {"text": " ", "color": "transparent", "index": 0}}}
    active = {
        "type": "range",
        "options": {"from": 1, "to": None, "result": {"text": "active 有效", "color": ALERT, "index": 1}},
    }
    panel["fieldConfig"] = _fields(custom=_BARS, mappings=[idle, active])
    panel["options"] = _BARS_OPTIONS
    return panel


def now_states(title: str, *signals: Signal, height: int = 4, width: int = 20) -> Json:
    """Show the newest value of flags and enumerations by name, each on its colour."""
    curves = [latest(signal) for signal in signals]
    panel = _panel("stat", title, width, height, INFLUXDB, [curve.newest() for curve in curves])
    panel["fieldConfig"] = _fields(
        noValue="not reported 未上报",
        overrides=[_override(curve.label, mappings=[_names(curve.signal)]) for curve in curves],
    )
    panel["options"] = _stat_options(coloured="background", text="value_and_name")
    return panel


def now_age(title: str, target: Json, *, height: int = 4, width: int = 4) -> Json:
    """Show how long ago the row that `target` gives was taken; `target` asks for a table."""
    panel = _panel("stat", title, width, height, INFLUXDB, [target])
    panel["fieldConfig"] = _fields(unit="dateTimeFromNow", noValue="never heard 从未上报")
    panel["options"] = _stat_options(coloured="value", text="value", fields="/^Time$/")
    return panel


def stat(title: str, target: Json, unit: str, *, steps: Steps, height: int = 4, width: int = 4) -> Json:
    """Show one of Liftwatch's own figures, coloured by the step it has reached; the first step is from None."""
    panel = _panel("stat", title, width, height, PROMETHEUS, [target])
    panel["fieldConfig"] = _fields(unit=unit, thresholds=_thresholds(steps), noValue="no data 无数据")
    panel["options"] = _stat_options(coloured="background", text="value")
    return panel


def rates(title: str, unit: str, *targets: Json, height: int = 8, width: int = 12, stacked: bool = False) -> Json:
    """Draw Liftwatch's own figures over time."""
    panel = _panel("timeseries", title, width, height, PROMETHEUS, list(targets))
    stacking = {"mode": "normal" if stacked else "none", "group": "A"}
    panel["fieldConfig"] = _fields(
        unit=unit, min=0, custom={"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "stacking": stacking}
    )
    panel["options"] = _curves_options(shown=True)
    return panel


def table(title: str, *targets: Json, columns: Mapping[str, tuple[str, str]], height: int = 8, width: int = 12) -> Json:
    """List one row for each value of a label; `columns` gives a column's title and unit by its name in the answer."""
    panel = _panel("table", title, width, height, PROMETHEUS, list(targets))
    wanted = {name: position for position, name in enumerate(columns)}
    panel["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "filterFieldsByName", "options": {"include": {"names": list(wanted)}}},
        {
            "id": "organize",
            "options": {"indexByName": wanted, "renameByName": {name: text for name, (text, _) in columns.items()}},
        },
    ]
    panel["fieldConfig"] = _fields(
        custom={"align": "auto"}, overrides=[_override(text, unit=unit) for text, unit in columns.values() if unit]
    )
    panel["options"] = {"showHeader": True, "cellHeight": "sm"}
    return panel


_BARS: Final[Json] = {"fillOpacity": 75, "lineWidth": 0, "spanNulls": CONTACT_LOST_MS}
_BARS_OPTIONS: Final[Json] = {
    "mergeValues": True,
    "showValue": "auto",
    "alignValue": "left",
    "rowHeight": 0.85,
    "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom", "calcs": []},
    "tooltip": {"mode": "single", "sort": "none"},
}


def _curve(one: Signal | Curve) -> Curve:
    if isinstance(one, Curve):
        return one
    return latest(one) if one.whole else mean(one)


def _panel(kind: str, title: str, width: int, height: int, source: Json, targets: Sequence[Json]) -> Json:
    return {
        "type": kind,
        "title": title,
        "datasource": source,
        "gridPos": {"x": 0, "y": 0, "w": width, "h": height},
        "targets": [{"refId": _ref(number), **target} for number, target in enumerate(targets)],
    }


def _ref(number: int) -> str:
    """Spell the n-th query's letter as Grafana does: A to Z.

    >>> _ref(0), _ref(25)
    ('A', 'Z')
    """
    assert number < 26, "one panel has at most 26 queries"  # noqa: PLR2004
    return chr(ord("A") + number)


def _fields(*, overrides: Iterable[Json] = (), **defaults: object) -> Json:
    return {
        "defaults": {name: value for name, value in defaults.items() if value is not None},
        "overrides": list(overrides),
    }


def _override(name: str, **properties: object) -> Json:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


def _names(signal: Signal) -> Json:
    """Map a signal's values to their names, in the signal's colours."""
    named = zip(signal.values.items(), COLOURS[signal], strict=True)
    return {
        "type": "value",
        "options": {
            str(value): {"text": text, "color": colour, "index": position}
            for position, ((value, text), colour) in enumerate(named)
        },
    }


def _thresholds(steps: Steps) -> Json:
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in steps]}


def _stat_options(*, coloured: str, text: str, fields: str = "") -> Json:
    return {
        "colorMode": coloured,
        "graphMode": "none",
        "justifyMode": "center",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": fields, "values": False},
        "showPercentChange": False,
        "textMode": text,
        "wideLayout": True,
    }


def _curves_options(*, shown: bool) -> Json:
    return {
        "legend": {"showLegend": shown, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
