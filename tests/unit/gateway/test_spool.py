"""The spool: nothing accepted is lost before its receipt, whatever happens to the process or the disk."""

from __future__ import annotations

import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.spool import Spool
from lift.errors import Invalid, Unavailable
from lift.wire import Stamp

ROOT = Path(__file__).parents[3]
BYTES_MAX = 1_000
ORDINARY_MAX = 750
AGE_MAX_US = 100
HOUR_US = 3_600_000_000


def open_spool(
    path: Path, *, bytes_max: int = BYTES_MAX, age_max_us: int = AGE_MAX_US, epoch: str = "e1", ballast: int = 0
) -> Spool:
    """Open a spool with small limits."""
    return Spool(path, bytes_max=bytes_max, age_max_us=age_max_us, fresh_epoch=epoch, ballast_bytes=ballast)


def fill(spool: Spool, count: int, *, size: int = 10, at: int = 0, emergency: bool = False) -> None:
    """Append messages of one reading each."""
    for _ in range(count):
        spool.append("telemetry", lambda _stamp: b"x" * size, readings=1, at=at, emergency=emergency)


def seqs(spool: Spool) -> list[int]:
    """Give the numbers of the messages that wait."""
    return [message.seq for message in spool.unsent(0, 100_000)]


@contextmanager
def full_disk(path: Path, *, after: int = 0) -> Iterator[None]:
    """Let no file grow beyond the size that the spool's log has now, and so many bytes more."""
    log = Path(f"{path}-wal")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((log.stat().st_size if log.exists() else 0) + after, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@dataclass(frozen=True)
class Row:
    """One message, as the model remembers it."""

    seq: int
    readings: int
    size: int
    at: int
    emergency: bool


class SpoolMachine(RuleBasedStateMachine):
    """Appends, receipts, restarts, full disks and crashes in any order, against a list in memory."""

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

    def held(self, *, emergency: bool | None = None) -> int:
        """Give the bytes in the model."""
        return sum(row.size for row in self.model if emergency in (None, row.emergency))

    @rule(readings=st.integers(1, 50), size=st.integers(0, 400), later=st.integers(0, 60), emergency=st.booleans())
    def append(self, readings: int, size: int, later: int, emergency: bool) -> None:  # noqa: FBT001
        """Append; the model drops what is too old, then the oldest ordinary ones, and never an emergency."""
        self.now += later
        before = list(self.model)
        if self.held(emergency=True) + size > BYTES_MAX:
            with pytest.raises(Unavailable, match="full of emergencies"):
                self.write(readings, size, emergency=emergency)
            return
        stamp = self.write(readings, size, emergency=emergency)
        assert stamp == Stamp("e1", self.next_seq)
        self.written(readings, size, emergency=emergency)
        assert [row for row in before if row.emergency] == [row for row in self.model[:-1] if row.emergency]

    def write(self, readings: int, size: int, *, emergency: bool) -> Stamp:
        """Append to the spool."""
        return self.spool.append("t", lambda _: bytes(size), readings=readings, at=self.now, emergency=emergency)

    def written(self, readings: int, size: int, *, emergency: bool, displaces: int = 0) -> None:
        """Append to the model."""
        excess = max(self.held() + size - BYTES_MAX, displaces)
        if not emergency:
            excess = max(excess, self.held(emergency=False) + size - ORDINARY_MAX)
        for row in [row for row in self.model if not row.emergency]:
            if excess <= 0 and row.at >= self.now - AGE_MAX_US:
                break
            self.model.remove(row)
            excess -= row.size
            self.dropped += row.readings
        self.model.append(Row(self.next_seq, readings, size, self.now, emergency))
        self.next_seq += 1
        self.accepted += readings

    @rule(readings=st.integers(1, 50), size=st.integers(0, 400), more=st.integers(0, 20_000), emergency=st.booleans())
    def append_on_a_full_disk(self, readings: int, size: int, more: int, emergency: bool) -> None:  # noqa: FBT001
        """The disk takes it whole, or refuses and nothing has changed; an emergency may take ordinary ones' place."""
        accepted = self.accepted + readings
        try:
            with full_disk(self.path, after=more):
                self.write(readings, size, emergency=emergency)
        except Unavailable:
            assert self.spool.counts.accepted == self.accepted
            return
        plain = self.spool.counts.dropped
        for displaces in (0, 2 * size + 16_384):
            kept, dropped = list(self.model), self.dropped
            self.written(readings, size, emergency=emergency, displaces=displaces)
            if self.dropped == plain:
                break
            assert emergency, "only an emergency displaces more than it must"
            self.model, self.dropped = kept, dropped
            self.next_seq, self.accepted = self.next_seq - 1, self.accepted - readings
        assert self.accepted == accepted

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

    @rule(torn=st.integers(0, 20_000))
    def crash_in_a_transaction(self, torn: int) -> None:
        """The power goes in the middle of a write: go on from what is on the disk at that moment, half a write too."""
        database = self.spool._db
        before = log.stat().st_size if (log := Path(f"{self.path}-wal")).exists() else 0
        database.execute("PRAGMA cache_spill = 1")
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO message VALUES (?, 't', 0, 7, 1, 0, zeroblob(20000))", (self.next_seq,))
        database.execute("UPDATE state SET next_seq = next_seq + 1, accepted = accepted + 7")
        copy = self.folder / f"{int(self.path.stem) + 1}.db"
        shutil.copy(self.path, copy)
        if log.exists():
            shutil.copy(log, f"{copy}-wal")
            with Path(f"{copy}-wal").open("ab") as file:
                file.write(random.Random(torn).randbytes(torn))
                assert file.tell() >= before
        database.execute("ROLLBACK")
        self.spool.close()
        self.path = copy
        self.spool = open_spool(copy, epoch="never used")

    @invariant()
    def agrees(self) -> None:
        """The spool holds and counts what the model does."""
        assert [m.seq for m in self.spool.unsent(0, 100)] == [row.seq for row in self.model]
        assert [m.seq for m in self.spool.emergencies(0, 100)] == [row.seq for row in self.model if row.emergency]
        pending, counts = self.spool.pending, self.spool.counts
        assert pending.messages == len(self.model)
        assert pending.readings == sum(row.readings for row in self.model)
        assert pending.bytes == self.held() <= BYTES_MAX
        assert self.held(emergency=False) <= ORDINARY_MAX
        assert pending.emergencies == sum(row.emergency for row in self.model)
        assert pending.emergency_bytes == self.held(emergency=True)
        assert pending.oldest_at == (self.model[0].at if self.model else None)
        assert (counts.accepted, counts.receipted, counts.dropped) == (self.accepted, self.receipted, self.dropped)
        assert counts.accepted == counts.receipted + counts.dropped + pending.readings


TestSpool = SpoolMachine.TestCase
TestSpool.settings = settings(max_examples=20, stateful_step_count=30)


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
    with pytest.raises(Invalid, match="751 bytes in a spool of 750"):
        fill(spool, 1, size=751)
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
    assert spool.counts.dropped == 485
    spool.close()


# ------------------------------------------------------------------- what gives way, and what never


def test_emergencies_stay_when_the_spool_is_full_of_them_and_newer_ones_are_refused(tmp_path: Path) -> None:
    """Those that tell when it began are kept; ordinary readings and further emergencies are refused, and it is said."""
    spool = open_spool(tmp_path / "s.db")
    fill(spool, 7, size=100)
    fill(spool, 10, size=100, emergency=True)
    assert [m.seq for m in spool.unsent(0, 100)] == list(range(8, 18)), "ordinary readings make room"
    for emergency in (False, True):
        with pytest.raises(Unavailable, match="full of emergencies"):
            fill(spool, 1, size=100, emergency=emergency)
    assert seqs(spool) == list(range(8, 18))
    assert spool.counts.dropped == 7
    spool.receipted("e1", [(8, 8)])
    fill(spool, 1, size=100, emergency=True)
    assert seqs(spool) == list(range(9, 19))
    spool.close()


def test_ordinary_readings_never_take_the_share_of_emergencies(tmp_path: Path) -> None:
    """However long the line is broken, there is room for the next cry for help."""
    spool = open_spool(tmp_path / "s.db")
    fill(spool, 100, size=50)
    assert spool.pending.bytes == ORDINARY_MAX
    fill(spool, 5, size=50, emergency=True)
    assert spool.counts.dropped == 85, "nothing went for the emergencies"
    spool.close()


def test_on_a_full_disk_emergencies_and_receipts_are_still_written(tmp_path: Path) -> None:
    """Others have filled it: an emergency takes ordinary pages, a receipt makes room, and then it all goes on."""
    path = tmp_path / "s.db"
    spool = open_spool(path, bytes_max=10**6, age_max_us=10**9, ballast=8_000_000)
    fill(spool, 20, size=5_000)
    ballast = tmp_path / "s.db.ballast"
    assert ballast.stat().st_size == 8_000_000
    spool._db.execute(f"PRAGMA max_page_count = {spool._db.execute('PRAGMA page_count').fetchone()[0]}")
    with full_disk(path):
        with pytest.raises(Unavailable, match="full"):
            fill(spool, 1, size=9_000)
        assert ballast.exists(), "it is for emergencies"
        fill(spool, 1, size=9_000, emergency=True)
        assert not ballast.exists()
        assert spool.disk_full
        assert seqs(spool) == [*range(8, 21), 21], "the oldest made room, and some to spare"
        while True:
            try:
                fill(spool, 1, size=5_000)
            except Unavailable:
                break
        full = seqs(spool)
        assert spool.receipted("e1", [(8, 12)]) == 5
        fill(spool, 3, size=5_000)
        assert seqs(spool) == [*full[5:], *range(full[-1] + 1, full[-1] + 4)], "in the pages that the receipt freed"
    fill(spool, 1, at=10**8)
    assert ballast.exists()
    assert spool.counts.accepted == spool.counts.receipted + spool.counts.dropped + spool.pending.readings
    spool.close()


def test_the_hours_left_follow_from_what_is_free_and_what_comes(tmp_path: Path) -> None:
    """A site that writes 1 kB a second into 36 MB has ten hours, and never more than the age allows."""
    spool = open_spool(tmp_path / "s.db", bytes_max=48_000_000, age_max_us=24 * HOUR_US)
    assert spool.hours_left(0) == 24
    for second in range(0, 1_200, 60):
        fill(spool, 1, size=60_000, at=second * 1_000_000)
    assert spool.hours_left(1_200_000_000) == pytest.approx(10 * 34.8 / 36, rel=0.06)
    fill(spool, 1, size=17_000_000, at=1_200_000_000)
    spool._fill = type(spool._fill)()
    assert spool.hours_left(1_200_000_000) == pytest.approx(24 - 1 / 3), "no rate known: the age alone"
    spool.close()


# --------------------------------------------------------------------- crashes and damaged files

# Appends until it is killed, and says what it was told is on the disk; a receipt now and then.
VICTIM = """
import sys
from pathlib import Path
from gateway.spool import Spool
spool = Spool(Path(sys.argv[1]), bytes_max=10**9, age_max_us=10**15, fresh_epoch="e1", ballast_bytes=0)
for i in range(10**9):
    stamp = spool.append("t", lambda stamp: b"%d." % stamp.seq * (1 + i % 900), readings=3, at=i, emergency=i % 5 == 0)
    print("a", stamp.seq, flush=True)
    if i % 7 == 6:
        print("r", stamp.seq - 4, flush=True)
        spool.receipted("e1", [(stamp.seq - 4, stamp.seq - 3)])
"""


def test_a_process_killed_at_any_moment_loses_nothing_it_was_told_is_safe(tmp_path: Path) -> None:
    """Killed again and again in mid-write: every message acknowledged is there, whole, until its receipt."""
    path = tmp_path / "s.db"
    chance = random.Random(96_333)
    receipted: set[int] = set()
    last = 0
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", VICTIM, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as victim:
            assert victim.stdout is not None
            said = [victim.stdout.readline()]
            time.sleep(chance.uniform(0, 0.15))
            victim.send_signal(signal.SIGKILL)
            said += victim.stdout.readlines()
        told = [line.split() for line in said if line.endswith("\n")]
        safe = [int(number) for what, number in told if what == "a"]
        assert safe, "it wrote something"
        asked = {int(number) + k for what, number in told if what == "r" for k in (0, 1)}
        # The last thing said may or may not have come to pass.
        doubtful = asked & {max(asked, default=0), max(asked, default=0) - 1}
        receipted |= asked - doubtful
        spool = open_spool(path, bytes_max=10**9, age_max_us=10**15)
        held = spool.unsent(0, 10**6)
        assert set(range(last + 1, max(safe) + 1)) - asked <= {message.seq for message in held}
        assert not receipted & {message.seq for message in held}
        for message in held:
            assert message.payload == b"%d." % message.seq * (len(message.payload) // len(b"%d." % message.seq))
        counts = spool.counts
        assert counts.accepted == counts.receipted + spool.pending.readings
        assert max(safe) <= spool.last_seq <= max(safe) + 1
        last = spool.last_seq
        receipted |= asked - {message.seq for message in held}
        spool.close()


def test_a_file_torn_anywhere_opens_as_a_beginning_or_is_set_aside(tmp_path: Path) -> None:
    """Cut the file itself, which SQLite does not promise to survive: the gateway goes on, and keeps it for a person."""
    whole = tmp_path / "whole.db"
    spool = open_spool(whole, bytes_max=10**6, age_max_us=10**9)
    fill(spool, 60, size=3_000)
    spool.close()
    content = whole.read_bytes()
    chance = random.Random(1)
    aside = 0
    for keep in [0, 1, 100, *chance.sample(range(len(content)), 15)]:
        torn = tmp_path / f"torn{keep}.db"
        torn.write_bytes(content[:keep])
        survivor = open_spool(torn, bytes_max=10**6, age_max_us=10**9, epoch="e2")
        held: list[int] = []
        for _ in range(2):  # damage may show itself at the first look inside, and the second works
            try:
                held = seqs(survivor)
                fill(survivor, 1)
            except Unavailable:
                continue
        assert seqs(survivor) == [*held, survivor.last_seq]
        assert survivor.counts.accepted == survivor.pending.readings
        if survivor.damaged:
            aside += 1
            assert survivor.epoch == "e2.1", "numbers given under another name are not given again"
            assert Path(f"{torn}.damaged").read_bytes()[:keep]
        survivor.close()
    assert aside >= 10


def test_a_file_that_is_no_spool_is_set_aside_with_a_new_epoch(tmp_path: Path) -> None:
    """Whatever has overwritten it, the site goes on sending; an earlier damaged file makes way."""
    path = tmp_path / "s.db"
    for content in (b"not a database at all" * 1000, b"\xff" * 5_000):
        path.write_bytes(content)
        spool = open_spool(path)
        assert spool.epoch == "e1.1"
        fill(spool, 1)
        assert seqs(spool) == [1]
        assert (tmp_path / "s.db.damaged").read_bytes() == content
        spool.close()


def test_damage_that_shows_itself_at_work_costs_one_refusal(tmp_path: Path) -> None:
    """A page goes bad under a running gateway: one call fails, the next goes on with a new file and new numbers."""
    path = tmp_path / "s.db"
    spool = open_spool(path, bytes_max=10**6, age_max_us=10**9)
    fill(spool, 60, size=3_000)
    spool._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    spool._db.execute("PRAGMA cache_size = 1")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8_192)
        file.write(b"\xaa" * (size - 8_192))
    spool._db.execute("PRAGMA shrink_memory")
    with pytest.raises(Unavailable, match=r"s\.db"):
        spool.unsent(0, 100)
    fill(spool, 1)
    assert (spool.damaged, spool.epoch, seqs(spool)) == (1, "e1.1", [1])
    spool.close()
