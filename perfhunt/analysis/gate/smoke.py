"""A smoke: one step at the lowest rate that the SLO is about, and the SLO judged by its requests.

MISSED is said when chance and bursts do not explain what exceeded; MET when nothing exceeds more
than is allowed and there were as many requests as the SLO asks for (`min_samples`); all else is
UNKNOWN. What the sample shows of all requests stands beside each word.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from perfhunt.analysis.gate.sample import needed, percentile_interval, share_interval
from perfhunt.analysis.trial.exceedance import LIKELY, Standing, standing
from perfhunt.analysis.trial.interference import STOLEN, disturbed
from perfhunt.analysis.trial.judging import ANSWERED, GROWTH, judge_slo, load_to_judge
from perfhunt.model.interval import Interval
from perfhunt.model.knee import NoKnee, NoKneeCode
from perfhunt.model.question import Question
from perfhunt.model.slo import (
    FAILED_AT_MOST,
    Judged,
    Judgement,
    Measure,
    Objective,
    Slo,
    judge,
    with_note,
)
from perfhunt.model.trial import Count, Phase, Step, Trial
from perfhunt.model.units import (
    PerSecond,
    Seconds,
    Share,
    format_duration,
    format_rate,
    format_share,
)

# As long as a reviewer waits for one check among others, and what a tight percentile may add.
SHORTEST: Seconds = 30.0
LONGEST: Seconds = 60.0
# Sent and not counted, for a service that was just started: code is loaded, caches and connections
# are made. No more than a part of a step that was asked to be short.
WARM: Seconds = 5.0
WARM_SHARE: Share = 1 / 6
# Times the requests that are needed: Poisson arrivals fall short of their mean by so much less than
# once in a hundred, from a hundred on.
ENOUGH = 1.3
# Requests that one thread without a core holds up, at a rate at which hardly any queue.
HELD_UP = 3.0
_STREAM = 6  # of the question's seed: no other step has these arrivals


@dataclass(frozen=True, slots=True)
class SmokeAsked:
    """What a smoke at one rate judges, and what it cannot ask."""

    judged: tuple[Objective, ...]
    left: tuple[Objective, ...]


def smoke_step(question: Question) -> Step:
    """The one step of a smoke: as the test file's `[smoke]` says, else at the rate that the SLO is
    judged at, for long enough for its percentiles, within a minute.
    """
    rate = question.smoke.rate or load_to_judge(question.slo, question.ramp.start)
    duration = question.smoke.duration or min(
        LONGEST, max(SHORTEST, WARM + ENOUGH * requests_needed(question.slo) / rate)
    )
    return Step(
        phase=Phase.JUDGE,
        rate=rate,
        duration=duration,
        seed=question.seed + _STREAM,
        settle=min(WARM, WARM_SHARE * duration),
        arrivals=question.ramp.arrivals,
    )


def requests_needed(slo: Slo) -> int:
    """How many requests tell all that the SLO asks of percentiles, when none of them exceeds."""
    shares = [1 - p for o in slo.objectives if (p := o.percentile) is not None]
    return max([slo.min_samples, *(needed(share) for share in shares)])


def length_words(question: Question, step: Step) -> str:
    """How long a smoke takes, and why so long: `for 53 s: its p99 needs 368 requests`."""
    takes, slo = f"for {format_duration(step.duration)}", question.slo
    if question.smoke.duration is not None:
        return f"{takes}, as [smoke] asks"
    if step.duration <= SHORTEST:
        return f"{takes}, the shortest"
    need = requests_needed(slo)
    keys = [o.key for o in slo.objectives if o.percentile and needed(1 - o.percentile) == need]
    whose = f"its {keys[0]} needs" if keys else "min_samples is"
    longest = ", the longest" if step.duration >= LONGEST else ""
    return f"{takes}{longest}: {whose} {need:,} requests"


def asked_of(slo: Slo, rate: PerSecond) -> SmokeAsked:
    """The objectives that a smoke can ask: neither a throughput above its rate, nor what grows over
    hours. Failing is asked about where the SLO itself would let it pass.
    """
    left = [
        o
        for o in slo.objectives
        if o.key in GROWTH or (o.measure is Measure.THROUGHPUT and not o.holds(rate))
    ]
    judged = tuple(o for o in slo.objectives if o not in left)
    return SmokeAsked((*judged, *_implied(judged)), tuple(left))


def _implied(judged: Sequence[Objective]) -> tuple[Objective, ...]:
    """The objective on failures of any kind that an SLO has which would let them pass: one on 5xx
    alone is met by a service that hangs up. What it allows of one kind it allows of all.
    """
    errors = [o for o in judged if o.measure is Measure.ERRORS and o.key != "transport"]
    counts_any = any(
        o.percentile is not None or (o in errors and o.key == "any")
        for o in judged
        if o.route is None
    )
    if counts_any:
        return ()
    limit = max([FAILED_AT_MOST, *(o.limit for o in errors)])
    return (Objective(Measure.ERRORS, "any", "<=", limit),)


def judge_smoke(
    slo: Slo, asked: Sequence[Objective], trial: Trial, ordered: NDArray[np.float64]
) -> tuple[Judged, ...]:
    """Every objective asked, judged by one trial, with what its requests show; `ordered` are their
    responses, ascending (empty: not known), shape (n,).
    """
    none = NoKnee(NoKneeCode.NOT_SEARCHED, "")
    plain = judge_slo(replace(slo, objectives=tuple(asked)), trial, none, (trial,))
    if trial.invalid:
        return plain
    judged = tuple(_weighed(j, slo, trial, ordered) for j in plain)
    why = disturbed(trial.interference)
    return tuple(_excused(j, why, trial, ordered) if why else j for j in judged)


def _weighed(judged: Judged, slo: Slo, trial: Trial, ordered: NDArray[np.float64]) -> Judged:
    objective = judged.objective
    if objective.measure is Measure.THROUGHPUT:
        return _throughput(objective, slo, trial)
    if objective.percentile is not None:
        count = trial.counts.get(objective.name)
        criterion = next((c for c in slo.criteria() if c.name == objective.name), None)
        if count is None or criterion is None or not count.n:
            return judged
        failed = standing(trial, criterion, LIKELY) is Standing.FAILED
        return _told(judged, failed, _latency_shown(objective, count, ordered))
    if objective.measure is Measure.ERRORS and judged.value is not None and judged.value <= 1:
        if objective.key == "transport" or not judged.n:
            return judged
        count = Count(judged.n, round(judged.value * judged.n))
        shown = share_interval(count.exceed, count.n)
        words = f"{count.exceed} of {count.n:,} failed, so {_of_all(shown)}"
        return _told(judged, shown.low > objective.limit, words)
    return judged


def _told(judged: Judged, failed: bool, shown: str) -> Judged:
    """The judgement that the evidence carries, with what it shows."""
    verdict, note = judged.verdict, judged.note
    if failed:
        verdict, note = Judgement.MISSED, "" if judged.verdict is Judgement.UNKNOWN else note
    elif verdict is Judgement.MISSED:
        verdict, note = Judgement.UNKNOWN, "missed, but by no more than chance and bursts bring"
    return replace(judged, verdict=verdict, note="; ".join(filter(None, (note, shown))))


def _latency_shown(objective: Objective, count: Count, ordered: NDArray[np.float64]) -> str:
    beyond = f"{count.exceed} of {count.n:,} beyond the limit"
    share = objective.percentile or 0.0
    if objective.route is not None or len(ordered) != count.n:
        return f"{beyond}, so {_of_all(share_interval(count.exceed, count.n))}"
    low, high = percentile_interval(ordered, share)
    least = f"at least {format_duration(low)}" if low is not None else ""
    if high is None:
        told = f"{needed(1 - share):,} requests would bound it"
        return f"{beyond}, so {objective.key} is {least or 'not known'} (95 %): {told}"
    between = f"{format_duration(low)} to" if low is not None else "at most"
    return f"{beyond}, so {objective.key} is {between} {format_duration(high)} (95 %)"


def _of_all(shown: Interval) -> str:
    low, high = (format_share(end) for end in (shown.low, shown.high))
    return f"at most {high} of all (95 %)" if not shown.low else f"{low} to {high} (95 %)"


def _throughput(objective: Objective, slo: Slo, trial: Trial) -> Judged:
    """Whether all that was sent was answered: the rate itself was chosen."""
    judged = judge(objective, trial.completed, trial.n, slo.min_samples)
    if judged.verdict is Judgement.UNKNOWN and not trial.overload:
        return judged
    kept = not trial.overload and trial.completed >= ANSWERED * trial.achieved
    rate = format_rate(trial.step.rate)
    note = f"sent at {rate}, and {'answered' if kept else trial.overload or 'not all answered'}"
    return replace(judged, verdict=Judgement.MET if kept else Judgement.MISSED, note=note)


def _excused(judged: Judged, why: str, trial: Trial, ordered: NDArray[np.float64]) -> Judged:
    """A miss that other work on the host may have made is none of the service's; one that is larger
    than all the waiting for a core stays.
    """
    objective = judged.objective
    about_time = objective.measure in (Measure.LATENCY, Measure.THROUGHPUT)
    if judged.verdict is not Judgement.MISSED or not about_time:
        return judged
    if objective.measure is Measure.LATENCY and objective.route is None:
        late = ordered[ordered > objective.limit]
        if float((late - objective.limit).sum()) > HELD_UP * _waited(trial):
            return judged
    return with_note(replace(judged, verdict=Judgement.UNKNOWN), f"{why}; {judged.note}")


def _waited(trial: Trial) -> Seconds:
    """How long threads of target and generator waited for a core, added up; infinite where the
    hypervisor took it, which no thread's account shows.
    """
    seen = trial.interference
    if seen is None or (seen.steal or 0.0) > STOLEN:
        return math.inf
    return ((seen.target_waited or 0.0) + (seen.generator_waited or 0.0)) * seen.seconds


def broken_by(trial: Trial, verdict: Judgement) -> NoKnee:
    """Why a smoke has no knee: it looks for none, or the service breaks at its rate already."""
    rate = format_rate(trial.step.rate)
    if verdict is not Judgement.MISSED:
        return NoKnee(NoKneeCode.NOT_SEARCHED, f"a smoke asks at {rate} only")
    if 2 * trial.failed > trial.n:
        most = f"{trial.failed:,} of {trial.n:,} requests failed at {rate}"
        return NoKnee(NoKneeCode.ERRORS_AT_ONCE, most)
    return NoKnee(NoKneeCode.MISSED_AT_BASELINE, f"the SLO is missed at {rate} already")
