"""A thread that looks at something again and again, and keeps what ended it for whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Callable

from perfhunt.errors import PerfhuntError
from perfhunt.model.units import Seconds


class Watcher:
    """Calls `look` every so many seconds, from `start` to `close`; `look` returns how long to wait
    before the next.
    """

    def __init__(self, name: str, what: str, look: Callable[[], Seconds], first: Seconds) -> None:
        self._name, self._what, self._look, self._first = name, what, look, first
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None

    @property
    def started(self) -> bool:
        return self._thread is not None

    def start(self) -> None:
        """Begin. Idempotent."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop looking. Idempotent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def check(self) -> None:
        """Raises PerfhuntError when looking failed: what was not seen is no evidence."""
        if self._failure is not None:
            raise PerfhuntError(f"{self._what} failed: {self._failure}") from self._failure

    def _run(self) -> None:
        wait = self._first
        try:
            while not self._stop.wait(wait):
                wait = self._look()
        except (OSError, ValueError) as error:
            self._failure = error
