"""The spool: nothing accepted is lost before its receipt, whatever happens to the process or the disk."""

from __future__ import annotations

import resource
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.spool import Spool
from lift.errors import Invalid, Unavailable
from lift.wire import Stamp

BYTES_MAX = 1_000
AGE_MAX_US = 100


def open_spool(path: Path, *, bytes_max: int = BYTES_MAX, age_max_us: int = AGE_MAX_US, epoch: str = "e1") -> Spool:
    """Open a spool with small limits."""
    return Spool(path, bytes_max=bytes_max, age_max_us=age_max_us, fresh_epoch=epoch)


def fill(spool: Spool, count: int, *, size: int = 10, at: int = 0, emergency: bool = False) -> None:
    """Append messages of one reading each."""
    for _ in range(count):
        spool.append("telemetry", lambda _stamp: b"x" * size, readings=1, at=at, emergency=emergency)


def seqs(spool: Spool) -> list[int]:
    """Give the numbers of the messages that wait."""
    return [message.seq for message in spool.unsent(0, 10_000)]


@dataclass(frozen=True)
class Row:
    """One message, as the model remembers it."""

    seq: int
    readings: int
    size: int
    at: int
    emergency: bool


class SpoolMachine(RuleBasedStateMachine):
    """Appends, receipts, restarts and crashes in any order, against a list in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "0.db"
        self.spool = open_spool(self.path)
        self.model: list[Row] = []
        self.now = 0
        self.accepted = self.receipted = self.dropped = 0
        self.next_seq = 1

    def teardown(self) -> None:
        """Clear away."""
        self.spool.close()
        shutil.rmtree(self.folder)

    @rule(readings=st.integers(1, 50), size=st.integers(0, 400), later=st.integers(0, 60), emergency=st.booleans())
    def append(self, readings: int, size: int, later: int, emergency: bool) -> None:  # noqa: FBT001
        """Append; the model drops what is too old, then the oldest, those of an emergency last."""
        self.now += later
        stamp = self.spool.append(
            "telemetry", lambda _: bytes(size), readings=readings, at=self.now, emergency=emergency
        )
        assert stamp == Stamp("e1", self.next_seq)
        self.drop([row for row in self.model if not row.emergency and row.at < self.now - AGE_MAX_US])
        while sum(row.size for row in self.model) + size > BYTES_MAX:
            self.drop([min(self.model, key=lambda row: (row.emergency, row.seq))])
        self.model.append(Row(self.next_seq, readings, size, self.now, emergency))
        self.next_seq += 1
        self.accepted += readings

    def drop(self, rows: list[Row]) -> None:
        """Drop rows from the model."""
        self.model = [row for row in self.model if row not in rows]
        self.dropped += sum(row.readings for row in rows)

    @precondition(lambda self: self.next_seq > 1)
    @rule(data=st.data())
    def receipt(self, data: st.DataObject) -> None:
        """A receipt names any ranges, also of messages that are gone."""
        first = data.draw(st.integers(1, self.next_seq - 1))
        last = data.draw(st.integers(first, self.next_seq - 1))
        gone = [row for row in self.model if first <= row.seq <= last]
        assert self.spool.receipted("e1", [(first, last)]) == len(gone)
        self.model = [row for row in self.model if row not in gone]
        self.receipted += sum(row.readings for row in gone)

    @rule()
    def refused_receipts(self) -> None:
        """Another epoch, or numbers never given: nothing changes."""
        with pytest.raises(Invalid, match="epoch"):
            self.spool.receipted("e2", [(1, self.next_seq)])
        with pytest.raises(Invalid, match="stored"):
            self.spool.receipted("e1", [(1, self.next_seq)])

    @rule()
    def reopen(self) -> None:
        """Stop and start."""
        self.spool.close()
        self.spool = open_spool(self.path, epoch="never used")

    @rule()
    def crash_in_a_transaction(self) -> None:
        """The power goes in the middle of a write: go on from what is on the disk at that moment."""
        database = self.spool._db
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO message VALUES (?, 't', 0, 7, 1, 0, x'00')", (self.next_seq,))
        database.execute("UPDATE state SET next_seq = next_seq + 1, accepted = accepted + 7")
        copy = self.folder / f"{int(self.path.stem) + 1}.db"
        shutil.copy(self.path, copy)
        shutil.copy(f"{self.path}-wal", f"{copy}-wal")
        database.execute("ROLLBACK")
        self.spool.close()
        self.path = copy
        self.spool = open_spool(copy, epoch="never used")

    @invariant()
    def agrees(self) -> None:
        """The spool holds and counts what the model does."""
        assert seqs(self.spool) == [row.seq for row in self.model]
        pending, counts = self.spool.pending, self.spool.counts
        assert pending.messages == len(self.model)
        assert pending.readings == sum(row.readings for row in self.model)
        assert pending.bytes == sum(row.size for row in self.model) <= BYTES_MAX
        assert pending.oldest_at == (self.model[0].at if self.model else None)
        assert (counts.accepted, counts.receipted, counts.dropped) == (self.accepted, self.receipted, self.dropped)
        assert counts.accepted == counts.receipted + counts.dropped + pending.readings


TestSpool = SpoolMachine.TestCase
TestSpool.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


def test_a_torn_log_loses_whole_messages_only(tmp_path: Path) -> None:
    """Cut the log anywhere: the spool opens, holds a beginning of what was written, and its counts agree."""
    whole = tmp_path / "whole.db"
    spool = open_spool(whole)
    fill(spool, 5)
    log = Path(f"{whole}-wal").read_bytes()
    for keep in range(0, len(log), 3_001):
        torn = tmp_path / f"torn{keep}.db"
        shutil.copy(whole, torn)
        Path(f"{torn}-wal").write_bytes(log[:keep])
        survivor = open_spool(torn)
        held = seqs(survivor)
        assert held == list(range(1, len(held) + 1))
        assert survivor.counts.accepted == len(held) == survivor.last_seq
        survivor.close()
    spool.close()


def test_a_failing_encoder_uses_up_no_number(tmp_path: Path) -> None:
    """A message that cannot be encoded leaves no gap."""

    def fails(_stamp: Stamp) -> bytes:
        raise ZeroDivisionError

    spool = open_spool(tmp_path / "s.db")
    with pytest.raises(ZeroDivisionError):
        spool.append("telemetry", fails, readings=1, at=0)
    fill(spool, 1)
    assert seqs(spool) == [1]
    spool.close()


def test_a_message_larger_than_the_spool_is_refused_by_size(tmp_path: Path) -> None:
    """It does not push everything else out first."""
    spool = open_spool(tmp_path / "s.db")
    fill(spool, 3)
    with pytest.raises(Invalid, match="1001 bytes in a spool of 1000"):
        fill(spool, 1, size=1001)
    assert seqs(spool) == [1, 2, 3]
    spool.close()


def test_a_disk_that_refuses_is_named_and_loses_nothing_written_before(tmp_path: Path) -> None:
    """The disk is full: the error says which file and why, and once there is room writing goes on."""
    path = tmp_path / "s.db"
    spool = open_spool(path, bytes_max=10**9)
    fill(spool, 5, size=1000)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(f"{path}-wal").stat().st_size + 10_000, hard))
    try:
        with pytest.raises(Unavailable, match=r"the spool .*s\.db is unavailable"):
            fill(spool, 50, size=1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    written = seqs(spool)
    assert written[:5] == [1, 2, 3, 4, 5]
    assert spool.counts.accepted == spool.pending.readings == len(written)
    fill(spool, 1)
    assert seqs(spool) == [*written, len(written) + 1]
    spool.close()


def test_the_file_stays_bounded_while_messages_come_and_go(tmp_path: Path) -> None:
    """A spool at its limit for long does not eat the disk."""
    path = tmp_path / "s.db"
    spool = open_spool(path, bytes_max=200_000)
    fill(spool, 500, size=10_000)
    assert path.stat().st_size + Path(f"{path}-wal").stat().st_size < 12_000_000
    assert spool.pending.bytes <= 200_000
    assert spool.counts.dropped == 480
    spool.close()
