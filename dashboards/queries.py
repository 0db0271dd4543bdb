"""What panels ask of the two data sources: InfluxQL for readings, PromQL for Liftwatch's own figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from lift import codes
from lift.codes import Code
from lift.signals import Signal

Json: TypeAlias = dict[str, object]
Pick: TypeAlias = Literal["mean", "min", "max", "last"]

# Panels name a variable, so that a Grafana with data sources of other names needs no new dashboards.
INFLUXDB: Final[Json] = {"type": "influxdb", "uid": "${telemetry}"}
PROMETHEUS: Final[Json] = {"type": "prometheus", "uid": "${metrics}"}

MEASUREMENT: Final = "telemetry"
CODES_FIELD: Final = "message_codes"

_OF_THIS_LIFT: Final = f'FROM "{MEASUREMENT}" WHERE "lift" = \'$lift\' AND $timeFilter'
# An empty step is asked for as null: the panel joins short gaps itself and leaves long ones open.
_BY_STEP: Final = "GROUP BY time($__interval) fill(null)"


@dataclass(frozen=True, slots=True)
class Curve:
    """One signal of the lift over time; `pick` says which of the readings within one step of the picture counts."""

    signal: Signal
    pick: Pick

    @property
    def label(self) -> str:
        """Name the curve in both languages; an extreme says which it is."""
        extreme = {"min": ", min 最小", "max": ", max 最大"}.get(self.pick, "")
        return f"{self.signal.en} {self.signal.zh}{extreme}"

    def target(self) -> Json:
        """Ask for the curve, one value for each step that the picture can show."""
        return influxql(f'SELECT {self.pick}("{self.signal.name}") {_OF_THIS_LIFT} {_BY_STEP}', self.label)

    def newest(self) -> Json:
        """Ask for the newest value alone."""
        return influxql(f'SELECT last("{self.signal.name}") {_OF_THIS_LIFT}', self.label)


def mean(signal: Signal) -> Curve:
    """Average: for what changes slowly."""
    return Curve(signal, "mean")


def lowest(signal: Signal) -> Curve:
    """Smallest value: for what must not drop, however briefly, such as main power."""
    return Curve(signal, "min")


def highest(signal: Signal) -> Curve:
    """Largest value: for what must not rise, however briefly, such as a pressed alarm button."""
    return Curve(signal, "max")


def latest(signal: Signal) -> Curve:
    """Last value: for states, whose average means nothing."""
    return Curve(signal, "last")


def code_label(code: Code) -> str:
    """Name a message code as people write it, in both languages.

    >>> code_label(Code.ENTRAPMENT)
    '11 Entrapment 困人'
    """
    return " ".join((codes.label(code), *codes.NAMES[code]))


def active_codes(*asked: Code) -> Json:
    """Ask for one curve a code: 0 while it is not active, its bit while it is, however briefly."""
    outer = ", ".join(f'max("c{code}") AS "{code_label(code)}"' for code in asked)
    inner = ", ".join(f'"{CODES_FIELD}" & {codes.bit(code)} AS "c{code}"' for code in asked)
    bits = f"SELECT {inner} {_OF_THIS_LIFT}"
    return influxql(" ".join((f"SELECT {outer}", f"FROM ({bits}) WHERE $timeFilter", _BY_STEP)), "$col")


def newest_reading() -> Json:
    """Ask for the newest reading whole, as a row of a table whose `Time` is when it was taken."""
    return influxql(f"SELECT * {_OF_THIS_LIFT} ORDER BY time DESC LIMIT 1", "", shape="table")


def influxql(query: str, alias: str, *, shape: Literal["time_series", "table"] = "time_series") -> Json:
    """Put a query in InfluxQL; `alias` names its curves, `$col` by their columns."""
    return {
        "datasource": INFLUXDB,
        "query": query,
        "rawQuery": True,
        "resultFormat": shape,
        "alias": alias,
    }


def promql(expression: str, label: str = "", *, shape: Literal["time_series", "table"] = "time_series") -> Json:
    """Put a query in PromQL; a table shows the newest values only."""
    table = shape == "table"
    return {
        "datasource": PROMETHEUS,
        "expr": expression,
        "legendFormat": label or "__auto",
        "range": not table,
        "instant": table,
        "format": shape,
        "editorMode": "code",
    }
