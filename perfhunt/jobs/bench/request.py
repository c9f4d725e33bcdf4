"""What a bench is asked for, and whether that makes sense."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from perfhunt.errors import UsageError
from perfhunt.jobs.bench.parameters import BenchParameters, check_used, combinations
from perfhunt.jobs.request import require_time
from perfhunt.model.units import Seconds


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """A command to time; with `base`, two versions from git; with `compare`, an earlier export.

    `parameters` are `NAME=VALUES`, and each combination is a command of its own. `prepare` is run
    before each run (with `base` once, in each checkout), `cleanup` after each. `output` is where
    standard output goes, None a pipe that is read. `timeout` ends one run that takes longer;
    `timer` is a name in `TIMERS`. With `ignore_failure` a run counts whatever its exit code is.
    """

    words: tuple[str, ...]
    base: str = ""
    head: str = ""
    compare: Path | None = None
    parameters: tuple[str, ...] = ()
    runs: int = 10
    warmup: int = 1
    prepare: tuple[str, ...] = ()
    cleanup: tuple[str, ...] = ()
    output: Path | None = None
    ignore_failure: bool = False
    export: Path | None = None
    timer: str = "perfhunt"
    timeout: Seconds | None = None
    compound: str = ""
    trust_repository: bool = False


def check(request: BenchRequest) -> tuple[BenchParameters, ...]:
    """The combinations of parameters, one of none without any. Raises UsageError when the request
    makes no sense.
    """
    if not request.words or not request.words[0]:
        raise UsageError(
            "bench times a command",
            "perfhunt bench -- COMMAND, or: perfhunt bench --base REV -- COMMAND",
        )
    if request.base and request.compare is not None:
        raise UsageError("--base and --compare both name what to compare with", "Give one of them.")
    if request.head and not request.base:
        raise UsageError(
            "--head needs a --base to compare with",
            f"perfhunt bench --base HEAD~1 --head {request.head} -- COMMAND",
        )
    if request.timeout is not None:
        require_time("--timeout", request.timeout)
    found = combinations(request.parameters)
    beside = request.cleanup if request.base else (*request.prepare, *request.cleanup)
    check_used((name for name, _ in found[0]), (*request.words, *beside))
    return found
