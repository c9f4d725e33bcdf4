"""Which process started which: ancestors, children, descendants, and who does the work now."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence, Set
from contextlib import suppress

from perfhunt.target.proc.files import read
from perfhunt.target.proc.process import stat
from perfhunt.target.proc.threads import tids

# A worker that has ended still tells which of its parent's children came in its place.
_seen_as: dict[int, bytes] = {}


def all_pids() -> list[int]:
    """Every process there is now, lowest pid first."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def ancestors(pid: int) -> list[int]:
    """The pid itself and its parents, nearest first."""
    line: list[int] = []
    while pid > 0 and pid not in line:
        line.append(pid)
        now = stat(pid)
        pid = now.parent if now else 0
    return line


def children(pid: int) -> list[int]:
    """The direct children of a process, by whichever thread started them."""
    pids: list[int] = []
    for tid in tids(pid):
        with suppress(OSError):
            pids += [int(child) for child in read(f"/proc/{pid}/task/{tid}/children").split()]
    return pids


def descendants(roots: Iterable[int]) -> list[int]:
    """The given pids and all below them, parents first, each once; those gone are left out."""
    tree: dict[int, None] = {}
    waiting = [pid for pid in roots if os.path.isdir(f"/proc/{pid}")]
    while waiting:
        pid = waiting.pop(0)
        if pid not in tree:
            tree[pid] = None
            waiting += children(pid)
    return list(tree)


def branch_of(root: int, pids: Set[int]) -> tuple[int, list[int]]:
    """(the process below `root`, or itself, that all of `pids` are of, other programs that `root`
    runs beside it).

    A supervisor runs several programs, of which one serves; what starts one program alone (a shell,
    `npm start`) stays the root, however many processes lie between.
    """
    branch, at, others = root, root, list[int]()
    while at not in pids:
        below = [pid for pid in children(at) if (now := stat(pid)) is not None and not now.ended]
        leading = [pid for pid in below if pids & {*descendants([pid])}]
        if len(leading) != 1:
            break
        at = leading[0]
        if beside := [pid for pid in below if pid != at]:
            branch, others = at, others + beside
    return branch, others


def working_pids(pids: Sequence[int], root: int = 0) -> list[int]:
    """The pids that do the work now, after restarts: `pids` and what they started, and what `root`
    started in their place.

    When `root` is one of `pids`, or is 0, that is the trees of `pids`. When it is the parent of
    prefork workers, those below it that were started like a worker are workers too, so that one
    that was replaced is followed by its successor; what else the parent keeps beside them (a log
    shipper, a helper of its own) is not.
    """
    own = descendants(pids)
    if root == 0 or root in pids:
        return own
    alike = {started for pid in pids if (started := _started_as(pid))}
    below = [pid for pid in descendants([root]) if pid != root]
    return own + [
        pid for pid in below if pid not in own and (not alike or _started_as(pid) in alike)
    ]


def _started_as(pid: int) -> bytes:
    """A command line without its numbers: workers of one parent differ in handles and counters
    only. Of one that has ended, as it was last seen; empty when it never was.
    """
    with suppress(OSError):
        if words := re.sub(rb"\d+", b"", read(f"/proc/{pid}/cmdline")):
            _seen_as[pid] = words
    return _seen_as.get(pid, b"")
