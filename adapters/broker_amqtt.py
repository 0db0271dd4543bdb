"""An MQTT broker inside the process, on amqtt: real MQTT 3.1.1 over TCP for one machine, nothing to install.

What it does not do, so that nobody counts on it:
- It keeps everything in memory. When it stops, sessions, queued and retained messages are gone.
  What a gateway numbers is safe all the same: the gateway sends it again until a receipt names it.
- It sends a message again that its subscriber has not acknowledged within 5 seconds, at the next connection.
- It speaks MQTT 3.1.1 only, has no limit of its own on a message's size, and closes no silent connection.
For more than one machine, or for terminals that number nothing, run mosquitto or EMQX.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import threading
from pathlib import Path
from typing import Any, Final

from amqtt.adapters import ReaderAdapter, WriterAdapter  # type: ignore[import-untyped]
from amqtt.broker import Broker, BrokerContext, Server  # type: ignore[import-untyped]
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType  # type: ignore[import-untyped]
from amqtt.errors import AMQTTError  # type: ignore[import-untyped]
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler  # type: ignore[import-untyped]
from amqtt.plugins.base import BaseAuthPlugin, BasePlugin  # type: ignore[import-untyped]
from amqtt.session import ApplicationMessage, Session  # type: ignore[import-untyped]

from lift.errors import Invalid, Unavailable

log = logging.getLogger(__name__)

START_WITHIN_S: Final = 10.0
# Of the loop: a transport is closed in the turn after the one that asks for it.
_TURNS_TO_CLOSE: Final = 3
STOP_WITHIN_S: Final = 2.0
# Messages kept for a client that is away; then the oldest goes. amqtt itself would fill the memory.
QUEUED_MAX: Final = 1_000
SESSION_EXPIRY_S: Final = 24 * 3600

# How long a client's old connection may take to end by itself when the client comes back.
_TAKE_OVER_S: Final = 0.5
_CONNECTIONS_MAX: Final = 10


class LetIn(BaseAuthPlugin):  # type: ignore[misc] # amqtt is published without types
    """Lets everybody in, with a name or without.

    amqtt's own plugin for that marks clients as anonymous, and to those amqtt gives no persistent session.
    """

    async def authenticate(self, *, session: Session) -> bool:  # noqa: ARG002 - amqtt calls it by name
        """Accept a client."""
        return True


class BoundedQueues(BasePlugin[BrokerContext]):  # type: ignore[misc]
    """Keeps at most QUEUED_MAX messages for each client that is away."""

    async def on_broker_retained_message(
        self,
        *,
        client_id: str | None,
        retained_message: ApplicationMessage,  # noqa: ARG002 - amqtt passes it by name
    ) -> None:
        """Drop a client's oldest message when one too many has been queued."""
        session = self.context.get_session(client_id) if client_id else None
        while session is not None and session.retained_messages.qsize() > QUEUED_MAX:
            session.retained_messages.get_nowait()
            log.warning("dropped the oldest of %d messages waiting for client %s", QUEUED_MAX, client_id)


class _Quiet(bytes):
    """A payload that does not spell itself out: amqtt formats every message for its log, shown or not.

    Measured with 170 kB payloads: more than twice as many messages a second.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


class _Delivery:
    """Stands in for amqtt's handler of a connection where messages go out, and loses none of them.

    amqtt forgets a message whose acknowledgement has not come when the connection ends, or after 5 seconds.
    """

    def __init__(self, broker: _Broker, session: Session) -> None:
        self._broker = broker
        self._session = session

    async def mqtt_publish(self, topic: str, data: bytes, qos: int | None, retain: bool) -> None:  # noqa: FBT001
        """Send a message; if it stays unacknowledged, send it over the client's next connection."""
        session = self._session
        for _ in range(_CONNECTIONS_MAX):
            handler = self._broker.handler_of(session)
            if handler is None:
                return
            try:
                await handler.mqtt_publish(topic, data, qos, retain)
            except (TimeoutError, asyncio.CancelledError, AMQTTError):
                if not qos or session.clean_session:
                    return
                if self._broker.handler_of(session) is handler or not session.transitions.is_connected():
                    await self._broker.queue(session, topic, data, qos)
                    return
            else:
                return


class _Broker(Broker):  # type: ignore[misc]
    """amqtt with the leaks closed through which it loses messages that it has acknowledged."""

    def __init__(self, config: BrokerConfig) -> None:
        super().__init__(config)
        self._connections: set[asyncio.StreamWriter] = set()

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Serve one connection to its end."""
        self._connections.add(writer)
        try:
            await super().stream_connected(reader, writer, listener_name)
        finally:
            self._connections.discard(writer)
            writer.close()

    async def hang_up(self) -> None:
        """Close what is still open, such as a connection that came while the broker was leaving."""
        for writer in list(self._connections):
            writer.transport.abort()
        for _ in range(_TURNS_TO_CLOSE):
            await asyncio.sleep(0)

    def handler_of(self, session: Session) -> BrokerProtocolHandler | None:
        """Give the client's present connection."""
        return super()._get_handler(session)

    async def queue(self, session: Session, topic: str, data: bytes, qos: int) -> None:
        """Keep a message for the client's next connection."""
        await self._retain_broadcast_message({"session": None, "topic": topic, "data": data}, qos, session)

    def _get_handler(self, session: Session) -> _Delivery | None:
        return None if super()._get_handler(session) is None else _Delivery(self, session)

    async def _broadcast_message(
        self,
        session: Session | None,
        topic: str | None,
        data: bytes | bytearray | None,
        force_qos: int | None = None,
    ) -> None:
        await super()._broadcast_message(session, topic, None if data is None else _Quiet(data), force_qos)

    async def _publish_session_retained_messages(self, session: Session) -> None:
        # amqtt would wait here for every acknowledgement, deaf to the client meanwhile.
        queue, delivery = session.retained_messages, _Delivery(self, session)
        for message in [queue.get_nowait() for _ in range(queue.qsize())]:
            sending = delivery.mqtt_publish(message.topic, message.data, message.qos, retain=False)
            self._tasks_queue.append(asyncio.ensure_future(sending))

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        # amqtt sends whoever connects the retained messages of everybody's subscriptions, and a script that
        # publishes and leaves meanwhile was never heard.
        subscribers = self._subscriptions.get(subscription[0], [])
        if any(subscriber is session for subscriber, _ in subscribers):
            await super()._publish_retained_messages_for_subscription(subscription, session)

    async def _handle_client_session(
        self,
        reader: ReaderAdapter,
        writer: WriterAdapter,
        client_session: Session,
        handler: BrokerProtocolHandler,
        server: Server,
        listener_name: str,
    ) -> None:
        # A client that comes back before its old connection has ended shares its session with that; amqtt would
        # then take the session for disconnected, and the client would never hear anything again.
        _, old = self._sessions.get(client_session.client_id, (None, None))
        deadline = asyncio.get_running_loop().time() + _TAKE_OVER_S
        while old is not None and client_session.transitions.is_connected():
            if asyncio.get_running_loop().time() > deadline:
                await old.handle_connection_closed()
            await asyncio.sleep(0.01)
        await super()._handle_client_session(reader, writer, client_session, handler, server, listener_name)

    async def _handle_disconnect(
        self, client_session: Session, handler: BrokerProtocolHandler, disconnect_waiter: asyncio.Future[Any]
    ) -> None:
        # amqtt would throw away what the client sent and it has not passed on yet: a script that publishes and
        # leaves at once would often be lost.
        queue = client_session.delivered_message_queue
        for message in [queue.get_nowait() for _ in range(queue.qsize())]:
            taken = asyncio.get_running_loop().create_future()
            taken.set_result(message)
            await self._handle_message_delivery(client_session, handler, taken)
        await super()._handle_disconnect(client_session, handler, disconnect_waiter)


class EmbeddedBroker:
    """A broker with a thread and an event loop of its own.

    Open to everybody who reaches `host` unless `password_file` names a file with one `name:argon2-hash` a
    line. `port_setting` is the setting that an error about the port tells people to change.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 1883,
        *,
        password_file: Path | None = None,
        port_setting: str = "LIFTWATCH_MQTT_PORT",
    ) -> None:
        if password_file is not None and not password_file.is_file():
            raise Invalid("password_file", f"{password_file} is not a file")
        self.host = host
        self.port = port
        self._password_file = password_file
        self._port_setting = port_setting
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._started = threading.Event()
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The address for clients on this machine."""
        return f"mqtt://{self.host}:{self.port}"

    def start(self) -> None:
        """Return once the broker listens; raises Invalid when the port is taken, Unavailable otherwise."""
        self._check_port()
        for name in ("amqtt.broker", "amqtt.mqtt.protocol.handler"):
            logging.getLogger(name).addFilter(_worth_telling)
        self._started.clear()
        self._error = None
        self._thread = threading.Thread(target=self._run, name="mqtt-broker", daemon=True)
        self._thread.start()
        if not self._started.wait(START_WITHIN_S):
            raise Unavailable("the embedded MQTT broker", f"did not start within {START_WITHIN_S:g} s")
        self._raise_what_stopped_it()

    def _raise_what_stopped_it(self) -> None:
        if self._error is not None:
            self._check_port()
            raise Unavailable("the embedded MQTT broker", self._error)

    def stop(self) -> None:
        """Disconnect everybody and stop, within 2 s; what it held is gone."""
        if self._thread is None:
            return
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # it has stopped by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(STOP_WITHIN_S)
        if self._thread.is_alive():
            log.warning("the embedded MQTT broker is still stopping after %g s", STOP_WITHIN_S)
        self._thread = None

    def _check_port(self) -> None:
        """Find out in our own words what amqtt would only say in its log."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.port))
                probe.listen(1)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    reason = f"another program listens on {self.host}:{self.port}; stop it or choose another port"
                else:
                    reason = f"cannot listen on {self.host}:{self.port}: {error.strerror}; choose another port"
                raise Invalid(self._port_setting, f"{reason}, such as {self._port_setting}=18883") from error

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - whatever it was, `start` must hear of it
            self._error = error
            log.error("the embedded MQTT broker has stopped: %s", error)  # noqa: TRY400 - `start` tells the rest
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_complain)
        self._stopping = asyncio.Event()
        broker = _Broker(self._config())
        await broker.start()
        self._started.set()
        await self._stopping.wait()
        with contextlib.suppress(TimeoutError, AMQTTError):
            await asyncio.wait_for(broker.shutdown(), STOP_WITHIN_S / 2)
        await broker.hang_up()

    def _config(self) -> BrokerConfig:
        plugins: dict[str, dict[str, Any]] = {f"{__name__}.{BoundedQueues.__name__}": {}}
        if self._password_file is None:
            plugins[f"{__name__}.{LetIn.__name__}"] = {}
        else:
            plugins["amqtt.plugins.authentication.FileAuthPlugin"] = {"password_file": str(self._password_file)}
        host = f"[{self.host}]" if ":" in self.host else self.host
        return BrokerConfig(
            listeners={"default": ListenerConfig(type=ListenerType.TCP, bind=f"{host}:{self.port}")},
            session_expiry_interval=SESSION_EXPIRY_S,
            plugins=plugins,
        )


def _worth_telling(record: logging.LogRecord) -> bool:
    """Keep acknowledgements that come late out of the log: amqtt gives each several lines and a traceback."""
    return "PUBACK" not in record.getMessage()


def _complain(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # amqtt leaves its tasks' failures to the loop, mostly acknowledgements that came late.
    log.debug("embedded MQTT broker: %s", context.get("message"))
