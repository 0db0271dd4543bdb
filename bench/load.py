"""Load for the benchmarks: readings of a simulated city, encoded before the clock starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from lift import topics
from lift.wire import Stamp, arrow, json
from simulator.city import City, build_city
from simulator.simulation import Simulation

SEED = 96_333
GATEWAY_LIFTS = 2_000
SECOND = 1_000_000
# Any time at all: it is overwritten, but must be found in the encoded bytes.
_WHILE_ENCODING = 1_795_000_000 * SECOND


def city_of(lifts: int) -> City:
    """Build the benchmarks' city: gateways of 2,000 lifts each."""
    return build_city(lifts=lifts, seed=SEED, gateways=max(1, lifts // GATEWAY_LIFTS))


@dataclass(slots=True)
class Prepared:
    """An encoded message of readings of one moment, whose time can be set without encoding it again."""

    topic: str
    second: int
    payload: bytearray
    place: int
    spell: Callable[[int], bytes]

    def stamped(self, at: int) -> bytes:
        """Give the payload with every reading at a time (µs since 1970 UTC)."""
        fresh = self.spell(at)
        self.payload[self.place : self.place + len(fresh)] = fresh
        return bytes(self.payload)


def _prepared(topic: str, second: int, payload: bytes, at: int, spell: Callable[[int], bytes]) -> Prepared:
    place = payload.index(spell(at))
    return Prepared(topic, second, bytearray(payload), place, spell)


def _int64(readings: int, at: int) -> bytes:
    return at.to_bytes(8, "little") * readings


def arrow_messages(lifts: int, count: int) -> Iterator[Prepared]:
    """Encode `count` seconds of a city as numbered Arrow messages of one gateway each."""
    city = city_of(lifts)
    simulation = Simulation(city, seed=SEED, start=_WHILE_ENCODING)
    for second in range(1, count + 1):
        for name, part in city.by_gateway(simulation.step()):
            yield _prepared(
                topics.topic(name, topics.TELEMETRY),
                second,
                arrow.encode(part, Stamp("bench", second)),
                int(part.at[0]),
                partial(_int64, len(part)),
            )


def json_messages(lifts: int, count: int) -> Iterator[Prepared]:
    """Encode `count` seconds of a city as JSON messages of one reading each."""
    city = city_of(lifts)
    simulation = Simulation(city, seed=SEED, start=_WHILE_ENCODING)
    for second in range(1, count + 1):
        for name, part in city.by_gateway(simulation.step()):
            topic, at = topics.topic(name, topics.TELEMETRY), int(part.at[0])
            for i in range(len(part)):
                payload = json.encode(part.take(np.array([i])))[1:-1]
                yield _prepared(topic, second, payload, at, lambda moment: json.rfc3339(moment).encode())
