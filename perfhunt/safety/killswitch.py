"""The killswitch: a file that appears, or a url that stops saying 200, ends all load."""

from __future__ import annotations

import http.client
import os
import ssl
import threading
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from perfhunt.model import redact
from perfhunt.model.question import Killswitch
from perfhunt.model.units import Seconds
from perfhunt.store.files import appeared

# An answer other than 200 is to stop load within a second, silence within three.
_INTERVAL: Seconds = 0.4
_AGAIN: Seconds = 0.05  # after a first miss
_TIMEOUT: Seconds = 1.0
_MISSES = 2  # one lost packet is no order to stop; two in a row count as one
# Since the last time that it was asked and then said 200. It is looked at by whoever asks for
# reasons to stop, so a poll that hangs (a name that does not resolve, an answer that drips) is
# silence like any other.
_SILENT: Seconds = 2.5
_HELD_UP: Seconds = 1.0  # between two looks, of which ten a second are made


class KillswitchWatch:
    """Watches a killswitch from `start` to `close`; `tripped` says why load must stop, or "".

    The file is looked at whenever `tripped` is asked. The url is polled by a thread: an answer
    other than 200 trips it within a second, silence of any kind within three. It stays tripped, and
    a watcher that died counts as tripped (fail closed), as does a file that cannot be looked at.
    """

    def __init__(self, switch: Killswitch, directory: Path) -> None:
        self._file = directory / switch.file if switch.file else None
        self._url = switch.url
        self._reason = ""
        self._said_go_on = self._looked = time.monotonic()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> KillswitchWatch:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def start(self) -> None:
        if self._url and self._thread is None:
            self._said_go_on = self._looked = time.monotonic()
            self._thread = threading.Thread(target=self._poll, name="killswitch", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Ends the polling; idempotent."""
        self._closing.set()
        if self._thread is not None and not self._reason:  # one that hangs is not waited for
            self._thread.join(timeout=2 * _TIMEOUT)

    def tripped(self) -> str:
        """Why load must stop, as a sentence; "" while all is well."""
        if not self._reason and self._file is not None:
            self._reason = _pulled(self._file)
        if not self._reason and not self._closing.is_set():
            self._reason = self._silence()
        return self._reason

    def _silence(self) -> str:
        """Why nothing is known of the url any more; "" while something is, or there is none."""
        if self._thread is None:
            return ""
        if not self._thread.is_alive():
            return self._reason or "the watcher of the killswitch url died"
        now = time.monotonic()
        unseen, self._looked = now - self._looked, now
        if unseen > _HELD_UP:  # a process that was suspended asked nobody meanwhile
            self._said_go_on = min(now, self._said_go_on + unseen)
        if now - self._said_go_on > _SILENT:
            return f"the killswitch url {_shown(self._url)} gave no answer for {_SILENT:g} s"
        return ""

    def test(self) -> str:
        """Why the killswitch would not work, or "". Pulls the file for real and puts it back; asks
        the url once.
        """
        broken = _test_file(self._file) if self._file else ""
        return broken or (self._miss_in_time() if self._url else "")

    def _miss_in_time(self) -> str:
        """As `_miss`, of a url that may hang in any way."""
        missed: list[str] = []
        asker = threading.Thread(target=lambda: missed.append(_miss(self._url)), daemon=True)
        asker.start()
        asker.join(_SILENT)
        return missed[0] if missed else f"the killswitch url {_shown(self._url)} hangs"

    def _poll(self) -> None:
        misses = 0
        while not self._closing.wait(_INTERVAL if misses == 0 else _AGAIN):
            asked = time.monotonic()
            miss = _miss(self._url)
            if not miss:
                self._said_go_on = asked
            misses = misses + 1 if miss else 0
            if misses >= _MISSES:
                self._reason = miss
                return


def _pulled(file: Path) -> str:
    try:
        return f"the killswitch file {file} appeared" if appeared(file) else ""
    except OSError as error:
        return f"the killswitch file {file} cannot be looked at ({error.strerror})"


def _test_file(file: Path) -> str:
    try:
        if appeared(file):
            return f"the killswitch file {file} is already there; remove it: rm {file}"
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        made = appeared(file)
        file.unlink()
    except OSError as error:
        return f"the killswitch file {file} cannot be made ({error.strerror})"
    return "" if made else f"the killswitch file {file} was made and not seen"


def _miss(url: str) -> str:
    """Why a killswitch url does not say "go on": anything but an answer of 200, redirects included.
    "" when it does.
    """
    parts, shown = urlsplit(url), _shown(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        with closing(connect(parts.hostname or "", parts.port, timeout=_TIMEOUT)) as link:
            link.request("GET", path, headers={"User-Agent": "perfhunt-killswitch"})
            status = link.getresponse().status
    except (OSError, http.client.HTTPException, ssl.SSLError, ValueError) as error:
        return f"the killswitch url {shown} gave no answer ({type(error).__name__})"
    return "" if status == 200 else f"the killswitch url {shown} answered {status}"


def _shown(url: str) -> str:
    """A url as it may be told: its query may hold a token."""
    return redact.url(url)
