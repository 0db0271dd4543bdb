"""What the InfluxDB store promises beyond the contract: clear refusals, and nothing lost when the server goes."""

import numpy as np
import pytest

from adapters.telemetry_influxdb import InfluxDBTelemetry, parse_url
from adapters.telemetry_influxdb_measurement import LINES_A_REQUEST
from lift.batch import Batch, from_rows
from lift.errors import Invalid, Unavailable
from lift.ports import Stored
from lift.signals import PASSENGER
from tests import servers

ALWAYS = 2**53


def address(server: servers.InfluxDB, bucket: str, options: str = "") -> str:
    """Spell the setting for a bucket of a test server."""
    place = f"{server.proxy.host}:{server.proxy.port}"
    return f"influxdb://{place}/{bucket}?org={server.org}&token={server.token}{options}"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("influxdb:///lifts?org=o&token=t", "names no host"),
        ("influxdb://h:8086?org=o&token=t", "names no bucket"),
        ("influxdb://h/lifts?token=t", "has no org"),
        ("influxdb://h/lifts?org=o", "has no token"),
        ("influxdb://h:port/lifts?org=o&token=t", "[Pp]ort"),
        ("influxdb://h/lifts?org=o&token=t&retry=3", "'retry' is no option"),
        ("influxdb://h/lifts?org=o&token=t&gzip=yes", "gzip='yes'"),
        ("http://h/lifts?org=o&token=t", "scheme 'http'"),
    ],
)
def test_a_bad_address_is_refused(url: str, said: str) -> None:
    """The setting is named, with what is wrong and how it must look."""
    with pytest.raises(Invalid, match=rf"LIFTWATCH_TELEMETRY_URL: .*{said}"):
        InfluxDBTelemetry(url)


def test_an_address_is_taken_apart() -> None:
    """TLS, a port left out, signs in names and compression are understood, and the token is never shown."""
    place = parse_url("influxdbs://[::1]/city%20lifts?org=a%26b&token=s%3Dcret&gzip=true")
    assert (place.address, place.bucket, place.org) == ("https://[::1]:8086", "city lifts", "a&b")
    assert (place.token, place.gzip) == ("s=cret", True)
    assert "cret" not in repr(place)


@pytest.mark.integration
def test_nothing_is_lost_while_the_server_is_away(influxdb: servers.InfluxDB, influxdb_bucket: str) -> None:
    """While it is gone or silent an append raises Unavailable; repeated afterwards it stores every reading once."""
    store = InfluxDBTelemetry(address(influxdb, influxdb_bucket), timeout_s=1.0)
    first, second = (from_rows([{"lift": "063577", "at": at, "passenger": 1}]) for at in (1, 2))
    influxdb.kill()
    with pytest.raises(Unavailable):
        store.append(first)
    with pytest.raises(Unavailable):
        store.history("063577", [PASSENGER], start=0, end=ALWAYS)
    influxdb.start()
    assert store.append(first) == Stored(1, 0)
    influxdb.pause()
    with pytest.raises(Unavailable):
        store.append(second)
    influxdb.resume()
    assert store.append(second) == Stored(1, 0)
    assert store.history("063577", [PASSENGER], start=0, end=ALWAYS).at.tolist() == [1, 2]
    store.close()


@pytest.mark.integration
def test_a_bucket_that_is_not_there_is_named(influxdb: servers.InfluxDB) -> None:
    """The error says which bucket is missing; the role keeps trying, for someone may make it."""
    store = InfluxDBTelemetry(address(influxdb, "nowhere"))
    with pytest.raises(Unavailable, match="nowhere"):
        store.append(from_rows([{"lift": "063577", "at": 1, "passenger": 1}]))
    store.close()


@pytest.mark.integration
def test_what_influxdb_refuses_for_good_is_named_and_the_rest_stored(
    influxdb: servers.InfluxDB, influxdb_bucket: str
) -> None:
    """A field that someone stored as text refuses our number: the error says so, and later requests still go out."""
    store = InfluxDBTelemetry(address(influxdb, influxdb_bucket))
    store._writer.write(influxdb_bucket, influxdb.org, 'telemetry,lift=x passenger="yes" 1')
    readings = LINES_A_REQUEST + 10
    passenger = np.full(readings, np.nan, np.float32)
    passenger[0] = 1
    at = np.arange(readings) * 1_000_000
    with pytest.raises(Invalid, match=r"readings: InfluxDB refused some: .*passenger"):
        store.append(Batch(("063577",), np.zeros(readings, np.int32), at, {PASSENGER: passenger}))
    assert sum(len(batch) for batch in store.replay(start=1, end=ALWAYS)) == readings - 1
    store.close()


@pytest.mark.integration
def test_compressed_writes_arrive(influxdb: servers.InfluxDB, influxdb_bucket: str) -> None:
    """With gzip=true the same readings are stored."""
    store = InfluxDBTelemetry(address(influxdb, influxdb_bucket, "&gzip=true"))
    assert store.append(from_rows([{"lift": "063577", "at": 1, "passenger": 1}])) == Stored(1, 0)
    assert list(store.latest(["063577"], since=0).rows()) == [{"lift": "063577", "at": 1, "passenger": 1}]
    store.close()


@pytest.mark.integration
def test_whole_signals_are_integer_fields(influxdb: servers.InfluxDB, influxdb_bucket: str) -> None:
    """Dashboards and other readers find integers for flags and counts, floats for measurements, and gaps as gaps."""
    store = InfluxDBTelemetry(address(influxdb, influxdb_bucket))
    store.append(from_rows([{"lift": "063577", "at": 1, "passenger": 1, "car_speed": 2, "message_codes": [11]}]))
    [series] = influxdb.query('SHOW FIELD KEYS FROM "telemetry"', influxdb_bucket)
    kinds = {"reading": "boolean", "passenger": "integer", "car_speed": "float", "message_codes": "integer"}
    assert dict(series["values"]) == kinds  # type: ignore[call-overload]
    store.close()
