"""pyinstrument: where the time of a request goes, awaits among it, by the calls that it makes.

What runs in the service is `agent/sitecustomize.py`: threads as they start, and of each kind of
asyncio task one at a time. Greenlets, trio and tasks of a loop with a task factory of its own are
seen as their thread.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from perfhunt.analysis.blame.frames import MODULE, Code
from perfhunt.errors import AttachFailed
from perfhunt.model.inside.look import InsideTool, LineUse, RequestTime
from perfhunt.model.profile import Frame, Stack
from perfhunt.model.profiles.readers.python.pyinstrument import read_recorded
from perfhunt.model.run import Application, TargetProcess
from perfhunt.model.text.escaping import json_text
from perfhunt.model.units import Seconds, Share
from perfhunt.profilers.inside.agent import sitecustomize
from perfhunt.profilers.inside.enclosing import named_by_source
from perfhunt.profilers.inside.talk import ask, with_agent
from perfhunt.profilers.inside.tool import Sight
from perfhunt.target.launch import ServiceCommand

_AWAITED = (Frame(sitecustomize.AWAIT),)  # as the reader has it
_QUIET = "PYINSTRUMENT_IGNORE_OVERHEAD_WARNING"  # its cost is measured here
_FEWEST = 5  # requests followed, below which their mean says little
_MOST = 40  # functions told, the costliest first


class _WatchedCalls(msgspec.Struct):
    stacks: list[tuple[str, list[str], float]]  # kind of task ("": a thread), frames, seconds
    tasks: list[tuple[str, int, float]]  # kind, how many ended, seconds of all
    dropped: float  # seconds of stacks that were too many


@dataclass(frozen=True, slots=True)
class _Spent:
    """Seconds of one request in a function: at work, or in what it calls of others; in awaits."""

    working: Seconds = 0.0
    awaiting: Seconds = 0.0


class PyinstrumentProfiler:
    """Watches requests from inside, at pyinstrument's own interval."""

    name: ClassVar[InsideTool] = InsideTool.PYINSTRUMENT
    help: ClassVar[str] = "where a request's time goes, awaits among it"
    share: ClassVar[Share] = 0.5  # code of many small calls takes 1.3 times as long under it
    windows: ClassVar[int] = 1
    grace: ClassVar[Seconds] = 3.0

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._application = Application()
        self._answers: list[_WatchedCalls] = []

    def under(self, command: ServiceCommand) -> ServiceCommand:
        """With our own pyinstrument for a Python without one."""
        import pyinstrument

        packages = str(Path(pyinstrument.__file__).parent.parent)
        more = {sitecustomize.PACKAGES: packages, _QUIET: "1"}
        return with_agent(command, self.name, self._directory, more)

    def begin(self, target: TargetProcess) -> None:
        """What was seen until now is forgotten."""
        self._application = target.application
        try:
            ask(self._directory, "begin")
        except AttachFailed as error:
            version = ".".join(map(str, sys.version_info[:2]))
            raise AttachFailed(
                error.message,
                f"{error.hint} Where it is not Python {version}, it needs a pyinstrument of its"
                " own: python -m pip install pyinstrument",
            ) from error

    def mark(self) -> None:
        """Nothing: one window."""

    def take(self) -> None:
        """What was seen, of each process."""
        given = ask(self._directory, "take")
        try:
            self._answers = msgspec.convert(given, list[_WatchedCalls])
        except msgspec.ValidationError as error:
            raise AttachFailed(f"what pyinstrument saw cannot be read: {error}") from error

    def sight(self, completed: float, seconds: Seconds) -> Sight:
        """The functions of the application, and the kind of task that requests are, if any."""
        kinds = _by_kind(self._answers)
        code = Code.of([stack for stacks in kinds.values() for stack in stacks], self._application)
        request = _request(self._answers, kinds, code)
        if request is not None:
            lines = _lines(kinds[request.function], code, request.n)
        else:
            lines = _lines(kinds.get("", {}), code, completed) if completed else ()
        dropped = sum(answer.dropped for answer in self._answers)
        notes = (f"{dropped:.1f} s of stacks were too many to keep",) if dropped else ()
        missing = "" if lines else "no request was seen in code of the application"
        kind = request.function if request is not None else ""
        return Sight(lines, request, missing, notes, _session(self._answers, kind, seconds))


def _by_kind(answers: Iterable[_WatchedCalls]) -> dict[str, dict[Stack, Seconds]]:
    kinds: dict[str, dict[Stack, Seconds]] = {}
    for answer in answers:
        for kind, frames, spent in answer.stacks:
            stack = read_recorded(frames)
            mine = kinds.setdefault(kind, {})
            mine[stack] = mine.get(stack, 0.0) + spent
    return kinds


def _request(
    answers: Iterable[_WatchedCalls], kinds: Mapping[str, Mapping[Stack, Seconds]], code: Code
) -> RequestTime | None:
    """The kind of task that handles requests: of those that run the application's code and of which
    enough ended, the one that ended most often; None where there is none.
    """
    ended: dict[str, tuple[int, Seconds]] = {}
    for answer in answers:
        for kind, n, spent in answer.tasks:
            before = ended.get(kind, (0, 0.0))
            ended[kind] = (before[0] + n, before[1] + spent)
    handling = [
        (n, kind)
        for kind, (n, _) in ended.items()
        if n >= _FEWEST and any(code.has_app(stack) for stack in kinds.get(kind, ()))
    ]
    if not handling:
        return None
    n, kind = max(handling)
    return RequestTime(kind, n, ended[kind][1] / n)


def _lines(stacks: Mapping[Stack, Seconds], code: Code, n: float) -> tuple[LineUse, ...]:
    """Seconds of one of `n` requests by the deepest function of the application."""
    spent: dict[tuple[str, str, int | None], _Spent] = {}
    for stack, seconds in stacks.items():
        awaited = stack[-1:] == _AWAITED
        owner = code.owner(stack[:-1] if awaited else stack)
        # What a module does at its top level is to start the service, and to wait for its end.
        if owner is None or not owner.is_app or owner.frame.function == MODULE:
            continue
        where = (owner.frame.file, owner.frame.function, owner.frame.line)
        before, each = spent.get(where, _Spent()), seconds / n
        spent[where] = (
            _Spent(before.working, before.awaiting + each)
            if awaited
            else _Spent(before.working + each, before.awaiting)
        )
    ranked = sorted(spent.items(), key=lambda item: -(item[1].working + item[1].awaiting))
    return named_by_source(
        LineUse(file=file, line=line, function=name, running=each.working, awaiting=each.awaiting)
        for (file, name, line), each in ranked[:_MOST]
    )


def _session(answers: Iterable[_WatchedCalls], kind: str, seconds: Seconds) -> bytes:
    """What was seen of tasks of a kind ("": of threads), as a session of pyinstrument's, for its
    own `--load` and for `flamegraph`.
    """
    records: list[Any] = [
        [frames, spent] for answer in answers for own, frames, spent in answer.stacks if own == kind
    ]
    session = {
        "frame_records": records,
        "start_time": 0.0,
        "duration": seconds,
        "min_interval": sitecustomize.INTERVAL,
        "max_interval": sitecustomize.INTERVAL,
        "sample_count": len(records),
        "start_call_stack": [],
        "target_description": "requests",
        "cpu_time": 0.0,
        "sys_path": [],
        "sys_prefixes": [],
    }
    return json_text(session).encode()
