"""The servers that other tests lean on keep what they promise."""

import threading

import sqlalchemy
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests import servers


def test_mosquitto_keeps_port_and_retained_messages_over_a_restart(mosquitto: servers.Server) -> None:
    """A broker that was stopped comes back on its port with what it was asked to retain."""
    port = mosquitto.port
    speaker = Client(CallbackAPIVersion.VERSION2)
    speaker.connect(mosquitto.host, port)
    speaker.loop_start()
    speaker.publish("unit/servers", b"kept", qos=1, retain=True).wait_for_publish(10)
    speaker.disconnect()
    speaker.loop_stop()

    mosquitto.stop()
    mosquitto.start()

    heard: list[bytes] = []
    done = threading.Event()

    def hear(_client: Client, _userdata: object, message: MQTTMessage) -> None:
        heard.append(bytes(message.payload))
        done.set()

    listener = Client(CallbackAPIVersion.VERSION2)
    listener.on_message = hear
    listener.connect(mosquitto.host, port)
    listener.subscribe("unit/servers", qos=1)
    listener.loop_start()
    done.wait(10)
    listener.disconnect()
    listener.loop_stop()
    assert heard == [b"kept"]


def test_each_postgresql_url_is_an_empty_database_of_its_own(postgresql: servers.PostgreSQL) -> None:
    """What one test writes, no other test finds."""
    tables = []
    for url in (postgresql.fresh(), postgresql.fresh()):
        engine = sqlalchemy.create_engine(url)
        tables.append(sqlalchemy.inspect(engine).get_table_names())
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("CREATE TABLE lifts (code text)"))
        engine.dispose()
    assert tables == [[], []]


def test_what_influxdb_client_writes_is_read_with_influxql(influxdb: servers.InfluxDB, influxdb_bucket: str) -> None:
    """A write at InfluxDB 2's address, in microseconds, is there for `/query`."""
    with InfluxDBClient(influxdb.url, influxdb.token, org=influxdb.org) as client:
        assert client.ping()
        client.write_api(write_options=SYNCHRONOUS).write(
            influxdb_bucket,
            record="reading,lift=063577 car_speed=1.75 1795420800000001",
            write_precision="us",
        )
    (series,) = influxdb.query("SELECT car_speed FROM reading GROUP BY lift", influxdb_bucket)
    assert series["tags"] == {"lift": "063577"}
    assert series["values"] == [["2026-11-23T08:00:00.000001Z", 1.75]]


def test_a_killed_server_refuses_and_comes_back(influxdb: servers.InfluxDB, influxdb_bucket: str) -> None:
    """After a kill the address is dead; after a start it holds what was written before."""
    with InfluxDBClient(influxdb.url, influxdb.token, org=influxdb.org) as client:
        write = client.write_api(write_options=SYNCHRONOUS).write
        write(influxdb_bucket, record="reading load=0.5 1")
        influxdb.kill()
        assert not client.ping()
        influxdb.start()
    (series,) = influxdb.query("SELECT load FROM reading", influxdb_bucket)
    assert len(series["values"]) == 1  # type: ignore[arg-type]
