"""The load child's main: orders in on stdin, answers out on stdout (see `load.messages`), beats on
the descriptor that it is given (see `load.lifeline`). Load stops when any of them ends.

With `worker` it serves the master that its stdin is connected to instead; with `join` the one that
an order on stdin names.
"""

from __future__ import annotations

import sys

from perfhunt.load.child.bounds.parent import die_with_parent

# Before anything that brings gevent: it must have the system's own threads.
from perfhunt.load.child.bounds.sentinel import Sentinel

if __name__ == "__main__":
    die_with_parent()
    if not sys.argv[1].isdecimal():
        from perfhunt.load.child.fleet import worker

        sys.exit({"worker": worker.serve_here, "join": worker.join_and_serve}[sys.argv[1]]())
    sentinel = Sentinel(int(sys.argv[1]))
    sentinel.start()
    from perfhunt.load.child import session

    sys.exit(session.main(sentinel))
