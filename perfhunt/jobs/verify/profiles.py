"""A profile of each of two versions at the same fixed load, after the verdict: where the time of a
request went, and goes now.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from perfhunt import verify
from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.frames import modules_of
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.blame.wall import wall_profiles
from perfhunt.analysis.verdict.pairs import BASE, HEAD
from perfhunt.jobs.verify.attribution import Sides
from perfhunt.model.profile import Instants, Profile, SpanName, Stack
from perfhunt.model.question import ProcessSelector
from perfhunt.model.run import Began, TargetProcess, Ticked, Tried
from perfhunt.model.trial import Phase, Step, Trial
from perfhunt.model.units import Seconds, format_rate
from perfhunt.model.verdict.attribution import Measured
from perfhunt.profilers.probes import LiveProbes
from perfhunt.target.find import find_target

HOLD: Seconds = 12.0
SETTLE: Seconds = 1.0
WARM: Seconds = 3.0


def profile_versions(
    asking: verify.PairedQuestion, bench: verify.PairBench, starter: verify.CommandStarter
) -> dict[str, Sides]:
    """The profiles of "base" and "head", each started once more and held at the rate that was
    compared at.

    Raises AttachFailed, TargetDied, UsageError (a version that does not start), Stopped.
    """
    try:
        return {version: _profiled(version, asking, bench, starter) for version in (BASE, HEAD)}
    finally:
        bench.close()


def _profiled(
    version: str,
    asking: verify.PairedQuestion,
    bench: verify.PairBench,
    starter: verify.CommandStarter,
) -> Sides:
    rate = asking.plan.rates[0]
    bench.check()
    bench.watch(Began("profile", f"what {version} does at {format_rate(rate)}", WARM + HOLD))
    live = starter.start(version, 0)
    try:
        live.ready(bench.stop)
        target = find_target(ProcessSelector(pid=live.pid), live.url)
        with closing(
            LiveProbes(target, bench.directory / "profiles" / version, bench.clock)
        ) as probes:
            probes.open()
            idle = probes.idle()
            span = _held(version, live.url, asking, bench, probes)
    finally:
        starter.end(live)
    return _sides(span, idle, target)


def in_place(profile: Profile, root: str) -> Profile:
    """The profile with files named from the checkout's top: the two versions lie in different
    directories, and are compared.
    """
    prefix = root.rstrip("/") + "/"
    stacks: dict[Stack, float] = {}
    for stack, weight in profile.stacks.items():
        key = tuple(
            replace(f, file=f.file.removeprefix(prefix)) if f.file.startswith(prefix) else f
            for f in stack
        )
        stacks[key] = stacks.get(key, 0.0) + weight
    return replace(profile, stacks=stacks)


def _held(
    version: str,
    url: str,
    asking: verify.PairedQuestion,
    bench: verify.PairBench,
    probes: LiveProbes,
) -> Span:
    plan, engine = asking.plan, bench.at(asking, url)
    warm = Step(Phase.WARMUP, plan.rates[0] / 2, WARM, plan.seed, arrivals=plan.arrivals)
    engine.run(warm, None, bench.stop)
    bench.check()
    step = Step(
        Phase.HOLD,
        plan.rates[0],
        HOLD,
        plan.seed + 1,
        SETTLE,
        stop_on_overload=False,
        arrivals=plan.arrivals,
    )
    probes.resources()
    with probes.during(version, step.duration - step.settle, on_cpu=True, waits=True) as attached:
        trial: Trial = engine.run(step, lambda row: bench.watch(Ticked(step, row)), bench.stop)
    trial = replace(trial, resources=probes.resources())
    bench.watch(Tried(trial))
    bench.check()
    return attached.seen(trial)


def _sides(span: Span, idle: Instants | None, target: TargetProcess) -> Sides:
    modules = tuple(sorted({m for p in target.processes for m in modules_of(p.cmdline)}))
    reading = read_evidence(
        Evidence(knee=span, idle=idle, runtime=target.runtime, app_modules=modules)
    )
    wall = wall_profiles(reading).get(SpanName.KNEE)
    cores = span.resources.cpu if span.resources else None

    def measured(profile: Profile | None) -> Measured | None:
        return (
            Measured(in_place(profile, target.git_root), span.completed, cores)
            if profile and profile.total
            else None
        )

    return Sides(measured(wall.profile if wall else None), measured(span.profile))
