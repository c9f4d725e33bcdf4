"""What a paired comparison asks: two fixed rates, how readings become speed, and the frozen limit;
from a stored run where there is one, else from a survey of the base version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfhunt.analysis.knee.goal import QUICK, SearchResult, StepOrDrain, TrialOrDrained, goal_of
from perfhunt.analysis.knee.search import drive, search
from perfhunt.analysis.knee.stages.descent import descend
from perfhunt.analysis.verdict.endpoints import Elasticities, median_slope
from perfhunt.analysis.verdict.pairs import BASE, BURST, SLICE, WARM_UP, SlicePlan
from perfhunt.errors import LoadFailed, QuestionError
from perfhunt.model.knee import Capacity, Knee, KneeLabel, NoKnee, NoKneeCode, breaking_criterion
from perfhunt.model.question import Question
from perfhunt.model.run import Began, Run
from perfhunt.model.trial import Drain, Phase, Step, Trial
from perfhunt.model.units import PerSecond, Seconds
from perfhunt.stories.pair_bench import PairBench, StartedVersion

# Times the capacity: enough to saturate a build that is 30 % faster.
SATURATE = 1.35
# Times the knee, when no capacity was measured.
ABOVE_KNEE = 1.5
# The sharpness of knees that are neither soft nor cliffs, when the baseline did not say.
USUAL_SHARPNESS = 10.0
# A rate this far under `safety.max_rate` leaves room above it for the saturating slice.
BELOW_MAX_RATE = 1.1
# Slices of a slow service last until they hold so many requests, or as long as this.
SLICE_REQUESTS, LONGEST_SLICE = 20, 60.0
# A slow service warms up with two requests, at half the rate.
SLOW: PerSecond = 1.0
WARMUP_REQUESTS = 4
# The survey's look at the lowest rate: long enough for a floor of latency, short of a minute in
# all.
FLOOR: Seconds = 6.0
SETTLE: Seconds = 1.0


@dataclass(frozen=True, slots=True)
class PairedQuestion:
    """What a paired comparison asks: the question, the load of a round, how readings become speed,
    and the frozen limit.
    """

    question: Question
    plan: SlicePlan
    slopes: Elasticities
    criterion: str


def paired_question_of(stored: Run, question: Question | None = None) -> PairedQuestion:
    """The paired question that a stored run of the base version leads to: its knee, limit and
    slopes, frozen. It is put to `question` where that is given: the stored one, aimed anew.

    Raises QuestionError when the run found no rate to compare at.
    """
    knee = _knee_of_requests(stored)
    return _frozen(question or stored.question, knee, stored.capacity, stored.trials)


def _knee_of_requests(stored: Run) -> Knee | NoKnee:
    """The first knee that requests are counted by: rounds are too short to see where CPU or memory
    is used up.
    """
    if not isinstance(stored.knee, Knee) or stored.knee.label != KneeLabel.RESOURCE:
        return stored.knee
    of_requests = [k for k in stored.knees if isinstance(k, Knee) and k.label != KneeLabel.RESOURCE]
    return min(of_requests, key=lambda k: k.rate, default=stored.knee)


def survey(question: Question, bench: PairBench) -> PairedQuestion:
    """The paired question when nothing is stored: the base version started once, and its knee found
    in about a minute.

    Raises QuestionError when it finds no rate to compare at, LoadFailed when the generator fails.
    The bench stays open.
    """
    bench.watch(Began("survey", "looking for the base version's knee", QUICK))
    base = bench.starter.start(BASE, 0)
    try:
        base.ready(bench.stop)
        climb = _climb(question, base, bench)
    finally:
        bench.starter.end(base)
    return _frozen(question, climb.knee, climb.capacity, climb.trials)


def _climb(question: Question, base: StartedVersion, bench: PairBench) -> SearchResult:
    goal = goal_of(question, quick=True)

    def ask(each: StepOrDrain) -> TrialOrDrained:
        if isinstance(each, Drain):
            return bench.drain(each, base, question)
        return bench.try_step(each, base, question)

    step = Step(
        phase=Phase.BASELINE,
        rate=goal.start,
        duration=FLOOR,
        seed=question.seed,
        settle=SETTLE,
        arrivals=goal.arrivals,
    )
    descent = drive(descend(goal, step), ask)
    floor = descent.floor
    if floor.invalid:
        raise LoadFailed(
            f"the base version could not be measured at {floor.step.rate:g}/s: {floor.invalid}"
        )
    return drive(search(goal, floor, descent.before), ask)


def _frozen(
    question: Question, knee: Knee | NoKnee, capacity: Capacity | None, trials: Sequence[Trial]
) -> PairedQuestion:
    rate = _rate_of(knee)
    if not rate:
        reason = knee.reason if isinstance(knee, NoKnee) else ""
        raise QuestionError(
            f"the base version has no knee to compare at: {reason}",
            "Look first: perfhunt investigate",
        )
    most = question.safety.max_rate
    saturating = min(SATURATE * capacity.rate if capacity else ABOVE_KNEE * rate, most)
    rate = min(rate, most / BELOW_MAX_RATE)
    return PairedQuestion(
        question=question,
        plan=SlicePlan(
            knee=rate,
            saturating=saturating,
            seconds=_long_enough(SLICE, rate),
            burst=_long_enough(BURST, saturating),
            warmup=min(WARMUP_REQUESTS / rate, LONGEST_SLICE) if rate < SLOW else WARM_UP,
            seed=question.seed,
            arrivals=question.ramp.arrivals,
        ),
        slopes=_slopes(knee, rate, trials),
        criterion=breaking_criterion(knee, question.slo),
    )


def _rate_of(knee: Knee | NoKnee) -> PerSecond | None:
    """The rate to compare at: the knee, else the highest that held; for a service that one request
    alone takes beyond the limit, the rate at which that was seen.
    """
    if isinstance(knee, Knee):
        return knee.rate
    alone = knee.high if knee.code is NoKneeCode.MISSED_AT_BASELINE else None
    return knee.low or alone


def _long_enough(seconds: Seconds, rate: PerSecond) -> Seconds:
    return max(seconds, min(SLICE_REQUESTS / rate, LONGEST_SLICE))


def _slopes(knee: Knee | NoKnee, rate: PerSecond, trials: Sequence[Trial]) -> Elasticities:
    # A bracket's slope would be a guess from two rates, so only a fitted knee's counts.
    fitted = isinstance(knee, Knee) and knee.label in (KneeLabel.SHARP, KneeLabel.SOFT)
    sharpness = knee.sharpness if isinstance(knee, Knee) and fitted else None
    return Elasticities(max(sharpness or USUAL_SHARPNESS, 1.0), median_slope(trials, rate) or 1.0)
