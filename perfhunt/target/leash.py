"""Starts a child process on a leash: in a session of its own, and told to end by the kernel when
this process dies, however it dies.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # prctl(2)
_LIBC = ctypes.CDLL(None, use_errno=True)

# The kernel sends the death signal when the *thread* that forked ends, so all children come from
# one that never does.
_SPAWNER = ThreadPoolExecutor(1, "perfhunt-spawn")


def spawn(
    words: Sequence[str],
    log: Path,
    death: signal.Signals,
    *,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """The command running, all that it prints in `log`; sent `death` when this process is no more.

    Raises OSError when it cannot be started.
    """

    def leash() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, death, 0, 0, 0)

    def start() -> subprocess.Popen[bytes]:
        with log.open("wb") as sink:
            return subprocess.Popen(
                list(words),
                cwd=directory,
                env=None if environment is None else {**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=leash,
            )

    return _SPAWNER.submit(start).result()


def signal_session(pid: int, number: signal.Signals) -> None:
    """Send a signal to the session that a `spawn`ed child leads, if anybody is left in it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
