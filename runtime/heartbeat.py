"""Heartbeats: how the parts of one process are, told through the records to the processes that people look at.

In the composed city nobody's browser asks the process that hears the lifts: were it gone, all would look quiet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from api.parts import HealthCheck
from lift.ports import Reads, Writes

BEATS_EVERY_S: Final = 10.0
# Three beats may be late, as when the records were away for a moment.
SILENT_US: Final = 40 * 1_000_000
# The roles that others depend on, each with the part whose meaning is that nothing of the role works.
PART_OF: Final[Mapping[str, str]] = {"ingest": "ingest", "dispatch": "clocks"}

_SETTING: Final = "heartbeat "
_DETAIL_CHARACTERS: Final = 500


def beat(tx: Writes, role: str, at: int, checks: Mapping[str, HealthCheck]) -> None:
    """Write down that a role's process lives at a moment (µs since 1970 UTC), and which of its parts fail."""
    failing = {name: check.detail[:_DETAIL_CHARACTERS] for name, check in checks.items() if not check.ok}
    tx.save_setting(_SETTING + role, json.dumps({"at": at, "failing": failing}))


def heard(reads: Reads, role: str, now: int) -> dict[str, HealthCheck]:
    """Give how a role's process was when it last told; nothing for a role that has never run on these records."""
    text = reads.setting(_SETTING + role)
    if text is None:
        return {}
    told = json.loads(text)
    silent = now - told["at"]
    if silent > SILENT_US:
        why = f"nothing was heard of the process with the role {role} for {silent // 1_000_000} s"
        return {PART_OF[role]: HealthCheck(ok=False, detail=why)}
    failing = {name: HealthCheck(ok=False, detail=detail) for name, detail in told["failing"].items()}
    return {PART_OF[role]: HealthCheck(ok=True), **failing}
