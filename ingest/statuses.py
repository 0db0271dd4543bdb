"""What gateways say of themselves: the newest status of each one that is registered, its fields checked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import orjson

from lift.errors import BadFrame
from lift.wire import shown

STATUS_BYTES_MAX: Final = 4096
_TEXT_CHARACTERS_MAX: Final = 64
_NUMBER_MAX: Final = 2**53


@dataclass(frozen=True, slots=True)
class Status:
    """A gateway's status; None = it does not say. `at` and `oldest` are µs since 1970 UTC by its own clock.

    `spooled` counts its messages without a receipt, `dropped` the readings that its spool has given up, and
    `hours_left` says how long the spool lasts at the present rate, `disk_full` that only emergencies still have room.
    """

    online: bool
    at: int | None = None
    version: str | None = None
    spooled: int | None = None
    dropped: int | None = None
    oldest: int | None = None
    hours_left: float | None = None
    disk_full: bool | None = None


_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "at": (int,), "version": (str,), "spooled": (int,), "dropped": (int,), "oldest": (int,), "hours_left": (int, float),
    "disk_full": (bool,),
}  # fmt: skip
assert {"online", *_KINDS} == {one.name for one in fields(Status)}


def parse(payload: bytes) -> Status:
    """Read a status; raises BadFrame when it does not say whether the gateway is online.

    What else it says is left out where it is not of the kind it should be: that must not hide a lost gateway.
    """
    if len(payload) > STATUS_BYTES_MAX:
        raise BadFrame("payload", f"{len(payload)} bytes, at most {STATUS_BYTES_MAX} accepted")
    try:
        body = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise BadFrame("payload", f"not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadFrame("payload", f"must be an object; got {shown(body)}")
    if not isinstance(body.get("online"), bool):
        raise BadFrame("online", f"must be true or false; got {shown(body.get('online'))}")
    told: dict[str, Any] = {"online": body["online"]}
    for name, kinds in _KINDS.items():
        value: Any = body.get(name)
        if type(value) in kinds and (isinstance(value, str) or 0 <= value < _NUMBER_MAX):
            told[name] = value[:_TEXT_CHARACTERS_MAX] if isinstance(value, str) else value
    return Status(**told)
