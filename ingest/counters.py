"""Counters that add up, so that an operator can see that nothing is missing.

For each gateway: readings received = accepted + refused; and over all of them accepted = stored + duplicate
+ what is still on its way to the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ingest.intake import Delivery
from lift.metrics import Metric, metric

# Gateways come from topics, so from outside: beyond this many names the rest share one line.
_NAMES_MAX = 10_000
_OTHERS = "(others)"


class Counters:
    """What ingest has seen since it started; written by its own threads, read by any."""

    def __init__(self) -> None:
        """Start from nothing: a scraper handles counters that restart at 0."""
        self.messages: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.quarantined: Counter[str] = Counter()
        self.unknown_fields: Counter[str] = Counter()
        self.stored = 0
        self.duplicate = 0
        self.shed = 0
        self.receipts = 0
        self.store_failures = 0
        self.alarm_path_failures = 0

    def count(self, deliveries: Iterable[Delivery]) -> None:
        """Count messages taken in."""
        for delivery in deliveries:
            name = delivery.gateway or _OTHERS
            if name not in self.messages and len(self.messages) >= _NAMES_MAX:
                name = _OTHERS
            self.messages[name] += 1
            self.received[name] += delivery.received
            if delivery.refused:
                self.refused[name] += delivery.refused
            if delivery.faults:
                self.quarantined[name] += 1
            if delivery.unknown_fields:
                self.unknown_fields[name] += 1

    def metrics(self) -> list[Metric]:
        """Give the counters for Prometheus."""
        return [
            _by_gateway("messages", "Messages received", self.messages),
            _by_gateway("readings_received", "Readings received, an unreadable message counting as one", self.received),
            _by_gateway("readings_refused", "Readings refused whole", self.refused),
            _by_gateway("messages_quarantined", "Messages kept in quarantine, whole or for a part", self.quarantined),
            _by_gateway("messages_unknown_fields", "Messages with fields not in the catalogue", self.unknown_fields),
            metric("liftwatch_readings_stored_total", "counter", "Readings new to the store", self.stored),
            metric(
                "liftwatch_readings_duplicate_total",
                "counter",
                "Readings the store had already",
                self.duplicate,
            ),
            metric(
                "liftwatch_readings_shed_total",
                "counter",
                "Readings sent back to their gateway's spool",
                self.shed,
            ),
            metric("liftwatch_receipts_total", "counter", "Receipts sent to gateways", self.receipts),
            metric("liftwatch_store_failures_total", "counter", "Failed attempts to store", self.store_failures),
            metric(
                "liftwatch_alarm_path_failures_total",
                "counter",
                "Batches the alarm path failed on",
                self.alarm_path_failures,
            ),
        ]


def _by_gateway(name: str, help_text: str, counts: Mapping[str, int]) -> Metric:
    samples = tuple(({"gateway": gateway}, float(count)) for gateway, count in sorted(counts.copy().items()))  # type: ignore[attr-defined]
    return Metric(f"liftwatch_{name}_total", "counter", help_text, samples)
