"""The shell around all routes: security headers on every answer, a bound on every body, no error without a shape."""

from __future__ import annotations

from collections import Counter
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import errors
from lift.metrics import Metric

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Answers depend on who asks, and a lift's state is old after a second.
    "Cache-Control": "no-store",
}


class Requests:
    """Counts answers by method and status, for Prometheus."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, int]] = Counter()

    def count(self, method: str, status: int) -> None:
        """Count one answer; a method of nobody's making is counted as OTHER, so that labels stay few."""
        self._counts[method if method in _METHODS else "OTHER", status] += 1

    def metric(self) -> Metric:
        """Give the counts as a metric."""
        samples = tuple(
            ({"method": method, "status": str(status)}, float(count))
            for (method, status), count in sorted(dict(self._counts).items())
        )
        return Metric("liftwatch_http_requests_total", "counter", "Answered HTTP requests", samples)


_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


class Shell:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, requests: Requests) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_safely(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._requests.count(scope["method"], message["status"])
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, _bounded(scope, receive), send_safely)
        except Exception as error:
            if started:
                raise
            await errors.unexpected(error)(scope, receive, send_safely)


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """Stop reading a body that is too large, whether or not it says so itself."""
    said = Headers(scope=scope).get("content-length", "")
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        if said.isdecimal() and int(said) > errors.BODY_BYTES_MAX:
            raise HTTPException(413)
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > errors.BODY_BYTES_MAX:
            raise HTTPException(413)
        return message

    return bounded
