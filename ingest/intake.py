"""Intake: many messages become one batch of readings of lifts we know, and a list of what was refused.

All messages at hand are joined before anything is checked, so that a thousand messages of one reading
cost about what one message of a thousand readings costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lift import topics
from lift.batch import EMPTY, Batch, Floats, Mask, concat
from lift.errors import BadFrame
from lift.fleet import Fleet
from lift.ports import Message
from lift.signals import Signal
from lift.wire import PAYLOAD_BYTES_MAX, REFUSALS_MAX, Frame, Refusal, Stamp, arrow, json

# A device clock may run this far ahead of ours before its readings are refused as future-dated.
AHEAD_US_MAX: Final = 60 * 1_000_000
# Earlier than this (2020-01-01) no gateway of ours existed: the device's clock was never set.
EARLIEST_US: Final = 1_577_836_800_000_000


@dataclass(slots=True)
class Delivery:
    """One message and what became of it. `refused` counts whole readings lost, `faults` says why."""

    message: Message
    gateway: str = ""
    stamp: Stamp | None = None
    faults: list[Refusal] = field(default_factory=list)
    faults_more: int = 0
    received: int = 0
    refused: int = 0
    unknown_fields: tuple[str, ...] = ()

    def refuse(self, refusal: Refusal) -> None:
        """Note a refusal; beyond the first hundred only their number is kept."""
        self.refused += refusal.lost
        if len(self.faults) < REFUSALS_MAX:
            self.faults.append(refusal)
        else:
            self.faults_more += 1

    def refuse_more(self, count: int, *, lost: bool) -> None:
        """Count further refusals without spelling out why."""
        if count > 0:
            self.faults_more += count
            self.refused += count * lost

    def reject(self, field: str, reason: str) -> None:
        """Refuse the message unread; it counts as one reading, since nobody knows how many it held."""
        self.received += 1
        self.refuse(Refusal(None, field, reason, lost=True))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Spell out why parts of the message were refused."""
        more = (f"and {self.faults_more} more like these",) if self.faults_more else ()
        return (*map(str, self.faults), *more)


@dataclass(frozen=True, slots=True)
class Intake:
    """Messages taken in together: one batch in fleet slots, and each message's own fate."""

    batch: Batch
    deliveries: list[Delivery]


@dataclass(frozen=True, slots=True)
class _Part:
    """A decoded batch in the sender's own names, with each reading's message and row in that message."""

    batch: Batch
    message: NDArray[np.int64]
    row: NDArray[np.int64]


def take_in(messages: Sequence[Message], fleet: Fleet, *, received_at: int) -> Intake:
    """Decode and check messages; never raises for what they contain. `received_at` is µs since 1970 UTC."""
    deliveries = [_open(message) for message in messages]
    parts = _decode(deliveries)
    if not parts:
        return Intake(EMPTY, deliveries)
    message = np.concatenate([part.message for part in parts])
    row = np.concatenate([part.row for part in parts])
    batch = concat([fleet.in_slots(part.batch) for part in parts])
    for number, count in enumerate(np.bincount(message, minlength=len(deliveries))):
        deliveries[number].received += int(count)
    checks = _Checks(batch, message, row, deliveries)
    good = checks.identity(parts, fleet, received_at)
    columns = {signal: checks.values(signal, values, good) for signal, values in batch.columns.items()}
    batch = Batch(batch.names, batch.lift, batch.at, columns, batch.codes)
    return Intake(batch if good.all() else batch.take(good), deliveries)


def _open(message: Message) -> Delivery:
    """Look at a message from outside: whose it is, and whether it is too large to read."""
    delivery = Delivery(message)
    try:
        delivery.gateway = topics.parse(message.topic).gateway
    except BadFrame as error:
        delivery.reject(error.field, error.reason)
        return delivery
    size = len(message.payload)
    if size > PAYLOAD_BYTES_MAX:
        delivery.reject("payload", f"{size} bytes, at most {PAYLOAD_BYTES_MAX} accepted")
    return delivery


def _decode(deliveries: Sequence[Delivery]) -> list[_Part]:
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
                parts.append(_from_frame(arrow.decode(payload), number, delivery))
            else:
                found, delivery.stamp = json.parse(payload)
                rows += found
                origin += [number] * len(found)
                numbers += range(len(found))
        except BadFrame as error:
            delivery.reject(error.field, error.reason)
    if rows:
        frame = json.frame(rows)
        _blame(frame, np.array(origin), np.array(numbers), deliveries)
        kept = frame.rows if frame.rows is not None else np.arange(len(rows))
        parts.append(_Part(frame.batch, np.array(origin)[kept], np.array(numbers)[kept]))
    return parts


def _from_frame(frame: Frame, number: int, delivery: Delivery) -> _Part:
    delivery.stamp = frame.stamp
    delivery.unknown_fields = frame.unknown_fields
    for refusal in frame.refusals:
        delivery.received += refusal.lost
        delivery.refuse(refusal)
    rows = np.arange(len(frame.batch)) if frame.rows is None else frame.rows
    return _Part(frame.batch, np.full(len(frame.batch), number, np.int64), rows)


def _blame(frame: Frame, origin: NDArray[np.int64], numbers: NDArray[np.int64], deliveries: Sequence[Delivery]) -> None:
    """Hand the refusals of joined JSON readings back to the messages they came in."""
    for refusal in frame.refusals:
        assert refusal.row is not None, "a JSON reading is refused by its row"
        delivery = deliveries[origin[refusal.row]]
        delivery.received += refusal.lost
        delivery.refuse(Refusal(int(numbers[refusal.row]), refusal.field, refusal.reason, refusal.lost))
    if frame.unknown_fields:
        for number in dict.fromkeys(origin.tolist()):
            deliveries[number].unknown_fields = frame.unknown_fields


@dataclass(frozen=True, slots=True)
class _Checks:
    batch: Batch
    message: NDArray[np.int64]
    row: NDArray[np.int64]
    deliveries: Sequence[Delivery]

    def identity(self, parts: Sequence[_Part], fleet: Fleet, received_at: int) -> Mask:
        """Refuse readings of unknown lifts, of lifts behind another gateway, and with impossible times."""
        sender = np.array([fleet.gateway_number.get(d.gateway, -2) for d in self.deliveries], np.int32)
        lift, at = self.batch.lift, self.batch.at
        known = lift >= 0
        ours = known & (fleet.gateway[lift] == sender[self.message]) if len(fleet) else known
        timely = (at <= received_at + AHEAD_US_MAX) & (at >= EARLIEST_US)
        good = ours & timely
        if not good.all():
            names = _names(parts)
            self._refuse(~good, lambda i: self._identity_reason(i, names, fleet, received_at), lost=True)
        return good

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

    def _identity_reason(self, i: int, names: Sequence[str], fleet: Fleet, received_at: int) -> tuple[str, str]:
        slot, name = int(self.batch.lift[i]), names[i]
        if slot < 0:
            return "lift", f"{name[:40]!r} is not a registered lift"
        gateway = self.deliveries[self.message[i]].gateway
        owner = fleet.gateways[fleet.gateway[slot]]
        if owner != gateway:
            return "lift", f"{name} is registered behind gateway {owner!r}, not {gateway!r}"
        at = int(self.batch.at[i])
        if at < EARLIEST_US:
            return "at", "is before 2020: the device's clock is not set"
        ahead_s = (at - received_at) / 1e6
        return "at", f"is {ahead_s:.0f} s in the future, at most {AHEAD_US_MAX // 1_000_000} s accepted"

    def _refuse(self, bad: Mask, reason: Callable[[int], tuple[str, str]], *, lost: bool) -> None:
        """Blame each bad reading on its message, spelling out only as many reasons as are kept."""
        positions = np.flatnonzero(bad)
        of = self.message[positions]
        for number in np.unique(of).tolist():
            delivery, mine = self.deliveries[number], positions[of == number]
            for i in mine[:REFUSALS_MAX].tolist():
                delivery.refuse(Refusal(int(self.row[i]), *reason(i), lost))
            delivery.refuse_more(len(mine) - REFUSALS_MAX, lost=lost)


def _names(parts: Sequence[_Part]) -> list[str]:
    """Spell each reading's lift as its sender did: only needed to say what is wrong."""
    return [part.batch.names[slot] for part in parts for slot in part.batch.lift.tolist()]
