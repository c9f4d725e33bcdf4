"""What a launched target makes possible: the service is started again under tools that look from
inside. Which of them, and what is kept of them.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from perfhunt.analysis.diagnosis.diagnosis import Diagnosis
from perfhunt.errors import StoreError, UsageError
from perfhunt.jobs.launched.service import LaunchedService
from perfhunt.lab import Lab
from perfhunt.model.finding import BottleneckClass, CautionCode
from perfhunt.model.inside.look import InsideLook, InsideTool
from perfhunt.model.question import Question
from perfhunt.model.redact import command
from perfhunt.model.run import Noted
from perfhunt.model.text.command_line import HIDDEN
from perfhunt.model.units import PerSecond
from perfhunt.profilers.inside.table import INSIDE
from perfhunt.profilers.inside.tool import InsideProfiler
from perfhunt.store.files import make_directory, regular_bytes, write_atomic
from perfhunt.stories.inside_looks import PLAIN, look_inside
from perfhunt.stories.pair_bench import PairBench, StartedVersion
from perfhunt.target.launch import GRACE, ServiceCommand
from perfhunt.target.leash import scratch

AUTO = "auto"
_PYTHON = "cpython"
# What each tool tells more of, by what stops the service and what its first finding costs.
_C = BottleneckClass
_CPU = frozenset({_C.CPU, _C.CPU_QUOTA, _C.GIL, _C.EVENT_LOOP})
_WAITS = frozenset(
    {
        *(_C.EVENT_LOOP, _C.EVENT_LOOP_BLOCKED, _C.LOCK, _C.POOL, _C.WORKERS, _C.DATABASE),
        *(_C.DOWNSTREAM, _C.DISK, _C.SLEEP, _C.OTHER, _C.UNDETERMINED),
    }
)
_MEMORY = frozenset({_C.MEMORY, _C.LEAK})
# What is advised of a service that runs already, with the options behind it.
_OF_A_PID = re.compile(
    r"(?:restart the service, )?((?:then: )?perfhunt (?:investigate|verify)) --pid (?:NEW_)?PID"
    r"((?: --[a-z-]+(?: [0-9]\w*)?)*)"
)
_GROWS = (CautionCode.GROWTH, CautionCode.DRIFT)


def tools_asked(names: Sequence[str]) -> tuple[str, ...]:
    """The tools named, each once; `auto` stays. Raises UsageError for one that there is not."""
    for name in names:
        if name != AUTO and name not in INSIDE:
            known = ", ".join([*INSIDE, AUTO])
            raise UsageError(
                f"--with {name} is none of {known}", "docs/launched.md has what each sees."
            )
    return tuple(dict.fromkeys(names))


def require_tools(words: tuple[str, ...], tools: Sequence[str]) -> None:
    """Raises AttachFailed for a tool named that has nothing to work with in a command: before
    anything is sent, and not once the knee is known.
    """
    asked = ServiceCommand(name=words[0], words=words, directory=Path.cwd())
    for name in tools:
        if name != AUTO:
            INSIDE[InsideTool(name)](Path()).under(asked)


def chosen(diagnosis: Diagnosis, runtime: str) -> dict[InsideTool, str]:
    """The tools that would tell more of what was found, each with the reason; none for a service
    that is no Python.
    """
    if runtime != _PYTHON:
        return {}
    first = {finding.category for finding in diagnosis.findings[:1]}
    kinds = first | ({diagnosis.bottleneck.category} if diagnosis.bottleneck is not None else set())
    tools = {}
    if kinds & _CPU:
        tools[InsideTool.SCALENE] = "which lines use the CPU"
    if kinds & _WAITS:
        tools[InsideTool.PYINSTRUMENT] = "where the time of a request goes"
    grows = any(caution.code in _GROWS for caution in diagnosis.cautions)
    if grows or kinds & _MEMORY:
        tools[InsideTool.TRACEMALLOC] = "which lines keep memory"
    return tools


@dataclass(frozen=True, slots=True)
class Launch:
    """A launched service, and the tools that were asked for: names of them, or AUTO."""

    service: LaunchedService
    words: tuple[str, ...]
    tools: tuple[str, ...] = ()

    def inside(
        self, lab: Lab, question: Question, rate: PerSecond, seen: Diagnosis
    ) -> tuple[tuple[InsideLook, ...], Diagnosis]:
        """The looks, the service's own life ended for them; without any, the next step says what
        they would tell.
        """
        best = chosen(seen, self.service.target.runtime)
        names = [name for name in self.tools if name != AUTO]
        if AUTO in self.tools:
            lab.notify(Noted(_why_these(best)))
            names += [tool for tool in best if tool not in names]
        seen = replace(seen, next_step=self._next_step(seen.next_step, best))
        if not names:
            return (), seen
        self.service.close()
        with ExitStack() as held:
            places = {}
            for name in names:
                # Its path is short, for sockets are in it.
                places[name] = held.enter_context(scratch("perfhunt-inside-"))
            tools = [INSIDE[InsideTool(name)](places[name]) for name in names]
            bench = self._bench(lab, tools)
            held.callback(bench.close)
            return look_inside(question, rate, tools, bench, lab.notify), seen

    def _bench(self, lab: Lab, tools: Sequence[InsideProfiler]) -> PairBench:
        """Where the looks happen: with the run's own engine, opened anew."""
        directory = lab.directory.path / "inside"
        make_directory(directory)
        return PairBench(
            starter=ToolStarter(self.service, {tool.name.value: tool for tool in tools}),
            engine=lambda: lab.engine,
            clock=time.monotonic,
            directory=directory,
            stop=lab.stop,
            watch=lab.watch,
        )

    def keep_log(self, lab: Lab, question: Question) -> None:
        """What the service printed, put into the run where that was asked for: it may hold
        anything.
        """
        home = lab.place or lab.directory.path
        if question.keep_error_text and home.is_dir():
            with suppress(OSError, StoreError):
                write_atomic(home / self.service.log.name, regular_bytes(self.service.log))

    def _next_step(self, step: str, best: Mapping[InsideTool, str]) -> str:
        """The step with commands that start the service: its pid is of a life that has ended."""
        kept = command(self.words)
        shown = "COMMAND" if HIDDEN in "".join(kept) else shlex.join(kept)
        step = advice_of_launched(step, shown)
        if self.tools or not best:
            return step
        options = " ".join(f"--with {tool}" for tool in best)
        told = " and ".join(best.values())
        # A semicolon ends a command in a shell as well, for who copies too much.
        return f"{step}; or, to see {told}: perfhunt investigate {options} -- {shown}"


def advice_of_launched(advice: str, shown: str) -> str:
    """Advice with commands that start the service, `shown`, instead of its pid."""
    return _OF_A_PID.sub(lambda of: f"{of[1]}{of[2]} -- {shown}", advice)


def _why_these(best: Mapping[InsideTool, str]) -> str:
    if not best:
        return "--with auto: nothing that was found is told better from inside"
    return "--with auto: " + ", ".join(f"{tool} for {why}" for tool, why in best.items())


class ToolStarter:
    """Starts the service anew, at the place of its first life, without a tool or under one."""

    def __init__(self, first: LaunchedService, tools: Mapping[str, InsideProfiler]) -> None:
        self._first, self._tools = first, tools

    def start(self, version: str, slot: int) -> LaunchedService:
        """Begin to start it: `version` is PLAIN or the name of a tool. Raises AttachFailed where
        the tool has nothing to work with, UsageError.
        """
        if version == PLAIN:
            return self._first.again(lambda same: same, GRACE, version)
        tool = self._tools[version]
        return self._first.again(tool.under, tool.grace, version)

    def end(self, version: StartedVersion) -> None:
        """End it and everything it started."""
        if isinstance(version, LaunchedService):
            version.close()
