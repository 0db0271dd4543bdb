"""The gateway watch: which gateways are lost, so that one silence of many lifts is one message and not many.

A gateway is lost when the broker publishes its last will, or when nothing has come from it for three minutes, and is
back with the next thing that comes. It has no clock and no I/O: times are arguments, µs since 1970 UTC by our clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from lift.batch import Ints, Mask

# As for a lift: design of the terminals, see `alarms/rules/contact_lost.py`. It counts whatever comes through a
# gateway, by our clock, so it also finds one with a single lift, or with none that was heard since the start. The lifts
# of a busy one are missed up to half a minute earlier, each by its own readings: then the alarm path looks for itself
# whether the whole gateway is silent, or the first lifts would be alarms of their own.
SILENCE_US: Final = 180 * 1_000_000
# A gateway that connects anew takes its old connection's place, whose last will is published then: wait for the word
# that takes it back.
WILL_GRACE_US: Final = 10 * 1_000_000
_NEVER: Final = np.iinfo(np.int64).min


class GatewayChange(NamedTuple):
    """A gateway was lost, or is back; `at` is since when: last heard or its last will, or heard again."""

    gateway: int
    online: bool
    at: int


class GatewayWatch:
    """Knows of each gateway (by number) when it was heard. One thread uses it; the arrays may be read by any."""

    def __init__(self, gateways: int, *, now: int) -> None:
        """Begin: of nobody it is known yet whether they are there, and silence counts from now."""
        self._heard_at: Ints = np.full(gateways, _NEVER, np.int64)
        # Since when nothing has come: from the start on, where nothing ever has.
        self._since: Ints = np.full(gateways, now, np.int64)
        self._lost_at: Ints = np.full(gateways, _NEVER, np.int64)
        self._will_at: Ints = np.full(gateways, _NEVER, np.int64)
        # Known: it has been there at some time. One that never was is not missed: it may not be installed yet.
        self._known: Mask = np.zeros(gateways, np.bool_)
        self._lost: Mask = np.zeros(gateways, np.bool_)

    @property
    def online(self) -> int:
        """Count the gateways that were heard and are not lost."""
        return int(((self._heard_at != _NEVER) & ~self._lost).sum())

    @property
    def away(self) -> int:
        """Count the gateways that are lost."""
        return int(self._lost.sum())

    def heard_at(self, gateway: int) -> int | None:
        """Give when a gateway was last heard, None if not since the start."""
        at = int(self._heard_at[gateway])
        return None if at == _NEVER else at

    def lost_since(self, gateway: int) -> int | None:
        """Give since when a gateway is lost, None if it is not."""
        return int(self._lost_at[gateway]) if self._lost[gateway] else None

    def expect(self, gateways: Iterable[int]) -> None:
        """Take gateways for known: they were there before the start, so their silence means something."""
        self._known[list(gateways)] = True

    def heard(self, gateways: Iterable[int], now: int) -> list[GatewayChange]:
        """Note that something has come from gateways; gives those that are back."""
        numbers = np.fromiter(gateways, np.int64)
        if not len(numbers):
            return []
        self._heard_at[numbers] = self._since[numbers] = now
        self._will_at[numbers] = _NEVER
        self._known[numbers] = True
        back = numbers[self._lost[numbers]]
        self._lost[back] = False
        return [GatewayChange(number, online=True, at=now) for number in back.tolist()]

    def left(self, gateway: int, now: int) -> None:
        """Note a gateway's last will, or that it says itself that it leaves."""
        self._known[gateway] = True
        if self._will_at[gateway] == _NEVER:
            self._will_at[gateway] = now

    def advance(self, now: int) -> list[GatewayChange]:
        """Let time pass; gives the gateways that are lost now."""
        willed = (self._will_at != _NEVER) & (now - self._will_at >= WILL_GRACE_US)
        silent = now - self._since >= SILENCE_US
        gone = np.flatnonzero(self._known & ~self._lost & (willed | silent))
        self._lost[gone] = True
        self._lost_at[gone] = np.where(willed, self._will_at, self._since)[gone]
        return [GatewayChange(number, online=False, at=int(self._lost_at[number])) for number in gone.tolist()]
