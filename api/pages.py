"""Pages of a list that is ordered by time, newest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Final, TypeVar

from fastapi import Query

from api.shapes import NO_NUL, MomentIn

T = TypeVar("T")

OfLift = Annotated[str, Query(max_length=128, pattern=NO_NUL, description="Only this lift's, by rescue code")]

_PAGE_MAX: Final = 500

Limit = Annotated[int, Query(ge=1, le=_PAGE_MAX, description="About so many entries")]
Before = Annotated[
    MomentIn | None,
    Query(description="Only what is earlier than this; `next` of one page asks for the page after it"),
]


def next_page(entries: Sequence[T], limit: int, place: Callable[[T], int]) -> int | None:
    """Give what to ask for as `before` next, None after the last page.

    Ports never part entries of one moment, since a power cut raises many alarms in the same microsecond: so a page
    may be longer than its limit, and the next begins before its last entry.
    """
    return place(entries[-1]) if len(entries) >= limit else None
