"""One investigation, from a request to a stored run."""

from __future__ import annotations

from perfhunt.errors import UsageError
from perfhunt.jobs.request import Confirm, InvestigateRequest
from perfhunt.jobs.setup import aimed, question_of, workbench
from perfhunt.jobs.stored.run import load_run
from perfhunt.model.profile import ProfilePolicy
from perfhunt.model.question import Question
from perfhunt.model.run import EventWatcher, Run, RunKind, TargetProcess, unwatched
from perfhunt.model.units import Seconds, format_duration
from perfhunt.stories.investigation import Options, investigate
from perfhunt.stories.soak import SHORTEST


def run_investigation(
    request: InvestigateRequest, watch: EventWatcher = unwatched, confirm: Confirm | None = None
) -> Run:
    """The run, stored. Raises PerfhuntError; what was measured until then is stored."""
    with aimed(request, question_of(request)) as (question, target):
        return run_asked(request, question, target, watch, confirm)


def run_asked(
    request: InvestigateRequest,
    question: Question,
    target: TargetProcess,
    watch: EventWatcher = unwatched,
    confirm: Confirm | None = None,
) -> Run:
    """The same of a question and a target that were found already."""
    options = Options(
        quick=request.quick,
        profile=request.profile is not ProfilePolicy.OFF,
        warm_up=request.warm_up,
        resume=resumed(request, question),
        soak=soak_time(request.soak),
    )
    with workbench(request, question, target, RunKind.INVESTIGATE, watch, confirm) as lab:
        return investigate(question, lab, options)


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
