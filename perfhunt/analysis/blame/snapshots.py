"""Instants read as work: for every thread that is not idle, whose function it is in and what it is
doing there.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from perfhunt.analysis.blame.frames import Code, Key, Origin, OwningFunction, path_of
from perfhunt.analysis.blame.idle import IdleBook, Path
from perfhunt.model.profile import Instant, Instants, Stack, ThreadSample
from perfhunt.model.states import ThreadState


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One busy thread at one instant.

    `path` is its way through the code; `calls` the same down to the call that waits, the language's
    own code cut off. `line` is where the path ends; `app` the application's functions on it;
    `above` how many frames lead to its owner, that included.
    """

    sample: ThreadSample
    owner: OwningFunction
    calls: Path
    app: tuple[Key, ...]
    parked_path: bool  # its stack is one on which the service idles: it was about to have work
    path: Path = ()
    line: int | None = None
    above: int = 0

    @property
    def state(self) -> str:
        return self.sample.state


Snapshots: TypeAlias = tuple[tuple[Snapshot, ...], ...]  # per instant


def view(instants: Instants, code: Code, idle: IdleBook) -> Snapshots:
    """Every busy thread of every instant."""
    return tuple(_busy(instant, code, idle) for instant in instants)


def _busy(instant: Instant, code: Code, idle: IdleBook) -> tuple[Snapshot, ...]:
    found = []
    for sample in instant.threads:
        owner = code.owner(sample.stack)
        if owner is None or idle.covers(sample):
            continue
        app = tuple(f.key for f in code.app_frames(sample.stack))
        path = path_of(sample.stack)
        above = max((n for n, key in enumerate(path, 1) if key == owner.key), default=len(path))
        line = sample.stack[-1].line
        found.append(
            Snapshot(
                sample,
                owner,
                _calls(sample.stack, code),
                app,
                path in idle.paths,
                path,
                line,
                above,
            )
        )
    return tuple(found)


def _calls(stack: Stack, code: Code) -> Path:
    cut = len(stack)
    while cut and code.origin(stack[cut - 1]) is Origin.STDLIB:
        cut -= 1
    return path_of(stack[:cut] or stack)


def mean_in(views: Snapshots, state: ThreadState) -> float:
    """Mean number of busy threads in a state."""
    return sum(v.state == state for now in views for v in now) / max(len(views), 1)


def thread_group(sample: ThreadSample) -> tuple[Key, ...]:
    """What kind of thread it is, by where its stack begins: equal for the threads of a pool."""
    path = path_of(sample.stack)
    start = next(
        (i for i, (_, file) in enumerate(path) if not file.endswith("threading.py")), len(path) - 1
    )
    return path[start : start + 1]


def windows(count: int, wanted: int = 16) -> Sequence[tuple[int, int]]:
    """Index ranges that cut `count` instants into equal blocks: `wanted`, or fewer when there are
    few.
    """
    blocks = max(1, min(wanted, count // 3 or 1, count))
    edges = [round(i * count / blocks) for i in range(blocks + 1)]
    return list(itertools.pairwise(edges))
