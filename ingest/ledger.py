"""The ledger: what became of every reading, gateway by gateway, in counts that add up at any moment.

received = stored + duplicate + refused + given back + waiting. Each count is kept where the thing itself happens, so
that the sum is a check of the program and of the store's answers, and not arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Final

import numpy as np

from ingest.intake import Delivery
from lift.batch import Batch, Ints
from lift.fleet import Fleet
from lift.metrics import Metric
from lift.ports import Stored

# Name of each count, and what it says to whoever reads the figures. `{}` is readings or trips.
BALANCED: Final[Mapping[str, str]] = {
    "received": "{} received, an unreadable message counting as one",
    "stored": "{} new to the store",
    "duplicate": "{} the store had already",
    "refused": "{} refused whole",
    "shed": "{} sent back to their gateway's spool",
}
BESIDE: Final[Mapping[str, str]] = {
    "late": "{} two minutes old or more when they arrived",
    "disordered": "{} older than one that came before from the same lift",
    "wrong_clock": "{} kept although their gateway's clock is known to be wrong",
}
MESSAGES: Final[Mapping[str, str]] = {
    "messages": "Messages taken in",
    "messages_quarantined": "Messages kept in quarantine, whole or for a part",
    "messages_not_kept": "Messages refused for a part and not kept: the gateway's share of quarantine was used up",
    "messages_unknown_fields": "Messages with fields not in the catalogue",
}
# What strangers are called: gateways come from topics, so from outside, and all that are not registered share a line.
STRANGERS: Final = "(others)"


class Ledger:
    """Counts of one kind of reading; written by ingest's own threads, read by any."""

    def __init__(self, fleet: Fleet, what: str) -> None:
        """Start from nothing: a scraper handles counters that restart at 0. `what` is readings or trips."""
        self._fleet = fleet
        self._what = what
        self._lock = Lock()
        width = len(fleet.gateways) + 1
        names = ("waiting", *BALANCED, *BESIDE, *MESSAGES)
        self._counts: dict[str, Ints] = {name: np.zeros(width, np.int64) for name in names}

    def take(self, deliveries: Sequence[Delivery], beside: Mapping[str, Ints]) -> None:
        """Count messages taken in, whose accepted readings now wait; `beside` counts of them a gateway each."""
        number = np.array([delivery.number for delivery in deliveries], np.int64)
        received = np.array([delivery.received for delivery in deliveries], np.int64)
        refused = np.array([delivery.refused for delivery in deliveries], np.int64)
        with self._lock:
            self._add("messages", number, 1)
            self._add("received", number, received)
            self._add("waiting", number, received - refused)
            if refused.any():
                self._add("refused", number, refused)
            for name, counts in beside.items():
                self._counts[name] += counts
            for delivery in deliveries:
                if delivery.faults:
                    self._counts["messages_quarantined" if delivery.keep else "messages_not_kept"][delivery.number] += 1
                if delivery.unknown_fields:
                    self._counts["messages_unknown_fields"][delivery.number] += 1

    def shed(self, deliveries: Sequence[Delivery]) -> None:
        """Count messages for which the store has no room."""
        self._move("shed", deliveries)

    def choked(self, deliveries: Sequence[Delivery]) -> None:
        """Count messages that the store cannot hold, before that is noted in them; they go to quarantine whole."""
        with self._lock:
            for delivery in deliveries:
                if not delivery.faults:
                    self._counts["messages_quarantined"][delivery.number] += 1
        self._move("refused", deliveries)

    def kept(self, batch: Batch, result: Stored) -> None:
        """Count readings that are durable now (lifts as fleet slots)."""
        width = len(self._fleet.gateways) + 1
        gateway = self._fleet.gateway[batch.lift]
        all_of_them = np.bincount(gateway, minlength=width)
        stored, duplicate = np.zeros(width, np.int64), np.zeros(width, np.int64)
        if not result.duplicate:
            stored += all_of_them
        elif not result.stored:
            duplicate += all_of_them
        elif result.again is not None:
            duplicate += np.bincount(gateway[result.again], minlength=width)
            stored += all_of_them - duplicate
        # Where the store's own sums differ, nobody knows whose readings those are; then something is missing.
        stored[-1] += result.stored - stored.sum()
        duplicate[-1] += result.duplicate - duplicate.sum()
        with self._lock:
            self._counts["waiting"] -= all_of_them
            self._counts["stored"] += stored
            self._counts["duplicate"] += duplicate

    def snapshot(self) -> dict[str, Ints]:
        """Give all counts of one moment, an array a name with one entry a gateway, and `missing`, which should be 0."""
        with self._lock:
            counts = {name: values.copy() for name, values in self._counts.items()}
        told = ("stored", "duplicate", "refused", "shed", "waiting")
        counts["missing"] = counts["received"] - sum(counts[name] for name in told)
        return counts

    def total(self, name: str) -> int:
        """Give one count over all gateways."""
        with self._lock:
            return int(self._counts[name].sum())

    def metrics(self) -> list[Metric]:
        """Give the counts for Prometheus; a gateway of which nothing was counted has no line."""
        counts = self.snapshot()
        prefix = f"liftwatch_{self._what}"
        told = [
            self._metric(f"{prefix}_{name}_total", "counter", text.format(self._what.title()), counts[name])
            for name, text in {**BALANCED, **BESIDE}.items()
        ]
        told += [
            self._metric(
                f"{prefix}_waiting", "gauge", f"{self._what.title()} on their way to the store", counts["waiting"]
            ),
            self._metric(
                f"{prefix}_missing", "gauge", "Received and not accounted for: 0, or a fault", counts["missing"]
            ),
        ]
        names = {name: name if self._what == "readings" else f"{self._what}_{name}" for name in MESSAGES}
        return told + [
            self._metric(f"liftwatch_{names[name]}_total", "counter", text, counts[name])
            for name, text in MESSAGES.items()
        ]

    def _metric(self, name: str, kind: str, text: str, counts: Ints) -> Metric:
        return by_gateway(name, kind, text, self._fleet, counts)

    def _add(self, name: str, number: Ints, counts: Ints | int) -> None:
        np.add.at(self._counts[name], number, counts)

    def _move(self, into: str, deliveries: Sequence[Delivery]) -> None:
        number = np.array([delivery.number for delivery in deliveries], np.int64)
        accepted = np.array([delivery.received - delivery.refused for delivery in deliveries], np.int64)
        with self._lock:
            self._add("waiting", number, -accepted)
            self._add(into, number, accepted)


def by_gateway(name: str, kind: str, text: str, fleet: Fleet, counts: Ints) -> Metric:
    """Make a metric with a line for each gateway whose figure is not 0."""
    assert kind in ("counter", "gauge")
    samples = tuple(
        ({"gateway": gateway_name(fleet, number)}, float(counts[number])) for number in np.flatnonzero(counts).tolist()
    )
    return Metric(name, "counter" if kind == "counter" else "gauge", text, samples)


def gateway_name(fleet: Fleet, number: int) -> str:
    """Spell a gateway's number; the one beyond the last stands for all that are not registered."""
    return fleet.gateways[number] if number < len(fleet.gateways) else STRANGERS
