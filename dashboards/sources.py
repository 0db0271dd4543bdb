"""The data sources that the dashboards read, as Grafana's API takes them."""

from __future__ import annotations

from dashboards.layout import INFLUXDB_UID, PROMETHEUS_UID
from dashboards.queries import Json


def influxdb_source(url: str, *, bucket: str, token: str) -> Json:
    """Describe the telemetry store: InfluxDB 2 read in InfluxQL, which needs its bucket's name as the database."""
    return {
        "uid": INFLUXDB_UID,
        "name": "Liftwatch readings",
        "type": "influxdb",
        "access": "proxy",
        "url": url,
        "jsonData": {
            "version": "InfluxQL",
            "dbName": bucket,
            "httpMode": "POST",
            "timeInterval": "1s",
            "httpHeaderName1": "Authorization",
        },
        "secureJsonData": {"httpHeaderValue1": f"Token {token}"},
    }


def prometheus_source(url: str) -> Json:
    """Describe the Prometheus that scrapes Liftwatch."""
    return {
        "uid": PROMETHEUS_UID,
        "name": "Liftwatch metrics",
        "type": "prometheus",
        "access": "proxy",
        "url": url,
        "jsonData": {"httpMethod": "POST", "timeInterval": "15s"},
    }
