"""STORY ONE: baseline, climb, hold at the knee, profile, diagnose, Run. Start reading here.

    ready -> floor -> climb -> hold -> judged -> diagnosed -> Run

Everything needed later is present before the first request is sent; whatever ends the run, what was
measured is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.diagnosis.answer.settled import hides
from perfhunt.analysis.diagnosis.diagnosis import Diagnosis, diagnose, joined
from perfhunt.analysis.knee.answers.cost import takes_long
from perfhunt.analysis.knee.answers.drift import with_slopes
from perfhunt.analysis.knee.beyond import rate_beyond
from perfhunt.analysis.knee.goal import (
    Search,
    SearchResult,
    StepOrDrain,
    TrialOrDrained,
    goal_of,
)
from perfhunt.analysis.knee.observed import holds
from perfhunt.analysis.knee.resource_limits import with_resources
from perfhunt.analysis.knee.search import drive, resume, search
from perfhunt.analysis.knee.stages.descent import Descent, descend
from perfhunt.analysis.knee.stages.warmup import CAP, WarmUp, warm_up
from perfhunt.analysis.knee.staircase import staircase
from perfhunt.analysis.trial.growth import slopes
from perfhunt.analysis.trial.interference import disturbance
from perfhunt.analysis.trial.judging import judge_slo, load_to_judge, time_to_judge
from perfhunt.analysis.trial.probe import probe_effect
from perfhunt.errors import PerfhuntError
from perfhunt.lab import Lab
from perfhunt.model.finding import ProbeEffect
from perfhunt.model.knee import Knee, NoKnee, NoKneeCode
from perfhunt.model.profile import Instants, SpanName
from perfhunt.model.question import Question, RampMode
from perfhunt.model.run import Application, Began, Noted, Run
from perfhunt.model.text.error_words import refused_by_the_system
from perfhunt.model.trial import FITTED_PHASES, Drain, Phase, Step, Trial
from perfhunt.model.units import PerSecond, Seconds, Share, format_rate
from perfhunt.stories.inside_looks import LookInside, seen_inside
from perfhunt.stories.soak import BLOCK, soak, soak_rate
from perfhunt.stories.source_texts import with_sources

# Sent and not counted: connections open, and queues fill to what the rate makes of them.
SETTLE: Seconds = 1.0
# Before and after the profiled hold, to see what the profilers cost.
QUIET: Seconds = 6.0
# Of the hold: the pass that samples waits. The rest samples what is on CPU.
WAITS_SHARE: Share = 0.4
BASELINE_PROFILE: Seconds = 8.0
# Above the knee, where a queue grows: some hundred looks, and no more to recover from than that.
ABOVE: Seconds = 8.0
# A profile of a slow service lasts until it has seen so many requests, and no longer than this.
SEEN, LONGEST_PROFILE = 20, 120.0
# Times the samples an objective needs: Poisson arrivals fall short of the number itself every other
# time, of this less than once in a hundred.
ENOUGH = 1.3
LONGEST_BASELINE: Seconds = 60.0
LONGEST_JUDGEMENT: Seconds = 150.0  # of a slow service: beyond it the SLO stays unknown
# Phases whose trials a resumed search goes on from.
SEARCHED = (
    Phase.RAMP,
    Phase.CAPACITY,
    Phase.COARSE,
    Phase.PASS,
    Phase.STAIRCASE,
    Phase.REFERENCE,
)


@dataclass(frozen=True, slots=True)
class Options:
    """What a user may change about an investigation besides its question."""

    quick: bool = False
    profile: bool = True
    warm_up: bool = False
    # An interrupted run of the same question, whose search is gone on with.
    resume: Run | None = None
    soak: Seconds | None = None  # how long to hold a share of the knee afterwards
    # Once all else is measured: looks from inside, at a share of the rate that was held.
    inside: LookInside | None = None


@dataclass(frozen=True, slots=True)
class Floor:
    """The service at its lowest realistic load: the trial, those above it that did not hold, and
    what was seen while it ran. `drains` are those it took to get there.
    """

    trial: Trial
    before: tuple[Trial, ...]
    drains: int
    span: Span
    idle: Instants | None = None


@dataclass(frozen=True, slots=True)
class HoldResult:
    """The service held at the knee: what was seen, and what looking at it cost."""

    rate: PerSecond
    span: Span | None
    effect: ProbeEffect | None


def investigate(question: Question, lab: Lab, options: Options = Options()) -> Run:
    """The Run of one investigation, stored. Raises what ended it early (Stopped, TargetDied...),
    after storing that too.
    """
    return kept(lab, lambda: _investigated(question, lab, options))


def kept(lab: Lab, story: Callable[[], Run]) -> Run:
    """The run that a story finishes, the lab closed; what ends it early is raised after what there
    is was stored.
    """
    try:
        with closing(lab):
            return story()
    except (PerfhuntError, OSError) as raised:
        error = raised if isinstance(raised, PerfhuntError) else refused_by_the_system(raised)
        if lab.run is not None:  # It was finished: what went wrong on leaving costs nothing of it.
            lab.watch(Noted(error.message))
            return lab.run
        lab.abandon(error)
        raise error from raised


def _investigated(question: Question, lab: Lab, options: Options) -> Run:
    lab.open(question)
    warm = warmed_up(question, lab) if options.warm_up else None
    floor = measure_floor(question, lab, options)
    climb = climb_to_knee(question, lab, floor, options, warm)
    held = hold_at_knee(question, lab, climb, floor.trial, options)
    judged = judge_at_load(question, lab, climb, floor.trial, options)
    if options.soak is not None:
        rate = soak_rate(climb, held.rate)
        step = step_of(question, Phase.SOAK, rate, BLOCK, 4)
        climb = soak(lab, climb, step, options.soak)
    diagnosis = explain(lab, floor, climb, held, options=options)
    if above := hold_above(question, lab, climb, held, diagnosis):
        diagnosis = explain(lab, floor, climb, held, above, options)
    if options.inside is not None:
        diagnosis = seen_inside(lab, held.rate, diagnosis, options.inside)
    return lab.finish(
        floor=floor.trial,
        climb=climb,
        judged=judge_slo(question.slo, judged, climb.knee, lab.trials),
        judged_at=judged.step.rate,
        effect=held.effect,
        diagnosis=diagnosis,
    )


def warmed_up(question: Question, lab: Lab) -> WarmUp:
    """The service held at a low rate until its median stands still, or the cap comes first."""
    start = format_rate(question.ramp.start)
    lab.notify(Began("warm-up", f"until the median stands still, at {start}", CAP))
    return drive(warm_up(goal_of(question, lab.criteria)), lab.ask)


def measure_floor(question: Question, lab: Lab, options: Options) -> Floor:
    """The latency floor at the lowest rate, quiet first, then once more with profilers attached.

    Where the start rate is too much already, it is the first lower rate that holds.
    """
    idle = lab.idle() if options.profile else None
    descent = found_floor(question, lab, options)
    trial = descent.floor
    floor = Floor(trial, descent.before, len(descent.drains), Span.of(trial), idle)
    if not options.profile or trial.overload or trial.invalid:
        return floor
    seconds = long_enough(BASELINE_PROFILE, trial.step.rate)
    lab.notify(Began("baseline profile", "what runs at the floor", seconds))
    step = step_of(question, Phase.HOLD, trial.step.rate, seconds, 1)
    return replace(floor, span=lab.profiled(step, SpanName.BASELINE, on_cpu=True, waits=True))


def found_floor(question: Question, lab: Lab, options: Options) -> Descent:
    """The baseline, or the lower rates tried until one held; an interrupted run's own first."""
    start, seconds = question.ramp.start, baseline_seconds(question)
    lab.notify(Began("baseline", f"the floor at {format_rate(start)}", seconds))

    def ask(each: StepOrDrain) -> TrialOrDrained:
        if isinstance(each, Step) and each.rate < start:
            sentence = f"{format_rate(start)} may be too much: the floor at"
            lab.notify(Began("baseline", f"{sentence} {format_rate(each.rate)}", each.duration))
        # Lower rates are asked by the search's rule, which waits for quiet by itself.
        first = isinstance(each, Step) and each.rate >= start
        return lab.try_quiet_step(each) if first and isinstance(each, Step) else lab.ask(each)

    down = descend(
        goal_of(question, lab.criteria), step_of(question, Phase.BASELINE, start, seconds)
    )
    run = options.resume
    if run is None:
        return drive(down, ask)
    baselines = [t for t in run.trials if t.step.phase is Phase.BASELINE and not t.stopped]
    again = [t for t in baselines if t.set_aside and t.step.rate >= start]
    stored = [lab.adopt(t) for t in baselines if t not in again]
    return resume(down, stored, run.drains, ask)


def long_enough(seconds: Seconds, rate: PerSecond) -> Seconds:
    """So many seconds, or more where a slow service would show too few requests in them."""
    return max(seconds, min(SEEN / rate, LONGEST_PROFILE))


def baseline_seconds(question: Question) -> Seconds:
    """How long the baseline lasts: as asked, and long enough for the SLO if it is judged there.

    Then it takes the number of samples that an objective needs, and some more (`ENOUGH`).
    """
    ramp = question.ramp
    if load_to_judge(question.slo, ramp.start) > ramp.start:
        return ramp.baseline
    return max(
        ramp.baseline,
        min(SETTLE + ENOUGH * question.slo.min_samples / ramp.start, LONGEST_BASELINE),
    )


def step_of(
    question: Question, phase: Phase, rate: PerSecond, duration: Seconds, stream: int = 0
) -> Step:
    """A step of the question's arrivals; each stream has a seed, counted from the question's."""
    return Step(
        phase=phase,
        rate=rate,
        duration=duration,
        seed=question.seed + stream,
        settle=SETTLE,
        arrivals=question.ramp.arrivals,
    )


def climb_to_knee(
    question: Question, lab: Lab, floor: Floor, options: Options, warm: WarmUp | None = None
) -> SearchResult:
    """The knee, by search or staircase, and the capacity; none for a service that never settled.

    Of latency, errors, CPU and memory, whichever objective breaks first.
    """
    if warm is not None and not warm.stationary:
        return SearchResult(NoKnee(NoKneeCode.NEVER_STATIONARY, warm.caution), (), None, (), ())
    ramp = question.ramp
    goal = goal_of(question, lab.criteria, options.quick)
    lab.notify(Began("climb", f"looking for the knee ({ramp.mode})", goal.seconds))
    if sentence := takes_long(goal, floor.trial):
        lab.notify(Noted(sentence))
    steps: Search = search(goal, floor.trial, floor.before)
    if ramp.mode == RampMode.STAIRCASE:
        steps = staircase(goal, ramp.staircase, floor.trial, floor.before)
    if options.resume is None:
        return completed(drive(steps, lab.ask), question, lab)
    lab.drain(Drain())
    stored = [
        lab.adopt(t) for t in options.resume.trials if t.step.phase in SEARCHED and not t.stopped
    ]
    return completed(
        resume(steps, stored, options.resume.drains[floor.drains :], lab.ask), question, lab
    )


def completed(climb: SearchResult, question: Question, lab: Lab) -> SearchResult:
    """The climb with what the target used: knees of CPU and memory, and what grew."""
    lab.mark(climb.trials)
    return with_slopes(
        with_resources(climb, question.slo.objectives, lab.trials), slopes(lab.trials)
    )


def hold_at_knee(
    question: Question, lab: Lab, climb: SearchResult, floor: Trial, options: Options
) -> HoldResult:
    """The load kept at the knee: quiet, on-CPU pass, waits pass, quiet. No profile without load,
    none in the knee fit.
    """
    rate = hold_rate(climb, floor.step.rate)
    nothing = isinstance(climb.knee, NoKnee) and climb.knee.code is NoKneeCode.TEST_ITSELF
    if not options.profile or nothing or all(trial.invalid for trial in lab.trials):
        return HoldResult(rate, None, None)
    seconds, settled = long_enough(question.ramp.hold, rate), long_enough(QUIET, 2 * rate)
    waits = seconds * WAITS_SHARE
    holding = f"holding {format_rate(rate)} with profilers attached"
    lab.notify(Began("hold", holding, seconds + 2 * settled))
    quiet = step_of(question, Phase.QUIET, rate, settled, 2)
    # One seed for all of them: the spans differ in being watched, not in when requests come.
    hold = replace(quiet, phase=Phase.HOLD, duration=seconds - waits)
    before = lab.try_step(quiet)
    running = lab.profiled(hold, SpanName.KNEE, on_cpu=True)
    waiting = lab.profiled(replace(hold, duration=waits), SpanName.KNEE, waits=True)
    after = lab.try_step(quiet)
    effect = probe_effect(
        (before, after),
        *((span.trial,) if span.trial is not None else () for span in (running, waiting)),
    )
    return HoldResult(rate, joined(running, waiting), effect)


def judge_at_load(
    question: Question, lab: Lab, climb: SearchResult, floor: Trial, options: Options
) -> Trial:
    """A trial at the load the SLO names; the floor itself when it names none, or a longer look
    there where a slow service answered too few requests to be judged by.
    """
    rate = load_to_judge(question.slo, floor.step.rate)
    seconds = time_to_judge(question.slo) + SETTLE
    if rate <= floor.step.rate:
        seconds = SETTLE + ENOUGH * question.slo.min_samples / rate
        enough = floor.n >= question.slo.min_samples or rate >= question.ramp.start
        if enough or options.quick or floor.overload or seconds > LONGEST_JUDGEMENT:
            return floor
    lab.notify(Began("judge", f"the SLO at {format_rate(rate)}", seconds))
    lab.recover()
    step = step_of(question, Phase.JUDGE, rate, seconds, 3)
    other = disturbance(climb.trials)
    # Where the search found no quiet time there is none to wait for.
    return lab.try_step(step) if other and other.used else lab.try_quiet_step(step)


def hold_above(
    question: Question, lab: Lab, climb: SearchResult, held: HoldResult, diagnosis: Diagnosis
) -> Span | None:
    """The load kept a little above the knee for a moment, where the hold at the knee cannot show
    how the service breaks: it fails there and not below, or what was seen below explains too
    little. None where it is not needed, or no rate is left to do it at.
    """
    rate = rate_beyond(climb, question.safety.max_rate)
    seen = held.span is not None and (held.span.profile or held.span.instants or held.span.states)
    if not seen or rate is None or not hides(climb.knee, diagnosis.bottleneck):
        return None
    seconds = SETTLE + long_enough(ABOVE, rate)
    sentence = f"holding {format_rate(rate)}, above the knee, to see how it breaks"
    lab.notify(Began("above", sentence, seconds))
    step = replace(step_of(question, Phase.ABOVE, rate, seconds, 5), stop_on_overload=False)
    span = lab.profiled(step, SpanName.ABOVE, on_cpu=True, waits=True)
    lab.drain(Drain())
    return span


def explain(
    lab: Lab,
    floor: Floor,
    climb: SearchResult,
    held: HoldResult,
    above: Span | None = None,
    options: Options = Options(),
) -> Diagnosis:
    """Which function or which wait stops the service there, and what a fix would bring."""
    lab.notify(Began("diagnose", "reading the profiles"))
    target = lab.target
    evidence = Evidence(
        knee=held.span or Span.of(trial_near(climb, held.rate) or floor.trial),
        above=above,
        baseline=floor.span,
        idle=floor.idle,
        runtime=target.runtime if target else "",
        version=target.runtime_version if target else "",
        cpu_limit=target.cpu_limit if target else None,
        application=target.application if target else Application(),
        trials=tuple(lab.trials),
        watched=options.profile,
        paths={step.name: step.path for step in lab.start.question.steps},
        parents={each.pid: each.parent for each in target.processes} if target else {},
    )
    if target is not None:
        evidence = with_sources(evidence, target, climb, lab.texts)
    return diagnose(evidence, climb, held.effect, lab.trials, lab.start.question.slo.objectives)


def hold_rate(climb: SearchResult, start: PerSecond) -> PerSecond:
    """Where to hold for profiles: the knee, else the highest rate that held, else the lowest."""
    if isinstance(climb.knee, Knee):
        return climb.knee.rate
    order = -1 if climb.knee.code is NoKneeCode.BUDGET else 1  # where no rate was seen to fail
    first, second = (climb.knee.low, highest_held(climb.trials))[::order]
    return first or second or start


def trial_near(climb: SearchResult, rate: PerSecond) -> Trial | None:
    """The search's own trial nearest to a rate, which knows what the target used there; None where
    none is to be believed.
    """
    near = [t for t in climb.trials if not t.invalid and t.step.phase in FITTED_PHASES]
    return min(near, key=lambda t: abs(t.step.rate - rate), default=None)


def highest_held(trials: Sequence[Trial]) -> PerSecond | None:
    """The highest rate of any trial that was not overloaded or spoiled."""
    return max((t.step.rate for t in trials if holds(t, ()) and not t.invalid), default=None)
