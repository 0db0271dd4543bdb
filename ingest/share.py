"""A gateway's share of quarantine: one that sends nothing but faults must not push out everybody else's evidence."""

from __future__ import annotations

from typing import Final

# What is kept of one gateway in one hour; beyond it refused messages are counted and not kept. Quarantine as a whole
# holds 100,000 messages or 1 GB, so that some sixty such gateways and an hour fit.
MESSAGES_AN_HOUR: Final = 500
BYTES_AN_HOUR: Final = 16 * 1024 * 1024
_HOUR_US: Final = 3600 * 1_000_000


class Share:
    """Counts what is kept of each gateway in the present hour (of an argument's time). One thread uses it."""

    def __init__(self) -> None:
        self._hour = -1
        self._kept: dict[int, tuple[int, int]] = {}

    def take(self, gateway: int, size: int, now: int) -> bool:
        """Whether a message of so many bytes may be kept; if so it is counted."""
        hour = now // _HOUR_US
        if hour != self._hour:
            self._hour = hour
            self._kept.clear()
        messages, kept = self._kept.get(gateway, (0, 0))
        if messages >= MESSAGES_AN_HOUR or kept + size > BYTES_AN_HOUR:
            return False
        self._kept[gateway] = messages + 1, kept + size
        return True
