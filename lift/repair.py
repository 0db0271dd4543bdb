"""Repairs: a person's word that what a maintenance alarm found has been mended, so that its baseline begins anew."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A part was replaced or adjusted after an alarm of the condition monitor.

    `number` counts the city's repairs from 1 without a gap. `alarm` is the key of the alarm, `rule` its slug, `onset`
    when its condition last began, and `evidence` the names of the features it was raised for. `at` is when the repair
    was told by the server's clock, `by` who told it and `reason` what was done. Times are µs since 1970 UTC.
    """

    number: int
    alarm: str
    lift: str
    rule: str
    onset: int
    evidence: tuple[str, ...]
    at: int
    by: str
    reason: str
