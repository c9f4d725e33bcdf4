"""The load child's main: JSON lines in on stdin, JSON lines out on stdout. Load stops when stdin
ends.

In:  {"do": "open", ...} first, then {"do": "run", ...}, {"do": "stop", "hard": bool}, {"do":
"probe", ...} Out: {"ready": ...}, {"row": ...} each second of a run, {"done": ...}, {"probed":
...}; {"failed": "why", "hint": "..."}
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
