"""The condition path: finished trips → condition monitor → maintenance alarms, in a thread of its own.

Closing a day of a megacity takes a second, which the alarm path must not wait for; so trips come in through a bounded
queue, and what the monitor finds is handed to the alarm path, which records it with everything else.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from alarms.condition.features import RULES
from alarms.condition.monitor import ConditionMonitor
from lift.alarm import Change, Transition
from lift.batch import Batch
from lift.errors import Invalid
from lift.fleet import Fleet
from lift.metrics import Metric, metric
from lift.ports import Records, Telemetry, Timepiece
from lift.repair import Repair
from runtime import saved_file

log = logging.getLogger(__name__)

# Batches of trips that wait: a city makes a thousand trips a second, which one turn of the monitor takes at once.
_WAITING_MAX: Final = 10_000
_ADVANCE_EVERY_S: Final = 60.0
_SAVE_EVERY_S: Final = 600.0
_REPAIRS_EVERY_S: Final = 5.0
_REPAIRS_TOGETHER: Final = 500
# Trips replayed at a start: some of them were still on their way when the state was saved.
_REPLAY_MARGIN_US: Final = 60 * 1_000_000
_REPLAY_MAX_US: Final = 14 * 86_400 * 1_000_000


class ConditionPath:
    """Feeds the monitor. `take` may be called from any thread, the rest from one.

    `tell` hears what was found, and `recorded` says whether all of that is on record.
    """

    def __init__(
        self,
        fleet: Fleet,
        monitor: ConditionMonitor,
        records: Records,
        clock: Timepiece,
        file: Path,
        tell: Callable[[Sequence[Transition]], None],
        recorded: Callable[[], bool],
    ) -> None:
        self._fleet = fleet
        self._monitor = monitor
        self._records = records
        self._clock = clock
        self._file = file
        self._tell = tell
        self._recorded = recorded
        self._waiting: deque[Batch] = deque(maxlen=_WAITING_MAX)
        self._advanced = self._saved = self._asked = time.monotonic()
        # Whoever stops the program saves, while a day may still be closing in the path's own thread.
        self._turn = threading.Lock()
        self.dropped = 0
        self._trips = 0

    def take(self, trips: Batch) -> None:
        """Queue finished trips (lifts as fleet slots); when the queue is full the oldest go, and are counted."""
        if len(self._waiting) == _WAITING_MAX:
            self.dropped += len(self._waiting[0])
        self._waiting.append(trips)

    def step(self) -> None:
        """Give the monitor what has come; hear of repairs, let days close, and save now and then."""
        with self._turn:
            self._step()
        if time.monotonic() - self._saved >= _SAVE_EVERY_S:
            self.save()

    def _step(self) -> None:
        while self._waiting:
            trips = self._waiting.popleft()
            self._trips += len(trips)
            self._found(self._monitor.take(trips))
        now = time.monotonic()
        if now - self._asked >= _REPAIRS_EVERY_S:
            self._asked = now
            self.hear_of_repairs()
        if now - self._advanced >= _ADVANCE_EVERY_S:
            self._advanced = now
            self._found(self._monitor.advance(self._clock.now()))

    def recover(self, telemetry: Telemetry) -> int:
        """Go on from the saved state, with the stored trips since; gives their number.

        An alarm that was recorded before is met again under its own key and changes nothing, and so does a repair.
        """
        if not self._file.exists():
            return 0
        try:
            # Arrays are read straight to where they belong: a buffer would only copy them once more.
            with self._file.open("rb", buffering=0) as file:
                saved_at = int.from_bytes(file.read(8), "little")
                self._monitor.restore(file)
        except Invalid as error:
            log.warning("the saved condition state does not fit any more; baselines begin anew: %s", error)
            return 0
        now, count = self._clock.now(), 0
        self.hear_of_repairs()
        start = max(saved_at - _REPLAY_MARGIN_US, now - _REPLAY_MAX_US)
        for batch in telemetry.replay_trips(start=start, end=now + _REPLAY_MARGIN_US):
            ours = self._fleet.in_slots(batch)
            self._found(self._monitor.take(ours.take(ours.lift >= 0)))
            count += len(ours)
        return count

    def save(self) -> bool:
        """Save the monitor's state; what it raised since is raised again after a crash, under the same keys.

        False = not now: while something waits to be recorded, the state would hold an alarm that no record knows.
        """
        with self._turn:
            if not self._recorded():
                return False
            self._save()
        return True

    def _save(self) -> None:
        self._saved = time.monotonic()
        with saved_file.replacing(self._file) as file:
            file.write(self._clock.now().to_bytes(8, "little"))
            self._monitor.save(file)

    def metrics(self) -> list[Metric]:
        """Give the path's figures."""
        return [
            metric("liftwatch_condition_trips_total", "counter", "Trips given to the condition monitor", self._trips),
            metric("liftwatch_condition_trips_late_total", "counter", "Trips of a closed day", self._monitor.late),
            metric("liftwatch_condition_trips_dropped_total", "counter", "Trips that found no room", self.dropped),
            Metric(
                "liftwatch_maintenance_standing",
                "gauge",
                "Lifts with a maintenance alarm that stands",
                tuple(
                    ({"rule": rule, "name": f"{RULES[rule].en} {RULES[rule].zh}"}, float(lifts))
                    for rule, lifts in self._monitor.standing().items()
                ),
            ),
        ]

    def hear_of_repairs(self) -> None:
        """Tell the monitor what people have mended since, and end the alarms about it."""
        while True:
            with self._records.read() as reads:
                repairs = reads.repairs(after=self._monitor.newest_repair, most=_REPAIRS_TOGETHER)
            for repair in repairs:
                self._found(self._monitor.renew(repair))
            # Those that stand on record although the monitor has lost its state.
            self._found([_returned(repair) for repair in repairs if repair.rule in RULES])
            if len(repairs) < _REPAIRS_TOGETHER:
                return

    def _found(self, transitions: Sequence[Transition]) -> None:
        if transitions:
            self._tell(transitions)


def _returned(repair: Repair) -> Transition:
    """Give the end of the alarm that a repair is about."""
    return Transition(
        change=Change.RETURNED,
        lift=repair.lift,
        rule=repair.rule,
        code=None,
        priority=RULES[repair.rule].priority,
        latching=False,
        onset=repair.onset,
        at=repair.at,
    )
