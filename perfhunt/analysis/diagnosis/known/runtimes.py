"""What a runtime has that can stop a service: a class of bottleneck exists only where the runtime
has the thing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from perfhunt.model.finding import BottleneckClass
from perfhunt.model.states import States, ThreadState
from perfhunt.model.units import Cores, Share

_PYTHON_CORE = "Python code of one process cannot use more than one"
# Ends the version of a CPython build that runs without a GIL (PEP 703): the suffix of its ABI.
_FREE_THREADED = "t"


@dataclass(frozen=True, slots=True)
class RuntimeTraits:
    """What a runtime has. `gil`: one lock lets one thread of a process run its code; `loop`:
    requests may be served by an event loop; `loops`: by several in a process, so that what they
    compute is anyone's use of the cores; `main_loop`: the main thread is one, always; `helpers`:
    threads that take over what would block the loop, which are a pool of fixed size, set by
    `helpers_by`; `workers`: threads with loops of their own, that a program may hand work to;
    `parks`: a thread of its loop that has no work may wait in a lock; `collector`: it
    collects garbage. `one_core` ends the sentence that a process uses one core, "" where its
    threads run code on several.
    """

    gil: bool = False
    loop: bool = False
    loops: bool = False
    main_loop: bool = False
    helpers: str = ""
    helpers_by: str = ""
    workers: str = ""
    parks: bool = False
    collector: bool = True
    one_core: str = ""

    def has(self, category: BottleneckClass) -> bool:
        """Whether what the class names exists there."""
        return {
            BottleneckClass.GIL: self.gil,
            BottleneckClass.EVENT_LOOP: self.loop,
            BottleneckClass.EVENT_LOOP_BLOCKED: self.loop or self.loops,
            BottleneckClass.GC: self.collector,
        }.get(category, True)


_CPYTHON = RuntimeTraits(gil=True, loop=True, one_core=_PYTHON_CORE)
_TRAITS: Mapping[str, RuntimeTraits] = {
    "cpython": _CPYTHON,
    "pypy": _CPYTHON,
    "ruby": RuntimeTraits(gil=True, one_core="Ruby code of one process cannot use more than one"),
    "node": RuntimeTraits(
        loop=True,
        main_loop=True,
        helpers="libuv's pool",
        helpers_by="UV_THREADPOOL_SIZE",
        workers="worker threads",
        one_core="JavaScript of one process runs on one thread",
    ),
    "jvm": RuntimeTraits(loops=True),
    "dotnet": RuntimeTraits(),
    "native": RuntimeTraits(
        loop=True, helpers="tokio's blocking pool", parks=True, collector=False
    ),
    "php": RuntimeTraits(one_core="PHP code of one process runs on one thread"),
    "go": RuntimeTraits(),
}
_UNKNOWN = RuntimeTraits(collector=False)


# How HotSpot's collectors name their threads, as the kernel keeps it, and its compilers theirs.
_COLLECTS = re.compile(r"(?:GC|G1|Shenandoah GC) |Z(?:Driver|Director|Worker|Stat|Unmapper)")
_COMPILES = re.compile(r"C[12] CompilerThre|JVMCI")


_STOPS = "VM Thread"
_SERVES_THE_JVM = re.compile(
    r"VM |JFR |Attach Listener|Signal Dispatch|Service Thread|Sweeper|Monitor Deflati"
)


def is_of_the_jvm(name: str) -> bool:
    """Whether a thread of HotSpot's that the kernel has by that name runs no code of anybody's."""
    return any(own.match(name) for own in (_COLLECTS, _COMPILES, _SERVES_THE_JVM))


def collecting(states: States | None, paused: Share) -> Cores:
    """Cores that the threads used which collect garbage, where every thread stood still for that in
    a share of the time: HotSpot's simplest collector works in the thread that stops the others.
    """
    threads = states.threads if states is not None else ()
    used = [(t.name, t.states.get(ThreadState.ON_CPU, 0.0)) for t in threads]
    stopping = sum(cores for name, cores in used if name == _STOPS)
    return sum(cores for name, cores in used if _COLLECTS.match(name)) + min(paused, stopping)


def compiling(states: States | None) -> Cores:
    """Cores that HotSpot's compilers used: much of it says that the service was not warm."""
    threads = states.threads if states is not None else ()
    return sum(t.states.get(ThreadState.ON_CPU, 0.0) for t in threads if _COMPILES.match(t.name))


def traits_of(runtime: str, version: str = "") -> RuntimeTraits:
    """What a runtime has; of one that nobody knows, nothing is supposed.

    A free-threaded build of CPython is told by its version, which ends in `t`; what an extension
    module switches on again inside of it cannot be seen from outside.
    """
    if runtime == "cpython" and version.endswith(_FREE_THREADED):
        return RuntimeTraits(loop=True)
    return _TRAITS.get(runtime, _UNKNOWN)
