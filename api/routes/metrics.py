"""The platform's figures as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from api.guard import Guarded
from api.parts import With
from lift.metrics import Metric

router = APIRouter(tags=["platform"], route_class=Guarded)

_TEXT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Prometheus text format 0.0.4",
        "content": {"text/plain": {"schema": {"type": "string", "examples": ["liftwatch_gateways_online 4.0\n"]}}},
    }
}


@router.get("/metrics", responses=_TEXT, response_class=Response)
def metrics(parts: With) -> Response:
    """Give the figures of every part in Prometheus's text format."""
    return _answer(parts.metrics())


@router.get("/v1/metrics", responses=_TEXT, response_class=Response)
def metrics_v1(parts: With) -> Response:
    """Give the same as /metrics."""
    return _answer(parts.metrics())


def _answer(metrics: Iterable[Metric]) -> Response:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Given(metrics))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


class _Given(Collector):
    """Hands over figures that are measured already."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._families = [_family(metric) for metric in metrics]

    def collect(self) -> Iterator[Family]:
        """Give each figure with its samples."""
        yield from self._families


def _family(metric: Metric) -> Family:
    labels = sorted({name for given, _ in metric.samples for name in given})
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=labels)
    for given, value in metric.samples:
        family.add_metric([given.get(name, "") for name in labels], value)
    return family
