"""`perfhunt worker`: lends this host to a load that another one commands."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import replace

from perfhunt.errors import LoadFailed
from perfhunt.load.messages import JoinMaster, frame
from perfhunt.load.trust.address import MasterAddress
from perfhunt.load.trust.grant import WorkerGrant
from perfhunt.load.trust.secret import VARIABLE


def serve_master(master: MasterAddress, secret: str, grant: WorkerGrant) -> int:
    """Works for the master, within the grant, until it is gone. Returns the worker's exit code, 1
    when no master came that knows the secret.

    The worker is a child process, since it runs Locust. The secret goes to it through a pipe.
    """
    # A master on this machine can load it without a worker, too.
    grant = replace(grant, this_machine=grant.this_machine or master.on_this_machine)
    order = JoinMaster(master=master, secret=secret, grant=grant)
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "perfhunt.load.child", "join"],
            stdin=subprocess.PIPE,
            # A locustfile that runs there has no business with it.
            env={name: value for name, value in os.environ.items() if name != VARIABLE},
        )
    except OSError as error:
        raise LoadFailed(f"the load worker does not start: {error}") from error
    try:
        with contextlib.suppress(BrokenPipeError):  # it is gone; its exit code tells
            process.communicate(frame(order))
        return process.wait()
    finally:
        process.kill()
        process.wait()
