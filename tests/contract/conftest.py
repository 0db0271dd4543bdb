"""Every store of a contract: new and empty for each test, one of each adapter."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from adapters.records_sql import SqlRecords
from adapters.telemetry import telemetry_open
from lift.ports import Telemetry
from tests import servers
from tests.contract.register import REGISTER


@pytest.fixture(scope="session")
def one_database(postgresql: servers.PostgreSQL) -> str:
    """Give the address of one PostgreSQL database; emptying it is quicker than making another."""
    return postgresql.fresh()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of a new, empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/var/records.db"
    address = str(request.getfixturevalue("one_database"))
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    engine.dispose()
    return address


@pytest.fixture
def records(url: str) -> Iterator[SqlRecords]:
    """Give records that hold the register."""
    records = SqlRecords(url)
    with records.write() as tx:
        tx.register(REGISTER)
    yield records
    records.close()


@pytest.fixture(params=["memory", "duckdb", pytest.param("influxdb", marks=pytest.mark.integration)])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Give a maker of addresses, each of a new and empty store."""
    if request.param == "influxdb":
        server = request.getfixturevalue("influxdb")
        base = f"influxdb://{server.proxy.host}:{server.proxy.port}"
        return lambda: f"{base}/{server.fresh()}?org={server.org}&token={server.token}"
    numbers = count()
    return lambda: "memory:" if request.param == "memory" else f"duckdb:{tmp_path}/{next(numbers)}"


@pytest.fixture
def store(urls: Callable[[], str]) -> Iterator[Telemetry]:
    """Open an empty store."""
    opened = telemetry_open(urls())
    yield opened
    opened.close()
