"""MQTT topics: `lifts/v1/{gateway}/{kind}`. A gateway may publish only under its own name."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from lift.errors import BadFrame

ROOT: Final = "lifts/v1"
TELEMETRY: Final = "telemetry"
TRIPS: Final = "trips"
RECEIPT: Final = "receipt"
STATUS: Final = "status"
REQUEST: Final = "request"

GATEWAY_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Topic(NamedTuple):
    """A topic taken apart."""

    gateway: str
    kind: str


def topic(gateway: str, kind: str) -> str:
    """Spell the topic of one gateway, or of all with gateway `+`.

    >>> topic("demo", TELEMETRY)
    'lifts/v1/demo/telemetry'
    """
    return f"{ROOT}/{gateway}/{kind}"


@lru_cache(maxsize=65_536)
def parse(text: str) -> Topic:
    """Take a topic apart; raises BadFrame when it is not one of ours.

    >>> parse("lifts/v1/demo/telemetry")
    Topic(gateway='demo', kind='telemetry')
    """
    parts = text.split("/")
    if len(parts) != 4 or "/".join(parts[:2]) != ROOT or not GATEWAY_NAME.fullmatch(parts[2]):  # noqa: PLR2004
        raise BadFrame("topic", f"{text[:80]!r} is not {ROOT}/<gateway>/<kind>")
    return Topic(parts[2], parts[3])
