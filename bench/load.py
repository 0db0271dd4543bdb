"""Load for the benchmarks: readings of a simulated city, encoded before the clock starts."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from lift import topics
from lift.batch import Batch
from lift.wire import Stamp, arrow, json
from simulator.city import City, build_city
from simulator.simulation import Simulation

SEED = 96_333
GATEWAY_LIFTS = 2_000
SECOND = 1_000_000


def city_of(lifts: int) -> City:
    """Build the benchmarks' city: gateways of 2,000 lifts each."""
    return build_city(lifts=lifts, seed=SEED, gateways=max(1, lifts // GATEWAY_LIFTS))


def seconds(city: City, count: int) -> Iterator[Batch]:
    """Simulate seconds that end about now, since readings from the future are refused."""
    simulation = Simulation(city, seed=SEED, start=time.time_ns() // 1000 - (count + 1) * SECOND)
    for _ in range(count):
        yield simulation.step()


def arrow_messages(lifts: int, count: int) -> list[tuple[str, bytes]]:
    """Encode `count` seconds of a city as numbered Arrow messages of one gateway each: topic and payload."""
    city = city_of(lifts)
    return [
        (topics.topic(name, topics.TELEMETRY), arrow.encode(part, Stamp("bench", second)))
        for second, batch in enumerate(seconds(city, count), 1)
        for name, part in city.by_gateway(batch)
    ]


def json_messages(lifts: int, count: int) -> list[tuple[str, bytes]]:
    """Encode `count` seconds of a city as JSON messages of one reading each."""
    city = city_of(lifts)
    return [
        (topics.topic(name, topics.TELEMETRY), json.encode(part.take(np.array([i])))[1:-1])
        for batch in seconds(city, count)
        for name, part in city.by_gateway(batch)
        for i in range(len(part))
    ]
