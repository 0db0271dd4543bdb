"""What every bus adapter owes its callers, shown on the embedded broker and on mosquitto."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, Self

import pytest
from argon2 import PasswordHasher

from adapters.broker_amqtt import EmbeddedBroker
from adapters.bus_mqtt import MqttBus
from lift.errors import Invalid, Unavailable
from lift.ports import Message
from tests import servers

NUMBERS = itertools.count()
WITHIN_S = 20.0


class Broker(Protocol):
    """A broker that can die and come back on its port."""

    port: int

    def kill(self) -> None:
        """Die without a chance to save anything."""

    def start(self) -> Any:  # noqa: ANN401 - what it returns is of no use here
        """Come back."""


class Embedded(EmbeddedBroker):
    """The embedded broker, which forgets everything however it stops."""

    def kill(self) -> None:
        """Stop."""
        self.stop()


@pytest.fixture(params=["embedded", pytest.param("mosquitto", marks=pytest.mark.integration)])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Give each broker that the adapter must get on with."""
    if request.param == "mosquitto":
        yield request.getfixturevalue("mosquitto")
        return
    embedded = Embedded(port=servers.free_port())
    embedded.start()
    yield embedded
    embedded.stop()


class Buses:
    """Makes clients with names and topics of their own, and closes them."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.topic = f"test/{next(NUMBERS)}"
        self._open: list[MqttBus] = []

    def make(self, client_id: str = "", **options: Any) -> MqttBus:  # noqa: ANN401 - passed on as they are
        """Make a client and wait until it is connected."""
        bus = MqttBus(
            f"mqtt://127.0.0.1:{self.broker.port}{options.pop('query', '')}",
            client_id=client_id or f"client-{next(NUMBERS)}",
            **options,
        )
        self._open.append(bus)
        until(lambda: bus.connected)
        return bus

    def listener(self, client_id: str = "", **options: Any) -> MqttBus:  # noqa: ANN401 - passed on as they are
        """Make a client that hears this test's topic for certain."""
        bus = self.make(client_id, subscribe=[self.topic], **options)
        prober = self.make()
        probe = f"probe {next(NUMBERS)}".encode()
        heard: list[bytes] = []
        deadline = time.monotonic() + WITHIN_S
        while probe not in heard:
            assert time.monotonic() < deadline
            prober.publish(self.topic, probe)
            heard += [message.payload for message in drain(bus)]
        drain(bus)
        return bus

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for bus in self._open:
            bus.close()


@pytest.fixture
def buses(broker: Broker) -> Iterator[Buses]:
    """Give a maker of clients."""
    with Buses(broker) as maker:
        yield maker


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that must come true."""
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def drain(bus: MqttBus) -> list[Message]:
    """Take and acknowledge what is there until nothing more comes."""
    taken: list[Message] = []
    while messages := bus.receive(wait_s=0.2, most=100):
        bus.done(messages)
        taken += messages
    return taken


def take(bus: MqttBus, count: int, *, done: bool = True) -> list[Message]:
    """Take at least `count` messages, or as many as come in time."""
    taken: list[Message] = []
    deadline = time.monotonic() + WITHIN_S
    while len(taken) < count and time.monotonic() < deadline:
        messages = bus.receive(wait_s=0.5, most=count - len(taken))
        if done:
            bus.done(messages)
        taken += messages
    return taken


def publish_all(bus: MqttBus, topic: str, sent: list[bytes]) -> None:
    """Publish one after the other."""
    for payload in sent:
        bus.publish(topic, payload)


def payloads(messages: list[Message]) -> list[bytes]:
    """Give what the messages say."""
    return [message.payload for message in messages]


@pytest.mark.parametrize("query", ["", "?version=5"])
def test_messages_arrive_in_order_with_topic_and_payload(buses: Buses, query: str) -> None:
    """What one client publishes, another receives: all of it, once, in order, unchanged."""
    if query and isinstance(buses.broker, EmbeddedBroker):
        query = ""  # it speaks 3.1.1 only
    listener, speaker = buses.listener(query=query), buses.make(query=query)
    sent = [f"message {i}".encode() * (1 + i * 7 % 400) for i in range(500)]
    for payload in sent:
        speaker.publish(buses.topic, payload)
    received = take(listener, len(sent))
    assert payloads(received) == sent
    assert {message.topic for message in received} == {buses.topic}


def test_receive_gives_at_most_what_was_asked_and_waits_no_longer_than_asked(buses: Buses) -> None:
    """`most` bounds each answer, and an empty bus answers with nothing."""
    listener, speaker = buses.listener(), buses.make()
    for i in range(7):
        speaker.publish(buses.topic, str(i).encode())
    answers = [take(listener, 3), take(listener, 3), take(listener, 1)]
    assert [len(answer) for answer in answers] == [3, 3, 1]
    assert listener.receive(wait_s=0, most=5) == []
    assert listener.receive(wait_s=0.1, most=5) == []


def test_what_is_not_done_comes_again_to_the_same_client_and_what_is_done_does_not(buses: Buses) -> None:
    """A consumer that dies before storing gets its messages again; a stored one is never repeated."""
    first, speaker = buses.listener("consumer"), buses.make()
    for i in range(10):
        speaker.publish(buses.topic, str(i).encode())
    received = take(first, 10, done=False)
    first.done(received[:6])
    first.close()
    second = buses.make("consumer", subscribe=[buses.topic])
    assert payloads(take(second, 4)) == [b"6", b"7", b"8", b"9"]
    assert drain(second) == []


def test_messages_published_while_a_client_is_away_wait_for_it(buses: Buses) -> None:
    """The session outlives the connection."""
    buses.listener("sleeper").close()
    speaker = buses.make()
    for i in range(20):
        speaker.publish(buses.topic, str(i).encode())
    speaker.close()
    assert payloads(take(buses.make("sleeper", subscribe=[buses.topic]), 20)) == [str(i).encode() for i in range(20)]


def test_an_acknowledgement_of_an_earlier_connection_is_ignored(buses: Buses) -> None:
    """After a reconnection the old numbers mean other messages: acknowledging by them would lose those."""
    listener, speaker = buses.listener(), buses.make()
    speaker.publish(buses.topic, b"before")
    stale = take(listener, 1, done=False)
    break_connection(listener)
    until(lambda: listener.connected)
    fresh = take(listener, 1, done=False)  # the same message again, under a new connection
    listener.done(stale)
    break_connection(listener)
    until(lambda: listener.connected)
    again = take(listener, 1)
    assert payloads(stale) == payloads(fresh) == payloads(again) == [b"before"]


def test_the_inbox_never_grows_beyond_its_bound_and_nothing_is_dropped(buses: Buses) -> None:
    """When the consumer is slow the socket is left unread; the broker waits, and every message comes."""
    listener, speaker = buses.listener(inbox_max=10), buses.make()
    sent = [f"{i:05d}".encode() * 2_000 for i in range(600)]
    largest = 0
    publisher = threading.Thread(target=publish_all, args=(speaker, buses.topic, sent))
    publisher.start()
    received: list[bytes] = []
    deadline = time.monotonic() + WITHIN_S
    while len(received) < len(sent) and time.monotonic() < deadline:
        if len(received) % 100 == 0:
            time.sleep(0.3)  # long enough for the network to fill whatever it may
        largest = max(largest, len(listener._inbox))
        messages = listener.receive(wait_s=1, most=4)
        listener.done(messages)
        received += payloads(messages)
    publisher.join()
    assert largest <= 10
    assert received == sent


def test_a_caller_busy_for_longer_than_the_keep_alive_stays_connected(buses: Buses) -> None:
    """Nobody calls `receive`, the inbox is full, and still the broker hears from us and we wait for it."""
    listener = buses.listener(inbox_max=5, keep_alive_s=3)
    speaker = buses.make(keep_alive_s=3)
    for i in range(20):
        speaker.publish(buses.topic, str(i).encode())
    connections = listener._generation, speaker._generation
    time.sleep(8)
    assert (listener._generation, speaker._generation) == connections
    assert payloads(take(listener, 20)) == [str(i).encode() for i in range(20)]


def test_a_retained_message_waits_for_those_who_come_later(buses: Buses) -> None:
    """The newest status of a gateway is there for whoever subscribes."""
    speaker = buses.make()
    speaker.publish(buses.topic, b"old", retain=True)
    speaker.publish(buses.topic, b"new", retain=True)
    until(lambda: not speaker._unacknowledged)
    assert payloads(take(buses.make(subscribe=[buses.topic]), 1)) == [b"new"]


CHILD = """
import sys, time
from adapters.bus_mqtt import MqttBus
from lift.ports import Message
url, name, topic = sys.argv[1:]
bus = MqttBus(url, client_id=name, will=Message(topic, b"gone"), on_connect_publish=lambda: Message(topic, b"here"))
time.sleep(60)
"""


def test_the_broker_speaks_for_a_client_that_dies_and_the_client_takes_it_back(buses: Buses) -> None:
    """A kill -9 publishes the last will, retained; the next connection replaces it; a clean leave does not."""
    listener = buses.listener()
    command = [
        sys.executable,
        "-c",
        CHILD,
        f"mqtt://127.0.0.1:{buses.broker.port}",
        f"dying-{next(NUMBERS)}",
        buses.topic,
    ]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, env={"PYTHONPATH": str(root)}) as child:
        assert payloads(take(listener, 1)) == [b"here"]
        child.send_signal(signal.SIGKILL)
    assert payloads(take(listener, 1)) == [b"gone"]
    assert payloads(take(buses.make(subscribe=[buses.topic]), 1)) == [b"gone"]
    back = buses.make(will=Message(buses.topic, b"gone"), on_connect_publish=lambda: Message(buses.topic, b"here"))
    assert payloads(take(listener, 1)) == [b"here"]
    back.close()
    assert drain(listener) == []


def test_after_a_broker_restart_both_sides_find_each_other_again(buses: Buses) -> None:
    """The broker dies and comes back on its port: clients reconnect, re-subscribe and go on."""
    listener, speaker = buses.listener(), buses.make()
    buses.broker.kill()
    until(lambda: not listener.connected and not speaker.connected)
    speaker.publish(buses.topic, b"while it was away")  # waits in the window
    buses.broker.start()
    until(lambda: listener.connected and speaker.connected)
    heard: list[bytes] = []
    deadline = time.monotonic() + WITHIN_S
    while b"afterwards" not in heard:
        assert time.monotonic() < deadline
        speaker.publish(buses.topic, b"afterwards")
        heard += payloads(drain(listener))
    until(lambda: not speaker._unacknowledged)


def test_a_message_larger_than_the_limit_is_handed_up_and_not_published(buses: Buses) -> None:
    """The consumer decides about what others send; what we send is refused here, by name and size."""
    listener, speaker = buses.listener(payload_bytes_max=1000), buses.make(payload_bytes_max=6_000_000)
    large = b"x" * 5_000_000
    speaker.publish(buses.topic, large)
    speaker.publish(buses.topic, b"small")
    assert payloads(take(listener, 2)) == [large, b"small"]
    with pytest.raises(Invalid, match="payload: 1001 bytes, at most 1000"):
        listener.publish(buses.topic, b"x" * 1001)


def test_close_hands_over_what_was_published(buses: Buses) -> None:
    """A client that publishes and closes at once has published."""
    listener, speaker = buses.listener(), buses.make()
    for i in range(300):
        speaker.publish(buses.topic, str(i).encode())
    speaker.close()
    assert payloads(take(listener, 300)) == [str(i).encode() for i in range(300)]
    with pytest.raises(Unavailable, match="closed"):
        speaker.publish(buses.topic, b"late")


@pytest.mark.parametrize("qos", [0, 1])
def test_a_script_that_publishes_and_leaves_at_once_is_heard(buses: Buses, qos: int) -> None:
    """Connect, publish and disconnect in one breath, as a shell script does: no message is lost."""
    listener = buses.listener()
    topic = buses.topic.encode()
    for i in range(50):
        body = len(topic).to_bytes(2, "big") + topic + (b"\x00\x01" if qos else b"") + b"%02d" % i
        name = b"script%02d" % i
        hello = b"\x10\x14\x00\x04MQTT\x04\x02\x00\x3c\x00\x08" + name
        with socket.create_connection(("127.0.0.1", buses.broker.port)) as script:
            script.sendall(hello + bytes([0x30 | qos << 1, len(body)]) + body + b"\xe0\x00")
            while script.recv(100):
                pass
    assert sorted(payloads(take(listener, 50))) == [b"%02d" % i for i in range(50)]


def test_many_threads_publish_while_another_receives(buses: Buses) -> None:
    """Publishing waits for nobody who waits for messages, and loses none."""
    listener, speaker = buses.listener(), buses.make(subscribe=["test/never"], inflight_max=20)
    waiting = threading.Thread(target=lambda: speaker.receive(wait_s=3, most=1))
    waiting.start()
    sent = [[b"%d-%d" % (who, i) for i in range(100)] for who in range(4)]
    publishers = [threading.Thread(target=publish_all, args=(speaker, buses.topic, mine)) for mine in sent]
    for publisher in publishers:
        publisher.start()
    heard = payloads(take(listener, 400))
    for thread in [*publishers, waiting]:
        thread.join()
    assert sorted(heard) == sorted(payload for mine in sent for payload in mine)


# ------------------------------------------------------------------ without a broker that answers


@pytest.fixture
def deaf() -> Iterator[int]:
    """Give the port of a broker that accepts connections and acknowledges nothing."""
    listening = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listening.accept()
            connection.recv(1000)
            connection.sendall(b"\x20\x02\x00\x00")
            stop.wait(WITHIN_S)
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield listening.getsockname()[1]
    stop.set()
    listening.close()
    thread.join()


def test_the_publish_window_is_bounded_in_messages_and_in_time(deaf: int) -> None:
    """A broker that acknowledges nothing stops the publisher at the window, with a reason and not for ever."""
    bus = MqttBus(f"mqtt://127.0.0.1:{deaf}", client_id="p", inflight_max=5, publish_wait_s=0.3)
    until(lambda: bus.connected)
    for _ in range(5):
        bus.publish("a/b", b"x")
    with pytest.raises(Unavailable, match="5 messages are unacknowledged"):
        bus.publish("a/b", b"x")
    bus.close()


def test_without_a_broker_receive_is_empty_and_the_window_still_bounds() -> None:
    """No broker at all: callers get answers in time, and the reason says what is wrong."""
    port = servers.free_port()
    bus = MqttBus(f"mqtt://127.0.0.1:{port}", client_id="p", inflight_max=2, publish_wait_s=0.3)
    assert not bus.connected
    assert bus.receive(wait_s=0.1, most=10) == []
    bus.publish("a/b", b"1")
    bus.publish("a/b", b"2")
    with pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{port} is unavailable: .*refused"):
        bus.publish("a/b", b"3")
    bus.close()


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://broker", "is not mqtt://"),
        ("mqtt://", "is not mqtt://"),
        ("mqtt://broker:99999", "out of range"),
        ("mqtt://me:secret@broker", "settings of their own"),
        ("mqtt://broker?version=4", r"version=3\.1\.1 or version=5"),
        ("mqtt://broker?qos=2", "only version="),
    ],
)
def test_a_bad_address_is_named(url: str, complaint: str) -> None:
    """An address that cannot work stops the start with what is accepted."""
    with pytest.raises(Invalid, match=complaint) as error:
        MqttBus(url, client_id="p")
    assert "secret" not in str(error.value)


def test_a_port_in_use_says_which_and_how_to_change_it() -> None:
    """The embedded broker names the port, the setting and an example."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Invalid, match=rf"LIFTWATCH_MQTT_PORT: .*127\.0\.0\.1:{port}.*LIFTWATCH_MQTT_PORT=18883"):
            EmbeddedBroker(port=port).start()


def test_the_embedded_broker_asks_for_passwords_when_it_has_a_file(tmp_path: Path) -> None:
    """With a password file only those in it get in, and the others are told why they do not."""
    file = tmp_path / "passwords"
    file.write_text(f"gateway1:{PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash('right')}\n")
    broker = EmbeddedBroker(port=servers.free_port(), password_file=file)
    broker.start()
    known = MqttBus(broker.url, client_id="known", username="gateway1", password="right")
    stranger = MqttBus(broker.url, client_id="stranger", username="gateway1", password="wrong")
    until(lambda: known.connected and "refuses the connection" in stranger.failure)
    assert not stranger.connected
    for bus in (known, stranger):
        bus.close()
    broker.stop()


def test_the_embedded_broker_says_nothing_by_itself() -> None:
    """No $SYS messages: what subscribers of everything get is what clients published."""
    broker = EmbeddedBroker(port=servers.free_port())
    broker.start()
    bus = MqttBus(broker.url, client_id="all", subscribe=["#", "$SYS/#"])
    until(lambda: bus.connected)
    assert bus.receive(wait_s=0.5, most=10) == []
    bus.publish("a/b", json.dumps({"a": 1}).encode())
    assert payloads(take(bus, 1)) == [b'{"a": 1}']
    bus.close()
    broker.stop()


def break_connection(bus: MqttBus) -> None:
    """Cut a client's line under it and wait until it has noticed."""
    generation = bus._generation
    with bus._changed:
        socket_ = bus._client.socket()
        assert socket_ is not None
        with socket.socket(fileno=os.dup(socket_.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)
    until(lambda: bus._generation > generation or not bus.connected)
