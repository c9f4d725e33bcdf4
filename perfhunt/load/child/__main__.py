"""The load child's main: orders in on stdin, answers out on stdout (see `load.messages`), beats on
the descriptor that it is given (see `load.lifeline`). Load stops when any of them ends.

With `worker HOST:PORT` it serves the master there instead.
"""

from __future__ import annotations

import sys

from perfhunt.load.child.bounds.parent import die_with_parent

# Before anything that brings gevent: it must have the system's own threads.
from perfhunt.load.child.bounds.sentinel import Sentinel

if __name__ == "__main__":
    die_with_parent()
    if sys.argv[1:2] == ["worker"]:
        from perfhunt.load.child import workers

        sys.exit(workers.main(sys.argv[2]))
    sentinel = Sentinel(int(sys.argv[1]))
    sentinel.start()
    from perfhunt.load.child import session

    sys.exit(session.main(sentinel))
