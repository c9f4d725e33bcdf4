"""The profilers there are: a new one is a class and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from perfhunt.profilers.go.profiler import GoProfiler
from perfhunt.profilers.jvm.profiler import JvmProfiler
from perfhunt.profilers.node.profiler import NodeProfiler
from perfhunt.profilers.perf.profiler import PerfProfiler
from perfhunt.profilers.profiler import Profiler
from perfhunt.profilers.py_spy.profiler import PySpyProfiler

_ALL: tuple[Profiler, ...] = (
    PySpyProfiler(),
    PerfProfiler(),
    NodeProfiler(),
    GoProfiler(),
    JvmProfiler(),
)
PROFILERS: Mapping[str, Profiler] = MappingProxyType({profiler.name: profiler for profiler in _ALL})


def versions() -> dict[str, str]:
    """Name to version of the profilers that are installed here."""
    installed = {name: profiler.version() for name, profiler in PROFILERS.items()}
    return {name: version for name, version in installed.items() if version}
