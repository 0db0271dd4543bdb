"""The doctor: looks at everything a start needs, and says what is wrong and how to mend it."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from adapters.records_sql import SqlRecords
from adapters.telemetry import telemetry_open
from lift.errors import LiftError
from runtime.app import check_port
from runtime.settings import PREFIX, Settings

_DISK_FREE_MIN: Final = 1 << 30
_CONNECT_WITHIN_S: Final = 3.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    detail: str


def examine(settings: Settings) -> list[Finding]:
    """Look at the data folder, the ports, both stores and the broker; changes nothing that is there."""
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("data folder", _data_dir),
        ("HTTP port", _http_port),
        ("broker", _broker),
        ("records", _records),
        ("telemetry", _telemetry),
    ]
    return [_look(what, check, settings) for what, check in checks]


def _look(what: str, check: Callable[[Settings], str], settings: Settings) -> Finding:
    try:
        return Finding(what, ok=True, detail=check(settings))
    except (LiftError, OSError) as error:
        return Finding(what, ok=False, detail=str(error))


def _data_dir(settings: Settings) -> str:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=settings.data_dir):
        pass
    free = shutil.disk_usage(settings.data_dir).free
    if free < _DISK_FREE_MIN:
        message = f"{settings.data_dir} has {free >> 20} MB free; less than 1024 MB fills within hours"
        raise OSError(message)
    return f"{settings.data_dir} can be written, {free >> 30} GB free"


def _http_port(settings: Settings) -> str:
    check_port(settings.http_host, settings.http_port, PREFIX + "HTTP_PORT")
    return f"{settings.http_host}:{settings.http_port} is free"


def _broker(settings: Settings) -> str:
    if not settings.mqtt_url:
        check_port(settings.mqtt_host, settings.mqtt_port, PREFIX + "MQTT_PORT")
        return f"{settings.mqtt_host}:{settings.mqtt_port} is free for the embedded broker"
    parts = urlsplit(settings.mqtt_url)
    port = parts.port or (8883 if parts.scheme == "mqtts" else 1883)
    with socket.create_connection((parts.hostname, port), _CONNECT_WITHIN_S):
        return f"{parts.hostname}:{port} answers"


def _records(settings: Settings) -> str:
    records = SqlRecords(settings.records)
    try:
        with records.read() as tx:
            counts = tx.counts()
    finally:
        records.close()
    return ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items())


def _telemetry(settings: Settings) -> str:
    telemetry = telemetry_open(settings.telemetry)
    try:
        return f"{len(telemetry.newest()):,} lifts have readings"
    finally:
        telemetry.close()
