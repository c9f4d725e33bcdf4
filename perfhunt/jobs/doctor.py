"""The checklist before a run, with the test file as its last line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perfhunt.errors import ExitCode, QuestionError
from perfhunt.jobs.request import one_service, words_of
from perfhunt.load.programs.facts import FACTS, missing, version_of
from perfhunt.model.question import ProcessSelector, Question
from perfhunt.model.run import TargetProcess
from perfhunt.model.units import Seconds
from perfhunt.profilers.preflight import checks
from perfhunt.profilers.remote.link import FarHost
from perfhunt.store.testfile import read_question
from perfhunt.target.address import beside
from perfhunt.target.find import find_target
from perfhunt.target.host.check import Check, CheckStatus, fail, ok, warn
from perfhunt.target.host.quietness import WATCHED, quietness


@dataclass(frozen=True, slots=True)
class DoctorRequest:
    """What to check besides this host: a live service, by pid or port, and a test file. The host is
    watched for `watch` seconds; 0: not at all. With `exec_prefix` the service is looked at by way
    of that command.
    """

    pid: int | None = None
    port: int | None = None
    file: Path | None = None
    watch: Seconds = WATCHED
    exec_prefix: str = ""


@dataclass(frozen=True, slots=True)
class DoctorResult:
    """Every check, in the order they matter; the test file's own, apart."""

    checks: tuple[Check, ...]
    test_file: Check
    target: TargetProcess | None

    @property
    def exit_code(self) -> ExitCode:
        """0 when nothing fails; 95 for a live service, 1 for the host alone."""
        if not any(check.status is CheckStatus.FAIL for check in self.checks):
            return ExitCode.OK
        return ExitCode.ATTACH_FAILED if self.target else ExitCode.INTERNAL


def run_doctor(request: DoctorRequest) -> DoctorResult:
    """Every tool, permission and limit checked. Sends no load. Raises TargetNotFound."""
    if request.exec_prefix:
        return _checked_there(request)
    if request.pid is None and request.port is None:
        return _checked(request, None)
    named = ProcessSelector(pid=request.pid, port=request.port)
    with beside(named, needed=False) as entered:
        return _checked(request, find_target(named, serves=False), entered)


def _checked_there(request: DoctorRequest) -> DoctorResult:
    one_service("doctor", request.pid, request.port)
    with FarHost(words_of("--exec-prefix", request.exec_prefix)) as far:
        target = far.target(request.pid, request.port).target
        made = (*far.checks(), *(ok("target", note) for note in target.notes))
    _, test_file = _test_file(request)
    return DoctorResult(made, test_file, target)


def _checked(
    request: DoctorRequest, target: TargetProcess | None, entered: str = ""
) -> DoctorResult:
    question, test_file = _test_file(request)
    network = (ok("network", entered),) if entered else ()
    made = (*checks(target, question), *network, *_programs(question))
    if request.watch:
        # Last: the profilers that were tried are other work too.
        made = (*made, quietness(target.root if target else 0, request.watch))
    return DoctorResult(made, test_file, target)


def _programs(question: Question | None) -> Iterator[Check]:
    """The programs that may make the load; one that is not there matters where it was asked for."""
    for name, facts in FACTS.items():
        if not (why := missing(name)):
            said = f"{name} {version_of(name)}".rstrip()
            yield ok(name, f"{said} is here, for --engine {name}")
        elif question is not None and question.engine == name:
            yield fail(name, f"the test file asks for {name}: {why}", facts.install)


def _test_file(request: DoctorRequest) -> tuple[Question | None, Check]:
    try:
        question = read_question(request.file, Path.cwd(), os.environ, request.pid)
    except QuestionError as error:
        return None, warn("test file", error.message, error.hint)
    return question, ok("test file", question.source)
