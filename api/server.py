"""The web server: uvicorn, told to end the live event streams before it waits for open connections."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

import uvicorn
from fastapi import FastAPI

from lift.errors import Invalid

# A reader that takes no bytes cannot be told that its stream has ended; it is cut off after this.
_LAST_ANSWERS_S: Final = 3
_KEEP_ALIVE_S: Final = 30
# Connections at once: readers of the event stream, and room for the requests beside them.
_CONNECTIONS_MAX: Final = 4000


class Server(uvicorn.Server):
    """Serves an application made by `create_app`; `should_exit = True` stops it within about 4 s.

    It takes its port at once: Invalid names one that is in use; port 0 takes any free one, and `port` says which.
    Run it with `run()`, which handles Ctrl-C when on the main thread, or `serve()` inside a loop. `started` says
    whether it answers. uvicorn itself would wait for streams that never end.
    """

    def __init__(self, app: FastAPI, *, host: str, port: int) -> None:
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_LAST_ANSWERS_S,
            timeout_keep_alive=_KEEP_ALIVE_S,
            limit_concurrency=_CONNECTIONS_MAX,
        )
        super().__init__(config)
        self._app = app
        self._socket = _listen(host, port)
        self.port: int = self._socket.getsockname()[1]

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer until told to stop."""
        await super().serve(sockets or [self._socket])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the event streams, then whatever else is open."""
        self._app.state.parts.tail.close()
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            if isinstance(connection.transport, asyncio.WriteTransport):
                connection.transport.abort()
        # One turn of the loop, in which the transports close.
        await asyncio.sleep(0)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise Invalid("port", f"cannot listen on {host} port {port}: {error.strerror}; choose another") from error
