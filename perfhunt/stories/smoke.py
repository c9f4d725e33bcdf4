"""The service asked at a low rate for 30 to 60 s, for every change: is the SLO still met there?

one step -> judged -> (missed: held at that rate, profiled, diagnosed) -> Run
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from perfhunt.analysis.blame.evidence import Span
from perfhunt.analysis.diagnosis.diagnosis import Diagnosis
from perfhunt.analysis.gate.smoke import (
    asked_of,
    broken_by,
    judge_smoke,
    length_words,
    requests_needed,
    smoke_step,
)
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.errors import Unreadable
from perfhunt.lab import Lab
from perfhunt.load.tally import responses
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.latency import SAMPLE
from perfhunt.model.profile import SpanName
from perfhunt.model.question import Question
from perfhunt.model.run import Began, Run
from perfhunt.model.slo import Judgement, Objective, overall
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import PerSecond, Seconds, format_rate
from perfhunt.store.files import regular_bytes
from perfhunt.stories.investigation import (
    SETTLE,
    Floor,
    HoldResult,
    explain,
    kept,
    long_enough,
    step_of,
)


def smoke(question: Question, lab: Lab, profile: bool = True) -> Run:
    """The Run of one smoke, stored. Raises what ended it early (Stopped, TargetDied...), after
    storing that too. `profile`: whether a miss is looked into.
    """
    return kept(lab, lambda: _smoked(question, lab, profile))


def _smoked(question: Question, lab: Lab, profile: bool) -> Run:
    lab.open(question)
    step = smoke_step(question)
    asked = asked_of(question.slo, step.rate)
    sentence = f"the SLO at {format_rate(step.rate)} {length_words(question, step)}"
    lab.notify(Began("smoke", sentence, step.duration))
    trial = lab.try_quiet_step(step)
    ordered = ordered_responses(lab, trial, question.ramp.timeout)
    judged = judge_smoke(question.slo, asked.judged, trial, ordered)
    verdict = overall(judged)
    climb = SearchResult(broken_by(trial, verdict), (), None, (), ())
    if verdict is Judgement.MISSED and profile:
        diagnosis = looked_into(question, lab, trial, climb)
    else:
        diagnosis = Diagnosis((), None, (), _next_step(question, verdict))
    cautions = (*_left_out(asked.left, step.rate), *diagnosis.cautions)
    return lab.finish(
        floor=trial,
        climb=climb,
        judged=judged,
        judged_at=step.rate,
        effect=None,
        diagnosis=replace(diagnosis, cautions=cautions),
    )


def ordered_responses(lab: Lab, trial: Trial, timeout: Seconds) -> NDArray[np.float64]:
    """The responses of the requests that count, ascending; shape (n,), empty where the raw samples
    are not to be had.
    """
    try:
        raw = regular_bytes(lab.directory.trials / trial.samples)
    except (OSError, Unreadable):
        return np.empty(0)
    whole = np.frombuffer(raw[: len(raw) // SAMPLE.itemsize * SAMPLE.itemsize], SAMPLE)
    since, until = trial.step.settle, trial.seconds
    return np.sort(responses(whole[(whole["due"] >= since) & (whole["due"] < until)], timeout))


def looked_into(question: Question, lab: Lab, trial: Trial, climb: SearchResult) -> Diagnosis:
    """What the service does where it misses its SLO: held at that rate with profilers attached,
    however far it falls behind.
    """
    lab.recover()
    floor = Floor(trial, (), 0, Span.of(trial), lab.idle())
    rate = trial.step.rate
    seconds = SETTLE + long_enough(question.ramp.hold, rate)
    lab.notify(Began("hold", f"holding {format_rate(rate)} with profilers attached", seconds))
    step = replace(step_of(question, Phase.HOLD, rate, seconds, 2), stop_on_overload=False)
    span = lab.profiled(step, SpanName.KNEE, on_cpu=True, waits=True)
    diagnosis = explain(lab, floor, climb, HoldResult(rate, span, None))
    doubts = tuple(c for c in diagnosis.cautions if c.code is not CautionCode.NO_KNEE)
    # There is one rate, so that load added nothing.
    return replace(diagnosis, cautions=doubts, waterfall=None)


def _left_out(left: tuple[Objective, ...], rate: PerSecond) -> tuple[Caution, ...]:
    if not left:
        return ()
    names = ", ".join(map(str, left))
    sentence = f"Not asked by a smoke at {format_rate(rate)}, and in no verdict here: {names}."
    return (Caution(CautionCode.NOT_ASKED, sentence, "perfhunt nightly --pid PID"),)


def _next_step(question: Question, verdict: Judgement) -> str:
    if verdict is not Judgement.UNKNOWN:
        return ""
    need = requests_needed(question.slo)
    return (
        "This run cannot tell. The test file says how much it asks, [smoke] rate and duration"
        f" ({need:,} requests tell all that this SLO asks of percentiles); then: perfhunt smoke"
    )
