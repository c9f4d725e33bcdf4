"""scalene: the CPU time of each line, split into Python, native and system, and what it allocates
and copies.

Its timers run in the main thread of a process (`Sight.missing` says so where others do the work),
and its own scores of leaks saw none of those planted: `tracemalloc` tells leaks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from perfhunt.errors import AttachFailed, Unreadable
from perfhunt.model.inside.look import InsideTool
from perfhunt.model.profiles.readers.python.scalene import ScaleneError, scalene_lines
from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Seconds, Share
from perfhunt.profilers.inside.enclosing import named_by_source
from perfhunt.profilers.inside.interpreter import imports, python_command
from perfhunt.profilers.inside.tool import Sight
from perfhunt.store.files import read_json
from perfhunt.target.launch import ServiceCommand
from perfhunt.target.proc.process import stat
from perfhunt.target.proc.tree import descendants

# Of the CPU, that main threads must have used: what scalene says of the others it says of lines
# that they do not run.
_MAIN_LEAST: Share = 0.8
_OUT = "scalene.json"


class ScaleneProfiler:
    """Starts the service as `python -m scalene run`."""

    name: ClassVar[InsideTool] = InsideTool.SCALENE
    help: ClassVar[str] = "CPU of each line (Python, native, system), what it allocates and copies"
    share: ClassVar[Share] = 0.5  # a loop of plain Python takes 1.7 times as long under it
    windows: ClassVar[int] = 1
    grace: ClassVar[Seconds] = 30.0  # it writes its file when the service is told to end

    def __init__(self, directory: Path) -> None:
        self._out = directory / _OUT
        self._pids: list[int] = []
        self._before = self._used = (0.0, 0.0)

    def under(self, command: ServiceCommand) -> ServiceCommand:
        """As `scalene run`, with the directory of the service as the code to look at."""
        python = python_command(command)
        if not imports(python, "scalene", command.directory):
            raise AttachFailed(
                f"{python.interpreter} has no scalene",
                f"Install it there: {python.interpreter} -m pip install scalene",
            )
        tool = ("-m", "scalene", "run", "-o", str(self._out))
        code = ("--program-path", str(command.directory))
        end = ("---", *python.arguments) if python.arguments else ()
        words = (python.interpreter, *python.options, *tool, *code, *python.what, *end)
        return replace(command, words=words)

    def begin(self, target: TargetProcess) -> None:
        """From here on it is counted which threads use the CPU."""
        self._pids = descendants([target.root])
        self._before = self._cpu()

    def mark(self) -> None:
        """Nothing: scalene looks all the time."""

    def take(self) -> None:
        """What main threads and all threads used since."""
        main, every = self._cpu()
        self._used = (main - self._before[0], every - self._before[1])

    def _cpu(self) -> tuple[Seconds, Seconds]:
        """CPU seconds so far: of main threads, and of all."""
        mains = [now.cpu for pid in self._pids if (now := stat(pid, pid))]
        every = [now.cpu for pid in self._pids if (now := stat(pid))]
        return sum(mains), sum(every)

    def sight(self, completed: float, seconds: Seconds) -> Sight:
        """Its lines, where main threads did the work."""
        try:
            lines = scalene_lines(read_json(self._out))
        except (OSError, Unreadable, ScaleneError) as error:
            raise AttachFailed(
                f"scalene wrote nothing that can be read: {error}",
                "It writes when the service is asked to end (SIGTERM), and is killed after"
                f" {self.grace:.0f} s.",
            ) from error
        main, every = self._used
        if every > 0 and main < _MAIN_LEAST * every:
            return Sight(
                missing=f"{1 - main / every:.0%} of the CPU was used by other threads than the main"
                " one of a process, whose lines scalene cannot tell"
            )
        return Sight(lines=named_by_source(lines), notes=("scalene saw main threads only",))
