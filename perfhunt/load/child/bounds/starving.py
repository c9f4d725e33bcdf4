"""Whether a process that is not heard of wanted to run and was not let: it is then neither dead nor
deaf, and goes on once the load is off.
"""

from __future__ import annotations

import os
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

from perfhunt.model.units import Seconds, Share
from perfhunt.target.proc.files import read
from perfhunt.target.proc.process import stat

_NANOSECONDS = 1e-9  # of schedstat, in seconds
# Of a silence. A process that ran for more was not kept from speaking, and one that did not wait
# for as long had nothing to say.
_WAITED: Share = 0.25


class ThreadAccount(NamedTuple):
    """What the threads of a process had of the CPUs, together, up to `at` of time.monotonic."""

    at: Seconds
    ran: Seconds
    queued: Seconds  # until each ran last; whoever still waits is `ready`
    ready: bool  # one runs, or waits for a CPU
    stopped: bool  # one is stopped by a signal, or traced

    @classmethod
    def of(cls, pid: int) -> ThreadAccount:
        """As it is now; nothing of a process that may not be looked at."""
        ran = queued = 0
        states: set[str] = set()
        with suppress(OSError):
            for tid in map(int, os.listdir(f"/proc/{pid}/task")):
                with suppress(OSError, ValueError):  # it has just ended, or the kernel counts none
                    on_cpu, waited, _ = map(int, read(f"/proc/{pid}/task/{tid}/schedstat").split())
                    ran, queued = ran + on_cpu, queued + waited
                    states.update(thread.state for thread in (stat(pid, tid),) if thread)
        return cls(
            at=monotonic(),
            ran=ran * _NANOSECONDS,
            queued=queued * _NANOSECONDS,
            ready="R" in states,
            stopped=bool(states & {"T", "t"}),
        )

    def starved_until(self, later: ThreadAccount) -> bool:
        """Whether it waited for a CPU from then to `later`, rather than ran, slept or was
        stopped.
        """
        enough = _WAITED * (later.at - self.at)
        waited = later.ready or later.queued - self.queued > enough
        return waited and not later.stopped and later.ran - self.ran < enough
