"""The profilers and lookers there are: a new one is a class and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from perfhunt.errors import AttachFailed
from perfhunt.profilers.cpython.looks import CpythonLooker, several_interpreters
from perfhunt.profilers.cpython.sampler import CpythonSampler
from perfhunt.profilers.go.looks import go_looker
from perfhunt.profilers.go.profiler import GoProfiler
from perfhunt.profilers.jvm.looks import JvmLooker
from perfhunt.profilers.jvm.profiler import JvmProfiler
from perfhunt.profilers.native.looker import NativeLooker
from perfhunt.profilers.node.looks import node_looker
from perfhunt.profilers.node.profiler import NodeProfiler
from perfhunt.profilers.perf.profiler import PerfProfiler
from perfhunt.profilers.profiler import Looker, LookerMaker, Profiler
from perfhunt.profilers.py_spy.instants import DumpLooker
from perfhunt.profilers.py_spy.profiler import PySpyProfiler
from perfhunt.profilers.tokio.looks import TokioLooker
from perfhunt.profilers.tokio.profiler import CONSOLE, TOKIO, TokioProfiler
from perfhunt.target.binary.crates import linked_crates

_ALL: tuple[Profiler, ...] = (
    PySpyProfiler(several_interpreters),
    CpythonSampler(),
    PerfProfiler(),
    TokioProfiler(),
    NodeProfiler(),
    GoProfiler(),
    JvmProfiler(),
)
PROFILERS: Mapping[str, Profiler] = MappingProxyType({profiler.name: profiler for profiler in _ALL})


def versions() -> dict[str, str]:
    """Name to version of the profilers that are installed here."""
    installed = {name: profiler.version() for name, profiler in PROFILERS.items()}
    return {name: version for name, version in installed.items() if version}


def cpython_looker(pid: int) -> tuple[Looker, str]:
    """The memory of the process, else py-spy's dumps. Raises AttachFailed."""
    try:
        return CpythonLooker(pid), ""
    except AttachFailed as failed:
        used = "threads were looked at by py-spy's dumps, which see no tasks of asyncio"
        return DumpLooker(pid), f"{failed.message}: {used}"


def jvm_looker(pid: int) -> tuple[Looker, str]:
    """Its own thread dumps. Raises AttachFailed."""
    return JvmLooker(pid), ""


def native_looker(pid: int) -> tuple[Looker, str]:
    """Registers and copies of stacks; of a program with tokio in it its tasks as well, but where
    its console tells of them. Raises AttachFailed.
    """
    crates = linked_crates(f"/proc/{pid}/exe")
    on_tokio = TOKIO in crates and CONSOLE not in crates
    return (TokioLooker if on_tokio else NativeLooker)(pid), ""


# Whether a door may be opened into the target; then as above.
_LOOKERS: Mapping[str, Callable[[bool], LookerMaker | None]] = MappingProxyType(
    {
        "cpython": lambda _: cpython_looker,
        "go": lambda _: go_looker,
        "jvm": lambda _: jvm_looker,
        "native": lambda _: native_looker,
        "node": lambda opened: node_looker if opened else None,
    }
)


def looker_maker(runtime: str, opened: bool = False) -> LookerMaker | None:
    """What makes lookers at processes of a runtime; None where nothing reads their stacks.
    `opened`: the user allows those that open a door into the target.
    """
    make = _LOOKERS.get(runtime)
    return None if make is None else make(opened)
