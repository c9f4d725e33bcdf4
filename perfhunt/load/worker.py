"""`perfhunt worker`: lends this host to a load that another one commands."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from types import FrameType
from typing import NoReturn

from perfhunt.errors import LoadFailed, Stopped
from perfhunt.load.lifeline import Lifeline
from perfhunt.load.messages import JoinMaster, frame
from perfhunt.load.trust.address import MasterAddress
from perfhunt.load.trust.grant import WorkerGrant
from perfhunt.target.leash import inherited


def serve_master(master: MasterAddress, secret: str, grant: WorkerGrant) -> int:
    """Works for the master, within the grant, until it is gone. Returns the worker's exit code, 1
    when no master came that knows the secret and is of this version. Raises Stopped for a signal.

    The worker is a child process, since it runs Locust; its load ends when this process does, or is
    suspended. The secret goes to it through a pipe.
    """
    # A master on this machine can load it without a worker, too.
    grant = replace(grant, this_machine=grant.this_machine or master.on_this_machine)
    order = JoinMaster(master=master, secret=secret, grant=grant)
    lifeline = Lifeline()
    line = lifeline.far_end
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "perfhunt.load.child", "join", str(line)],
            stdin=subprocess.PIPE,
            env=inherited(),  # a locustfile that runs there has no business with the secret
            start_new_session=True,  # so that what a locustfile starts there ends with it
            pass_fds=(line,),
        )
    except OSError as error:
        os.close(line)
        lifeline.close()
        raise LoadFailed(f"the load worker does not start: {error}") from error
    for number in (signal.SIGINT, signal.SIGTERM):  # the first process of a container has none
        signal.signal(number, _stopped)
    lifeline.start()
    try:
        with contextlib.suppress(BrokenPipeError):  # it is gone; its exit code tells
            process.communicate(frame(order))
        code = process.wait()
    finally:
        lifeline.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if code < 0:
        raise LoadFailed(
            f"the load worker was ended by {signal.Signals(-code).name}",
            "The kernel does that when memory runs out: dmesg says so.",
        )
    return min(code, 1)


def _stopped(number: int, _frame: FrameType | None) -> NoReturn:
    name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    raise Stopped(
        f"stopped by {name}",
        "Whatever it was sending has ended; its master marks the trial that it was needed for.",
    )
