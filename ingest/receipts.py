"""Receipts: which numbered messages are durable, told to their gateways as ranges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import orjson

from ingest.intake import Delivery


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Fold message numbers into ascending inclusive ranges.

    >>> ranges([4, 1, 2, 3, 9])
    [[1, 4], [9, 9]]
    """
    folded: list[list[int]] = []
    for number in sorted(set(numbers)):
        if folded and number == folded[-1][1] + 1:
            folded[-1][1] = number
        else:
            folded.append([number, number])
    return folded


def receipts(deliveries: Iterable[Delivery]) -> list[tuple[str, bytes]]:
    """Give one receipt payload for each gateway and epoch among durable messages."""
    durable: dict[tuple[str, str], list[int]] = defaultdict(list)
    for delivery in deliveries:
        if delivery.stamp is not None:
            durable[delivery.gateway, delivery.stamp.epoch].append(delivery.stamp.seq)
    return [
        (gateway, orjson.dumps({"epoch": epoch, "stored": ranges(numbers)}))
        for (gateway, epoch), numbers in durable.items()
    ]
