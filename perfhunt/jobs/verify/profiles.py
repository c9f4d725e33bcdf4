"""A profile of each of two versions at the same fixed load, after the verdict: where the time of a
request went, and goes now.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.blame.wall import wall_profiles
from perfhunt.analysis.diagnosis.cautions import loss_cautions
from perfhunt.analysis.verdict.pairs import BASE, HEAD, SlicePlan
from perfhunt.jobs.verify.attribution import VersionProfiles, measured
from perfhunt.jobs.verify.starter import CommandStarter
from perfhunt.lab import require_whole
from perfhunt.model.profile import Instants, Profile, SpanName, Stack, regrouped
from perfhunt.model.question import ProcessSelector
from perfhunt.model.run import Began, TargetProcess, Ticked, Tried
from perfhunt.model.trial import Phase, Step
from perfhunt.model.units import Seconds, format_rate
from perfhunt.profilers.probes import LiveProbes
from perfhunt.stories.pair_bench import PairBench, StartedVersion
from perfhunt.stories.paired_question import PairedQuestion
from perfhunt.target.find import find_target

# Long enough for some hundred samples of threads at 8 a second; the verdict is settled before.
HOLD: Seconds = 12.0
SETTLE: Seconds = 1.0
# At half the rate: caches and pools fill before the hold.
WARM: Seconds = 3.0


def profile_versions(
    paired: PairedQuestion, bench: PairBench, starter: CommandStarter
) -> dict[str, VersionProfiles]:
    """The profiles of "base" and "head", each started once more and held at the rate that was
    compared at.

    Raises AttachFailed, TargetDied, UsageError (a version that does not start), Stopped.
    """
    try:
        return {version: _profiled(version, paired, bench, starter) for version in (BASE, HEAD)}
    finally:
        bench.close()


def _profiled(
    version: str, paired: PairedQuestion, bench: PairBench, starter: CommandStarter
) -> VersionProfiles:
    rate = paired.plan.rates[0]
    bench.check()
    bench.watch(Began("profile", f"what {version} does at {format_rate(rate)}", WARM + HOLD))
    started = starter.start(version, 0)
    try:
        started.ready(bench.stop)
        target = find_target(ProcessSelector(pid=started.pid), started.url)
        directory = bench.directory / "profiles" / version
        with closing(LiveProbes(target, directory, bench.clock)) as probes:
            probes.open()
            idle = probes.idle()
            span = _held(version, started, paired, bench, probes)
    finally:
        starter.end(started)
    return _version_profiles(span, idle, target)


def in_place(profile: Profile, root: str) -> Profile:
    """The profile with files named from the checkout's top: the two versions lie in different
    directories, and are compared.
    """
    prefix = root.rstrip("/") + "/"

    def moved(stack: Stack) -> Stack:
        return tuple(replace(frame, file=frame.file.removeprefix(prefix)) for frame in stack)

    return replace(profile, stacks=regrouped(profile.stacks, moved))


def _held(
    version: str,
    started: StartedVersion,
    paired: PairedQuestion,
    bench: PairBench,
    probes: LiveProbes,
) -> Span:
    engine = bench.engine_at(paired.question, started)
    warm, hold = _steps(paired.plan)
    engine.run(warm, None, bench.stop)
    bench.check()
    probes.resources()
    seconds, settle = hold.duration - hold.settle, hold.settle + paired.question.think
    with probes.during(version, seconds, on_cpu=True, waits=True, settle=settle) as attached:
        trial = engine.run(hold, lambda row: bench.watch(Ticked(hold, row)), bench.stop)
    trial = replace(trial, resources=probes.resources())
    bench.watch(Tried(trial))
    bench.check()
    require_whole(trial)
    return attached.span_of(trial).while_requests_counted(engine.requests_at)


def _steps(plan: SlicePlan) -> tuple[Step, Step]:
    """The warm-up and the hold."""
    warm = Step(
        phase=Phase.WARMUP,
        rate=plan.rates[0] / 2,
        duration=WARM,
        seed=plan.seed,
        arrivals=plan.arrivals,
    )
    hold = Step(
        phase=Phase.HOLD,
        rate=plan.rates[0],
        duration=HOLD,
        seed=plan.seed + 1,
        settle=SETTLE,
        stop_on_overload=False,
        arrivals=plan.arrivals,
    )
    return warm, hold


def _version_profiles(span: Span, idle: Instants | None, target: TargetProcess) -> VersionProfiles:
    evidence = Evidence(
        knee=span, idle=idle, runtime=target.runtime, application=target.application
    )
    cores = span.resources.cpu if span.resources else None
    wall = wall_profiles(read_evidence(evidence)).get(SpanName.KNEE)
    placed = [
        profile and in_place(profile, target.git_root)
        for profile in (wall.profile if wall else None, span.profile)
    ]
    threads, running = (measured(profile, span.completed, cores) for profile in placed)
    return VersionProfiles(threads, running, tuple(loss_cautions(span)))
