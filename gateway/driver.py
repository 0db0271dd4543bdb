"""What a driver is: it reads one kind of source and gives batches. It never writes to it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final, Protocol

from gateway.document import Section
from gateway.raw_block import RawBlock
from lift.batch import Batch
from lift.errors import Invalid
from lift.ports import Timepiece

log = logging.getLogger(__name__)

# Batches that wait for the gateway; beyond it a source is read more slowly.
_WAITING_MOST: Final = 100
_LOOK_EVERY_S: Final = 0.2
_LEAVE_WITHIN_S: Final = 5.0
_TROUBLES_MOST: Final = 10_000


class Source(Protocol):
    """Something that makes readings by itself, such as a simulated lift."""

    def step(self) -> Batch:
        """Give the readings of the next moment."""

    def raw(self) -> Sequence[RawBlock]:
        """Give the raw acceleration of each lift over the second that ends with the newest readings."""


class Troubles:
    """What is wrong at the moment, by what it is about: a lift, a register, a line. Any thread may call.

    Something new or different is logged once, not at every poll, and so is its end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._present: dict[str, str] = {}

    def note(self, about: str, reason: str) -> None:
        """Something is wrong."""
        with self._lock:
            if self._present.get(about) == reason or len(self._present) >= _TROUBLES_MOST:
                return
            self._present[about] = reason
        log.warning("%s: %s", about, reason)

    def clear(self, about: str) -> None:
        """It is well again."""
        with self._lock:
            gone = self._present.pop(about, None)
        if gone is not None:
            log.info("%s: well again (was: %s)", about, gone)

    def judge(self, about: str, reason: str) -> None:
        """Note a reason, or clear for an empty one."""
        if reason:
            self.note(about, reason)
        else:
            self.clear(about)

    def present(self) -> dict[str, str]:
        """Give what is wrong now."""
        with self._lock:
            return dict(self._present)


def refuse_raw(_block: RawBlock) -> None:
    """Refuse raw acceleration, where nobody takes it; raises Invalid."""
    raise Invalid("acceleration", "nobody takes raw acceleration here")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a driver needs besides its source: the time, when to stop, and where to say what is wrong.

    `lines` is the stream that JSON lines come from unless the file names another; `source` is the simulated lifts,
    which only the composition root may know. `take_raw` takes the blocks of raw acceleration that a source gives
    beside its readings, from any thread; it raises Invalid for one that cannot be used, which the driver tells as it
    tells of other bad input.
    """

    clock: Timepiece
    stop: threading.Event
    troubles: Troubles = field(default_factory=Troubles)
    lines: BinaryIO | None = None
    source: Source | None = None
    take_raw: Callable[[RawBlock], None] = refuse_raw


class Driver(Protocol):
    """Reads one kind of source. A file `gateway/drivers/modbus.py` must hold the class `Modbus`."""

    def __init__(self, section: Section, lifts: Mapping[str, Section]) -> None:
        """Take the driver's section, and each lift's by its code; notes problems there, opens nothing."""

    def batches(self, around: Surroundings) -> Iterator[Batch]:
        """Give readings as they come, until told to stop or the source ends for good.

        Raw acceleration, where the source has it, goes to `around.take_raw`.
        What fails is named in `around.troubles` and tried again after growing pauses; the other lifts go on.
        """


class Backoff:
    """Growing pauses between attempts at something that fails: doubled from `first_s` up to `most_s`."""

    def __init__(self, first_s: float = 0.5, most_s: float = 30.0) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._next_s = first_s

    def failed(self) -> float:
        """Give how many seconds to wait before the next attempt."""
        pause = self._next_s
        self._next_s = min(2 * pause, self._most_s)
        return pause

    def worked(self) -> None:
        """Begin again with the shortest pause."""
        self._next_s = self._first_s


class Inlet:
    """Where the threads of a driver put their batches: bounded, so that a source waits for the gateway.

    Readers leave soon after `leave` is set.
    """

    def __init__(self) -> None:
        self.leave = threading.Event()
        self._waiting: queue.Queue[Batch] = queue.Queue(_WAITING_MOST)
        self._failed: queue.Queue[Exception] = queue.Queue()

    def put(self, batch: Batch) -> None:
        """Hand a batch over; waits while too many are there already, and gives it up when told to leave."""
        while len(batch) and not self.leave.is_set():
            try:
                self._waiting.put(batch, timeout=_LOOK_EVERY_S)
            except queue.Full:
                continue
            return

    def gather(self, readers: Mapping[str, Callable[[Inlet], None]], stop: threading.Event) -> Iterator[Batch]:
        """Run each reader in a thread of its name, and give what they put, until told to stop.

        Readers deal with their sources' failures themselves; what one raises nevertheless is raised here.
        """
        threads = [
            threading.Thread(target=self._run, args=(reader,), name=f"driver {name}", daemon=True)
            for name, reader in readers.items()
        ]
        for thread in threads:
            thread.start()
        try:
            while not stop.is_set():
                try:
                    yield self._waiting.get(timeout=_LOOK_EVERY_S)
                except queue.Empty:
                    if not self._failed.empty():
                        raise self._failed.get() from None
        finally:
            self.leave.set()
            for thread in threads:
                thread.join(_LEAVE_WITHIN_S)
                if thread.is_alive():
                    log.error("%s does not stop, and is left behind", thread.name)

    def _run(self, reader: Callable[[Inlet], None]) -> None:
        try:
            reader(self)
        except Exception as error:  # noqa: BLE001 - it is raised where the batches are taken
            self._failed.put(error)
