"""Test calls: every lift's line of help is tried every three days over the path of a real alarm, or it is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.calls import CallLedger
from gateway.memory import Memory
from lift.batch import Batch
from lift.errors import Conflict, Invalid, Unavailable
from lift.signals import TEST_CALL_AGE
from tests.gateway_line import NOW

HOUR = 3_600_000_000
MINUTE = 60_000_000
LIFTS = [f"{i:06d}" for i in range(100)]


class Way:
    """The way of a real alarm, in memory: messages wait until they are receipted."""

    def __init__(self) -> None:
        self.epoch = "e1"
        self.sent: list[tuple[str, int, float]] = []
        self.waiting: set[int] = set()
        self.broken = False

    def urgent(self, batch: Batch) -> int:
        """Write a message."""
        if self.broken:
            raise Unavailable("the disk", "broken")
        assert len(batch) == 1
        self.sent.append((batch.names[batch.lift[0]], int(batch.at[0]), float(batch.column(TEST_CALL_AGE)[0])))
        self.waiting.add(len(self.sent))
        return len(self.sent)

    def waits(self, seq: int) -> bool:
        """Whether it has no receipt."""
        return seq in self.waiting


def heard(now: int, lifts: int = len(LIFTS)) -> np.ndarray:
    """Give lifts that were all heard a moment ago."""
    return np.full(lifts, now - 500_000, np.int64)


def run(ledger: CallLedger, start: int, hours: float, *, lifts: int = len(LIFTS), receipts: Way | None = None) -> int:
    """Let hours pass, a look a minute, with or without receipts; gives the end."""
    now = start
    for _ in range(round(hours * 60)):
        now += MINUTE
        ledger.run(now, heard(now, lifts))
        if receipts is not None:
            receipts.waiting.clear()
    return now


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    """Give an empty memory."""
    return Memory(tmp_path / "memory.db")


def test_every_lift_is_tried_within_the_hour_and_then_well_within_three_days(memory: Memory) -> None:
    """Not all at once; and no lift is ever overdue while the path works."""
    way = Way()
    ledger = CallLedger(LIFTS, memory, way, now=NOW)
    now = run(ledger, NOW, 1.1, receipts=way)
    assert {lift for lift, _, _ in way.sent} == set(LIFTS)
    assert len(way.sent) == 100
    most = max(np.bincount([(at - NOW) // MINUTE for _, at, _ in way.sent]))
    assert most < 10, "spread over the hour"
    for _ in range(9):
        now = run(ledger, now, 8, receipts=way)
        assert ledger.overdue(now) == []
    assert 190 <= len(way.sent) <= 200
    assert float(ledger.age_h(now).max()) < 56


def test_a_call_that_does_not_get_through_is_made_once_and_its_age_grows_until_it_does(memory: Memory) -> None:
    """The spool sends it again; on the third day the lift is overdue, and the receipt ends it."""
    way = Way()
    ledger = CallLedger(["063577"], memory, way, now=NOW)
    now = run(ledger, NOW, 71, lifts=1)
    assert len(way.sent) == 1
    assert ledger.overdue(now) == []
    now = run(ledger, now, 2, lifts=1)
    assert ledger.overdue(now) == ["063577"]
    way.waiting.clear()
    now = run(ledger, now, 0.1, lifts=1)
    assert ledger.overdue(now) == []
    assert float(ledger.age_h(now)[0]) < 0.2


def test_the_ledger_outlives_the_process(tmp_path: Path) -> None:
    """What is under way is still under way, what got through meanwhile got through, and ages go on."""
    way = Way()
    memory = Memory(tmp_path / "m.db")
    now = run(CallLedger(LIFTS, memory, way, now=NOW), NOW, 1.1, receipts=way)
    first = CallLedger(["063577", *LIFTS], memory, way, now=now)
    now = run(first, now, 1.1, lifts=101)
    assert way.sent[-1][0] == "063577"
    memory.close()
    memory = Memory(tmp_path / "m.db")
    again = CallLedger(["063577", *LIFTS], memory, way, now=now)
    assert again.age_h(now)[0] == pytest.approx(1.1, abs=0.01)
    assert 1 < again.age_h(now)[1] < 2.3
    before = len(way.sent)
    run(again, now, 1, lifts=101)
    assert len(way.sent) == before, "no second call while the first waits for its receipt"
    way.waiting.clear()
    again = CallLedger(["063577", *LIFTS], memory, way, now=now)
    again.run(now + MINUTE, heard(now + MINUTE, 101))
    assert again.age_h(now + MINUTE)[0] == 0


def test_a_call_under_way_in_a_numbering_that_is_gone_is_made_again(tmp_path: Path) -> None:
    """The spool was damaged and began anew: nobody will send the old message."""
    way, memory = Way(), Memory(tmp_path / "m.db")
    ledger = CallLedger(["063577"], memory, way, now=NOW)
    run(ledger, NOW, 1.1, lifts=1)
    way.epoch = "e2"
    run(CallLedger(["063577"], memory, way, now=NOW), NOW, 1.1, lifts=1)
    assert len(way.sent) == 2


def test_a_silent_lift_is_not_called(memory: Memory) -> None:
    """The path of its alarm begins at the driver; its age grows, and its silence is an alarm of its own."""
    way = Way()
    ledger = CallLedger(["063577"], memory, way, now=NOW)
    for minute in range(73 * 60):
        ledger.run(NOW + minute * MINUTE, np.array([NOW - 10 * MINUTE], np.int64))
    assert way.sent == []
    assert ledger.overdue(NOW + 73 * HOUR) == ["063577"]


def test_a_call_follows_its_lifts_newest_sample_by_a_hair(memory: Memory) -> None:
    """It must not make the next sample look late, nor a lift that fell silent look alive."""
    way = Way()
    ledger = CallLedger(["063577"], memory, way, now=NOW)
    now = NOW + HOUR
    ledger.run(now, np.array([now - 2_000_000], np.int64))
    assert way.sent == [("063577", now - 1_999_999, 1.0)]


def test_a_call_asked_for_is_made_at_once_and_not_twice(memory: Memory) -> None:
    """Somebody tests the line by hand; a lift that is not ours, silent or being tested is refused by name."""
    way = Way()
    ledger = CallLedger(["063577"], memory, way, now=NOW)
    ledger.call("063577", NOW, NOW)
    assert len(way.sent) == 1
    with pytest.raises(Conflict, match="063577 is under way"):
        ledger.call("063577", NOW, NOW)
    with pytest.raises(Invalid, match="'100245' is not behind"):
        ledger.call("100245", NOW, NOW)
    way.waiting.clear()
    ledger.run(NOW + 1, heard(NOW, 1))
    with pytest.raises(Conflict, match="silent"):
        ledger.call("063577", NOW + HOUR, NOW)


def test_a_disk_that_refuses_is_tried_again(memory: Memory) -> None:
    """Nothing is under way that was not written."""
    way = Way()
    ledger = CallLedger(["063577"], memory, way, now=NOW)
    way.broken = True
    with pytest.raises(Unavailable):
        ledger.run(NOW + HOUR, heard(NOW + HOUR, 1))
    way.broken = False
    ledger.run(NOW + HOUR, heard(NOW + HOUR, 1))
    assert len(way.sent) == 1


def test_a_clock_that_was_in_the_future_is_no_excuse(memory: Memory) -> None:
    """A call noted for tomorrow would otherwise keep the lift untested until the day after."""
    way = Way()
    ledger = CallLedger(["063577"], memory, way, now=NOW)
    ledger.call("063577", NOW + 9000 * HOUR, NOW + 9000 * HOUR)
    way.waiting.clear()
    ledger.run(NOW + 9000 * HOUR, heard(NOW + 9000 * HOUR, 1))
    ledger.run(NOW + HOUR, heard(NOW + HOUR, 1))
    assert len(way.sent) == 2


def test_ages_are_shown_when_the_hour_changes(memory: Memory) -> None:
    """A column that hardly ever changes is not sent with every reading."""
    way = Way()
    ledger = CallLedger(["a", "b"], memory, way, now=NOW)
    both = np.array([0, 1], np.int32)
    first = ledger.ages_to_show(both, NOW)
    assert first is not None
    assert first.tolist() == [0.0, 0.0]
    assert ledger.ages_to_show(both, NOW + HOUR // 2) is None
    later = ledger.ages_to_show(np.array([1], np.int32), NOW + HOUR + 6 * MINUTE)
    assert later is not None
    assert later.tolist() == [1.1]
    third = ledger.ages_to_show(both, NOW + HOUR + 7 * MINUTE)
    assert third is not None
    assert np.isnan(third).tolist() == [False, True]
    ledger.call("a", NOW + 2 * HOUR, NOW + 2 * HOUR)
    way.waiting.clear()
    ledger.run(NOW + 2 * HOUR, heard(NOW + 2 * HOUR, 2))
    through = ledger.ages_to_show(both, NOW + 2 * HOUR)
    assert through is not None
    assert through.tolist() == [0.0, 2.0]
