"""A short run of what `make chaos` does for twenty minutes, and proof that its judge would notice."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from adapters.telemetry import telemetry_open
from lift.batch import Batch, concat
from lift.signals import RUN_COUNT
from tests import servers
from tests.chaos.faults import Kind, faults
from tests.chaos.judge import judge
from tests.chaos.site import ENTRY, readings
from tests.chaos.world import Size, World

START = 1_795_000_000_000_000
SECOND = 1_000_000


@pytest.mark.timeout(300)
def test_eight_faults_lose_no_accepted_reading() -> None:
    """Killed, cut, frozen and full at random moments, every accepted reading is in the store exactly once."""
    command = ["--faults", "8", "--lifts", "1500", "--gateways", "3", "--seed", "7", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *command],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.stdout, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["good"], done.stdout
    assert outcome["verdict"]["accepted"] == outcome["verdict"]["stored_once"] > 20_000
    assert sum(outcome["by_kind"].values()) == 8


def test_the_same_seed_hurts_in_the_same_way() -> None:
    """A printed seed gives the same faults again, and every kind comes in each dozen."""
    once, again = list(faults(3, 24, 5)), list(faults(3, 24, 5))
    assert once == again
    assert {fault.kind for fault in once[:12]} == {fault.kind for fault in once[12:]} == set(Kind)
    assert once != list(faults(4, 24, 5))


class TestTheJudge:
    """What it must see in a store that broke a promise."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[World]:
        """A world that never started, whose gateways have accepted two rounds each."""
        broker = servers.Server(name="none", command=[], port=1, log=tmp_path, answers=lambda: True)
        one = World(tmp_path / "world", Size(2, 40, 1), broker)
        for name in one.gateways:
            (one.sites / f"{name}.journal").write_bytes(
                b"".join(ENTRY.pack(number, START + number * SECOND) for number in range(2))
            )
        yield one
        one.close()

    def stored(self, world: World) -> Batch:
        """Give what a sound store would hold."""
        batches = []
        for name in world.gateways:
            for number, part in enumerate(readings(world.sites, name)[:2]):
                at = np.full(len(part), START + number * SECOND, np.int64)
                columns = {RUN_COUNT: np.full(len(part), number, RUN_COUNT.dtype)}
                batches.append(Batch(part.names, part.lift, at, columns))
        return concat(batches)

    def keep(self, world: World, batch: Batch) -> None:
        """Put readings into the world's store."""
        telemetry = telemetry_open(f"duckdb:{world.store / 'telemetry'}")
        telemetry.append(batch)
        telemetry.close()

    def test_a_sound_store_is_good(self, world: World) -> None:
        """All readings once: good."""
        self.keep(world, self.stored(world))
        verdict = judge(world)
        assert verdict.good
        assert verdict.stored_once == verdict.accepted == 80

    def test_a_missing_reading_is_lost(self, world: World) -> None:
        """One reading less: lost."""
        self.keep(world, self.stored(world).take(np.arange(79)))
        verdict = judge(world)
        assert not verdict.good
        assert verdict.lost == 1

    def test_a_reading_that_says_something_else_is_changed(self, world: World) -> None:
        """The right identity with another round's values: changed."""
        batch = self.stored(world)
        columns = {RUN_COUNT: np.where(np.arange(80) == 7, 9, batch.columns[RUN_COUNT])}
        self.keep(world, Batch(batch.names, batch.lift, batch.at, columns))
        verdict = judge(world)
        assert not verdict.good
        assert verdict.changed == 1

    def test_what_nobody_promised_is_told_apart(self, world: World) -> None:
        """A reading stored before the journal could say so is no fault, and is counted."""
        batch = self.stored(world)
        more = Batch(batch.names, batch.lift[:1], batch.at[:1] + 5, {})
        self.keep(world, concat([batch, more]))
        verdict = judge(world)
        assert verdict.good
        assert verdict.unasked == 1
