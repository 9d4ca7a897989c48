"""A browser for tests: Chromium, driven over its debugging pipe (Chrome DevTools Protocol), with nothing in between.

Commands go to its file descriptor 3 and answers come from 4, each a JSON object ended by a zero byte.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROGRAM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
NO_BROWSER = pytest.mark.skipif(PROGRAM is None, reason="no chromium here: apt-get install chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)
PATIENCE = 60.0

Document = dict[str, Any]


class Chromium:
    """One browser process; every page is a tab of its own."""

    def __init__(self, folder: Path) -> None:
        theirs_in, self._out = _pipe()
        self._in, theirs_out = _pipe()
        arguments = [str(PROGRAM), *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        nothing = os.open(os.devnull, os.O_RDWR)
        actions = [(os.POSIX_SPAWN_DUP2, theirs_in, 3), (os.POSIX_SPAWN_DUP2, theirs_out, 4)]
        actions += [(os.POSIX_SPAWN_DUP2, nothing, own) for own in (0, 1, 2)]
        environment = {**os.environ, "HOME": str(folder)}
        self._pid = os.posix_spawn(str(PROGRAM), arguments, environment, file_actions=actions)
        for end in (theirs_in, theirs_out, nothing):
            os.close(end)
        self._rest, self._count = b"", 0
        self.pages: dict[str, Page] = {}

    def open(self, url: str, *, offline: bool = True, scripts: bool = True, **looks: Any) -> Page:
        """A tab in which a page has been loaded; `looks` as Page.look takes them. Without `offline` it reaches this
        machine, and nothing else."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session, target)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        speed = 0 if offline else -1
        page.call(
            "Network.emulateNetworkConditions",
            offline=offline,
            latency=0,
            downloadThroughput=speed,
            uploadThroughput=speed,
        )
        page.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        page.look(**looks)
        page.call("Page.navigate", url=url)
        page.wait("document.readyState === 'complete' && location.href !== 'about:blank'")
        return page

    def call(self, method: str, session: str | None = None, **parameters: Any) -> Document:
        """A command's result; what else is told meanwhile goes to its page."""
        self._count += 1
        number = self._count
        command = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        _write(self._out, json.dumps(command).encode() + b"\0")
        while True:
            told = self._read()
            if told.get("id") == number:
                assert "error" not in told, f"{method}: {told['error']}"
                result: Document = told["result"]
                return result
            if told.get("sessionId") in self.pages:
                self.pages[told["sessionId"]].events.append(told)

    def _read(self) -> Document:
        while b"\0" not in self._rest:
            assert select.select([self._in], [], [], PATIENCE)[0], "the browser says nothing"
            more = os.read(self._in, 2**20)
            assert more, "the browser is gone"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        found: Document = json.loads(line)
        return found

    def close(self) -> None:
        try:
            self.call("Browser.close")
        finally:
            os.close(self._out)
            os.waitpid(self._pid, 0)
            os.close(self._in)


class Page:
    """A tab: what it shows, what it said, what it asked for."""

    def __init__(self, browser: Chromium, session: str, target: str) -> None:
        self._browser, self._session, self._target = browser, session, target
        self.events: list[Document] = []

    def call(self, method: str, **parameters: Any) -> Document:
        return self._browser.call(method, self._session, **parameters)

    def look(self, width: int = 1280, height: int = 900, *, dark: bool = False, still: bool = False) -> None:
        """Its window's size and its reader's colours."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"}
        self.call("Emulation.setEmulatedMedia", features=[scheme, motion])

    def ask(self, expression: str) -> Any:
        """The value of an expression in the page, awaited where it is a promise."""
        told = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait(self, expression: str) -> None:
        """Until an expression holds."""
        end = time.monotonic() + PATIENCE
        while not self.ask(expression):
            assert time.monotonic() < end, f"it never came to be that {expression}; {self.complaints[:3]}"
            time.sleep(0.02)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 6) -> None:
        """The left button pressed here, and let go there."""
        self.mouse("mouseMoved", *start)
        self.mouse("mousePressed", *start, button="left", buttons=1, clickCount=1)
        for step in range(1, steps + 1):
            at = [a + (b - a) * step / steps for a, b in zip(start, end, strict=True)]
            self.mouse("mouseMoved", at[0], at[1], button="left", buttons=1)
        self.mouse("mouseReleased", *end, button="left", buttons=0, clickCount=1)

    def click(self, x: float, y: float) -> None:
        self.drag((x, y), (x, y), steps=1)

    def press(self, key: str) -> None:
        """A key, pressed and let go, wherever the focus is."""
        typed = {"text": key, "code": "Space", "windowsVirtualKeyCode": 32} if key == " " else {"code": key}
        codes = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "End": 35, "Home": 36}
        number = {"windowsVirtualKeyCode": codes[key]} if key in codes else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, **typed, **number)

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """A PNG of the page as it is seen."""
        told = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(told["data"]))

    @property
    def complaints(self) -> list[str]:
        """What it wrote to the console as an error or a warning, and exceptions that nobody caught."""
        read: dict[str, Callable[[Document], str]] = {
            "Runtime.exceptionThrown": lambda told: str(told["exceptionDetails"]),
            "Runtime.consoleAPICalled": lambda told: str(told["args"]) if told["type"] in ("error", "warning") else "",
            "Log.entryAdded": lambda told: str(told["entry"]),
        }
        said = [read[each["method"]](each["params"]) for each in self.events if each["method"] in read]
        return [each for each in said if each]

    @property
    def asked_for(self) -> list[str]:
        """The addresses that it asked for, after its own."""
        sent = [
            each["params"]["request"]["url"] for each in self.events if each["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in sent[1:] if not url.startswith("data:")]

    def close(self) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)
        self._browser.pages.pop(self._session, None)


def _pipe() -> tuple[int, int]:
    """A pipe whose ends have numbers that the browser's own don't collide with."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]


def _write(to: int, data: bytes) -> None:
    while data:
        data = data[os.write(to, data) :]


def faint(selector: str) -> str:
    """A script: the texts of these elements that are hard to read (contrast below 4.5:1, WCAG 2.2, 1.4.3), five at
    most."""
    return _FAINT.replace("SELECTOR", json.dumps(selector))


_FAINT = """(() => {
  const luminance = colour => {
      const [r, g, b] = colour.match(/[0-9.]+/g).map(v => v / 255)
          .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const contrast = element => { let back = element;
      while (getComputedStyle(back).backgroundColor === 'rgba(0, 0, 0, 0)') back = back.parentElement;
      const [a, b] = [getComputedStyle(element).color, getComputedStyle(back).backgroundColor].map(luminance);
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); };
  return [...document.querySelectorAll(SELECTOR)]
      .filter(element => element.textContent.trim() && element.checkVisibility() && contrast(element) < 4.5)
      .map(element => element.textContent.trim().slice(0, 40)).slice(0, 5); })()"""
