"""A profile taken by a thread of the controller, for profilers that are asked over a socket and are
no child process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Profile

# Raises AttachFailed where what was recorded is no profile.
ProfileReader: TypeAlias = Callable[[], Profile]


class ThreadCapture:
    """A capture whose `work` runs in a thread. It is given an event that says "stop now", and
    returns what reads the profile: reading takes CPU, of which the target needs all until its load
    is over.
    """

    def __init__(self, work: Callable[[threading.Event], ProfileReader], name: str) -> None:
        self._work = work
        self._ask_stop = threading.Event()
        self._read: ProfileReader | None = None
        self._profile: Profile | None = None
        self._failure: AttachFailed | None = None
        self._worker = threading.Thread(target=self._run, name=name, daemon=True)
        self._worker.start()

    def stop(self) -> None:
        """End it now; what was sampled so far is given by `wait` where the profiler can.
        Idempotent.
        """
        self._ask_stop.set()
        self._worker.join()

    def wait(self) -> Profile:
        """The profile, when its time is over or it was stopped. Raises AttachFailed when there is
        none.
        """
        self._worker.join()
        if self._read is None:
            raise self._failure or AttachFailed("the capture ended without a profile")
        if self._profile is None:
            self._profile = self._read()
        return self._profile

    def _run(self) -> None:
        try:
            self._read = self._work(self._ask_stop)
        except AttachFailed as failed:
            self._failure = failed
