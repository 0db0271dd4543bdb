"""The line: whatever befalls it, every reading arrives in the end, once, unless it is repeated on purpose."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lift import signals as s
from lift.batch import Batch
from simulator.city import build_city
from simulator.ledger import Ledger
from simulator.network import SECOND_US, Network
from simulator.truth import LINE, Kind

START = 1_763_978_400_000_000
CITY = build_city(lifts=40, seed=1, gateways=4)
FIRST, END = 0, int(np.searchsorted(CITY.gateway[:40], 1))
SECONDS = 300


def line(factor: float = 0.0) -> tuple[Network, Ledger]:
    """Give a line and the ledger it writes to."""
    ledger = Ledger(CITY.codes, lambda _slot, at: START + round(at * SECOND_US))
    return Network(CITY, ledger=ledger, start=START, chance=np.random.default_rng(1), factor=factor), ledger


def reading(second: int) -> Batch:
    """Give one reading a lift; the height says which second it is from."""
    slots = np.arange(len(CITY), dtype=np.int32)
    at = np.full(len(CITY), START + second * SECOND_US, np.int64)
    return Batch(CITY.codes, slots, at, {s.CAR_HEIGHT: np.full(len(CITY), second, np.float32)})


def delivered(kind: Kind, *, lasts_s: int, size: int = 2) -> list[tuple[int, int, int, int]]:
    """Let one trouble befall the first gateway; gives (arrival second, lift, second it is from, its own time in s)."""
    network, _ = line()
    arrivals = []
    for second in range(SECONDS):
        if second == 10:
            network.begin(kind, FIRST, END, lasts_s=lasts_s, size=size)
        arrivals.append((second, network.deliver(reading(second))))
    arrivals.append((SECONDS, network.flush()))
    return [
        (arrived, int(lift), int(height), (int(at) - START) // SECOND_US)
        for arrived, batch in arrivals
        for lift, height, at in zip(batch.lift, batch.column(s.CAR_HEIGHT), batch.at, strict=True)
    ]


@pytest.mark.parametrize("kind", sorted(LINE))
def test_every_reading_arrives(kind: Kind) -> None:
    """Nothing is lost; only duplicates come twice; lifts of other gateways are not touched."""
    arrived = Counter((lift, second) for _, lift, second, _ in delivered(kind, lasts_s=60))
    assert set(arrived) == {(lift, second) for lift in range(len(CITY)) for second in range(SECONDS)}
    repeated = {lift for (lift, _), times in arrived.items() if times > 1}
    assert repeated == (set(range(FIRST, END)) if kind is Kind.DUPLICATES else set())
    assert all(
        came == second == own for came, lift, second, own in delivered(kind, lasts_s=60) if not FIRST <= lift < END
    )


def test_a_restarted_gateway_sends_what_it_kept() -> None:
    """For a minute nothing comes, then all of it, with its own old times."""
    late = [(came, second) for came, lift, second, own in delivered(Kind.GATEWAY_RESTART, lasts_s=60) if came > own]
    assert {came for came, _ in late} == {69}
    assert len(late) == 59 * (END - FIRST)


def test_a_jumping_clock_stamps_wrong_times() -> None:
    """Readings come at once, with times an hour ahead, until the clock is set right."""
    wrong = [
        (came, own - second)
        for came, _, second, own in delivered(Kind.CLOCK_JUMP, lasts_s=60, size=3600)
        if own != second
    ]
    assert {offset for _, offset in wrong} == {3600}
    assert len(wrong) == 59 * (END - FIRST)


def test_reordering_mixes_neighbouring_seconds() -> None:
    """Some readings are overtaken by later ones, by a few seconds at most."""
    delays = {came - second for came, _, second, _ in delivered(Kind.REORDERING, lasts_s=60)}
    assert delays == {0, 1, 2, 3}


def test_troubles_are_on_record() -> None:
    """Each names its gateway or lift, is a near miss, and ends."""
    network, ledger = line(factor=3e5)
    for second in range(SECONDS):
        network.deliver(reading(second))
    network.flush()
    records = ledger.take()
    assert {record.kind for record in records} == LINE
    assert {record.lift for record in records} <= {*CITY.codes, *CITY.gateways}
    assert all(record.near_miss and record.end is not None and record.end >= record.onset for record in records)
    assert not ledger.standing()


def test_held_readings_are_bounded() -> None:
    """With a small bound the oldest trouble gives way, and still nothing is lost."""
    network, _ = line()
    network._held_max = 100
    network.begin(Kind.GATEWAY_RESTART, 0, len(CITY), lasts_s=250, size=1)
    came = 0
    for second in range(SECONDS):
        came += len(network.deliver(reading(second)))
        assert sum(len(held) for _, held in network._held) <= 100
    assert came + len(network.flush()) == SECONDS * len(CITY)
