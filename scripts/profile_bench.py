"""What looking at a process costs it, and how near what was seen is to what it did: programs whose
work and waits are known, one for each runtime, attached and detached in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from render_bench import rendered

from perfhunt.errors import AttachFailed, PerfhuntError
from perfhunt.model.profile import Instants, Profile, ProfilePolicy, ThreadSample
from perfhunt.model.question import ProcessSelector
from perfhunt.model.states import ThreadState
from perfhunt.profilers.probes import LiveProbes
from perfhunt.target.find import find_target

TARGETS = Path(__file__).with_name("profile_targets")
BUILT = Path.home() / ".cache" / "perfhunt-bench" / "targets"
PLANTED = ("sixty", "thirty", "ten")  # functions of the worker, by the share that each was given
# Of a waiting thread, the function it is in and the state that is the truth there.
WAITS = {
    "lock_user": {ThreadState.LOCK, ThreadState.AWAIT},
    "pool_user": {ThreadState.LOCK, ThreadState.AWAIT},
    "sleeper": {ThreadState.SLEEP},
    "reader": {ThreadState.SOCKET},
}
HOLDERS = {"lock_user": 1, "pool_user": 2}  # how many of them have it, and are in `hold_…`
THREADS = (2, 16, 60, 200)
# p99 of a window's units needs some hundreds of them, at 2 ms each.
WINDOW = 4.0  # seconds
_SETTLES = 1.0  # seconds that a target runs before it is measured: compilers, threads


@dataclass(frozen=True)
class Runtime:
    """How a target is made ready, once, and run; `opened`: with a door into it."""

    build: tuple[str, ...]
    run: tuple[str, ...]
    opened: bool = False


RUNTIMES: Mapping[str, Runtime] = {
    "cpython": Runtime((), (sys.executable, f"{TARGETS}/target.py")),
    "go": Runtime(("go", "build", "-o", f"{BUILT}/go", f"{TARGETS}/target.go"), (f"{BUILT}/go",)),
    "jvm": Runtime(
        ("javac", "-d", str(BUILT), f"{TARGETS}/Target.java"), ("java", "-cp", str(BUILT), "Target")
    ),
    "node": Runtime((), ("node", f"{TARGETS}/target.js"), opened=True),
    "native": Runtime(
        ("g++", "-O2", "-pthread", "-o", f"{BUILT}/native", f"{TARGETS}/target.cpp"),
        (f"{BUILT}/native",),
    ),
}
# Others, with their own defaults, on the target of CPython.
PEERS: Mapping[str, tuple[str, ...]] = {
    "py-spy record": ("py-spy", "record", "-f", "raw", "-o", "{out}", "-d", "600", "-p", "{pid}"),
    "perf record -g": ("perf", "record", "-q", "-F", "99", "-g", "-o", "{out}", "-p", "{pid}"),
}


@dataclass
class Seen:
    """What one backend did to a target, window by window, and what it saw of it."""

    throughput: list[float] = field(default_factory=list)  # attached over detached
    p99: list[float] = field(default_factory=list)
    cpu_error: list[float] = field(default_factory=list)
    wait_error: list[float] = field(default_factory=list)

    def cost(self) -> dict[str, float]:
        """The medians, as the last line has them."""
        return {
            "throughput_ratio": round(median(self.throughput), 3),
            "p99_ratio": round(median(self.p99), 3),
            "n": len(self.throughput),
        }

    def errors(self) -> dict[str, float | None]:
        """The medians of the worst errors of a share; None: there was nothing to compare."""
        return {
            "cpu_error": round(median(self.cpu_error), 3) if self.cpu_error else None,
            "wait_error": round(median(self.wait_error), 3) if self.wait_error else None,
        }


@dataclass(frozen=True)
class Work:
    """What the worker of a target did in a window: units of work per second, the 99th percentile of
    their time in ms, the shares of its functions.
    """

    rate: float
    p99: float
    shares: tuple[float, ...]


class Program:
    """A target that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def told(self) -> Work:
        """What it did since the last call."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        return Work(said["units"] / said["seconds"], said["p99_ms"], tuple(said["shares"]))


def main(arguments: Sequence[str]) -> int:
    """Print a line for each backend and tool, and all as one JSON object at the end."""
    parser = argparse.ArgumentParser(prog="bench-profile", description=__doc__)
    parser.add_argument("--render", action="store_true", help="only fold and draw a profile")
    parser.add_argument("--attach", action="store_true", help="only look at processes")
    parser.add_argument("--samples", type=int, default=1_000_000, help="lines that are drawn")
    parser.add_argument("--repeats", type=int, default=3, help="of each, interleaved")
    parser.add_argument("--window", type=float, default=WINDOW, help="seconds of each measure")
    parser.add_argument("--threads", type=int, nargs="*", default=THREADS, help="of a target")
    parser.add_argument(
        "--pythons",
        nargs="*",
        default=[],
        metavar="PROGRAM",
        help="only these interpreters",
    )
    parser.add_argument("--only", nargs="*", default=[], help="runtimes and peers: cpython go jvm")
    options = parser.parse_args(arguments)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # py-spy's place
    both = options.render == options.attach
    last: dict[str, object] = {}
    if both or options.attach:
        only = options.only or options.pythons
        runtimes = {name: each for name, each in RUNTIMES.items() if not only or name in only}
        for program in options.pythons:
            run = (program, *RUNTIMES["cpython"].run[1:])
            runtimes[f"cpython {_version(program)}"] = Runtime((), run)
        seen, missing = measured(runtimes, options.threads, options.repeats, only, options.window)
        last |= {
            "backends": {name: each.cost() for name, each in seen.items()},
            "accuracy": {name: each.errors() for name, each in seen.items() if each.cpu_error},
            "missing": missing,
        }
        for name, why in missing.items():
            print(f"{name}: {why}")
    if both or options.render:
        last["render"] = rendered(options.samples, options.repeats)
    print(json.dumps(last))
    return 0


def measured(
    runtimes: Mapping[str, Runtime],
    threads: Sequence[int],
    repeats: int,
    only: Sequence[str],
    window: float = WINDOW,
) -> tuple[dict[str, Seen], dict[str, str]]:
    """What was seen by `runtime/threads`, and why others are missing, by name; of `only` some of
    the peers.
    """
    seen: dict[str, Seen] = {}
    missing: dict[str, str] = {}
    BUILT.mkdir(parents=True, exist_ok=True)
    for name, runtime in runtimes.items():
        tool = (runtime.build or runtime.run)[0]
        if shutil.which(tool) is None:
            missing[name] = f"{tool} is not here"
            continue
        if runtime.build:
            subprocess.run(runtime.build, check=True)
        for n in threads:
            try:
                seen[f"{name}/{n}"] = _looked_at(runtime, n, repeats, window)
                _tell(f"{name}/{n}", seen[f"{name}/{n}"])
            except PerfhuntError as error:
                missing[f"{name}/{n}"] = error.message
    for name, command in PEERS.items():
        if only and name not in only:
            continue
        if shutil.which(command[0]) is None:
            missing[name] = f"{command[0]} is not here"
            continue
        for n in threads:
            seen[f"{name}/{n}"] = _of_peer(command, n, repeats, window)
            _tell(f"{name}/{n}", seen[f"{name}/{n}"])
    return seen, missing


def _version(python: str) -> str:
    """Of an interpreter, with the `t` of one without a GIL."""
    said = "import platform, sys; print(platform.python_version() + 't' * ('t' in sys.abiflags))"
    return subprocess.run([python, "-c", said], capture_output=True, text=True).stdout.strip()


def _tell(name: str, seen: Seen) -> None:
    cost = seen.cost()
    errors = [f"{max(e):.3f}" if e else "-" for e in (seen.cpu_error, seen.wait_error)]
    print(
        f"{name:<20} throughput {cost['throughput_ratio']:.3f}  p99 {cost['p99_ratio']:.3f}"
        f"  worst error of a share: CPU {errors[0]}, waits {errors[1]}",
        flush=True,
    )


@contextmanager
def _running(runtime: Runtime, threads: int) -> Iterator[Program]:
    command = [*runtime.run, str(threads - 1)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            if not process.stdout.readline().startswith("ready"):
                raise AttachFailed(f"{command[0]} did not get ready")
            program = Program(process)
            time.sleep(_SETTLES)
            yield program
        finally:
            process.kill()


def _looked_at(runtime: Runtime, threads: int, repeats: int, window: float) -> Seen:
    """perfhunt's own choice for a runtime: on-CPU stacks, looks and thread states, as at a knee."""
    seen = Seen()
    with _running(runtime, threads) as program, tempfile.TemporaryDirectory() as place:
        target = find_target(ProcessSelector(pid=program.pid))
        policy = ProfilePolicy.REQUIRED
        # What an investigation makes ready before it sends any load.
        with closing(LiveProbes(target, Path(place), time.monotonic, policy, runtime.opened)) as it:
            it.open()
        time.sleep(_SETTLES)

        def attached() -> Work:
            probes = LiveProbes(target, Path(place), time.monotonic, policy, runtime.opened)
            with closing(probes):
                probes.open()
                with probes.during("knee", window, on_cpu=True, waits=True) as capture:
                    program.told()
                    time.sleep(window)
                    work = program.told()
            if capture.profile is not None:
                seen.cpu_error.append(_cpu_error(capture.profile, work.shares))
            if capture.instants is not None and threads > len(WAITS):
                seen.wait_error.append(_wait_error(capture.instants, threads - 1))
            return work

        _in_turn(program, attached, repeats, seen, window)
    return seen


def _of_peer(command: Sequence[str], threads: int, repeats: int, window: float) -> Seen:
    seen = Seen()
    with (
        _running(RUNTIMES["cpython"], threads) as program,
        tempfile.TemporaryDirectory() as place,
    ):

        def attached() -> Work:
            with _tool(command, program.pid, Path(place, "out")):
                program.told()
                time.sleep(window)
                return program.told()

        _in_turn(program, attached, repeats, seen, window)
    return seen


@contextmanager
def _tool(command: Sequence[str], pid: int, out: Path) -> Iterator[None]:
    words = [word.format(out=out, pid=pid) for word in command]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(words, stdout=quiet, stderr=quiet) as tool:
        try:
            time.sleep(_SETTLES)  # until it is attached
            yield
        finally:
            tool.send_signal(2)
            tool.wait()


def _in_turn(
    program: Program, attached: Callable[[], Work], repeats: int, seen: Seen, window: float
) -> None:
    """Attached windows, each between two without: their ratios go into `seen`."""
    before = _alone(program, window)
    for _ in range(repeats):
        with_it = attached()
        after = _alone(program, window)
        seen.throughput.append(with_it.rate / ((before.rate + after.rate) / 2))
        seen.p99.append(with_it.p99 / ((before.p99 + after.p99) / 2))
        before = after


def _alone(program: Program, window: float) -> Work:
    program.told()
    time.sleep(window)
    return program.told()


def _cpu_error(profile: Profile, truth: Sequence[float]) -> float:
    """The worst error of a planted function's share of the samples in any of them."""
    weights = dict.fromkeys(PLANTED, 0.0)
    for stack, weight in profile.stacks.items():
        for name in PLANTED:
            if any(_is(frame.function, name) for frame in stack):
                weights[name] += weight
                break
    whole = sum(weights.values())
    if not whole:
        return 1.0
    return max(abs(weights[n] / whole - share) for n, share in zip(PLANTED, truth, strict=True))


def _wait_error(instants: Instants, waiters: int) -> float:
    """The worst error, as a share of all waiters, of how many were in a place and state."""
    worst = 0.0
    for n, name in enumerate(("sleeper", "lock_user", "reader", "pool_user")):
        there = len(range(n, waiters, len(WAITS)))
        truth = max(0, there - HOLDERS.get(name, 0))
        found = sum(
            _waits(thread, name) for instant in instants for thread in instant.threads
        ) / max(1, len(instants))
        worst = max(worst, abs(found - truth) / waiters)
    return worst


def _waits(thread: ThreadSample, name: str) -> bool:
    return thread.state in WAITS[name] and any(_is(f.function, name) for f in thread.stack)


def _is(function: str, name: str) -> bool:
    """Whether it is the function, however the runtime writes its package, class or arguments."""
    bare = function.partition("(")[0].replace("::", ".")
    return bare.rpartition(".")[2].rpartition(" ")[2] == name
