"""The killswitch: a file that appears, or a url that stops saying 200, ends all load."""

from __future__ import annotations

import http.client
import os
import ssl
import threading
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from perfhunt.model import redact
from perfhunt.model.question import Killswitch
from perfhunt.model.units import Seconds

# An answer other than 200 is to stop load within a second, silence within three.
_INTERVAL: Seconds = 0.4
_AGAIN: Seconds = 0.05  # after a first miss
_TIMEOUT: Seconds = 1.0
_MISSES = 2  # one lost packet is no order to stop; two in a row count as one


class KillswitchWatch:
    """Watches a killswitch from `start` to `close`; `tripped` says why load must stop, or "".

    The file is looked at whenever `tripped` is asked. The url is polled by a thread: an answer
    other than 200 trips it within a second, silence within three. It stays tripped, and a watcher
    that died counts as tripped (fail closed).
    """

    def __init__(self, switch: Killswitch, directory: Path) -> None:
        self._file = directory / switch.file if switch.file else None
        self._url = switch.url
        self._reason = ""
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> KillswitchWatch:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def start(self) -> None:
        if self._url and self._thread is None:
            self._thread = threading.Thread(target=self._poll, name="killswitch", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Ends the polling; idempotent."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(timeout=2 * _TIMEOUT)

    def tripped(self) -> str:
        """Why load must stop, as a sentence; "" while all is well."""
        if not self._reason and self._file is not None and os.path.lexists(self._file):
            self._reason = f"the killswitch file {self._file} appeared"
        watching = self._thread is None or self._thread.is_alive() or self._closing.is_set()
        if not self._reason and not watching:
            self._reason = "the watcher of the killswitch url died"
        return self._reason

    def test(self) -> str:
        """Why the killswitch would not work, or "". Pulls the file for real and puts it back; asks
        the url once.
        """
        broken = _test_file(self._file) if self._file else ""
        return broken or (_miss(self._url) if self._url else "")

    def _poll(self) -> None:
        misses = 0
        while not self._closing.wait(_INTERVAL if misses == 0 else _AGAIN):
            miss = _miss(self._url)
            misses = misses + 1 if miss else 0
            if misses >= _MISSES:
                self._reason = miss
                return


def _test_file(file: Path) -> str:
    if os.path.lexists(file):
        return f"the killswitch file {file} is already there; remove it: rm {file}"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        made = os.path.lexists(file)
        file.unlink()
    except OSError as error:
        return f"the killswitch file {file} cannot be made ({error.strerror})"
    return "" if made else f"the killswitch file {file} was made and not seen"


def _miss(url: str) -> str:
    """Why a killswitch url does not say "go on": anything but an answer of 200, redirects included.
    "" when it does.
    """
    parts = urlsplit(url)
    shown = redact.url(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        with closing(connect(parts.hostname or "", parts.port, timeout=_TIMEOUT)) as link:
            link.request("GET", path, headers={"User-Agent": "perfhunt-killswitch"})
            status = link.getresponse().status
    except (OSError, http.client.HTTPException, ssl.SSLError, ValueError) as error:
        return f"the killswitch url {shown} gave no answer ({type(error).__name__})"
    return "" if status == 200 else f"the killswitch url {shown} answered {status}"
