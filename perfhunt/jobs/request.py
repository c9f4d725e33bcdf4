"""The request that several jobs share, and the values that requests hold."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from perfhunt.errors import UsageError
from perfhunt.model.profile import ProfilePolicy
from perfhunt.model.question import ProcessSelector
from perfhunt.model.units import Seconds, UnitError, parse_duration

# Asks a person to type the name of the host that load is about to go to; returns what was typed.
Confirm = Callable[[str], str]


def profile_policy(
    word: str, known: Sequence[ProfilePolicy] = tuple(ProfilePolicy)
) -> ProfilePolicy:
    """The mode of that name. Raises UsageError, naming the ones that are known where it is used."""
    if word not in known:
        *most, last = known
        raise UsageError(f"--profile {word} is not {', '.join(most)} or {last}")
    return ProfilePolicy(word)


def one_service(verb: str, pid: int | None, port: int | None) -> ProcessSelector:
    """The one live service that `--pid` or `--port` names. Raises UsageError when not exactly one
    of them does.
    """
    if (pid is None) == (port is None):
        raise UsageError(
            f"{verb} needs one live service",
            f"perfhunt {verb} --pid PID, or --port N; what listens here: ss -ltnp",
        )
    return ProcessSelector(pid=pid, port=port)


def require_one_target(
    command: Sequence[str], pid: int | None, port: int | None, inside: Sequence[str] = ()
) -> None:
    """Raises UsageError for a command beside a service that runs already, and for tools that need
    a command where there is none.
    """
    if command and (pid is not None or port is not None):
        option = "--pid" if pid is not None else "--port"
        raise UsageError(
            f"{option} is of a service that runs already; after -- comes a command that starts one",
            "Give one of them. Where the command is to listen: in the test file, or with --url.",
        )
    if inside and not command:
        raise UsageError(
            f"--with {inside[0]} needs a service that is started under it: nothing can bring it"
            " into one that runs",
            f"Give its command: perfhunt investigate --with {inside[0]} -- COMMAND",
        )


def duration_of(option: str, text: str) -> Seconds:
    """Seconds of an option's value such as "5m". Raises UsageError, naming the option."""
    try:
        return parse_duration(text)
    except UnitError as error:
        raise UsageError(f"{option}: {error}") from error


def words_of(option: str, text: str) -> tuple[str, ...]:
    """The words of an option's value that is a command, as a shell splits them. Raises UsageError,
    naming the option.
    """
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(
            f"{option} {text} is no command: {str(error).lower()}",
            f"Quote it as a whole for your shell: {option} 'make clean'",
        ) from error


def require_time(option: str, seconds: Seconds) -> None:
    """Raises UsageError, naming the option, for a time in which nothing could be measured."""
    if not seconds > 0:
        raise UsageError(f"{option}: {seconds:g} s is no time to measure anything in")


def require_within(option: str, number: int, low: int, high: int) -> None:
    """Raises UsageError, naming the option, for a number that is out of bounds."""
    if not low <= number <= high:
        raise UsageError(f"{option}: {number} is not between {low} and {high:,}")


@dataclass(frozen=True, slots=True)
class InvestigateRequest:
    """What to investigate, and how; the rest is in the test file. `command` starts the service;
    `inside` are the tools that it is then started under once more.
    """

    command: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    pid: int | None = None
    port: int | None = None
    url: str | None = None
    file: Path | None = None
    store: Path = Path(".perfhunt")
    artifacts: Path | None = None
    workers: int = 1
    bind: str = ""
    secret: Path | None = None
    budget: Seconds | None = None
    seed: int | None = None
    quick: bool = False
    profile: ProfilePolicy = ProfilePolicy.AUTO
    open_target: bool = False
    allow_busy: bool = False
    warm_up: bool = False
    resume: str | None = None
    trust_repository: bool = False
    soak: Seconds | None = None
    engine: str | None = None  # None: the test file's
    exec_prefix: str = ""  # by way of which the target is looked at; "": it is here
