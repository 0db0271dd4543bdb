"""What every test may ask for: real servers, and the promise that CI skips nothing."""

import os
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from tests import servers

AnyServer = TypeVar("AnyServer", bound=servers.Server)

STARTED: list[servers.Server] = []

# How long an example takes says more of the machine than of the code.
settings.register_profile("patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session")
def mosquitto() -> Iterator[servers.Server]:
    """Give the session's MQTT broker: `host`, `port`; `stop()`, `kill()`, `start()` over the same data."""
    yield from _session(servers.mosquitto())


@pytest.fixture(scope="session")
def postgresql() -> Iterator[servers.PostgreSQL]:
    """Give the session's PostgreSQL; `fresh()` returns the SQLAlchemy URL of a new, empty database."""
    yield from _session(servers.postgresql())


@pytest.fixture(scope="session")
def influxdb() -> Iterator[servers.InfluxDB]:
    """Give the session's InfluxDB: `url`, `org`, `token`; `fresh()` names a new, empty bucket."""
    yield from _session(servers.influxdb())


@pytest.fixture
def postgresql_url(postgresql: servers.PostgreSQL) -> str:
    """Give the SQLAlchemy URL of a new, empty database."""
    return postgresql.fresh()


@pytest.fixture
def influxdb_bucket(influxdb: servers.InfluxDB) -> str:
    """Give the name of a new, empty bucket."""
    return influxdb.fresh()


@pytest.fixture(autouse=True)
def _servers_come_back() -> Iterator[None]:
    """Start again what a test has stopped, and let go on what it has frozen, for the tests after it."""
    yield
    for server in STARTED:
        if server.running:
            server.resume()
        else:
            server.start()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failure where CI asks for every one."""
    report = yield
    if not hasattr(report, "wasxfail"):
        _refuse_to_skip(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped module into a failure where CI asks for every one."""
    report = yield
    _refuse_to_skip(report)
    return report


def _session(server: AbstractContextManager[AnyServer]) -> Iterator[AnyServer]:
    try:
        running = server.__enter__()
    except servers.Missing as reason:
        pytest.skip(str(reason))
    STARTED.append(running)
    try:
        yield running
    finally:
        STARTED.remove(running)
        server.__exit__(None, None, None)


def _refuse_to_skip(report: Any) -> None:  # noqa: ANN401 - the two reports share these fields and no base
    if os.environ.get("CI") == "true" and report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"with CI=true no test may be skipped: {reason}"
