"""Arrivals: how far a gateway's clock is from ours, and which readings come late or out of order.

A message arrives later than its newest reading by the time it was on its way, and earlier or later by what the clocks
differ. The way takes some time and seldom long, so the least difference met lately is the clocks' own, and messages
from a backlog, which differ by more, do not disturb it: the minimum filter of NTP's clock (RFC 5905, section 10), as
Moon, Skelly and Towsley use it on one-way delays ("Estimation and removal of clock skew from network delay
measurements", INFOCOM 1999). While nothing but a backlog comes, the least difference falls from one part of the window
to the next; only where two parts agree is it believed.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ingest.intake import Intake
from lift.batch import Floats, Ints, Mask
from lift.fleet import Fleet

# The window of the minimum, in parts that expire one by one: a clock that is set right is seen after three minutes.
_PART_US: Final = 30 * 1_000_000
_PARTS: Final = 6
# Two parts that differ by less tell the same clock.
_AGREE_US: Final = 3_000_000
# A clock that differs by more spoils the order of events: half of the shortest delay of a rule.
WRONG_S: Final = 5.0
# Readings older than this come from a backlog; the alarm path's own measure of late.
LATE_US: Final = 120 * 1_000_000
_NEVER: Final = np.iinfo(np.int64).min
_NOTHING: Final = np.iinfo(np.int64).max


class Arrivals:
    """Watches when readings arrive, a gateway each. One thread calls `see`; `ahead_s` may be read by any."""

    def __init__(self, fleet: Fleet) -> None:
        """Begin without having heard anything."""
        self._fleet = fleet
        self._width = len(fleet.gateways) + 1
        # Least difference (arrival minus reading, µs) in each part of the window, and which part of time that is.
        self._least: Ints = np.full((_PARTS, self._width), _NOTHING, np.int64)
        self._part: Ints = np.full(_PARTS, -1, np.int64)
        self._newest: Ints = np.full(len(fleet), _NEVER, np.int64)
        self.ahead_s: Floats = np.full(self._width, np.nan)
        self._wrong: Ints = np.empty(0, np.int64)

    def see(self, intake: Intake, received_at: int) -> dict[str, Ints]:
        """Take note of what arrived at a time (µs); counts late, disordered and wrongly timed readings by gateway."""
        if len(intake.heard):
            self._measure(intake, received_at)
        batch = intake.batch
        if not len(batch):
            return {}
        found: dict[str, Mask] = {
            "late": batch.at < received_at - LATE_US,
            "disordered": batch.at < self._newest[batch.lift],
        }
        if len(self._wrong):
            found["wrong_clock"] = np.isin(self._fleet.gateway[batch.lift], self._wrong)
        np.maximum.at(self._newest, batch.lift, batch.at)
        return {
            name: np.bincount(self._fleet.gateway[batch.lift[which]], minlength=self._width)
            for name, which in found.items()
            if which.any()
        }

    def skew(self, number: int) -> float | None:
        """Give by how many seconds a gateway's clock is ahead of ours (behind: negative), None while not known."""
        ahead_s = float(self.ahead_s[number])
        return None if np.isnan(ahead_s) else ahead_s

    def _measure(self, intake: Intake, received_at: int) -> None:
        part = received_at // _PART_US
        here = part % _PARTS
        if self._part[here] != part:
            self._part[here] = part
            self._least[here] = _NOTHING
        gateways = np.unique(intake.heard)
        np.minimum.at(self._least[here], intake.heard, received_at - intake.newest)
        # Parts of a time long past are not rewritten while nothing comes, so they are passed over here.
        recent = (self._part > part - _PARTS) & (self._part <= part)
        least = np.sort(self._least[recent][:, gateways], axis=0)
        agreed = (
            (least[1] != _NOTHING) & (least[1] - least[0] <= _AGREE_US)
            if len(least) > 1
            else np.zeros(len(gateways), np.bool_)
        )
        self.ahead_s[gateways] = np.where(agreed, -least[0] / 1e6, np.nan)
        self._wrong = np.flatnonzero(np.abs(self.ahead_s) > WRONG_S)
