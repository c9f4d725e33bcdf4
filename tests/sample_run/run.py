"""The whole run, and the same cut short."""

from __future__ import annotations

from dataclasses import replace

from perfhunt.model.knee import Capacity, Knee, KneeLabel, NoKnee, NoKneeCode, RouteKnee
from perfhunt.model.run import Environment, Run, RunKind
from perfhunt.model.slo import Judgement
from perfhunt.model.trial import Drained, Phase
from tests.sample_run.captures import peers, profile, states
from tests.sample_run.findings import bottleneck, cautions, findings, probe_effect, waterfall
from tests.sample_run.host import environment, target
from tests.sample_run.load import CAPACITY, KNEE, LIMIT, P99, SHARPNESS, curve, trial, trials
from tests.sample_run.question import judged, question


def _knees() -> tuple[Knee, Knee, NoKnee]:
    knee = Knee(
        rate=KNEE,
        low=134.2,
        high=147.9,
        confidence=0.95,
        criterion=P99,
        limit=LIMIT,
        sharpness=SHARPNESS,
        label=KneeLabel.SHARP,
        phi=9.1,
        passes=3,
        load=286.0,
        curve=curve(),
    )
    checkout = replace(
        knee,
        criterion="latency.p99[checkout]",
        rate=149.0,
        low=138.0,
        high=161.0,
        limit=0.4,
        label=KneeLabel.SOFT,
        sharpness=3.1,
    )
    errors = NoKnee(NoKneeCode.BELOW_MAX_RATE, "errors stayed below 0.1 % up to 205/s", low=205.0)
    return knee, checkout, errors


def sample_run() -> Run:
    """The whole Run."""
    knees = _knees()
    return Run(
        id="20261123T043000Z-1f3a9c",
        kind=RunKind.INVESTIGATE,
        started="2026-11-23T04:30:00Z",
        perfhunt="0.1.0",
        question=question(),
        environment=environment(),
        target=target(),
        verdict=Judgement.MISSED,
        judged=judged(),
        judged_at=120.0,
        knee=knees[0],
        knees=knees,
        capacity=Capacity(CAPACITY, 158.9, 165.8, 205.1),
        route_knees=(
            RouteKnee(route="checkout", share=0.1, n=4210, rate=131.0, low=112.0, high=149.0),
            RouteKnee(
                route="list",
                share=0.7,
                n=29_470,
                rate=None,
                low=176.0,
                high=None,
                note="held up to the highest rate tried, 176/s",
            ),
        ),
        baseline=trial(Phase.BASELINE, 10.0, 15, 2.0),
        trials=trials(),
        drains=(Drained(3.2, True), Drained(6.1, True)),
        bottleneck=bottleneck(),
        findings=findings(),
        waterfall=waterfall(),
        states=states(),
        peers={"knee": peers()},
        profiles={"baseline": profile(0.25, 8.0), "knee": profile(1.0, 15.0)},
        probe_effect=probe_effect(),
        cautions=cautions(),
        artifacts={
            "report": "report.html",
            "flamegraph": "flamegraph.svg",
            "speedscope": "profile.speedscope.json",
        },
        seconds=402.0,
        next_step="Change load_rules (shop/pricing.py:71), then: perfhunt verify --pid 4242",
        exit_code=99,
    )


def aborted_run() -> Run:
    """The same, killed early: hardly anything is there."""
    whole = sample_run()
    return Run(
        id=whole.id,
        kind=whole.kind,
        started=whole.started,
        perfhunt=whole.perfhunt,
        question=whole.question,
        environment=Environment(),
        target=None,
        verdict=Judgement.UNKNOWN,
        trials=whole.trials[:1],
        ended="stopped: Ctrl-C during ramp",
        exit_code=105,
    )
