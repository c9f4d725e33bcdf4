"""Which profilers to attach to a target, how, and why, in sentences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from perfhunt.model.run import TargetProcess
from perfhunt.profilers.profiler import PROFILERS
from perfhunt.profilers.py_spy.profiler import mode_for

_ALONE = 2  # threads of a process that hardly contend
RATE_HZ = 99  # off the beat of whatever in the target runs at 100 Hz


@dataclass(frozen=True, slots=True)
class Use:
    """One profiler with its settings, ready for `PROFILERS[profiler].attach(pids, seconds, rate_hz,
    mode, out)`.
    """

    profiler: str
    mode: str
    rate_hz: int
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AttachPlan:
    """What to attach. `instants`: whether py-spy can dump the threads. `reasons` says why each
    thing is, or is not, there.
    """

    profilers: tuple[Use, ...] = ()
    instants: bool = False
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Choice:
    """One row of the table: the profilers for a runtime, best first, with the mode and reason for a
    given target.
    """

    profiler: str
    mode: Callable[[TargetProcess], tuple[str, str]]


def _python_mode(target: TargetProcess) -> tuple[str, str]:
    threads = most_threads(target)
    if _minor(target.runtime_version) < (3, 11):
        return (
            "gil",
            (
                f"Python {target.runtime_version} does not tell py-spy which threads are idle, so"
                " only the GIL's holder is sampled"
            ),
        )
    if mode_for(threads) == "gil":
        return (
            "gil",
            (
                f"{threads} threads: only the GIL's holder is sampled, since walking all of them"
                " would slow the target"
            ),
        )
    return "cpu", f"{threads} threads: all of them are sampled, those off the CPU left out"


def _any_cpu(why: str) -> Callable[[TargetProcess], tuple[str, str]]:
    return lambda _: ("cpu", why)


_TABLE: dict[str, tuple[_Choice, ...]] = {
    "cpython": (
        _Choice("py-spy", _python_mode),
        _Choice("perf", _any_cpu("native frames only: py-spy cannot be used")),
    ),
    "node": (
        _Choice("node", _any_cpu("V8's own sampler, through the inspector")),
        _Choice("perf", _any_cpu("native frames only: the inspector was not opened")),
    ),
    "go": (
        _Choice("go", _any_cpu("the service's own /debug/pprof")),
        _Choice(
            "perf", _any_cpu("Go keeps frame pointers and symbols, so perf sees its functions")
        ),
    ),
    "jvm": (
        _Choice("jvm", _any_cpu("the JVM's own flight recorder")),
        _Choice("perf", _any_cpu("native frames only: compiled Java has no symbols for perf")),
    ),
}
_OTHERWISE = (_Choice("perf", _any_cpu("not a runtime with a profiler of its own")),)


def most_threads(target: TargetProcess) -> int:
    """Threads of the worker that has the most."""
    return max((one.threads for one in target.processes if one.pid in target.workers), default=1)


def choose(target: TargetProcess, opened: bool = False) -> AttachPlan:
    """The plan for a target: the best profiler of its runtime that can be used here, and py-spy's
    dumps for Python.

    `opened`: the user allows profilers that open a door into the target (Node's inspector). A plan
    may be empty: thread states from /proc are taken in any case.
    """
    reasons: list[str] = []
    use: Use | None = None
    for choice in _TABLE.get(target.runtime, _OTHERWISE):
        profiler = PROFILERS.get(choice.profiler)
        if profiler is None:
            continue
        if profiler.opens and not opened:
            reasons.append(f"{profiler.name} is not used unless allowed, since it {profiler.opens}")
            continue
        if why := profiler.available(target.workers):
            reasons.append(why)
            continue
        mode, because = choice.mode(target)
        use = Use(profiler.name, mode, RATE_HZ, target.workers)
        reasons.append(f"{profiler.name}, {mode}: {because}")
        break
    instants = target.runtime == "cpython" and not PROFILERS["py-spy"].available()
    return AttachPlan((use,) if use else (), instants, tuple(reasons))


def mode_now(use: Use, threads: int) -> str:
    """The mode to attach with when the busiest worker has `threads` threads now: pools are often
    filled only under load.

    Threads that contend for the GIL wake again and again to ask for it, and py-spy's `cpu` mode
    counts them as running: seen with 24 threads, a function that used 60 % of the CPU had 18 % of
    such samples, and its due share of the GIL's holders.
    """
    return (
        "gil" if use.profiler == "py-spy" and use.mode == "cpu" and threads > _ALONE else use.mode
    )


def _minor(version: str) -> tuple[int, int]:
    parts = version.split(".")
    try:
        return int(parts[0]), int(parts[1])
    except (ValueError, IndexError):
        return (3, 11)
