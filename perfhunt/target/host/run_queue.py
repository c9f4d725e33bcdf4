"""How long the threads of some processes ran, and could have run but did not
(/proc/PID/task/TID/schedstat, kernel scheduler/sched-stats.rst).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from perfhunt.model.units import Seconds
from perfhunt.target.proc.files import read
from perfhunt.target.proc.threads import tids

_NANOSECOND: Seconds = 1e-9


@dataclass(frozen=True, slots=True)
class QueueTime:
    """Seconds on a core, and seconds runnable without one, of all threads together."""

    ran: Seconds
    waited: Seconds


class RunQueue:
    """The times of the threads of changing processes, gathered look by look. A thread that ends
    keeps what it had when it was last looked at; one that began since then counts from its start.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[int, int], tuple[int, int]] = {}
        self._ran = self._waited = 0
        self._seen = False

    def look(self, pids: Iterable[int], count: bool = True) -> None:
        """Read the threads that there are now. Without `count`, what they had before is not
        counted: a first look.
        """
        now = {
            (pid, tid): times for pid in pids for tid in tids(pid) if (times := _times(pid, tid))
        }
        self._seen = self._seen or bool(now)
        if count:
            for thread, (ran, waited) in now.items():
                before = self._last.get(thread, (0, 0))
                # A smaller count is that of another thread, which has the number now.
                was_ran, was_waited = before if ran >= before[0] else (0, 0)
                self._ran += ran - was_ran
                self._waited += max(0, waited - was_waited)
        self._last = now

    def take(self) -> QueueTime | None:
        """What was gathered since the last call; None where this kernel does not account for it."""
        gathered = QueueTime(self._ran * _NANOSECOND, self._waited * _NANOSECOND)
        self._ran = self._waited = 0
        return gathered if self._seen else None


def _times(pid: int, tid: int) -> tuple[int, int] | None:
    """(ran, waited) in nanoseconds; None when the thread is gone, or never ran, or the kernel does
    not account for it: it writes zeros then.
    """
    try:
        field = read(f"/proc/{pid}/task/{tid}/schedstat").split()
        ran, waited = int(field[0]), int(field[1])
    except (OSError, ValueError, IndexError):
        return None
    return (ran, waited) if ran else None
