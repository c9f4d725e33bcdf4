"""The load child's main: orders in on stdin, answers out on stdout (see `load.messages`), beats on
the descriptor that it is given (see `load.lifeline`). Load stops when any of them ends.

With `worker` it serves the master that its stdin is connected to instead, which is its controller;
with `join` and beats the one that an order on stdin names.
"""

from __future__ import annotations

import os
import sys

# Before anything that brings gevent: it must have the system's own threads.
from perfhunt.load.child.bounds.lines import BeatLine
from perfhunt.load.child.bounds.parent import die_with_parent
from perfhunt.load.child.bounds.sentinel import Sentinel

if __name__ == "__main__":
    die_with_parent()
    if sys.argv[1] == "worker":
        from perfhunt.load.child.fleet import worker

        sys.exit(worker.serve_here())
    sentinel = Sentinel(BeatLine(int(sys.argv[-1])), above=os.getppid())
    sentinel.start()
    if sys.argv[1] == "join":
        from perfhunt.load.child.fleet import worker

        sys.exit(worker.join_and_serve(sentinel))
    from perfhunt.load.child import session

    sys.exit(session.main(sentinel))
