"""What all reading of the records in SQL shares: errors of ours, rows as records, pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from typing import Any, ClassVar, Final, Protocol, TypeVar

import sqlalchemy as sa

from lift.errors import Conflict, Invalid, NotFound, Unavailable

PART: Final = "records"
ROWS_MAX: Final = 1000
_TIES_MAX: Final = 10_000  # more alarms of one moment than any power cut brings
# Keys asked about at once: SQLite takes 32,766 values in a statement, and its planner likes fewer.
_KEYS_AT_ONCE: Final = 500


class Record(Protocol):
    """Any of the domain's dataclasses."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


R = TypeVar("R", bound=Record)


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the database's library raises into errors of ours."""
    try:
        yield
    except sa.exc.IntegrityError as error:
        raise Conflict(f"the records refuse this: {error.orig}") from error
    except sa.exc.DataError as error:
        raise Invalid("value", f"the records cannot hold it: {error.orig}") from error
    except (OverflowError, UnicodeError) as error:
        raise Invalid("value", f"the records cannot hold it: {error}") from error
    except sa.exc.DBAPIError as error:
        raise Unavailable(PART, error.orig) from error
    except sa.exc.SQLAlchemyError as error:
        raise Unavailable(PART, error) from error


def columns(table: sa.Table, record: type[Record]) -> list[sa.Column[Any]]:
    """Give the columns that hold a record's fields."""
    return [table.c[field.name] for field in fields(record) if field.name in table.c]


class Connected:
    """Asks through one connection, inside the transaction that its owner has begun."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def _page(
        self,
        record: type[R],
        query: sa.Select[Any],
        time: sa.Column[int],
        key: sa.Column[str],
        *,
        before: int | None,
        most: int,
        firm_id: str | None,
    ) -> list[R]:
        most = capped(most)
        query = query.order_by(time.desc(), key.desc())
        first = query if before is None else query.where(time < before)
        found = self._all(record, first.limit(most), firm_id=firm_id)
        if found and len(found) == most:
            # The next page begins before this moment, so what else happened at it must come along.
            last_time, last_key = getattr(found[-1], time.name), getattr(found[-1], key.name)
            ties = query.where(time == last_time, key < last_key).limit(_TIES_MAX)
            found += self._all(record, ties, firm_id=firm_id)
        return found

    def _rows(self, query: sa.Executable, **values: object) -> Sequence[sa.Row[*tuple[Any, ...]]]:
        with translated():
            return self._connection.execute(query, values).all()

    def _scalars(self, query: sa.Executable, **values: object) -> Iterator[Any]:
        return (row[0] for row in self._rows(query, **values))

    def _scalar(self, query: sa.Executable, **values: object) -> Any:  # noqa: ANN401 - one value of any column
        return next(self._scalars(query, **values), None)

    def _all(self, record: type[R], query: sa.Executable, **values: object) -> list[R]:
        return [as_record(record, row) for row in self._rows(query, **values)]

    def _only(self, record: type[R], query: sa.Executable, missing: str, **values: object) -> R:
        found = self._all(record, query, **values)
        if not found:
            raise NotFound(missing)
        return found[0]

    def _in_parts(self, record: type[R], query: sa.Executable, keys: Iterable[str], **values: object) -> list[R]:
        """Ask about many keys, bound to the parameter `keys`, a bounded number at a time."""
        parts = _batched(list(dict.fromkeys(keys)))
        return [found for part in parts for found in self._all(record, query, keys=part, **values)]


@cache
def names(record: type[Record]) -> tuple[str, ...]:
    """Give the names of a record's fields, in order."""
    return tuple(field.name for field in fields(record))


def as_record(record: type[R], row: Sequence[Any]) -> R:
    """Make a record of a row whose columns stand in the order of its fields."""
    # What a row lacks stands last in its record and has a default.
    return record(**dict(zip(names(record), row, strict=False)))


def select_record(table: sa.Table, record: type[Record]) -> sa.Select[Any]:
    """Select the columns that hold a record."""
    return sa.select(*columns(table, record))


def capped(most: int) -> int:
    """Bound how many rows one answer may have."""
    return max(0, min(most, ROWS_MAX))


def _batched(keys: list[str]) -> Iterator[list[str]]:
    return (keys[start : start + _KEYS_AT_ONCE] for start in range(0, len(keys), _KEYS_AT_ONCE))


def count_of(table: sa.Table, where: sa.ColumnElement[bool] | sa.TextClause) -> sa.Select[Any]:
    """Count the rows of a table that fit."""
    return sa.select(sa.func.count()).select_from(table).where(where)


def of_firm(query: sa.Select[Any], column: sa.Column[str], firm_id: str | None) -> sa.Select[Any]:
    """Limit a query to one firm's rows, if there is one to limit it to."""
    return query if firm_id is None else query.where(column == firm_id)
