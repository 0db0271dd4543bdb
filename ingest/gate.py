"""The gate: lets messages in gateway by gateway in turn, each at its own rate, so that a mad one delays only itself.

A broker delivers in one line what all gateways send, and neither side of that line may be held up for one of them:
an unread socket delays everybody, and so does a message left unacknowledged, since a broker lets only so many of them
be under way (mosquitto: 20 unless configured) and acknowledges a publisher itself long before. So everything is
received and answered at once, and a gateway feels its limit where it is alone: by the receipts that do not come. Its
window fills, its spool keeps the rest.

Turns are taken by deficit round robin (Shreedhar and Varghese, 1995) on estimated work; rates are token buckets whose
time is an argument, paid after decoding, when the number of readings is known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.intake import stamp_of
from lift import topics
from lift.errors import BadFrame
from lift.fleet import Fleet
from lift.ports import Message
from lift.wire import Stamp, arrow

# Messages handled together: enough for vector operations to pay, few enough, with the bound on their work, that one
# pass stays about a tenth of a second.
TOGETHER_MAX: Final = 4000
TOGETHER_WORK_MAX: Final = 8 * 1024 * 1024
# What an Arrow message costs beyond its bytes, in bytes of the same cost: a stream takes a quarter of a millisecond
# however short it is.
_ARROW_WORK: Final = 32 * 1024
_JSON_WORK: Final = 512
# What one gateway may put into a pass before the next has its turn.
_TURN_WORK: Final = 256 * 1024
# Waiting for their turn, of all gateways; beyond it the bus is not read, and turns come every pass.
WAITING_MAX: Final = 20_000
WAITING_BYTES_MAX: Final = 64 * 1024 * 1024
# Numbered messages of one gateway over its rate that are kept at hand: twice its own window. What does not fit is in
# its spool.
HELD_MAX: Final = 256
HELD_BYTES_MAX: Final = 8 * 1024 * 1024
HELD_BYTES_ALL_MAX: Final = 64 * 1024 * 1024
# Messages of one gateway over its rate that are looked into in one pass; who sends more than that at once is mad.
_LOOKED_INTO_MAX: Final = 128
# A gateway puts readings of an emergency into a message of their own, so a short message goes first.
_SHORT_BYTES: Final = 4096
# A debt is forgiven beyond this: one large message must not silence a small gateway for an hour.
_DEBT_S: Final = 60.0
# How long after its last message over the rate a gateway counts as limited.
_LIMITED_US: Final = 60 * 1_000_000
# All gateways that nobody has registered share one line and this rate.
STRANGERS_READINGS_A_SECOND: Final = 100.0
STRANGERS_BURST: Final = 1_000.0
RATE_PER_LIFT: Final = 10.0
BURST_PER_LIFT: Final = 3_600.0


@dataclass(slots=True)
class Turn:
    """What to do with messages now: `take` them in; only `acknowledge` them; `refuse` them for their rate.

    What is only acknowledged waits at the gate, or lies in its gateway's spool. `more` = others wait for their turn.
    """

    take: list[Message] = field(default_factory=list)
    acknowledge: list[Message] = field(default_factory=list)
    refuse: list[Message] = field(default_factory=list)
    more: bool = False


class _Line:
    """One gateway's messages before the gate: short ones first, otherwise in order."""

    __slots__ = ("bytes", "held", "held_bytes", "long", "short")

    def __init__(self) -> None:
        self.short: deque[Message] = deque()
        self.long: deque[Message] = deque()
        self.bytes = 0
        # Numbers of those that are acknowledged already.
        self.held: dict[int, Stamp] = {}
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self.short) + len(self.long)

    def put(self, message: Message) -> None:
        (self.short if len(message.payload) <= _SHORT_BYTES else self.long).append(message)
        self.bytes += len(message.payload)

    def pop(self) -> Message:
        message = (self.short or self.long).popleft()
        self.bytes -= len(message.payload)
        if self.held.pop(id(message), None) is not None:
            self.held_bytes -= len(message.payload)
        return message


class Gate:
    """Decides which messages are taken in now. One thread uses it; `limited` may be read by any."""

    def __init__(
        self, fleet: Fleet, *, rate_per_lift: float = RATE_PER_LIFT, burst_per_lift: float = BURST_PER_LIFT
    ) -> None:
        """Take the fleet: a gateway may send so many readings a second for each lift, and so many at once."""
        gateways = len(fleet.gateways)
        lifts = np.bincount(fleet.gateway, minlength=gateways).astype(np.float64)
        self._fleet = fleet
        self._strangers = gateways
        self.rate: NDArray[np.float64] = np.append(rate_per_lift * lifts, STRANGERS_READINGS_A_SECOND)
        self._burst = np.append(burst_per_lift * lifts, STRANGERS_BURST)
        self._balance = self._burst.tolist()
        self._paid_at = [0] * (gateways + 1)
        self._lines: dict[int, _Line] = {}
        self._waiting = self._waiting_bytes = 0
        self._held_bytes = 0
        self._limited_until = [0] * (gateways + 1)
        self.limited_messages = [0] * (gateways + 1)

    @property
    def full(self) -> bool:
        """Whether so much waits for its turn that nothing should be received."""
        return self._waiting >= WAITING_MAX or self._waiting_bytes >= WAITING_BYTES_MAX

    @property
    def busy(self) -> bool:
        """Whether some wait for their turn or for their rate."""
        return bool(self._lines)

    @property
    def ready(self) -> bool:
        """Whether something waits for its turn that may be taken in at once."""
        return self._waiting > 0

    @property
    def waiting(self) -> int:
        """Count the messages before the gate, those over their gateway's rate among them."""
        return sum(len(line) for line in list(self._lines.values()))

    def number(self, topic: str) -> int:
        """Give the number of a topic's gateway; all that are not registered share the last one."""
        try:
            return self._fleet.gateway_number.get(topics.parse(topic).gateway, self._strangers)
        except BadFrame:
            return self._strangers

    def limited(self, now: int) -> list[int]:
        """Give the numbers of the gateways that were over their rate within the last minute."""
        return [number for number, until in enumerate(self._limited_until) if until > now]

    def turn(self, messages: Sequence[Message], now: int) -> Turn:
        """Sort what has come, and what waited, into what to do at time `now` (µs since 1970 UTC)."""
        if not self._lines and self._all_welcome(messages, now):
            return Turn(take=list(messages))
        for message in messages:
            self._put(message)
        turn = Turn()
        self._answer_limited(turn, self._take_turns(turn, now), now)
        self._count_waiting()
        turn.more = self._waiting > 0
        return turn

    def pay(self, number: int, readings: int) -> None:
        """Charge a gateway for readings that were taken in."""
        rate = float(self.rate[number])
        self._balance[number] = max(self._balance[number] - readings, -_DEBT_S * rate)

    # ------------------------------------------------------------------------------------- turns

    def _all_welcome(self, messages: Sequence[Message], now: int) -> bool:
        """Whether all of it fits into one pass and no sender is over its rate, as almost always."""
        if len(messages) > TOGETHER_MAX or sum(map(_work, messages)) > TOGETHER_WORK_MAX:
            return False
        numbers = {self.number(topic) for topic in {message.topic for message in messages}}
        return all(self._may(number, now) for number in numbers)

    def _may(self, number: int, now: int) -> bool:
        """Fill a gateway's bucket for the time that has passed; whether there is anything in it."""
        passed_s = max(0, now - self._paid_at[number]) / 1e6
        self._paid_at[number] = now
        self._balance[number] = min(self._balance[number] + passed_s * self.rate[number], self._burst[number])
        return bool(self._balance[number] > 0)

    def _put(self, message: Message) -> None:
        number = self.number(message.topic)
        line = self._lines.get(number)
        if line is None:
            line = self._lines[number] = _Line()
        line.put(message)

    def _take_turns(self, turn: Turn, now: int) -> dict[int, int]:
        """Fill a pass from the lines of those who are within their rate, each in turn; says how many of each."""
        # Whoever is served goes to the end of the lines, so the next pass begins where this one ends.
        willing = deque(number for number in self._lines if self._may(number, now))
        taken = dict.fromkeys(self._lines, 0)
        room = TOGETHER_WORK_MAX
        while willing and room > 0 and len(turn.take) < TOGETHER_MAX:
            number = willing.popleft()
            line = self._lines.pop(number)
            work = 0
            while len(line) and work < _TURN_WORK and len(turn.take) < TOGETHER_MAX:
                if taken[number] >= self._balance[number]:
                    break
                message = line.pop()
                turn.take.append(message)
                taken[number] += 1
                work += _work(message)
            room -= work
            if len(line):
                self._lines[number] = line
                if taken[number] < self._balance[number]:
                    willing.append(number)
        return taken

    # -------------------------------------------------------------------------- over the rate

    def _answer_limited(self, turn: Turn, taken: Mapping[int, int], now: int) -> None:
        """Answer the broker for messages of gateways that are over their rate, so that they hold up nobody."""
        for number in list(self._lines):
            if self._balance[number] > taken[number]:
                continue
            line = self._lines[number]
            self._limited_until[number] = now + _LIMITED_US
            self._answer(number, line, turn)
            if not len(line):
                del self._lines[number]

    def _answer(self, number: int, line: _Line, turn: Turn) -> None:
        """Hold numbered messages while there is room, refuse the others; of a flood only the first are looked into."""
        known = set(line.held.values())
        looked_into = 0
        for queue in (line.short, line.long):
            kept: deque[Message] = deque()
            for message in queue:
                if id(message) in line.held:
                    kept.append(message)
                    continue
                self.limited_messages[number] += 1
                line.bytes -= len(message.payload)
                looked_into += 1
                if looked_into > _LOOKED_INTO_MAX:
                    turn.acknowledge.append(message)
                    continue
                stamp = stamp_of(message.payload)
                if stamp is None:
                    turn.refuse.append(message)
                    continue
                turn.acknowledge.append(message)
                if stamp not in known and self._has_room(line, message):
                    known.add(stamp)
                    held = Message(message.topic, message.payload)
                    kept.append(held)
                    line.held[id(held)] = stamp
                    line.bytes += len(held.payload)
                    line.held_bytes += len(held.payload)
                    self._held_bytes += len(held.payload)
            queue.clear()
            queue.extend(kept)

    def _has_room(self, line: _Line, message: Message) -> bool:
        size = len(message.payload)
        return (
            len(line.held) < HELD_MAX
            and line.held_bytes + size <= HELD_BYTES_MAX
            and self._held_bytes + size <= HELD_BYTES_ALL_MAX
        )

    def _count_waiting(self) -> None:
        lines = self._lines.values()
        self._held_bytes = sum(line.held_bytes for line in lines)
        self._waiting = sum(len(line) - len(line.held) for line in lines)
        self._waiting_bytes = sum(line.bytes for line in lines) - self._held_bytes


def _work(message: Message) -> int:
    payload = message.payload
    return len(payload) + (_ARROW_WORK if payload[:4] == arrow.MAGIC else _JSON_WORK)
