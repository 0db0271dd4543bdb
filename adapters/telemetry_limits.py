"""What every telemetry store asks of a read: sane bounds, and answers of a size that memory can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from lift.errors import Invalid
from lift.signals import Signal

# A day of one lift at a reading a second is 86,400 rows; nobody can look at more than twice that at once.
READ_ROWS_MAX: Final = 200_000

# Times beyond this many µs from 1970 (the year 2260) cannot be told to every store; nothing was stored there.
TIME_MAX: Final = 2**53

_RESOLUTIONS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400)
_SECOND: Final = 1_000_000
_FIRST_WINDOW: Final = 10 * _SECOND


def check_history(signals: Sequence[Signal], resolution_us: int | None) -> None:
    """Refuse a question about one lift's past that has no answer; raises Invalid."""
    if not signals:
        raise Invalid("signals", "none is named; name at least one")
    if resolution_us is not None and resolution_us <= 0:
        raise Invalid("resolution", f"{resolution_us} µs is not above 0")


def check_most(most: int) -> None:
    """Refuse to give no rows, or more than READ_ROWS_MAX; raises Invalid."""
    if not 1 <= most <= READ_ROWS_MAX:
        raise Invalid("most", f"{most} is not from 1 to {READ_ROWS_MAX}")


def check_rows(rows: int, *, start: int, end: int) -> None:
    """Refuse an answer of more than READ_ROWS_MAX rows, saying which resolution fits; raises Invalid."""
    if rows > READ_ROWS_MAX:
        fits = fitting_resolution_s(start=start, end=end)
        raise Invalid(
            "resolution",
            f"more than {READ_ROWS_MAX} rows; a resolution of {fits} s fits, and so does a shorter time",
        )


def fitting_resolution_s(*, start: int, end: int) -> int:
    """Give the finest handy resolution, in seconds, that cuts a time into at most READ_ROWS_MAX steps.

    >>> fitting_resolution_s(start=0, end=7 * 86_400 * 1_000_000)
    5
    """
    # One step more than the division says: a time may begin in the middle of a step.
    least = -(-(end - start) // ((READ_ROWS_MAX - 1) * _SECOND))
    day = _RESOLUTIONS_S[-1]
    return next((handy for handy in _RESOLUTIONS_S if handy >= least), -(-least // day) * day)


def within(start: int, end: int) -> tuple[int, int]:
    """Limit a time to what every store can be told."""
    return max(start, -TIME_MAX), min(end, TIME_MAX)


def windows(count: Callable[[int, int], int], start: int, end: int, *, most: int) -> Iterator[tuple[int, int]]:
    """Cut a time into windows of at most `most` readings, in order; empty ones are left out.

    `count(start, stop)` says how many readings there are. One moment is never cut, so a window may hold as
    many readings as there are lifts.
    """
    width = _FIRST_WINDOW
    while start < end:
        stop = min(start + width, end)
        readings = count(start, stop)
        if readings > most and width > 1:
            width = max(1, min(width // 2, width * most // readings))
            continue
        if readings:
            yield start, stop
        start = stop
        if readings <= most // 2:
            width *= 2
