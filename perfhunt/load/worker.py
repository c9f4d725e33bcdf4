"""`perfhunt worker`: lends this host to a load that another one commands."""

from __future__ import annotations

import re
import subprocess
import sys

from perfhunt.errors import LoadFailed, UsageError

_MASTER = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:\s]+):([0-9]{1,5})")


def serve_master(master: str) -> int:
    """Works for the master at HOST:PORT until it is gone. Returns the worker's exit code, 1 when no
    master answered.

    The worker is a child process, since it runs Locust. Raises UsageError for what is no address.
    """
    if _MASTER.fullmatch(master) is None:
        raise UsageError(
            f"{master!r} is not HOST:PORT", "For example: perfhunt worker --master 10.0.0.1:5557"
        )
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "perfhunt.load.child", "worker", master],
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise LoadFailed(f"the load worker does not start: {error}") from error
    try:
        return process.wait()
    finally:
        process.kill()
        process.wait()
