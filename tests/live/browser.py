"""A headless Chromium that is spoken to over two pipes (DevTools protocol): no port, no driver.

https://chromedevtools.github.io/devtools-protocol/ has the words of it.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
# Chromium reads commands from descriptor 3 and writes what happens to 4.
_COMMANDS, _ANSWERS = 3, 4
_READ = 1 << 16  # bytes at a time
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-pipe",
)


@dataclass(slots=True)
class Tab:
    """One page: commands go to it by `call`; `events` is what it told meanwhile, oldest first."""

    commands: BinaryIO
    answers: BinaryIO
    session: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    _last: int = 0
    _unread: bytes = b""

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """The answer to a command. Raises AssertionError for one that the browser refuses."""
        self._last += 1
        message: dict[str, object] = {"id": self._last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.commands.write(json.dumps(message).encode() + b"\0")
        self.commands.flush()
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def wait_for(self, event: str) -> dict[str, Any]:
        """The parameters of the first such event that has come or comes; it is taken out."""
        for index, each in enumerate(self.events):
            if each["method"] == event:
                parameters: dict[str, Any] = self.events.pop(index)["params"]
                return parameters
        while True:
            answer = self._next()
            if answer.get("method") == event:
                found: dict[str, Any] = answer["params"]
                return found
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            more = os.read(self.answers.fileno(), _READ)
            assert more, "the browser ended"
            self._unread += more
        text, _, self._unread = self._unread.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def open(self, page: Path, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Show a file at a width in CSS pixels, and wait until it is loaded."""
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=page.resolve().as_uri())
        self.wait_for("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript gives, awaited, as JSON gives it back."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """A key, down and up."""
        code = {"Enter": 13, "Tab": 9, "Escape": 27, "ArrowDown": 40, "ArrowRight": 39}.get(key, 0)
        text = {"Enter": "\r"}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                text=text if kind == "keyDown" else "",
            )

    def picture(self, *, whole: bool = False, clip: Mapping[str, float] | None = None) -> bytes:
        """A PNG of the window, of the whole page, or of a part of it."""
        asked: dict[str, object] = {"format": "png", "captureBeyondViewport": whole or bool(clip)}
        if clip:
            asked["clip"] = {**clip, "scale": 1}
        elif whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            asked["clip"] = {**size, "scale": 1}
        return base64.b64decode(self.call("Page.captureScreenshot", **asked)["data"])

    def said(self, *methods: str) -> list[dict[str, Any]]:
        """The events of these names since the page was opened."""
        self.call("Runtime.evaluate", expression="0")  # all that came before is read by then
        return [each["params"] for each in self.events if each.get("method") in methods]


@contextmanager
def browser(*, scripts: bool = True, flags: Sequence[str] = ()) -> Iterator[Tab]:
    """A tab of a browser of its own, ended with the block; `scripts`: whether pages run theirs;
    `flags`: more of the browser's.
    """
    assert BROWSER is not None
    ours, its = os.pipe(), os.pipe()  # what it reads, what it writes

    def put_in_place() -> None:
        # Above the two first, for one of the pipes may lie on them.
        read, write = os.dup(ours[0]), os.dup(its[1])
        os.dup2(read, _COMMANDS)
        os.dup2(write, _ANSWERS)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        child = subprocess.Popen(
            [BROWSER, *_OPTIONS, *flags, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=put_in_place,
            close_fds=False,
        )
        os.close(ours[0])
        os.close(its[1])
        try:
            with os.fdopen(ours[1], "wb") as commands, os.fdopen(its[0], "rb") as answers:
                yield _tab(commands, answers, scripts)
        finally:
            child.terminate()
            child.wait()


def _tab(commands: BinaryIO, answers: BinaryIO, scripts: bool) -> Tab:
    tab = Tab(commands, answers)
    target = tab.call("Target.createTarget", url="about:blank")["targetId"]
    attached = tab.call("Target.attachToTarget", targetId=target, flatten=True)
    tab.session = attached["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
        tab.call(f"{domain}.enable")
    tab.call("Emulation.setScriptExecutionDisabled", value=not scripts)
    return tab
