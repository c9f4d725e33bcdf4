"""The trials of the sample run: what a ramp, a search and its holds would have measured of the
shop. All numbers are made by hand or by formula.
"""

from __future__ import annotations

from perfhunt.model.knee import FittedCurve
from perfhunt.model.latency import Latency
from perfhunt.model.trial import (
    Count,
    Generator,
    Phase,
    Resources,
    RouteResult,
    SecondRow,
    Step,
    Trial,
    Wire,
)

LIMIT = 0.25  # seconds
KNEE, CAPACITY = 141.3, 162.4  # requests per second
SHARPNESS = 14.0
P99 = "latency.p99"
ROUTES = (("list", 0.7), ("item", 0.2), ("checkout", 0.1))


def exceedance(rate: float) -> float:
    """1 % at the knee, a power law of the rate, as a sharp knee has it."""
    return float(min(0.9, 0.01 * (rate / KNEE) ** SHARPNESS))


def curve() -> FittedCurve:
    """`exceedance` from 120 to 160/s, known within a factor of 1.5 either way."""
    rates = (120.0, 130.0, 140.0, 150.0, 160.0)
    shares = tuple(round(exceedance(rate), 6) for rate in rates)
    return FittedCurve(
        rates=rates,
        shares=shares,
        low=tuple(round(share / 1.5, 6) for share in shares),
        high=tuple(round(share * 1.5, 6) for share in shares),
    )


def latency(n: int, rate: float, scale: float = 1.0, censored: int = 0) -> Latency:
    """Percentiles that grow as 1 / (1 - utilisation) and pass the limit at the knee; whole
    microseconds.
    """
    busy = 1 / (1 - min(0.97, rate / CAPACITY))
    at_knee = 1 / (1 - KNEE / CAPACITY)
    p99 = scale * (0.045 + (LIMIT - 0.045) * (busy - 1) / (at_knee - 1))
    values = (p99 * k for k in (0.22, 0.48, 0.62, 1.0, 0.27, 1.9))
    p50, p90, p95, p99, mean, largest = (round(v, 6) for v in values)
    return Latency(
        n=n, p50=p50, p90=p90, p95=p95, p99=p99, mean=mean, max=largest, censored=censored
    )


def resources(rate: float, seconds: float) -> Resources:
    """A process that uses one core at most, and leaks nothing."""
    cpu = round(min(0.98, 0.98 * rate / CAPACITY), 3)
    return Resources(
        seconds=seconds,
        cpu=cpu,
        cpu_seconds=round(cpu * seconds, 2),
        cpu_share=round(cpu / 2, 3),
        cpu_limit=2.0,
        cpu_limit_source="affinity",
        rss=68_157_440,
        rss_peak=70_254_592,
        rss_slope=120.0,
        memory_share=0.033,
        memory_limit=2_147_483_648,
        memory_limit_source="cgroup memory.max",
        fds=23,
        threads=6,
        processes=2,
        switches_voluntary=round(9.5 * rate, 1),
        switches_involuntary=round(1.4 * rate, 1),
        oom_kills=0,
        host_cpu_share=round(0.2 + cpu / 2, 3),
        psi_cpu=0.08,
        psi_io=0.0,
        psi_memory=0.0,
        accept_queue=0,
        accept_backlog=2048,
        listen_overflows=0,
        listen_drops=0,
        syn_retransmits=0,
        retransmits=2,
        connections={"127.0.0.1:5432": 4},
    )


def wire(n: int) -> Wire:
    """Answers of n requests over six connections that live on, each in one piece but a few."""
    return Wire(
        answers=n,
        size_mean=1840.0,
        size_p99=5210.0,
        encodings=("identity",),
        in_pieces=3,
        head_first=1,
        gap_p50=0.0002,
        gap_p99=0.0011,
        gap_total=0.0015,
        connects=6,
        connect_p50=0.0003,
        connect_p99=0.0009,
        resolution=0.0004,
    )


def routes(n: int, rate: float) -> dict[str, RouteResult]:
    """What each route had of n requests; checkout is the slow one."""
    results = {}
    for name, share in ROUTES:
        slow = name == "checkout"
        count = round(n * share)
        results[name] = RouteResult(
            latency(count, rate, 1.6 if slow else 0.9),
            latency(count, rate, 1.2 if slow else 0.7),
            {200: count},
            {"ok": count},
            {"latency.p99": round(count * exceedance(rate))},
        )
    return results


def rows(rate: float) -> tuple[SecondRow, ...]:
    """Two seconds, each as the other."""
    return tuple(
        SecondRow(
            second=second,
            due=round(rate),
            sent=round(rate),
            done=round(rate),
            failed=0,
            shed=0,
            exceed=(round(rate * exceedance(rate)),),
            in_flight=3.5,
            p50=0.02,
            p99=0.2,
            lag_p99=0.0004,
            generator_cpu=0.11,
        )
        for second in range(2)
    )


def trial(
    phase: Phase,
    rate: float,
    seconds: float,
    started: float,
    seed: int = 1,
    overload: str = "",
    invalid: str = "",
) -> Trial:
    """A trial with the counts that `exceedance` predicts."""
    n = round(rate * (seconds - 2))
    exceed = round(n * (0.62 if overload else exceedance(rate)))
    failed = 3 if overload else 0
    response, service = latency(n, rate, censored=n // 9 if overload else 0), latency(n, rate, 0.8)
    return Trial(
        step=Step(phase, rate, seconds, seed, 2.0),
        seconds=seconds,
        achieved=round(rate * 0.998, 2),
        completed=round(min(rate, CAPACITY) * 0.997, 2),
        counts={P99: Count(n, exceed), "latency.p95": Count(n, min(n, exceed * 3))},
        response=response,
        service=service,
        outcomes={"ok": n - failed, "timeout": failed} if failed else {"ok": n},
        generator=Generator(
            lag_p50=0.00004,
            lag_p99=0.06 if invalid else 0.0004,
            cpu=0.14,
            connections_opened=6,
            gc_pause_max=0.002,
            fds_share=0.01,
            ports_share=0.01,
            little_ratio=1.02,
        ),
        overload=overload,
        invalid=invalid,
        routes=routes(n, rate),
        rows=rows(rate),
        resources=resources(rate, seconds),
        samples=f"trials/{round(started):04d}.samples",
        started=started,
        wire=wire(n),
    )


OVERLOADED = (
    "mean in flight 88 over two seconds at 171/s means every request takes longer than 1.5 × 250 ms"
)


def trials() -> tuple[Trial, ...]:
    """A search as it goes: ramp, coarse, three passes of four, one overloaded ramp step and one
    invalid trial.
    """
    tried, at = [], 20.0
    for rate in (15.0, 22.5, 33.8, 50.6, 75.9, 113.9):
        tried.append(trial(Phase.RAMP, rate, 6, at, seed=round(rate)))
        at += 6
    tried.append(trial(Phase.RAMP, 170.9, 6, at, overload=OVERLOADED))
    at += 14
    tried.append(trial(Phase.COARSE, 139.5, 8, at))
    tried.append(
        trial(
            Phase.COARSE,
            154.4,
            8,
            at + 9,
            invalid="the generator's clock lag p99 was 60 ms, more than a tenth of the limit",
        )
    )
    at += 20
    for number in range(3):
        for factor in (0.90, 0.967, 1.033, 1.10):
            tried.append(trial(Phase.PASS, round(KNEE * factor, 1), 20, at, seed=100 + number))
            at += 20
    tried.append(
        trial(Phase.CAPACITY, 205.1, 12, at, overload="mean in flight 240 over two seconds")
    )
    tried.append(trial(Phase.QUIET, 141.3, 8, at + 20))
    tried.append(trial(Phase.HOLD, 141.3, 25, at + 30))
    return tuple(tried)
