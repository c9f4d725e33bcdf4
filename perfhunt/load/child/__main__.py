"""The load child's main: orders in on stdin, answers out on stdout (see `load.messages`). Load
stops when stdin ends.

With `worker HOST:PORT` it serves the master there instead.
"""

from __future__ import annotations

import sys

from perfhunt.load.child.lifeline import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    if sys.argv[1:2] == ["worker"]:
        from perfhunt.load.child import workers

        sys.exit(workers.main(sys.argv[2]))
    from perfhunt.load.child import session

    sys.exit(session.main())
