"""One run: steady readings, faults at random moments, and how soon everything was up to date again."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.chaos.faults import Fault, Kind, faults
from tests.chaos.judge import Verdict, judge
from tests.chaos.world import Size, World, world

RECOVERS_WITHIN_S: Final = 120.0
DRAINS_WITHIN_S: Final = 180.0
_LOOK_S: Final = 0.05


@dataclass(slots=True)
class Outcome:
    """What a run showed.

    `recovery_s` is from the moment a fault was over until every gateway had accepted more readings and had receipts for
    all but the newest; a second of it is the wait for the next round of readings.
    """

    seed: int
    faults: int
    by_kind: dict[str, int] = field(default_factory=dict)
    recovery_s: dict[str, list[float]] = field(default_factory=dict)
    never_recovered: list[str] = field(default_factory=list)
    readings_a_second: int = 0
    took_s: float = 0.0
    resent: int = 0
    verdict: Verdict | None = None

    @property
    def good(self) -> bool:
        """Whether nothing was lost and everything recovered."""
        return self.verdict is not None and self.verdict.good and not self.never_recovered

    def all_recoveries(self) -> list[float]:
        """Give every recovery time."""
        return sorted(one for times in self.recovery_s.values() for one in times)

    def as_json(self) -> dict[str, Any]:
        """Give everything for a program."""
        return asdict(self) | {"good": self.good}

    def text(self) -> str:
        """Give the report for a person."""
        verdict, times = self.verdict, self.all_recoveries()
        assert verdict is not None
        lines = [
            f"seed {self.seed}: {self.faults} faults in {self.took_s:.0f} s at {self.readings_a_second:,} readings/s",
            "",
            f"{'fault':44} {'times':>5} {'median s':>9} {'worst s':>8}  until up to date again",
        ]
        for kind, count in sorted(self.by_kind.items()):
            mine = self.recovery_s.get(kind, [])
            shown = f"{statistics.median(mine):9.1f} {max(mine):8.1f}" if mine else f"{'-':>9} {'-':>8}"
            lines.append(f"{kind:44} {count:5} {shown}")
        median, worst = (statistics.median(times), times[-1]) if times else (0.0, 0.0)
        lines += [
            f"{'all':44} {self.faults:5} {median:9.1f} {worst:8.1f}",
            "",
            f"readings accepted by gateways      {verdict.accepted:14,}",
            f"  in the store exactly once        {verdict.stored_once:14,}",
            f"  lost                             {verdict.lost:14,}",
            f"  stored twice                     {verdict.stored_twice:14,}",
            f"  stored with another value        {verdict.changed:14,}",
            f"  messages in quarantine           {verdict.quarantined:14,}",
            f"stored though killed before saying so {verdict.unasked:11,}",
            f"duplicates suppressed              {self.resent:14,}",
            *(f"NEVER RECOVERED: {one}" for one in self.never_recovered),
            "",
            "GOOD: nothing was lost" if self.good else f"BAD: reproduce with --seed {self.seed}",
        ]
        return "\n".join(lines)


def run(
    folder: Path,
    size: Size,
    *,
    count: int,
    kinds: frozenset[Kind],
    disks: bool,
    progress: Callable[[int, Fault], None],
) -> Outcome:
    """Hurt a world `count` times and judge it; `progress` hears of each fault as it strikes."""
    outcome = Outcome(size.seed, count, readings_a_second=size.readings_a_second)
    started = time.monotonic()
    with world(folder, size, disks=disks) as one:
        plan = [fault for fault in faults(size.seed, 50 * count, len(one.gateways)) if fault.kind in kinds][:count]
        _hurt(one, plan, outcome, progress)
        outcome.took_s = time.monotonic() - started
        one.stop_sending()
        if not _until(lambda: one.behind() == 0 and not one.died(), DRAINS_WITHIN_S):
            outcome.never_recovered.append(f"the spools did not drain: {one.behind()} rounds left; {one.died()}")
        one.close()
        outcome.verdict = judge(one)
        outcome.resent = one.duplicates()
    outcome.by_kind = dict(Counter(str(fault.kind) for fault in plan))
    return outcome


def _hurt(one: World, plan: list[Fault], outcome: Outcome, progress: Callable[[int, Fault], None]) -> None:
    standing: list[tuple[float, Fault]] = []
    hurt: list[Fault] = []
    for fault in plan:
        pause = fault.after_s / 4 if fault.overlaps and standing else fault.after_s
        if standing and (not fault.overlaps or any(_same_part(fault, other) for _, other in standing)):
            _heal_all(one, standing)
            _recover(one, hurt, outcome)
        time.sleep(pause)
        progress(fault.number, fault)
        one.strike(fault)
        hurt.append(fault)
        standing.append((time.monotonic() + fault.lasts_s, fault))
    _heal_all(one, standing)
    _recover(one, hurt, outcome)


def _same_part(one: Fault, other: Fault) -> bool:
    """Two faults may not hold the same part in two ways, or healing one would heal the other."""
    parts = {
        Kind.KILL_INGEST: "ingest",
        Kind.FREEZE_INGEST: "ingest",
        Kind.CUT_INGEST: "line",
        Kind.HALF_OPEN_INGEST: "line",
        Kind.CUT_GATEWAY: f"line {one.gateway}",
        Kind.HALF_OPEN_GATEWAY: f"line {one.gateway}",
    }
    if one.kind in (Kind.CUT_GATEWAY, Kind.HALF_OPEN_GATEWAY) and one.gateway != other.gateway:
        return False
    return parts.get(one.kind, one.kind) == parts.get(other.kind, other.kind)


def _heal_all(one: World, standing: list[tuple[float, Fault]]) -> None:
    for until, fault in sorted(standing, key=lambda pair: pair[0]):
        time.sleep(max(0.0, until - time.monotonic()))
        one.heal(fault)
    standing.clear()


def _recover(one: World, hurt: list[Fault], outcome: Outcome) -> None:
    """Wait until everything is up to date again, and note how long that took for what had hurt it."""
    began, rounds = time.monotonic(), one.rounds()
    if _until(lambda: one.up_to_date(rounds), RECOVERS_WITHIN_S):
        for fault in hurt:
            outcome.recovery_s.setdefault(str(fault.kind), []).append(round(time.monotonic() - began, 2))
    else:
        outcome.never_recovered.append(f"after {', '.join(fault.kind for fault in hurt)}: {one.died()}")
    hurt.clear()


def _until(reached: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if reached():
            return True
        time.sleep(_LOOK_S)
    return False
