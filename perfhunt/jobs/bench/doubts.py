"""What makes the times of a bench doubtful beside the times themselves: where the output went, what
was left running, a shell in front.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

from perfhunt.jobs.bench.request import BenchRequest
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.units import Seconds, Share, format_duration, format_share
from perfhunt.model.verdict.command_run import CommandRun, CommandRuns
from perfhunt.target.command_timer import Command, is_null

_SHELLS = frozenset({"sh", "ash", "bash", "dash", "fish", "ksh", "mksh", "zsh"})
_SHELL_RUNS = 5  # of a shell that does nothing: the middle one of so few is good to a few per cent
SHELL_SHARE: Share = 0.1  # of a command's time: two of it hide the change that a verdict looks for


def doubts(
    commands: Sequence[Command],
    timed: Sequence[CommandRuns],
    request: BenchRequest,
    time_once: Callable[[Command], CommandRun],
) -> tuple[Caution, ...]:
    """The cautions on a bench that was done; `time_once` times a shell that does nothing."""
    cautions = list(_output_doubts(request))
    cautions += [_left_running(each) for each in timed if any(run.left for run in each.runs)]
    starts: dict[tuple[str, ...], Seconds | None] = {}
    for command, each in zip(commands, timed, strict=True):
        shell = _shell_of(command.words)
        if not shell or not each.measured:
            continue
        if shell not in starts:
            starts[shell] = _start_of(shell, command, time_once)
        start, middle = starts[shell], median(run.wall for run in each.measured)
        if start and start > SHELL_SHARE * middle:
            cautions.append(_shell_start(each.name, start, middle))
    return tuple(cautions)


def advised(caution: Caution, request: BenchRequest) -> Caution:
    """A caution whose advice is not what was done already."""
    if caution.code != CautionCode.COLD_START:
        return caution
    more = f"add --warmup {request.warmup + 2}"
    if not request.prepare and not request.base:
        more += ", or empty the caches before each run: --prepare COMMAND"
    return replace(caution, next=more)


def _output_doubts(request: BenchRequest) -> list[Caution]:
    if request.output is None or not is_null(request.output):
        return []
    sentence = (
        "what was printed went to /dev/null: grep and other programs notice, and do only a part"
        " of their work."
    )
    return [Caution(CautionCode.NULL_OUTPUT, sentence, "leave --output out: a pipe is read")]


def _left_running(timed: CommandRuns) -> Caution:
    count = sum(run.left for run in timed.runs)
    sentence = (
        f"{count} of {len(timed.runs)} runs of `{timed.name}` left something running, which went"
        " on beside the runs after."
    )
    return Caution(CautionCode.LEFT_RUNNING, sentence, "end it after each run: --cleanup COMMAND")


def _shell_of(words: Sequence[str]) -> tuple[str, ...]:
    """The beginning of a command that gives a shell its line, with the `-c`; () when it is none."""
    if os.path.basename(words[0]) not in _SHELLS:
        return ()
    for at, word in enumerate(words[1:-1], 1):
        if not word.startswith("-") or word == "--":
            return ()
        if not word.startswith("--") and word.endswith("c"):
            return tuple(words[: at + 1])
    return ()


def _start_of(
    shell: tuple[str, ...], command: Command, time_once: Callable[[Command], CommandRun]
) -> Seconds | None:
    """Seconds that the shell takes to do nothing; None when it fails at that."""
    nothing = Command(name=shell[0], words=(*shell, ":"), directory=command.directory)
    runs = [time_once(nothing) for _ in range(_SHELL_RUNS)]
    return None if any(run.exit_code for run in runs) else median(run.wall for run in runs)


def _shell_start(name: str, start: Seconds, middle: Seconds) -> Caution:
    sentence = (
        f"the shell of `{name}` takes {format_duration(start)} to do nothing,"
        f" {format_share(min(1.0, start / middle))} of the time."
    )
    return Caution(
        CautionCode.SHELL_START, sentence, "time the program without it: perfhunt bench -- PROGRAM"
    )
