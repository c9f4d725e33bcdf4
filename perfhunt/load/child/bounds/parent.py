"""The rule that no load outlives its controller: death of the parent, by any signal, ends the
child.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from types import FrameType

from perfhunt.load.child.bounds.sentinel import leave

_PR_SET_PDEATHSIG = 1
UNLIMITED = 1 << 20  # descriptors, where there is no limit: fs.nr_open's default, the kernel's own


def die_with_parent() -> None:
    """From now on the parent's death ends this process and what it started, and Ctrl-C does not:
    the controller decides what that means.
    """
    parent = os.getppid()

    def orphaned(signum: int, frame: FrameType | None) -> None:
        # The kernel sends the signal when the *thread* that started us ends; only a new parent
        # means the process died.
        if os.getppid() != parent:
            leave(0)

    signal.signal(signal.SIGHUP, orphaned)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGHUP, 0, 0, 0)
    if os.getppid() != parent:
        leave(0)


def raise_descriptor_limit() -> int:
    """Lifts the soft limit on open files to the hard one; returns what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = UNLIMITED if hard == resource.RLIM_INFINITY else hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (ValueError, OSError):
        return soft
    return most
