"""A headless Chromium, driven over a pair of pipes: no port is opened, and no library is needed."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--font-render-hinting=none",
    "--remote-debugging-pipe",
)
#: Starts it with what it reads as descriptor 3, and what it writes to as 4, as it expects.
START = """
import fcntl, os, sys
reads, writes = (fcntl.fcntl(int(one), fcntl.F_DUPFD, 10) for one in sys.argv[1:3])
os.dup2(reads, 3)
os.dup2(writes, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
#: Seconds that an answer may take on a machine that has much to do.
LONG = 60

#: The keys that a test may press: what the browser has to be told of them.
KEYS = {
    "Tab": {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9},
    "Enter": {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"},
}


def found() -> str | None:
    """The path of a Chromium, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None) if os.name == "posix" else None


class Browser:
    """The browser's end of the pipes."""

    def __init__(self, reads: int, writes: int) -> None:
        self._reads, self._writes = reads, writes
        self._received = b""
        self._sent = 0
        #: What happened on pages, of which nobody took notice yet.
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, session: str | None = None, **params: Any) -> Any:
        """Give a command and return its result."""
        self._sent += 1
        number = self._sent
        command = {"id": number, "method": method, "params": params}
        if session is not None:
            command["sessionId"] = session
        os.write(self._writes, json.dumps(command).encode() + b"\0")
        while (message := self._next()).get("id") != number:
            self.events.append(message)
        assert "error" not in message, (method, message["error"])
        return message["result"]

    def wait_for(self, method: str) -> None:
        """Wait for an event."""
        while all(event["method"] != method for event in self.events):
            self.events.append(self._next())

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            assert select.select([self._reads], [], [], LONG)[0], "the browser is silent"
            data = os.read(self._reads, 1 << 16)
            assert data, "the browser is gone"
            self._received += data
        message, _, self._received = self._received.partition(b"\0")
        result: dict[str, Any] = json.loads(message)
        return result

    def open(
        self,
        path: pathlib.Path,
        *,
        width: int = 1200,
        height: int = 900,
        dark: bool = False,
        script: bool = True,
    ) -> Page:
        """Open a file in a page of its own; the sizes are in pixels, ``script`` is whether scripts run."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        self.events.clear()
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.ask(f"{domain}.enable")
        page.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.ask("Emulation.setEmulatedMedia", features=[scheme])
        page.ask("Emulation.setScriptExecutionDisabled", value=not script)
        page.ask("Page.navigate", url=path.as_uri())
        self.wait_for("Page.loadEventFired")
        return page


class Page:
    """A page that is open in a browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def ask(self, method: str, **params: Any) -> Any:
        return self._browser.ask(method, self._session, **params)

    def evaluate(self, expression: str) -> Any:
        """The value of a piece of JavaScript, which may be a promise."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        self.ask("Input.dispatchKeyEvent", type="keyDown", **KEYS[key])
        self.ask("Input.dispatchKeyEvent", type="keyUp", **KEYS[key])

    def screenshot(self, *, whole: bool = False) -> bytes:
        """A PNG of what is seen, or of the whole page."""
        return base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def problems(self) -> list[str]:
        """What the console has to complain of so far."""
        self.evaluate("1")  # what happened before is told by now
        return list(filter(None, map(_problem, self._browser.events)))

    def requested(self) -> list[str]:
        """The addresses that the page loaded, those of data apart."""
        self.evaluate("1")
        urls = [
            event["params"]["request"]["url"]
            for event in self._browser.events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith("data:")]


def _problem(event: dict[str, Any]) -> str | None:
    params = event["params"]
    if event["method"] == "Runtime.exceptionThrown":
        return str(params["exceptionDetails"])
    if event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
        return str(params["args"])
    if event["method"] == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
        return str(params["entry"]["text"])
    return None


@contextlib.contextmanager
def running(path: str, folder: pathlib.Path) -> Iterator[Browser]:
    """A Chromium, which keeps its things in a folder."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            START,
            str(theirs_in),
            str(theirs_out),
            path,
            *OPTIONS,
            f"--user-data-dir={folder}",
        ],
        pass_fds=(theirs_in, theirs_out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(theirs_in)
        os.close(theirs_out)
        browser = Browser(ours_in, ours_out)
        try:
            yield browser
            browser.ask("Browser.close")
            process.wait(LONG)
        finally:
            process.kill()
            os.close(ours_in)
            os.close(ours_out)
