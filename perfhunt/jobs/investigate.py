"""One investigation, from a request to a stored run."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from perfhunt.errors import TargetDied, UsageError
from perfhunt.jobs.launched.looks import Launch, require_tools, tools_asked
from perfhunt.jobs.launched.service import launched
from perfhunt.jobs.request import Confirm, InvestigateRequest, require_one_target
from perfhunt.jobs.setup import aimed, question_of, workbench
from perfhunt.jobs.stored.run import load_run
from perfhunt.model.profile import ProfilePolicy
from perfhunt.model.question import Question
from perfhunt.model.run import EventWatcher, Noted, Run, RunKind, TargetProcess, unwatched
from perfhunt.model.testfile.testfile import aim
from perfhunt.model.units import Seconds, format_duration
from perfhunt.stories.investigation import Options, investigate
from perfhunt.stories.soak import SHORTEST


def run_investigation(
    request: InvestigateRequest, watch: EventWatcher = unwatched, confirm: Confirm | None = None
) -> Run:
    """The run, stored. Raises PerfhuntError; what was measured until then is stored."""
    require_one_target(request.command, request.pid, request.port, request.inside)
    question = question_of(request)
    if request.command:
        return _run_launched(request, question, watch, confirm)
    with aimed(request, question) as (question, target):
        return run_asked(request, question, target, watch, confirm)


def _run_launched(
    request: InvestigateRequest, question: Question, watch: EventWatcher, confirm: Confirm | None
) -> Run:
    """The run of a service that is started for it, and ended with it."""
    tools = tools_asked(request.inside)
    require_tools(request.command, tools)
    question = aim(question, request.url or "")
    with launched(request.command, question.target.url) as service:
        watch(Noted(f"started pid {service.pid}, which takes requests at {service.url}"))
        launch = Launch(service, request.command, tools)
        question = aim(question, service.url)
        try:
            return run_asked(request, question, service.target, watch, confirm, launch)
        except TargetDied as error:
            raise TargetDied(error.message, service.last_words() or error.hint) from error


def run_asked(
    request: InvestigateRequest,
    question: Question,
    target: TargetProcess,
    watch: EventWatcher = unwatched,
    confirm: Confirm | None = None,
    launch: Launch | None = None,
) -> Run:
    """The same of a question and a target that were found already, or launched for it."""
    options = Options(
        quick=request.quick,
        profile=request.profile is not ProfilePolicy.OFF,
        warm_up=request.warm_up,
        resume=resumed(request, question),
        soak=soak_time(request.soak),
    )
    with workbench(request, question, target, RunKind.INVESTIGATE, watch, confirm) as lab:
        if launch is None:
            return investigate(question, lab, options)
        lab.start = replace(lab.start, launched=launch.service.started)
        options = replace(options, inside=partial(launch.inside, lab, question))
        try:
            return investigate(question, lab, options)
        finally:
            launch.keep_log(lab, question)


def soak_time(seconds: Seconds | None) -> Seconds | None:
    """How long to soak. Raises UsageError for a time in which no trend would show."""
    if seconds is not None and seconds < SHORTEST:
        shortest = format_duration(SHORTEST)
        raise UsageError(f"--soak: no trend shows in less than {shortest}", "Try --soak 30m.")
    return seconds


def resumed(request: InvestigateRequest, question: Question) -> Run | None:
    """The interrupted run to go on with, if one was named. Raises UsageError when it asked another
    question.
    """
    if request.resume is None:
        return None
    run = load_run(request.resume, request.store)
    if run.question.fingerprint() != question.fingerprint():
        raise UsageError(
            f"run {run.id} asked another question, so its trials answer nothing here",
            "Start anew, without --resume.",
        )
    return run
