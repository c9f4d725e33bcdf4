"""A thread that looks at something again and again, and keeps what ended it for whoever asks; how
often that may be, by what it costs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from perfhunt.errors import PerfhuntError
from perfhunt.model.units import Seconds, Share

# What perfhunt takes of all cores of its host while it looks at a target that may need them all:
# the states of threads, what the target uses, and, while it is profiled, the stacks of all threads.
STATES_OF_HOST: Share = 0.006
RESOURCES_OF_HOST: Share = 0.004
STACKS_OF_HOST: Share = 0.01


def affordable_period(
    spent: Seconds, of_host: Share, *, enough: Seconds, most: Share = 1.0
) -> Seconds:
    """How long after each other looks may begin that take `spent` of CPU each: so long that they
    keep to a share of all cores of this host, or `enough`, where that is sooner; but never so soon
    that they take more than `most` of one core.
    """
    shared = spent / (of_host * (os.cpu_count() or 1))
    return max(spent / most, min(shared, enough))


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
