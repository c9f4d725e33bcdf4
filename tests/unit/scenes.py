"""Instants and profiles written by hand: a line of text per thread."""

from __future__ import annotations

from collections.abc import Iterable

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.classify import classify
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.model.finding import Bottleneck, Finding
from perfhunt.model.profile import (
    Frame,
    Instant,
    Instants,
    Profile,
    ProfileMode,
    Stack,
    ThreadSample,
)
from perfhunt.model.trial import Resources

APP = "/srv/shop/app.py"
LOOP = "/usr/lib/python3.11/asyncio/base_events.py"
THREADING = "/usr/lib/python3.11/threading.py"
SERVER = "/srv/venv/lib/python3.11/site-packages/server/worker.py"


def stack(text: str) -> Stack:
    """`serve>view>pay!wait`: server and app frames, then after `!` one of the standard library.
    `serve` is the server's, `run_loop` the event loop's.
    """
    calls, _, library = text.partition("!")
    files = {"serve": SERVER, "run_l": LOOP}
    frames = [Frame(name, files.get(name[:5], APP)) for name in calls.split(">")]
    return tuple([*frames, Frame(library, THREADING)] if library else frames)


def thread(text: str, tid: int, pid: int = 1) -> ThreadSample:
    """`serve>view>pay sleep`, `serve>view gil`, `... lock@A`; a star after the state: it holds the
    GIL. `task serve>view lock@A` is a task that waits. `... sleep+A`: it is known to hold A.
    """
    task = text.startswith("task ")
    calls, _, state = text.removeprefix("task ").partition(" ")
    state, _, held = state.partition("+")
    holds = state.endswith("*")
    state, _, wait_on = state.rstrip("*").partition("@")
    return ThreadSample(
        pid=pid,
        tid=0 if task else tid,
        stack=stack(calls),
        state=state,
        wait_on=f"futex:{wait_on}" if state == "lock" else wait_on,
        holds_gil=holds,
        thread_name="task" if task else "",
        task=task,
        holds=frozenset({f"futex:{held}"} if held else ()),
    )


def instant(*threads: str, at: float = 0.0, pid: int = 1) -> Instant:
    return Instant(at, tuple(thread(text, 100 + n, pid) for n, text in enumerate(threads)))


def series(*moments: Iterable[str]) -> Instants:
    """Instants a tenth of a second apart."""
    return Instants(len(moments) / 10, tuple(instant(*m, at=n / 10) for n, m in enumerate(moments)))


def profile(**functions: float) -> Profile:
    """On-CPU samples of application functions called from `view`."""
    stacks = {stack(f"serve>view>{name}"): weight for name, weight in functions.items()}
    return Profile("py-spy", "0.4.3", ProfileMode.CPU, 100, 10, stacks)


def ranked(evidence: Evidence) -> tuple[Finding, ...]:
    """The suspects that evidence names, the likeliest first."""
    reading = read_evidence(evidence)
    return rank(reading, suspects_of(reading))


def classified(evidence: Evidence) -> Bottleneck:
    """The class of bottleneck that evidence names."""
    reading = read_evidence(evidence)
    return classify(reading, suspects_of(reading))


def used(cores: float, limit: float = 2.0) -> Resources:
    return Resources(10.0, cpu=cores, cpu_limit=limit)
