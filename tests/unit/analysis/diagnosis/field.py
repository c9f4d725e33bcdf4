"""Services of other runtimes, drawn by hand: thread states and a trial, no stacks of what waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.knee import Knee, KneeLabel, NoKnee
from perfhunt.model.latency import Latency
from perfhunt.model.profile import Profile
from perfhunt.model.states import States, ThreadTime
from perfhunt.model.trial import Resources, RouteResult, Step, Trial
from tests.unit.scenes import profile, used
from tests.unit.trials import HELD

KNEE = Knee(100.0, 95.0, 105.0, 0.95, "latency.p99", 0.2, 8.0, KneeLabel.SHARP)
SPENT = {"lock": 1.0}  # a thread of a pool that has nothing to do


def trial(
    rate: float,
    median: float,
    statuses: Mapping[int, int] | None = None,
    outcomes: Mapping[str, int] | None = None,
    routes: Mapping[str, Mapping[int, int]] | None = None,
) -> Trial:
    """A trial of one route (or several, by their statuses) with that median of the service time."""
    by_route = routes or {"GET /": statuses or {200: 1000}}
    latency = _latency(median, sum(sum(each.values()) for each in by_route.values()))
    failed = sum(n for each in by_route.values() for code, n in each.items() if code >= 400)
    return replace(
        HELD,
        step=Step(HELD.step.phase, rate, 10.0, seed=1),
        achieved=rate,
        completed=rate,
        response=latency,
        service=latency,
        outcomes=outcomes or {"ok": latency.n - failed, "status": failed},
        routes={name: _route(median, each) for name, each in by_route.items()},
    )


def _route(median: float, statuses: Mapping[int, int]) -> RouteResult:
    latency = _latency(median, sum(statuses.values()))
    failed = sum(n for code, n in statuses.items() if code >= 400)
    return RouteResult(latency, latency, statuses, {"ok": latency.n - failed, "status": failed})


def _latency(median: float, n: int) -> Latency:
    return Latency(
        n=n, p50=median, p90=2 * median, p95=2 * median, p99=3 * median, mean=median, max=1.0
    )


def span(
    rate: float,
    service: float,
    threads: Sequence[Mapping[str, float]],
    cpu: float,
    stacks: Profile | None = None,
    limit: float = 4.0,
    resources: Resources | None = None,
) -> Span:
    """A span of one process; the first of the threads is its main one."""
    times = tuple(
        ThreadTime(1, 1 + n, "main" if n == 0 else "worker", states)
        for n, states in enumerate(threads)
    )
    return Span(
        rate,
        service=service,
        trial=trial(rate, service),
        profile=stacks,
        states=States("knee", 10.0, times, ticks=500),
        resources=resources or used(cpu, limit),
    )


def climb(knee: Knee | NoKnee = KNEE, *trials: Trial) -> SearchResult:
    return SearchResult(knee, (knee,), None, trials, ())


def go_mutex() -> Evidence:
    """A mutex kept for 10 ms of each request: goroutines wait for it, which no thread does."""
    parked = [{"poll": 1.0}, *[SPENT] * 8]
    busy = [{"poll": 0.9, "on_cpu": 0.1}, {"lock": 0.95, "on_cpu": 0.05}, *[SPENT] * 7]
    return Evidence(
        span(95.0, 0.080, busy, 0.15, profile(digest=120)),
        span(10.0, 0.011, parked, 0.01, profile(digest=60)),
        runtime="go",
        version="1.22.1",
        cpu_limit=4.0,
    )


def java_monitor() -> Evidence:
    """Sixteen threads, one in a monitor; 10 % of the CPU goes to a digest before it."""
    base = [{"lock": 1.0}, *[{"lock": 0.99, "on_cpu": 0.01}] * 16]
    busy = [{"lock": 1.0}, *[{"lock": 0.975, "on_cpu": 0.025}] * 16]
    return Evidence(
        span(95.0, 0.110, busy, 0.4, profile(digest=900)),
        span(10.0, 0.012, base, 0.05, profile(digest=60)),
        runtime="jvm",
        cpu_limit=4.0,
    )


def node_pool() -> Evidence:
    """Four threads of libuv's pool hash on a host of eight cores; the main one hands them work."""
    base = [{"poll": 0.97, "on_cpu": 0.03}, *[{"lock": 0.9, "on_cpu": 0.1}] * 4, *[SPENT] * 4]
    busy = [{"poll": 0.9, "on_cpu": 0.1}, *[{"lock": 0.03, "on_cpu": 0.97}] * 4, *[SPENT] * 4]
    return Evidence(
        span(95.0, 0.120, busy, 4.0, limit=8.0),
        span(10.0, 0.042, base, 0.43, limit=8.0),
        runtime="node",
        cpu_limit=8.0,
    )


def node_loop() -> Evidence:
    """One thread runs all of the JavaScript, without pause."""
    base = [{"poll": 0.9, "on_cpu": 0.1}, *[SPENT] * 8]
    busy = [{"poll": 0.03, "on_cpu": 0.95, "run_queue": 0.02}, *[SPENT] * 8]
    return Evidence(
        span(95.0, 0.080, busy, 0.97, profile(total=900), limit=8.0),
        span(10.0, 0.011, base, 0.1, profile(total=60), limit=8.0),
        runtime="node",
        cpu_limit=8.0,
    )


def loops(processes: int, cores: float) -> Evidence:
    """So many processes, each a Node of one thread that runs without pause, and so many cores."""
    evidence = node_loop()
    knee, base = evidence.knee, evidence.baseline
    assert knee.states is not None and base is not None
    main = knee.states.threads[0]
    threads = tuple(replace(main, pid=pid, tid=pid) for pid in range(1, processes + 1))
    busy = used(0.97 * processes, cores)
    states = replace(knee.states, threads=threads)
    return replace(evidence, knee=replace(knee, states=states, resources=busy), cpu_limit=cores)
