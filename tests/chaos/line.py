"""A network line to a TCP port that can be cut, or left half open, while both ends go on."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from typing import Final

_PIECE: Final = 1 << 16
_HELD_MAX: Final = 1 << 20


class Line:
    """Carries every connection made to `port` on to `target`, until `cut` or `half_open`."""

    def __init__(self, port: int, target: int) -> None:
        """Listen on a loopback port."""
        self.port = port
        self._target = target
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._other: dict[socket.socket, socket.socket] = {}
        self._held: dict[socket.socket, bytearray] = {}
        self._orphans: set[socket.socket] = set()
        self._down = False
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self._listener.settimeout(0)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name=f"line {port}", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Break every connection, and refuse new ones until `mend`."""
        with self._lock:
            self._down = True
            while self._other:
                self._drop(next(iter(self._other)))

    def half_open(self) -> None:
        """Let the far end vanish while the near end still believes that it is connected, until `mend`.

        What the near end sends goes nowhere; new connections are taken up and never answered.
        """
        with self._lock:
            self._down = True
            for near, far in list(self._other.items()):
                if near in self._orphans or far in self._orphans or not self._is_near(near):
                    continue
                self._forget(far)
                self._orphans.add(near)
                self._other[near] = near
                self._held[near].clear()
                self._refresh(near)

    def mend(self) -> None:
        """Let new connections through again; what was left half open stays so until its owner gives it up."""
        with self._lock:
            self._down = False

    def close(self) -> None:
        """Break everything and stop."""
        self._closing = True
        self._thread.join(2.0)
        with self._lock:
            while self._other:
                self._drop(next(iter(self._other)))
            self._listener.close()
            self._selector.close()

    # ------------------------------------------------------------------------- the line's own thread

    def _is_near(self, one: socket.socket) -> bool:
        try:
            return bool(one.getsockname()[1] == self.port)
        except OSError:
            return False

    def _run(self) -> None:
        while not self._closing:
            for key, events in self._selector.select(0.1):
                with self._lock, contextlib.suppress(OSError):
                    if key.fileobj is self._listener:
                        self._take_up()
                    elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._other:
                        self._carry(key.fileobj, events)

    def _take_up(self) -> None:
        near, _ = self._listener.accept()
        if self._down:
            near.close()
            return
        near.settimeout(0)
        try:
            far = socket.create_connection(("127.0.0.1", self._target), timeout=2.0)
        except OSError:
            near.close()
            return
        far.settimeout(0)
        for one in (near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(one, selectors.EVENT_READ)
            self._held[one] = bytearray()
        self._other[near], self._other[far] = far, near

    def _carry(self, one: socket.socket, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._push(one)
        if events & selectors.EVENT_READ and one in self._other:
            try:
                piece = one.recv(_PIECE)
            except BlockingIOError:
                return
            except OSError:
                piece = b""
            if not piece:
                self._drop(one)
            elif one not in self._orphans:
                other = self._other[one]
                self._held[other] += piece
                self._push(other)

    def _push(self, one: socket.socket) -> None:
        held = self._held[one]
        try:
            sent = one.send(held) if held else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(one)
            return
        del held[:sent]
        self._refresh(one)
        self._refresh(self._other[one])

    def _refresh(self, one: socket.socket) -> None:
        """Wait for what this end can do: an end is not read while the other lags, so that back-pressure passes on."""
        lags = len(self._held.get(self._other[one], b"")) > _HELD_MAX
        events = (0 if lags else selectors.EVENT_READ) | (selectors.EVENT_WRITE if self._held[one] else 0)
        if not events:
            self._unwatch(one)
            return
        try:
            self._selector.modify(one, events)
        except KeyError:
            self._selector.register(one, events)

    def _unwatch(self, one: socket.socket) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(one)

    def _drop(self, one: socket.socket) -> None:
        other = self._other.get(one)
        self._forget(one)
        if other is not None and other is not one:
            self._forget(other)

    def _forget(self, one: socket.socket) -> None:
        self._unwatch(one)
        self._other.pop(one, None)
        self._held.pop(one, None)
        self._orphans.discard(one)
        one.close()
