"""What every verb stands on: a directory that is there, and room for its threads."""

from __future__ import annotations

import os
import threading

from perfhunt.errors import PerfhuntError, UsageError

# Those that listen for stops, watch and look.
_OURS = 8
# Copies of OpenBLAS, NumPy's and SciPy's: loaded, each starts a thread for every further core that
# it may use, up to what it was built for, and ends us by SIGINT where it may not.
_COPIES, _MOST_CORES = 2, 64


def require_footing() -> None:
    """Raises UsageError where the working directory is gone, PerfhuntError where as many threads
    as a verb takes may not be started.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UsageError(
            "the directory that perfhunt was started in is there no more",
            "Go to one that is, also where another has come in its place: cd PATH",
        ) from None
    wanted = _COPIES * (min(len(os.sched_getaffinity(0)), _MOST_CORES) - 1) + _OURS
    started = _startable(wanted)
    if started < wanted:
        raise PerfhuntError(
            f"this user, or this container, may start {started} more threads, and perfhunt takes up"
            f" to {wanted}",
            "Raise the limit: ulimit -u, or pids.max of the control group (docker --pids-limit)",
        )


def _startable(wanted: int) -> int:
    """How many of so many threads can be there at once."""
    enough, threads = threading.Event(), list[threading.Thread]()
    try:
        for _ in range(wanted):
            thread = threading.Thread(target=enough.wait, daemon=True)
            thread.start()
            threads.append(thread)
    except RuntimeError:  # "can't start new thread"
        pass
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    return len(threads)
