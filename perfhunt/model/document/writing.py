"""A Run as the document in run.json. Latencies are in milliseconds there and in seconds in the
model: `ms` writes them to the nanosecond.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from perfhunt.model.document.plain import same_fields, to_plain
from perfhunt.model.document.shape import (
    LATENCIES,
    RUN_RESHAPED,
    TRIAL_RESHAPED,
    BottleneckDocument,
    FindingDocument,
    GeneratorDocument,
    IntervalDocument,
    JudgedDocument,
    KneeDocument,
    LatencyDocument,
    LeafDocument,
    NoKneeDocument,
    PeerDocument,
    ProfileDocument,
    QuestionDocument,
    RiseDocument,
    RouteDocument,
    RunDocument,
    SloDocument,
    StatesDocument,
    TrialDocument,
    WaterfallDocument,
)
from perfhunt.model.finding import Bottleneck, Finding, Rise, Waterfall
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee, NoKnee, breaking_criterion
from perfhunt.model.latency import Latency
from perfhunt.model.profile import Profile
from perfhunt.model.question import Question
from perfhunt.model.run import SCHEMA, Run
from perfhunt.model.slo import Judged, Measure
from perfhunt.model.states import Peer, States
from perfhunt.model.trial import Trial
from perfhunt.model.units import Seconds, Share
from perfhunt.model.verdict.change import OneChange
from perfhunt.model.verdict.verdict import Verdict

# Counts rather than shares: a single kill, a single lost connection is one.
_COUNTED = ("oom_kills", "transport")


def document(run: Run) -> dict[str, Any]:
    """The plain values of run.json: strings, numbers, lists and dicts only. The run is redacted
    already.
    """
    criterion = breaking_criterion(run.knee, run.question.slo)
    shaped = RunDocument(
        schema=SCHEMA,
        **same_fields(Run, run, *RUN_RESHAPED),
        question=QuestionDocument(
            **same_fields(Question, run.question), fingerprint=run.question.fingerprint()
        ),
        slo=SloDocument(
            verdict=run.verdict,
            judged_at=run.judged_at,
            objectives=tuple(_judged(j) for j in run.judged),
        ),
        knee=to_plain(_knee(run.knee)),
        knees=tuple(to_plain(_knee(knee)) for knee in run.knees),
        baseline=None if run.baseline is None else _trial(run.baseline, criterion),
        trials=tuple(_trial(trial, criterion) for trial in run.trials),
        bottleneck=None if run.bottleneck is None else _bottleneck(run.bottleneck),
        findings=tuple(_finding(finding) for finding in run.findings),
        waterfall=None if run.waterfall is None else _waterfall(run.waterfall),
        states={
            span: StatesDocument(**same_fields(States, states), totals=states.totals())
            for span, states in run.states.items()
        },
        peers={
            span: tuple(
                PeerDocument(**same_fields(Peer, p), kind=p.kind, busy_share=p.busy_share)
                for p in peers
            )
            for span, peers in run.peers.items()
        },
        profiles={span: _profile(span, profile) for span, profile in run.profiles.items()},
        generator=_generator(run.trials),
    )
    plain: dict[str, Any] = to_plain(shaped)
    return plain


def trial_document(trial: Trial) -> dict[str, Any]:
    """One trial with its second rows, as a line of trials.jsonl."""
    plain: dict[str, Any] = to_plain(_trial(trial)) | {"rows": to_plain(trial.rows)}
    return plain


def verdict_document(verdict: Verdict, change: OneChange | None = None) -> dict[str, Any]:
    """A verdict as plain values, with whether it can be put down to a single edit: the change says
    (None: no change was looked at).
    """
    plain: dict[str, Any] = to_plain(verdict)
    return plain | {"attributable": change is None or change.attributable}


def ms(seconds: Seconds | None) -> float | None:
    """Milliseconds to the nanosecond; None for no value, and for infinity, which JSON has no word
    for.
    """
    return None if seconds is None or not math.isfinite(seconds) else round(seconds * 1000, 6)


def profile_file(span: str) -> str:
    """The name of the folded stacks of one span within the run directory."""
    return f"profile-{re.sub('[^a-z0-9]+', '-', span.lower())}.folded"


def sent_share(trial: Trial) -> Share | None:
    """Requests sent of those that were due, by the second rows; None without rows, for chance moves
    a rate by itself.
    """
    due = sum(row.due for row in trial.rows)
    return sum(row.sent for row in trial.rows) / due if due else None


def _trial(trial: Trial, criterion: str = "") -> TrialDocument:
    step = trial.step
    count = trial.counts.get(criterion) or next(iter(trial.counts.values()), None)
    return TrialDocument(
        phase=step.phase,
        rate=step.rate,
        **same_fields(Trial, trial, *TRIAL_RESHAPED),
        n=trial.n,
        exceed=None if count is None else count.exceed,
        response=_latency(trial.response),
        service=_latency(trial.service),
        errors=trial.failed,
        lag_p99_ms=ms(trial.generator.lag_p99),
        routes={
            name: RouteDocument(
                response=_latency(route.response),
                service=_latency(route.service),
                statuses=route.statuses,
                outcomes=route.outcomes,
                over=route.over,
                failures=route.failures,
                sizes=route.sizes,
            )
            for name, route in trial.routes.items()
        },
        duration_s=step.duration,
        settle_s=step.settle,
        seed=step.seed,
        arrivals=step.arrivals,
        stop_on_overload=step.stop_on_overload,
        started_s=trial.started,
    )


def _latency(latency: Latency) -> LatencyDocument:
    return LatencyDocument(
        n=latency.n,
        censored=latency.censored,
        **{name: ms(getattr(latency, name)) for name in LATENCIES},
    )


def _judged(judged: Judged) -> JudgedDocument:
    objective = judged.objective
    latency = objective.measure is Measure.LATENCY
    return JudgedDocument(
        name=objective.name,
        op=objective.op,
        limit=round(objective.limit * 1000, 6) if latency else objective.limit,
        value=ms(judged.value) if latency else judged.value,
        unit=_unit(judged),
        n=judged.n,
        verdict=judged.verdict,
        window_s=objective.window,
        note=judged.note,
    )


def _unit(judged: Judged) -> str:
    if judged.objective.measure is Measure.LATENCY:
        return "ms"
    if judged.objective.measure is Measure.THROUGHPUT:
        return "1/s"
    key = judged.objective.key
    if key.endswith("_growth"):
        return "bytes/h" if key == "memory_growth" else "per hour"
    return "count" if key in _COUNTED else "share"


def _knee(knee: Knee | NoKnee) -> KneeDocument | NoKneeDocument:
    if isinstance(knee, NoKnee):
        return NoKneeDocument(none=knee.reason, code=knee.code, low=knee.low, high=knee.high)
    return KneeDocument(
        **same_fields(Knee, knee, "limit", "load"), limit_ms=ms(knee.limit), load_s=knee.load
    )


def _bottleneck(bottleneck: Bottleneck) -> BottleneckDocument:
    return BottleneckDocument(
        **same_fields(Bottleneck, bottleneck, "runner_up"), runner_up=bottleneck.runner_up or ""
    )


def _interval(interval: Interval) -> IntervalDocument:
    return IntervalDocument(
        value=ms(interval.value),
        low=ms(interval.low),
        high=ms(interval.high),
        n=interval.n,
        confidence=interval.confidence,
    )


def _finding(finding: Finding) -> FindingDocument:
    return FindingDocument(
        **same_fields(Finding, finding, "own", "total", "blamed", "grew", "leaves"),
        ms_per_request=_interval(finding.blamed),
        own_ms=_interval(finding.own),
        total_ms=_interval(finding.total),
        grew_ms=None if finding.grew is None else _interval(finding.grew),
        leaves=tuple(
            LeafDocument(leaf.function, leaf.file, _interval(leaf.own)) for leaf in finding.leaves
        ),
    )


def _waterfall(waterfall: Waterfall) -> WaterfallDocument:
    left = waterfall.unexplained
    return WaterfallDocument(
        base_ms=ms(waterfall.base),
        knee_ms=ms(waterfall.knee),
        base_p99_ms=ms(waterfall.base_p99),
        knee_p99_ms=ms(waterfall.knee_p99),
        parts=tuple(_rise(part) for part in waterfall.parts),
        unexplained=None if left is None else _rise(left),
        closure=waterfall.closure,
        inferred=waterfall.inferred,
        differs=waterfall.differs,
        missing=waterfall.missing,
    )


def _rise(rise: Rise) -> RiseDocument:
    return RiseDocument(
        **same_fields(Rise, rise, "base", "knee", "added", "inferred"),
        inferred_ms=ms(rise.inferred),
        base_ms=ms(rise.base),
        knee_ms=ms(rise.knee),
        added_ms=_interval(rise.added),
    )


def _profile(span: str, profile: Profile) -> ProfileDocument:
    return ProfileDocument(
        **same_fields(Profile, profile, "stacks", "lock_waits", "long_polls", "allocated"),
        weight=profile.total,
        file=profile_file(span),
    )


def worst_generator(
    trials: Sequence[Trial],
) -> tuple[Seconds | None, Share | None, Share | None]:
    """How late requests left (p99), how many of those that were due, and the CPU it took: the worst
    of all valid trials.
    """
    valid = [t for t in trials if not t.invalid]
    lags = [t.generator.lag_p99 for t in valid if t.generator.lag_p99 is not None]
    sent = [share for t in valid if not t.overload and (share := sent_share(t)) is not None]
    cpu = [t.generator.cpu for t in valid if t.generator.cpu is not None]
    return max(lags, default=None), min(sent, default=None), max(cpu, default=None)


def _generator(trials: Sequence[Trial]) -> GeneratorDocument:
    lag, sent, cpu = worst_generator(trials)
    return GeneratorDocument(
        lag_p99_ms=ms(lag),
        cpu=cpu,
        achieved_share=sent,
        invalid_trials=sum(bool(t.invalid) for t in trials),
    )
