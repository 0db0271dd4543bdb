"""A gateway's surroundings in memory: its line to the broker, and a time that passes only by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from lift.batch import Batch, from_rows
from lift.ports import Message
from lift.topics import RECEIPT, STATUS, TELEMETRY, TRIPS, topic
from lift.wire import Stamp, arrow

NAME = "site1"
NOW = 1_795_000_000_000_000
SECOND = 1_000_000


class Moving:
    """A clock that moves by hand: `now` in µs since 1970 UTC, `elapsed` in s."""

    def __init__(self, at: int = NOW) -> None:
        self.at = at
        self.since = 0.0

    def now(self) -> int:
        """Give the time."""
        return self.at

    def elapsed(self) -> float:
        """Give what a steady clock says."""
        return self.since

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.at += round(seconds * SECOND)
        self.since += seconds


class Line:
    """A bus in memory: what was published, and what is to be received."""

    def __init__(self) -> None:
        self.connected = True
        self.published: list[Message] = []
        self.incoming: list[Message] = []

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Remember a message."""
        self.published.append(Message(topic, payload, int(retain)))

    def receive(self, *, wait_s: float, most: int) -> list[Message]:
        """Give what has come."""
        taken, self.incoming = self.incoming[:most], self.incoming[most:]
        return taken

    def done(self, messages: Sequence[Message]) -> None:
        """Forget them."""

    def close(self) -> None:
        """Close."""

    def tell(self, kind: str, body: Any) -> None:  # noqa: ANN401 - any JSON
        """Let a message arrive."""
        payload = body if isinstance(body, bytes) else orjson.dumps(body)
        self.incoming.append(Message(topic(NAME, kind), payload, 1))

    def telemetry(self) -> list[Message]:
        """Give the telemetry published so far."""
        return [message for message in self.published if message.topic.endswith(TELEMETRY)]

    def seqs(self) -> list[int]:
        """Give the numbers of the telemetry published so far."""
        return [stamp_of(message.payload).seq for message in self.telemetry()]

    def receipt(self, *seqs: int, epoch: str = "e1") -> None:
        """Let a receipt arrive."""
        self.tell(RECEIPT, {"epoch": epoch, "stored": [[seq, seq] for seq in seqs]})

    def trips(self) -> list[Message]:
        """Give the trips published so far."""
        return [message for message in self.published if message.topic.endswith(TRIPS)]

    def status(self) -> list[dict[str, Any]]:
        """Give the statuses published so far."""
        assert all(message.token for message in self.published if message.topic.endswith(STATUS)), "not retained"
        return [orjson.loads(message.payload) for message in self.published if message.topic.endswith(STATUS)]


def stamp_of(payload: bytes) -> Stamp:
    """Give a message's number."""
    stamp = arrow.decode(payload).stamp
    assert stamp is not None
    return stamp


def batch(at: int, *lifts: str) -> Batch:
    """Make a batch of one reading a lift."""
    return from_rows([{"lift": lift, "at": at, "passenger": 0} for lift in lifts or ("063577",)])
