"""A real Chromium without a window, driven through its own debugging pipe: pages, keys, and what a person reads."""

from __future__ import annotations

import itertools
import json
import os
import select
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import servers

WITHIN_S = 20.0
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-pipe",
)


class Chromium:
    """The browser's process and its pipe: one question at a time, events kept aside."""

    def __init__(self, process: subprocess.Popen[bytes], to: int, back: int) -> None:
        """Take over a started browser and the ends of its pipe."""
        self.process = process
        self.events: deque[dict[str, Any]] = deque(maxlen=1000)
        self._to, self._back = to, back
        self._rest = b""
        self._numbers = itertools.count(1)

    def ask(self, method: str, session: str = "", **parameters: object) -> dict[str, Any]:
        """Send a command of the DevTools protocol and give its result; AssertionError when it is refused."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self._to, json.dumps(command).encode() + b"\0")
        deadline = time.monotonic() + WITHIN_S
        while True:
            said = self._next(deadline)
            if said.get("id") == number:
                assert "error" not in said, f"{method}: {said['error']}"
                result: dict[str, Any] = said["result"]
                return result
            self.events.append(said)

    def page(self, *, width: int = 1280, height: int = 900, language: str = "en-GB") -> Page:
        """Open a page of its own: nobody is signed in there."""
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        target = self.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        page.ask("Page.enable")
        page.ask("Runtime.enable")
        page.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        page.ask("Emulation.setLocaleOverride", locale=language.replace("-", "_"))
        chosen = f"try {{ localStorage.language ??= '{language[:2]}' }} catch {{}}"
        page.ask("Page.addScriptToEvaluateOnNewDocument", source=chosen)
        return page

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._back], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            piece = os.read(self._back, 1 << 20)
            assert piece, "the browser has gone"
            self._rest += piece
        said, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(said)
        return message


class Page:
    """One page, used as a person would: look, press keys, write into fields."""

    def __init__(self, browser: Chromium, session: str) -> None:
        """Take over a session of the browser."""
        self._browser = browser
        self._session = session

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command to this page."""
        return self._browser.ask(method, self._session, **parameters)

    def go(self, url: str) -> None:
        """Open an address."""
        self.ask("Page.navigate", url=url)

    def run(self, script: str) -> Any:  # noqa: ANN401 - JSON
        """Evaluate an expression in the page and give its value."""
        result = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def until(self, script: str) -> None:
        """Wait until an expression holds; the failure shows what the page says instead."""
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            if self.run(f"!!({script})"):
                return
            time.sleep(0.05)
        raise AssertionError(f"never: {script}\n{self.text()}")

    def text(self, place: str = "body") -> str:
        """Give the visible text of an element."""
        return str(self.run(f"document.querySelector({json.dumps(place)})?.innerText ?? ''"))

    def reads(self, *texts: str, place: str = "body") -> None:
        """Wait until all the texts can be read."""
        said = f"(document.querySelector({json.dumps(place)})?.innerText ?? '')"
        for text in texts:
            self.until(f"{said}.includes({json.dumps(text)})")

    def gone(self, text: str, place: str = "body") -> None:
        """Wait until a text cannot be read any more."""
        said = f"(document.querySelector({json.dumps(place)})?.innerText ?? '')"
        self.until(f"!{said}.includes({json.dumps(text)})")

    def press(self, key: str) -> None:
        """Press a key."""
        code = {"Enter": 13, "Escape": 27, "ArrowDown": 40}.get(key, ord(key[0].upper()))
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def write(self, text: str) -> None:
        """Write into the field that has the focus."""
        self.ask("Input.insertText", text=text)

    def complaints(self) -> list[str]:
        """Give the errors that this page's scripts have thrown, and what its policy has stopped."""
        self.run("0")
        return [
            json.dumps(event["params"])
            for event in self._browser.events
            if event.get("sessionId") == self._session and event["method"] == "Runtime.exceptionThrown"
        ]


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """Run a Chromium from Debian's package with a profile of its own; raises `servers.Missing`."""
    program = servers.install("chromium")
    # The browser reads commands from descriptor 3 and answers on 4.
    read_here, write_there = os.pipe()
    read_there, write_here = os.pipe()
    shell = ["/bin/bash", "-c", f'exec "$@" 3<&{read_there} 4>&{write_there}', "bash"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*shell, program, *_QUIET, f"--user-data-dir={folder}/profile"],
            pass_fds=(read_there, write_there),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    os.close(read_there)
    os.close(write_there)
    browser = Chromium(process, write_here, read_here)
    try:
        yield browser
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        os.close(write_here)
        os.close(read_here)
