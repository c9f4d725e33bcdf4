"""The commands of a bench, and every run of them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from perfhunt.change.git.repository import find_repository
from perfhunt.change.git.worktree import checkout
from perfhunt.jobs.bench.hyperfine import hyperfine_once
from perfhunt.jobs.bench.parameters import BenchParameters, filled, told
from perfhunt.jobs.bench.request import BenchRequest
from perfhunt.model import redact
from perfhunt.model.run import EventWatcher, Noted, unwatched
from perfhunt.model.units import Seconds, format_duration
from perfhunt.model.verdict.command_run import CommandRun, CommandRuns
from perfhunt.target.command_timer import Command, time_command
from perfhunt.target.launch import run_aside

# Times one run of a command, ended when it takes longer than the limit.
CommandTimer = Callable[[Command, Seconds | None], CommandRun]
TIMERS: Mapping[str, CommandTimer] = {"perfhunt": time_command, "hyperfine": hyperfine_once}
_SHOWN = 120  # characters of what a run that failed printed last


@contextmanager
def commands_of(
    request: BenchRequest, parameters: Sequence[BenchParameters], watch: EventWatcher = unwatched
) -> Iterator[tuple[Command, ...]]:
    """The command with each combination put into it, in place; or in a checkout of each version, in
    the directory it was typed in, the two of a combination next to each other.
    """
    text = " ".join(redact.command(request.words, request.words[0]))
    plain = [
        Command(
            name=text + told(values),
            words=filled(request.words, values),
            # hyperfine's prepare: before each run, and not timed.
            prepare=() if request.base else filled(request.prepare, values),
            cleanup=filled(request.cleanup, values),
            output=request.output and request.output.absolute(),
            parameters=values,
        )
        for values in parameters
    ]
    if not request.base:
        yield tuple(plain)
        return
    repository = find_repository(Path.cwd(), request.trust_repository)

    def say(sentence: str) -> None:
        watch(Noted(sentence))

    here = repository.inside(Path.cwd())
    versions = (request.base, request.base), (request.head or "working tree", request.head)
    with ExitStack() as held:
        places = {
            name: held.enter_context(checkout(repository, revision, request.prepare, say=say))
            for name, revision in versions
        }
        yield tuple(
            replace(command, name=f"{command.name} @ {name}", directory=places[name] / here)
            for command in plain
            for name, _ in versions
        )


def measure(
    commands: Sequence[Command], request: BenchRequest, watch: EventWatcher = unwatched
) -> tuple[CommandRuns, ...]:
    """Every run of every command, warm-ups first, the order mirrored from round to round (ABBA)."""
    timer = TIMERS[request.timer]

    def time_once(command: Command, timeout: Seconds | None) -> CommandRun:
        run = timer(command, timeout)
        run_aside("cleanup", command.name, command.cleanup, command.directory)
        return replace(run, exit_code=0) if request.ignore_failure else run

    for _ in range(request.warmup):
        for command in commands:
            time_once(command, request.timeout)
    runs: list[list[CommandRun]] = [[] for _ in commands]
    for number in range(request.runs):
        order = range(len(commands)) if number % 2 == 0 else reversed(range(len(commands)))
        for version in order:
            run = time_once(commands[version], request.timeout)
            runs[version].append(run)
            watch(Noted(_run_sentence(number, request.runs, run, commands[version].name)))
    return tuple(
        CommandRuns(command.name, tuple(each), command.parameters)
        for command, each in zip(commands, runs, strict=True)
    )


def _run_sentence(number: int, of: int, run: CommandRun, name: str) -> str:
    failed = f", {failure_of(run)}" if run.exit_code else ""
    failed += f" ({run.said.splitlines()[-1][:_SHOWN]})" if run.said else ""
    return f"{number + 1}/{of} {format_duration(run.wall)}{failed}  {name}"


def failure_of(run: CommandRun) -> str:
    """How a run that failed ended: `exit code 3`, or `ended by SIGKILL`."""
    if run.exit_code >= 0:
        return f"exit code {run.exit_code}"
    number = -run.exit_code
    known = number in {each.value for each in signal.Signals}
    return f"ended by {signal.Signals(number).name if known else f'signal {number}'}"
