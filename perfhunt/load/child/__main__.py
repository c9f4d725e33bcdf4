"""The load child's main: orders in on stdin, answers out on stdout (see `load.messages`). Load
stops when stdin ends.

With `worker` it serves the master that its stdin is connected to instead; with `join` the one that
an order on stdin names.
"""

from __future__ import annotations

import sys

from perfhunt.load.child.lifeline import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    if sys.argv[1:]:
        from perfhunt.load.child.fleet import worker

        sys.exit({"worker": worker.serve_here, "join": worker.join_and_serve}[sys.argv[1]]())
    from perfhunt.load.child import session

    sys.exit(session.main())
