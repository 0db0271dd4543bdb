"""Grafana dashboards as code: panels follow from the signal catalogue, the JSON from the panels.

`build` writes the JSON; `dashboards.grafana.push` sends it to a running Grafana.
"""

from dashboards.generate import build

__all__ = ["build"]
