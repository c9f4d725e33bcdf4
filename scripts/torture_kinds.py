"""What is done to a run: how it is prepared, done and undone, and what must come of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from torture_bench import ROOT, Bench, Server

from perfhunt.errors import ExitCode

SUSPENDED = 1.6  # seconds: longer than load may last without its controller, with a margin
PROMISED = 1.0  # seconds, within which load has ended
CHILD, PROFILER = "perfhunt.load.child", "py-spy"  # words of their command lines
STOPPED, LOST, DIED = int(ExitCode.STOPPED), int(ExitCode.INTERNAL), int(ExitCode.TARGET_DIED)
DISK = "size=12m"  # of a small disk: room for the earlier runs, the reserve and some trials
SLOW = 0.3  # seconds for each write, fsync and rename
JUMP = 3600.0  # seconds
UNPRIVILEGED = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner,-sys_ptrace")


class NotThere(Exception):
    """What was to be disturbed is not there at this moment."""


def nothing(_bench: Bench) -> None:
    """Nothing is to be prepared or undone."""


@dataclass(frozen=True)
class Disturbance:
    """One kind. `strike` gives the moment from which no load may come, None when the run goes on
    (it is stopped by SIGTERM then). `codes` are the exit codes besides that of a complete run.
    """

    name: str
    strike: Callable[[Bench], float | None]
    codes: frozenset[int] = frozenset({STOPPED})
    prepare: Callable[[Bench], None] = nothing
    undo: Callable[[Bench], None] = nothing
    missing: Callable[[bool], str] = lambda _mounts: ""
    prefix: tuple[str, ...] = ()
    on_terminal: bool = False
    needs: str = ""  # the process that must be there, by a word of its command line


def _signal(process: psutil.Process | None, number: signal.Signals) -> None:
    if process is None:
        raise NotThere
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _killed(word: str) -> Callable[[Bench], float | None]:
    def strike(bench: Bench) -> float | None:
        _signal(bench.member(word), signal.SIGKILL)
        return None if word else time.monotonic()

    return strike


def _suspended(word: str) -> Callable[[Bench], float | None]:
    def strike(bench: Bench) -> None:
        process = bench.member(word)
        _signal(process, signal.SIGSTOP)
        began = time.monotonic()
        time.sleep(SUSPENDED)
        if word != PROFILER and bench.since(began) > PROMISED:
            bench.wrong.append(f"load {bench.since(began):.2f} s after a suspension")
        _signal(process, signal.SIGCONT)

    return strike


def _mounted(bench: Bench) -> None:
    bench.store.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", DISK, "none", str(bench.store)]
    subprocess.run(words, check=True)


def _unmounted(bench: Bench) -> None:
    (bench.store / "filling").unlink(missing_ok=True)


def _fill(bench: Bench) -> None:
    with (bench.store / "filling").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def _may_not_write(bench: Bench) -> None:
    for path in (bench.partial(), bench.store / "runs", bench.store):
        if path is not None:
            path.chmod(0o500)
            if (path / "trials").is_dir():
                (path / "trials").chmod(0o500)


def _may_write(bench: Bench) -> None:
    bench.store.chmod(0o755)
    for path in (bench.store / "runs", *bench.store.glob("runs/*"), *bench.store.glob("runs/*/*")):
        if path.is_dir():
            path.chmod(0o755)


def _may_not_look(bench: Bench) -> None:
    bench.target.process.send_signal(signal.SIGUSR1)


def _no_descriptors(word: str) -> Callable[[Bench], float | None]:
    def strike(bench: Bench) -> None:
        process = bench.member(word)
        if process is None:
            raise NotThere
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            _, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (process.num_fds(), hard))

    return strike


def _told(ahead: float, slow: float) -> Callable[[Bench], None]:
    def strike(bench: Bench) -> None:
        (bench.directory / "shim").write_bytes(struct.pack("dd", ahead, slow))

    return strike


def _quick_again(bench: Bench) -> None:
    _told(0.0, 0.0)(bench)


def shim(bench: Bench) -> Path:
    """The library that is preloaded, compiled."""
    source = Path(__file__).with_name("torture_targets") / "shim.c"
    made = bench.directory / "shim.so"
    words = ["cc", "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl"]
    subprocess.run(words, check=True, capture_output=True)
    return made


def environment(bench: Bench, kind: Disturbance) -> dict[str, str]:
    """What perfhunt finds in its environment for a kind that needs the shim."""
    if kind.missing is not _no_compiler:
        return {}
    return {"LD_PRELOAD": str(shim(bench)), "TORTURE_SHIM": str(bench.directory / "shim")}


def _dies_and_returns(bench: Bench) -> float:
    bench.target.process.kill()
    bench.target.process.wait()
    at = time.monotonic()
    bench.servers.append(Server(bench.directory, "returned", bench.target.port, ()))
    return at


def _taken_over(bench: Bench) -> None:
    bench.target.process.send_signal(signal.SIGUSR2)
    for _ in range(50):  # the old listener is let go within a moment
        with contextlib.suppress(OSError):
            bench.servers.append(Server(bench.directory, "other", bench.target.port, ()))
            return
        time.sleep(0.02)


def _locked(bench: Bench) -> None:
    """Everything in the store is locked by us, and somebody lists the runs meanwhile."""
    with contextlib.ExitStack() as held:
        for path in (bench.store, *bench.store.rglob("*")):
            with contextlib.suppress(OSError):
                handle = os.open(path, os.O_RDONLY)
                held.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        subprocess.run(
            [sys.executable, "-m", "perfhunt", "history"],
            cwd=bench.directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=False,
        )


def _read_only(bench: Bench) -> None:
    bench.store.mkdir(exist_ok=True)
    place = str(bench.store)
    subprocess.run(["mount", "--bind", place, place], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)


def _writable(bench: Bench) -> None:
    subprocess.run(["umount", "-l", str(bench.store)], check=False, capture_output=True)


def _terminal_gone(bench: Bench) -> float:
    bench.hang_up()
    return time.monotonic()


def _stalls(bench: Bench) -> None:
    bench.reading.clear()


def _no_mounts(mounts: bool) -> str:
    return "" if mounts else "a small disk needs mounts of our own (root, unshare --mount)"


def _no_setpriv(_mounts: bool) -> str:
    able = os.geteuid() == 0 and shutil.which("setpriv") is not None
    return "" if able else "taking privileges away needs root and setpriv"


def _no_setsid(_mounts: bool) -> str:
    return "" if shutil.which("setsid") else "a terminal of its own needs setsid"


def _no_compiler(_mounts: bool) -> str:
    return "" if shutil.which("cc") else "the clock and the disk of one process need a C compiler"


ANY = frozenset({STOPPED, LOST})
KINDS = (
    Disturbance("kill -9 of the controller", _killed(""), frozenset({-9})),
    Disturbance("kill -9 of the load child", _killed(CHILD), ANY, needs=CHILD),
    Disturbance("kill -9 of a profiler", _killed(PROFILER), needs=PROFILER),
    Disturbance("controller suspended", _suspended("")),
    Disturbance("load child suspended", _suspended(CHILD), needs=CHILD),
    Disturbance("profiler suspended", _suspended(PROFILER), needs=PROFILER),
    Disturbance("disk full", _fill, ANY, _mounted, _unmounted, _no_mounts),
    Disturbance(
        "store may not be written",
        _may_not_write,
        ANY,
        nothing,
        _may_write,
        _no_setpriv,
        UNPRIVILEGED,
    ),
    Disturbance(
        "target may not be looked at",
        _may_not_look,
        ANY,
        nothing,
        nothing,
        _no_setpriv,
        UNPRIVILEGED,
    ),
    Disturbance("no descriptors for the controller", _no_descriptors(""), ANY),
    Disturbance("no descriptors for the load child", _no_descriptors(CHILD), ANY, needs=CHILD),
    Disturbance(
        "clock an hour ahead", _told(JUMP, 0.0), prepare=_quick_again, missing=_no_compiler
    ),
    Disturbance(
        "clock an hour back", _told(-JUMP, 0.0), prepare=_quick_again, missing=_no_compiler
    ),
    Disturbance("slow disk", _told(0.0, SLOW), ANY, _quick_again, missing=_no_compiler),
    Disturbance("target dies and returns", _dies_and_returns, frozenset({DIED, 2})),
    Disturbance("port taken over", _taken_over, frozenset({STOPPED, DIED, 2})),
    Disturbance("store locked", _locked),
    Disturbance("store read-only", _read_only, ANY, undo=_writable, missing=_no_mounts),
    Disturbance("terminal gone", _terminal_gone, missing=_no_setsid, on_terminal=True),
    Disturbance("reader stalls", _stalls),
)
