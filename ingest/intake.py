"""Intake: many messages become one batch of readings of lifts we know, and a list of what was refused.

All messages at hand are joined before anything is checked, so that a thousand messages of one reading
cost about what one message of a thousand readings costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lift import topics
from lift.batch import EMPTY, Batch, Floats, Ints, Mask, Slots, concat
from lift.errors import BadFrame
from lift.fleet import Fleet
from lift.ports import Message
from lift.signals import BY_NAME, Signal
from lift.trips import TRIP_BY_NAME
from lift.wire import PAYLOAD_BYTES_MAX, REFUSALS_MAX, Frame, Refusal, Stamp, arrow, clipped, json

# A device clock may run this far ahead of ours before its readings are refused as future-dated.
AHEAD_US_MAX: Final = 60 * 1_000_000
# Earlier than this (2020-01-01) no gateway of ours existed: the device's clock was never set.
EARLIEST_US: Final = 1_577_836_800_000_000
_NEVER: Final = np.iinfo(np.int64).min

# What each kind of topic that carries readings may report.
CATALOGUES: Final[Mapping[str, Mapping[str, Signal]]] = {topics.TELEMETRY: BY_NAME, topics.TRIPS: TRIP_BY_NAME}


@dataclass(slots=True)
class Delivery:
    """One message and what became of it. `refused` counts whole readings lost, `faults` says why.

    `number` is its gateway's in the fleet, one beyond the last for a gateway that is not registered. A message with
    faults goes to quarantine if it is to be kept (`keep`).
    """

    message: Message
    gateway: str = ""
    number: int = 0
    stamp: Stamp | None = None
    faults: list[Refusal] = field(default_factory=list)
    faults_more: int = 0
    received: int = 0
    refused: int = 0
    unknown_fields: bool = False
    keep: bool = True

    def note(self, refusal: Refusal) -> None:
        """Note why something is refused; beyond the first hundred only their number is kept."""
        if len(self.faults) < REFUSALS_MAX:
            self.faults.append(refusal)
        else:
            self.faults_more += 1

    def reject(self, field: str, reason: str) -> None:
        """Refuse the message unread; it counts as one reading, since nobody knows how many it held."""
        self.received = self.refused = 1
        self.note(Refusal(None, field, clipped(reason), lost=True))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Spell out why parts of the message were refused."""
        more = (f"and {self.faults_more} more like these",) if self.faults_more else ()
        return (*map(str, self.faults), *more)


@dataclass(frozen=True, slots=True)
class Intake:
    """Messages of one kind taken in together: one batch in fleet slots, and each message's own fate.

    `heard` are the numbers of the gateways whose readings of their own lifts could be read, one entry a message, and
    `newest` the time of the newest of those (µs by the gateway's clock), however wrong it is.
    """

    batch: Batch
    deliveries: list[Delivery]
    kind: str = topics.TELEMETRY
    heard: Slots = field(default_factory=lambda: np.empty(0, np.int32))
    newest: Ints = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class _Part:
    """A decoded batch in the sender's own names, with each reading's message and row in that message."""

    batch: Batch
    message: NDArray[np.int64]
    row: NDArray[np.int64]


def take_in(
    messages: Sequence[Message],
    fleet: Fleet,
    *,
    received_at: int,
    kind: str = topics.TELEMETRY,
    ahead_s: Callable[[int], float | None] = lambda _: None,
) -> Intake:
    """Decode and check messages of one kind; never raises for what they contain. `received_at` is µs since 1970 UTC.

    `ahead_s` says by how many seconds the clock of a gateway (its number) is known to be ahead; None = not known.
    """
    deliveries = [_open(message, fleet) for message in messages]
    parts = _decode(deliveries, CATALOGUES[kind])
    if not parts:
        return Intake(EMPTY, deliveries, kind)
    message = np.concatenate([part.message for part in parts])
    row = np.concatenate([part.row for part in parts])
    batch = concat([fleet.in_slots(part.batch) for part in parts])
    if kind != topics.TELEMETRY:
        batch = Batch(batch.names, batch.lift, batch.at, batch.columns)
    checks = _Checks(batch, message, row, deliveries, fleet, received_at)
    good, heard, newest = checks.identity(parts, ahead_s)
    columns = {signal: checks.values(signal, values, good) for signal, values in batch.columns.items()}
    batch = Batch(batch.names, batch.lift, batch.at, columns, batch.codes)
    return Intake(batch if good.all() else batch.take(good), deliveries, kind, heard, newest)


def _open(message: Message, fleet: Fleet) -> Delivery:
    """Look at a message from outside: whose it is, and whether it is too large to read."""
    delivery = Delivery(message)
    delivery.number = len(fleet.gateways)
    try:
        delivery.gateway = topics.parse(message.topic).gateway
    except BadFrame as error:
        delivery.reject(error.field, error.reason)
        return delivery
    delivery.number = fleet.gateway_number.get(delivery.gateway, delivery.number)
    size = len(message.payload)
    if size > PAYLOAD_BYTES_MAX:
        delivery.reject("payload", f"{size} bytes, at most {PAYLOAD_BYTES_MAX} accepted")
    return delivery


def _decode(deliveries: Sequence[Delivery], catalogue: Mapping[str, Signal]) -> list[_Part]:
    parts: list[_Part] = []
    rows: list[object] = []
    origin: list[int] = []
    numbers: list[int] = []
    for number, delivery in enumerate(deliveries):
        if delivery.faults:
            continue
        payload = delivery.message.payload
        try:
            if payload[:4] == arrow.MAGIC:
                parts.append(_from_frame(arrow.decode(payload, catalogue), number, delivery))
            else:
                found, delivery.stamp = json.parse(payload)
                delivery.received = len(found)
                rows += found
                origin += [number] * len(found)
                numbers += range(len(found))
        except BadFrame as error:
            delivery.reject(error.field, error.reason)
            # Even so it may have a number: once it is in quarantine its gateway need not send it again.
            delivery.stamp = stamp_of(payload)
    if rows:
        parts.append(_from_rows(json.frame(rows, catalogue=catalogue, origin=origin), origin, numbers, deliveries))
    return [part for part in parts if len(part.batch)]


def stamp_of(payload: bytes) -> Stamp | None:
    """Give the number of a message in either encoding without reading the rest, None where there is none."""
    return arrow.stamp(payload) if payload[:4] == arrow.MAGIC else json.stamp(payload)


def _from_frame(frame: Frame, number: int, delivery: Delivery) -> _Part:
    delivery.stamp = frame.stamp
    delivery.unknown_fields = bool(frame.unknown_fields)
    delivery.received = len(frame.batch) + frame.lost
    delivery.refused = frame.lost
    for refusal in frame.refusals:
        delivery.note(refusal)
    delivery.faults_more += sum(frame.more.values())
    rows = np.arange(len(frame.batch)) if frame.rows is None else frame.rows
    return _Part(frame.batch, np.full(len(frame.batch), number, np.int64), rows)


def _from_rows(frame: Frame, origin: Sequence[int], numbers: Sequence[int], deliveries: Sequence[Delivery]) -> _Part:
    """Hand what is to be said of joined JSON readings back to the messages they came in."""
    assert frame.rows is not None, "a JSON frame says which rows it kept"
    for refusal in frame.refusals:
        assert refusal.row is not None, "a JSON reading is refused by its row"
        told = Refusal(numbers[refusal.row], refusal.field, refusal.reason, refusal.lost)
        deliveries[origin[refusal.row]].note(told)
    for number, count in frame.more.items():
        deliveries[number].faults_more += count
    for number in frame.unknown_in:
        deliveries[number].unknown_fields = True
    of = np.array(origin)
    kept = of[frame.rows]
    if frame.lost:
        width = len(deliveries)
        lost = np.bincount(of, minlength=width) - np.bincount(kept, minlength=width)
        for number in np.flatnonzero(lost).tolist():
            deliveries[number].refused += int(lost[number])
    return _Part(frame.batch, kept, np.array(numbers)[frame.rows])


@dataclass(frozen=True, slots=True)
class _Checks:
    batch: Batch
    message: NDArray[np.int64]
    row: NDArray[np.int64]
    deliveries: Sequence[Delivery]
    fleet: Fleet
    received_at: int

    def identity(self, parts: Sequence[_Part], ahead_s: Callable[[int], float | None]) -> tuple[Mask, Slots, Ints]:
        """Refuse readings of unknown lifts, of lifts behind another gateway, and with impossible times.

        Also gives, a message each, the gateway and the newest time of readings that are surely its own.
        """
        sender = np.array([delivery.number for delivery in self.deliveries], np.int32)
        lift, at = self.batch.lift, self.batch.at
        known = lift >= 0
        ours = known & (self.fleet.gateway[lift] == sender[self.message]) if len(self.fleet) else known
        timely = (at <= self.received_at + AHEAD_US_MAX) & (at >= EARLIEST_US)
        good = ours & timely
        if not good.all():
            names = _names(parts)
            self._refuse(~good, lambda i: self._identity_reason(i, names, ahead_s), lost=True)
        # Readings of one message lie together, so each message is one run.
        starts = np.concatenate([[0], np.flatnonzero(self.message[1:] != self.message[:-1]) + 1])
        newest = np.maximum.reduceat(at if ours.all() else np.where(ours, at, _NEVER), starts)
        said = newest != _NEVER
        return good, sender[self.message[starts]][said], newest[said]

    def values(self, signal: Signal, values: Floats, good: Mask) -> Floats:
        """Take out single values outside the catalogue's range; their readings stay."""
        lowest, highest = np.fmin.reduce(values), np.fmax.reduce(values)
        bad = None
        if lowest < signal.low or highest > signal.high:
            bad = (values < signal.low) | (values > signal.high)
        if signal.whole:
            # NaN > 0 is False, so a missing value is not called fractional; inf - inf is NaN as well.
            with np.errstate(invalid="ignore"):
                fractional = np.abs(values - np.rint(values)) > 0
            if fractional.any():
                bad = fractional if bad is None else bad | fractional
        if bad is None:
            return values
        accepted = f"{signal.low:g} to {signal.high:g} {signal.unit}".rstrip()
        accepted = f"whole numbers {accepted}" if signal.whole else accepted
        self._refuse(bad & good, lambda i: (signal.name, f"{values[i]:g} is outside {accepted}"), lost=False)
        return np.where(bad, np.nan, values)

    def _identity_reason(self, i: int, names: Sequence[str], ahead_s: Callable[[int], float | None]) -> tuple[str, str]:
        slot, name = int(self.batch.lift[i]), names[i]
        if slot < 0:
            return "lift", f"{name[:40]!r} is not a registered lift"
        delivery = self.deliveries[self.message[i]]
        owner = self.fleet.gateways[self.fleet.gateway[slot]]
        if owner != delivery.gateway:
            return "lift", f"{name} is registered behind gateway {owner!r}, not {delivery.gateway!r}"
        at = int(self.batch.at[i])
        if at < EARLIEST_US:
            return "at", "is before 2020: the device's clock is not set"
        reason = (
            f"is {(at - self.received_at) / 1e6:.0f} s in the future, at most {AHEAD_US_MAX // 1_000_000} s accepted"
        )
        known_s = ahead_s(delivery.number)
        return (
            "at",
            reason if known_s is None else f"{reason}; the gateway's clock differs from ours by {known_s:+.0f} s",
        )

    def _refuse(self, bad: Mask, reason: Callable[[int], tuple[str, str]], *, lost: bool) -> None:
        """Blame each bad reading on its message, spelling out only as many reasons as are kept."""
        positions = np.flatnonzero(bad)
        of = self.message[positions]
        # Readings of one message lie together.
        starts = np.concatenate([[0], np.flatnonzero(of[1:] != of[:-1]) + 1, [len(of)]]).tolist()
        for start, end in pairwise(starts):
            if start == end:
                continue
            delivery, mine = self.deliveries[of[start]], positions[start:end]
            for i in mine[:REFUSALS_MAX].tolist():
                name, why = reason(i)
                delivery.note(Refusal(int(self.row[i]), name, clipped(why), lost))
            delivery.faults_more += max(0, len(mine) - REFUSALS_MAX)
            delivery.refused += len(mine) * lost


def _names(parts: Sequence[_Part]) -> list[str]:
    """Spell each reading's lift as its sender did: only needed to say what is wrong."""
    return [part.batch.names[slot] for part in parts for slot in part.batch.lift.tolist()]
