"""The Run in a run.json document. Strict: a document of another schema, or with a field missing,
unknown or ill-typed, is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from perfhunt.model.document.plain import PlainError, from_plain, same_fields
from perfhunt.model.document.shape import (
    LATENCIES,
    RUN_RESHAPED,
    TRIAL_RESHAPED,
    BottleneckDocument,
    FindingDocument,
    IntervalDocument,
    JudgedDocument,
    KneeDocument,
    LatencyDocument,
    NoKneeDocument,
    ProfileDocument,
    RiseDocument,
    RunDocument,
    TrialDocument,
    WaterfallDocument,
)
from perfhunt.model.finding import Bottleneck, BottleneckClass, Finding, Leaf, Rise, Waterfall
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee, NoKnee
from perfhunt.model.latency import Latency
from perfhunt.model.profile import Profile, Stack
from perfhunt.model.question import Question
from perfhunt.model.run import SCHEMA, Run
from perfhunt.model.slo import Judged, Measure, Objective
from perfhunt.model.states import Peer, States
from perfhunt.model.trial import RouteResult, Step, Trial
from perfhunt.model.units import Seconds


def read_document(plain: Any, stacks: Mapping[str, Mapping[Stack, float]] | None = None) -> Run:
    """The Run of a document that `document` wrote; `stacks` by span fills the profiles. Raises
    PlainError, with the place.
    """
    if not isinstance(plain, dict):
        raise PlainError(f"run.json holds {type(plain).__name__}, not an object")
    if plain.get("schema") != SCHEMA:
        raise PlainError(
            f"run.json has schema {plain.get('schema')!r}; this perfhunt reads schema {SCHEMA}"
        )
    try:
        return _run(from_plain(RunDocument, plain), stacks or {})
    except PlainError as error:
        raise PlainError(f"run.json is damaged: {error}") from error


def read_trial(plain: Any, where: str = "trial") -> Trial:
    """The trial that `trial_document` wrote, with its second rows. Raises PlainError."""
    return _trial(from_plain(TrialDocument, plain, where))


def with_rows(run: Run, stored: Sequence[Trial]) -> Run:
    """The run with each trial's second rows filled from the trials as they were appended."""
    rows = {(t.step, t.started): t.rows for t in stored}

    def filled(trial: Trial) -> Trial:
        return replace(trial, rows=rows.get((trial.step, trial.started), trial.rows))

    return replace(
        run,
        trials=tuple(filled(trial) for trial in run.trials),
        baseline=None if run.baseline is None else filled(run.baseline),
    )


def _run(shaped: RunDocument, stacks: Mapping[str, Mapping[Stack, float]]) -> Run:
    return Run(
        **same_fields(Run, shaped, *RUN_RESHAPED),
        question=Question(**same_fields(Question, shaped.question)),
        judged=tuple(_judged(j, i) for i, j in enumerate(shaped.slo.objectives)),
        judged_at=shaped.slo.judged_at,
        knee=_knee(shaped.knee, "knee"),
        knees=tuple(_knee(knee, f"knees[{i}]") for i, knee in enumerate(shaped.knees)),
        baseline=None if shaped.baseline is None else _trial(shaped.baseline),
        trials=tuple(_trial(trial) for trial in shaped.trials),
        bottleneck=None if shaped.bottleneck is None else _bottleneck(shaped.bottleneck),
        findings=tuple(_finding(finding) for finding in shaped.findings),
        waterfall=None if shaped.waterfall is None else _waterfall(shaped.waterfall),
        states={span: States(**same_fields(States, s)) for span, s in shaped.states.items()},
        peers={
            span: tuple(Peer(**same_fields(Peer, p)) for p in peers)
            for span, peers in shaped.peers.items()
        },
        profiles={
            span: _profile(profile, stacks.get(span, {}))
            for span, profile in shaped.profiles.items()
        },
    )


def _seconds(milliseconds: float | None) -> Seconds | None:
    return None if milliseconds is None else round(milliseconds / 1000, 9)


def _seconds_or_infinite(milliseconds: float | None) -> Seconds:
    return math.inf if milliseconds is None else round(milliseconds / 1000, 9)


def _trial(shaped: TrialDocument) -> Trial:
    return Trial(
        **same_fields(Trial, shaped, *TRIAL_RESHAPED),
        step=Step(
            phase=shaped.phase,
            rate=shaped.rate,
            duration=shaped.duration_s,
            seed=shaped.seed,
            settle=shaped.settle_s,
            stop_on_overload=shaped.stop_on_overload,
            arrivals=shaped.arrivals,
        ),
        response=_latency(shaped.response),
        service=_latency(shaped.service),
        routes={
            name: RouteResult(
                response=_latency(route.response),
                service=_latency(route.service),
                statuses=route.statuses,
                outcomes=route.outcomes,
                over=route.over,
                failures=route.failures,
                sizes=route.sizes,
            )
            for name, route in shaped.routes.items()
        },
        rows=shaped.rows or (),
        started=shaped.started_s,
    )


def _latency(shaped: LatencyDocument) -> Latency:
    return Latency(
        n=shaped.n,
        **{name: _seconds(getattr(shaped, name)) for name in LATENCIES},
        censored=shaped.censored,
    )


def _judged(shaped: JudgedDocument, index: int) -> Judged:
    name, _, route = shaped.name.partition("[")
    measure, _, key = name.partition(".")
    latency = measure == Measure.LATENCY
    objective = Objective(
        measure=from_plain(Measure, measure, f"slo.objectives[{index}].name"),
        key=key,
        op=shaped.op,
        limit=round(shaped.limit / 1000, 9) if latency else shaped.limit,
        window=shaped.window_s,
        route=route.removesuffix("]") or None,
    )
    value = _seconds(shaped.value) if latency else shaped.value
    return Judged(
        objective=objective, value=value, n=shaped.n, verdict=shaped.verdict, note=shaped.note
    )


def _knee(plain: dict[str, Any], where: str) -> Knee | NoKnee:
    if "none" in plain:
        none = from_plain(NoKneeDocument, plain, where)
        return NoKnee(none.code, none.none, none.low, none.high)
    shaped = from_plain(KneeDocument, plain, where)
    return Knee(
        **same_fields(Knee, shaped, "limit", "load"),
        limit=_seconds_or_infinite(shaped.limit_ms),
        load=shaped.load_s,
    )


def _bottleneck(shaped: BottleneckDocument) -> Bottleneck:
    runner_up = shaped.runner_up and from_plain(
        BottleneckClass, shaped.runner_up, "bottleneck.runner_up"
    )
    return Bottleneck(**same_fields(Bottleneck, shaped, "runner_up"), runner_up=runner_up or None)


def _interval(shaped: IntervalDocument) -> Interval:
    return Interval(
        value=_seconds_or_infinite(shaped.value),
        low=_seconds_or_infinite(shaped.low),
        high=_seconds_or_infinite(shaped.high),
        n=shaped.n,
        confidence=shaped.confidence,
    )


def _finding(shaped: FindingDocument) -> Finding:
    return Finding(
        **same_fields(Finding, shaped, "own", "total", "blamed", "grew", "leaves"),
        own=_interval(shaped.own_ms),
        total=_interval(shaped.total_ms),
        blamed=_interval(shaped.ms_per_request),
        grew=None if shaped.grew_ms is None else _interval(shaped.grew_ms),
        leaves=tuple(
            Leaf(leaf.function, leaf.file, _interval(leaf.own_ms)) for leaf in shaped.leaves
        ),
    )


def _waterfall(shaped: WaterfallDocument) -> Waterfall:
    left = shaped.unexplained
    return Waterfall(
        parts=tuple(_rise(part) for part in shaped.parts),
        base=_seconds(shaped.base_ms) or 0.0,
        knee=_seconds(shaped.knee_ms) or 0.0,
        unexplained=None if left is None else _rise(left),
        closure=shaped.closure,
        base_p99=_seconds(shaped.base_p99_ms),
        knee_p99=_seconds(shaped.knee_p99_ms),
        differs=shaped.differs,
        missing=shaped.missing,
    )


def _rise(shaped: RiseDocument) -> Rise:
    return Rise(
        **same_fields(Rise, shaped, "base", "knee", "added", "inferred"),
        inferred=_seconds(shaped.inferred_ms) or 0.0,
        base=_seconds(shaped.base_ms) or 0.0,
        knee=_seconds(shaped.knee_ms) or 0.0,
        added=_interval(shaped.added_ms),
    )


def _profile(shaped: ProfileDocument, stacks: Mapping[Stack, float]) -> Profile:
    return Profile(
        **same_fields(Profile, shaped, "stacks", "lock_waits", "long_polls", "allocated"),
        stacks=dict(stacks),
    )
