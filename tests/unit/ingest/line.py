"""One end of the line for ingest's tests: a store that a test can shut or break, a clock, and two gateways' lifts."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lift.batch import Batch
from lift.fleet import Fleet
from lift.ports import Message, Stored
from tests.small_city import lift

NOW = 1_795_000_000_000_000
SECOND = 1_000_000


FLEET = Fleet([lift("000001", gateway="a"), lift("000002", gateway="a"), lift("000003", gateway="b")])


class Shelf:
    """Readings of one kind, each kept once by lift and time."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int], dict[str, Any]] = {}

    def append(self, batch: Batch) -> Stored:
        """Keep readings and say which were there already."""
        again = np.zeros(len(batch), np.bool_)
        for i, row in enumerate(batch.rows()):
            again[i] = (row["lift"], row["at"]) in self._rows
            self._rows.setdefault((row["lift"], row["at"]), {}).update(row)
        duplicate = int(again.sum())
        return Stored(len(batch) - duplicate, duplicate, again)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give what is kept."""
        yield from self._rows.values()


class Store:
    """A telemetry store in memory, behind a door that a test can shut or break."""

    def __init__(self) -> None:
        """Open the door."""
        self.readings, self.trips = Shelf(), Shelf()
        self.open = threading.Event()
        self.open.set()
        self.mood: Exception | None = None

    def append(self, batch: Batch) -> Stored:
        """Store readings, unless the door is shut or the mood is bad."""
        self._pass_the_door()
        return self.readings.append(batch)

    def append_trips(self, batch: Batch) -> Stored:
        """Store trips likewise."""
        self._pass_the_door()
        return self.trips.append(batch)

    def _pass_the_door(self) -> None:
        self.open.wait(20)
        if self.mood is not None:
            raise self.mood


class Line:
    """A bus without a broker: what is put into the inbox is received in order, what is published is kept."""

    def __init__(self) -> None:
        """Begin empty."""
        self.inbox: deque[Message] = deque()
        self.published: list[Message] = []
        self.answered: list[int] = []
        self.connected = True

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Keep a message."""
        self.published.append(Message(topic, payload))

    def receive(self, *, wait_s: float, most: int) -> list[Message]:
        """Give what is in the inbox."""
        return [self.inbox.popleft() for _ in range(min(most, len(self.inbox)))]

    def done(self, messages: Sequence[Message]) -> None:
        """Note which messages are answered."""
        self.answered += [message.token for message in messages if message.token]

    def close(self) -> None:
        """Do nothing."""
