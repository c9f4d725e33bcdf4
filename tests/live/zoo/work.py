"""Innocent work that the services of the zoo share: CPU spent in pure Python, and a page to show
for it.

A service names its culprit only if mending that one brings clearly more than mending the decoy. So
a decoy takes at most `1 / MARGIN` of what the culprit takes of the thing that limits the service.
Where the culprit computes, both are counts of the same kind of loop; where it waits, its time is
the clock's and a decoy counted in loops would outgrow it on a slow host: there the loops are
counted off in milliseconds of this host's CPU, and the margin leaves room for a host that gives a
fraction of its CPU a minute later. The decoy stays on top of a profile of the CPU all the same.

Whether it holds at the hour of a test is measured, not believed: `ZOO_MENDED` names a function
that is to do nothing.
"""

from __future__ import annotations

import inspect
import json
import os
import time
from collections.abc import Callable
from typing import Any

MARGIN = 8.0  # times the decoy's part; below about 2, mending either is a right answer
MENDED = os.environ.get("ZOO_MENDED", "")
_TRIAL = 20_000  # rounds of one look at this host's speed: about a millisecond
_TRIALS = 9


def mendable(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself; one that does nothing when this process is to show what mending it
    brings.
    """
    if function.__name__ != MENDED:
        return function
    if not inspect.iscoroutinefunction(function):
        return lambda *args: None

    async def nothing(*args: Any) -> None:
        pass

    return nothing


def rounds_in(milliseconds: float) -> int:
    """How many rounds of `crunch` take so much CPU on this host: the median of a few looks."""
    looks = []
    for _ in range(_TRIALS):
        began = time.thread_time()
        crunch(_TRIAL)
        looks.append(time.thread_time() - began)
    return int(milliseconds / 1e3 * _TRIAL / sorted(looks)[_TRIALS // 2])


def crunch(rounds: int) -> int:
    """CPU in pure Python, holding the GIL; proportional to `rounds`."""
    total = 0
    for i in range(rounds):
        total += i * i % 7
    return total


def render_page(rounds: int) -> bytes:
    """The decoy: CPU-busy, on top of every naive profile, and not what stops the service."""
    rows = [{"row": n, "text": f"item {n}"} for n in range(20)]
    total = 0
    for i in range(rounds if MENDED != "render_page" else 0):
        total += i * i % 7
    return json.dumps({"rows": rows, "total": total}).encode()


def plain_answer(start_response: Callable[..., Any], page: bytes) -> list[bytes]:
    """A WSGI answer with a page in it."""
    start_response("200 OK", [("Content-Length", str(len(page)))])
    return [page]
