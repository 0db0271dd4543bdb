"""InfluxQL over HTTP: the one query language that InfluxDB 1, 2 and 3 all speak. Times are µs since 1970."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np
import orjson
import urllib3
from numpy.typing import NDArray

from adapters.telemetry_limits import TIME_MAX
from lift.errors import Unavailable

PART: Final = "InfluxDB"
_SHOWN_CHARACTERS_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Series:
    """Rows that share their tags: `columns` names each row's entries, None = missing."""

    tags: Mapping[str, str]
    columns: Sequence[str]
    values: Sequence[Sequence[Any]]

    def floats(self, name: str) -> NDArray[np.float64]:
        """Give one column as floats, NaN where it is missing."""
        place = self.columns.index(name)
        return np.array([row[place] for row in self.values], np.float64)

    def ints(self, name: str, missing: int = 0) -> NDArray[np.int64]:
        """Give one column as whole numbers, `missing` where it is missing."""
        place = self.columns.index(name)
        return np.array([missing if row[place] is None else row[place] for row in self.values], np.int64)

    def texts(self, name: str) -> list[str]:
        """Give one column as text."""
        place = self.columns.index(name)
        return [row[place] for row in self.values]


class Questions:
    """Puts questions to one database (a bucket of InfluxDB 2); any thread may ask."""

    def __init__(self, url: str, *, database: str, token: str, timeout_s: float) -> None:
        self._url = f"{url}/query"
        self._database = database
        self._pool = urllib3.PoolManager(
            headers={
                "Authorization": f"Token {token}",
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
            },
            timeout=urllib3.Timeout(total=timeout_s),
            retries=False,
        )

    def ask(self, *statements: str) -> list[list[Series]]:
        """Give each statement's series; raises Unavailable with what InfluxDB said."""
        form = urlencode({"db": self._database, "epoch": "u", "q": "; ".join(statements)})
        try:
            response = self._pool.request("POST", self._url, body=form)
            answer = orjson.loads(response.data)
        except (urllib3.exceptions.HTTPError, orjson.JSONDecodeError) as error:
            raise Unavailable(PART, error) from error
        results = answer.get("results", []) if isinstance(answer, dict) else []
        said = next((part["error"] for part in (answer, *results) if "error" in part), None)
        if response.status != HTTPStatus.OK or said is not None or len(results) != len(statements):
            shown = str(said or response.data[:_SHOWN_CHARACTERS_MAX])
            raise Unavailable(PART, f"/query of {self._database!r} answered {response.status}: {shown}")
        return [[_series(one) for one in result.get("series", [])] for result in results]

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()


def name(text: str) -> str:
    r"""Quote the name of a field, tag or measurement.

    >>> print(name('a"b'))
    "a\"b"
    """
    return f'"{_escape(text, chr(34))}"'


def literal(text: str) -> str:
    r"""Quote a text value.

    >>> print(literal("o'clock"))
    'o\'clock'
    """
    return f"'{_escape(text, chr(39))}'"


def between(start: int, end: int) -> str:
    """Write the condition start <= time < end; what lies before 1970 or beyond what InfluxDB can tell is left out.

    >>> between(-5, 7_000_000)
    'time >= 0u AND time < 7000000u'
    """
    return f"time >= {min(max(start, 0), TIME_MAX)}u AND time < {min(max(end, 0), TIME_MAX)}u"


def of_lifts(lifts: Sequence[str]) -> str:
    """Write the condition that a reading is of one of these lifts."""
    return f"({' OR '.join(f'lift = {literal(lift)}' for lift in lifts)})"


def pieces(lifts: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    """Cut a list into pieces that fit into one statement each."""
    for first in range(0, len(lifts), most):
        yield lifts[first : first + most]


def _escape(text: str, quote: str) -> str:
    return text.replace("\\", "\\\\").replace(quote, f"\\{quote}").replace("\n", "\\n")


def _series(one: Mapping[str, Any]) -> Series:
    return Series(one.get("tags", {}), one["columns"], one["values"])
