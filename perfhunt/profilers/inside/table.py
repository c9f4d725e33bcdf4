"""The tools there are that look from inside: a new one is a class and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from perfhunt.model.inside.look import InsideTool
from perfhunt.profilers.inside.pyinstrument import PyinstrumentProfiler
from perfhunt.profilers.inside.scalene import ScaleneProfiler
from perfhunt.profilers.inside.tool import InsideProfiler
from perfhunt.profilers.inside.tracemalloc import TracemallocProfiler

_ALL: tuple[type[InsideProfiler], ...] = (
    ScaleneProfiler,
    PyinstrumentProfiler,
    TracemallocProfiler,
)
INSIDE: Mapping[InsideTool, type[InsideProfiler]] = MappingProxyType(
    {tool.name: tool for tool in _ALL}
)
