# ruff: noqa: E501
"""A Run with every part filled, as an investigation of a small shop would leave it. All numbers are
made by hand or by formula.

The shop: 4 threads of gunicorn, a lock held around a price query; p99 <= 250 ms breaks at about
141/s, saturation at 162/s.
"""

from __future__ import annotations

from dataclasses import replace

from perfhunt.model.finding import Bottleneck, Caution, CautionCode, Finding, ProbeEffect, WhatIf
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Capacity, Knee, NoKnee
from perfhunt.model.latency import Latency
from perfhunt.model.profile import Frame, Profile, Stack
from perfhunt.model.question import (
    Expect,
    Feed,
    ProcessSelector,
    Question,
    Ramp,
    RequestTemplate,
    Target,
)
from perfhunt.model.run import Environment, Listener, Process, Run, TargetProcess
from perfhunt.model.slo import Judged, Judgement, Measure, Objective, Slo
from perfhunt.model.states import States, ThreadTime
from perfhunt.model.trial import (
    Count,
    Drained,
    Generator,
    Phase,
    Resources,
    RouteResult,
    SecondRow,
    Step,
    Trial,
)

LIMIT, KNEE, CAPACITY, SHARPNESS = 0.25, 141.3, 162.4, 14.0
P99 = "latency.p99"
ROUTES = (("list", 0.7), ("item", 0.2), ("checkout", 0.1))


def exceedance(rate: float) -> float:
    """1 % at the knee, a power law of the rate, as a sharp knee has it."""
    return min(0.9, 0.01 * (rate / KNEE) ** SHARPNESS)


def latency(n: int, rate: float, scale: float = 1.0, censored: int = 0) -> Latency:
    """Percentiles that grow as 1 / (1 - utilisation) and pass the limit at the knee; whole
    microseconds.
    """
    busy = 1 / (1 - min(0.97, rate / CAPACITY))
    at_knee = 1 / (1 - KNEE / CAPACITY)
    p99 = scale * (0.045 + (LIMIT - 0.045) * (busy - 1) / (at_knee - 1))
    values = (p99 * k for k in (0.22, 0.48, 0.62, 1.0, 0.27, 1.9))
    p50, p90, p95, p99, mean, largest = (round(v, 6) for v in values)
    return Latency(n, p50, p90, p95, p99, mean, largest, censored)


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
        connections={"127.0.0.1:5432": 4},
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
    routes = {
        name: RouteResult(
            latency(round(n * share), rate, 1.6 if name == "checkout" else 0.9),
            latency(round(n * share), rate, 1.2 if name == "checkout" else 0.7),
            {200: round(n * share)},
            {"ok": round(n * share)},
        )
        for name, share in ROUTES
    }
    rows = tuple(
        SecondRow(
            s,
            round(rate),
            round(rate),
            round(rate),
            0,
            0,
            (round(rate * exceedance(rate)),),
            3.5,
            0.02,
            0.2,
            0.0004,
            0.11,
        )
        for s in range(2)
    )
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
            0.00004, 0.0004 if not invalid else 0.06, 0.14, 6, 0.002, 0.01, 0.01, 1.02
        ),
        overload=overload,
        invalid=invalid,
        routes=routes,
        rows=rows,
        resources=resources(rate, seconds),
        samples=f"trials/{round(started):04d}.samples",
        started=started,
    )


OVERLOADED = (
    "mean in flight 88 over two seconds at 171/s means every request takes longer than 1.5 × 250 ms"
)


def trials() -> tuple[Trial, ...]:
    """A search as it goes: ramp, coarse, three passes of four, one overloaded ramp step and one
    invalid trial.
    """
    found, at = [], 20.0
    for rate in (15.0, 22.5, 33.8, 50.6, 75.9, 113.9):
        found.append(trial(Phase.RAMP, rate, 6, at, seed=round(rate)))
        at += 6
    found.append(trial(Phase.RAMP, 170.9, 6, at, overload=OVERLOADED))
    at += 14
    found.append(trial(Phase.COARSE, 139.5, 8, at))
    found.append(
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
            found.append(trial(Phase.PASS, round(KNEE * factor, 1), 20, at, seed=100 + number))
            at += 20
    found.append(
        trial(Phase.CAPACITY, 205.1, 12, at, overload="mean in flight 240 over two seconds")
    )
    found.append(trial(Phase.QUIET, 141.3, 8, at + 20))
    found.append(trial(Phase.HOLD, 141.3, 25, at + 30))
    return tuple(found)


def _app(*names: str) -> Stack:
    lines = {
        "wsgi_app": ("shop/app.py", 31),
        "list_items": ("shop/views.py", 44),
        "checkout": ("shop/views.py", 90),
        "price_of": ("shop/pricing.py", 17),
        "discount": ("shop/pricing.py", 52),
        "load_rules": ("shop/pricing.py", 71),
        "render": ("/usr/lib/python3.11/site-packages/jinja2/environment.py", 1291),
        "dumps": ("/usr/lib/python3.11/json/__init__.py", 183),
        "iterencode": ("/usr/lib/python3.11/json/encoder.py", 257),
        "execute": ("/usr/lib/python3.11/site-packages/db/cursor.py", 88),
        "handle": ("/usr/lib/python3.11/site-packages/gunicorn/workers/gthread.py", 270),
        "run": ("/usr/lib/python3.11/threading.py", 982),
    }
    native = {"sqlite3_step": "libsqlite3.so.0", "memcpy": "libc.so.6"}
    return tuple(
        Frame(n, native[n], None, "native") if n in native else Frame(n, *lines[n]) for n in names
    )


def stacks(pricing: float) -> dict[Stack, float]:
    """Samples of the shop; `pricing` scales the planted culprit."""
    base = ("run", "handle", "wsgi_app")
    return {
        _app(*base, "list_items", "price_of", "discount", "load_rules"): round(610 * pricing),
        _app(*base, "list_items", "price_of", "discount"): round(122 * pricing),
        _app(*base, "list_items", "price_of", "execute", "sqlite3_step"): 204.0,
        _app(*base, "list_items", "render"): 187.0,
        _app(*base, "list_items", "render", "memcpy"): 23.0,
        _app(*base, "checkout", "price_of", "discount", "load_rules"): round(171 * pricing),
        _app(*base, "checkout", "execute", "sqlite3_step"): 96.0,
        _app(*base, "checkout", "dumps", "iterencode"): 64.0,
        _app(*base, "list_items", "dumps", "iterencode"): 88.0,
        _app("run", "handle"): 41.0,
    }


def profile(pricing: float, seconds: float) -> Profile:
    """What py-spy would bring home."""
    return Profile(
        tool="py-spy",
        version="0.4.1",
        mode="gil",
        rate_hz=100.0,
        seconds=seconds,
        stacks=stacks(pricing),
        pids=(4243,),
        ticks=round(seconds * 100),
        errors=2,
        late=1,
        started=310.0,
        raw="py-spy-knee.raw",
        command=("py-spy", "record", "--nonblocking", "--gil", "--pid", "4243"),
    )


def _states(phase: str, on_cpu: float, gil: float, lock: float, socket: float) -> States:
    spent = {
        "on_cpu": on_cpu,
        "run_queue": 0.03,
        "gil": gil,
        "lock": lock,
        "socket": socket,
        "sleep": 0.0,
    }
    spent["poll"] = round(1 - sum(spent.values()), 4)
    workers = tuple(
        ThreadTime(4243, 4250 + i, f"worker-{i}", spent, {"127.0.0.1:5432": socket})
        for i in range(4)
    )
    arbiter = ThreadTime(4242, 4242, "gunicorn", {"sleep": 0.99, "on_cpu": 0.01})
    return States(phase, 25.0, (*workers, arbiter), 1250, "syscall", 0.028)


def _interval(value_ms: float, spread: float, n: int) -> Interval:
    low, high = value_ms * (1 - spread), value_ms * (1 + spread)
    return Interval(round(value_ms / 1e3, 9), round(low / 1e3, 9), round(high / 1e3, 9), n)


def findings() -> tuple[Finding, ...]:
    """Five suspects, the planted one first."""
    what_if = WhatIf(
        228.0,
        204.0,
        251.0,
        1.0,
        "then the pool of 4 connections would be the limit",
        "Others wait while it holds a lock: take it as a lower bound.",
    )
    rows = (
        (
            "load_rules",
            "shop/pricing.py",
            71,
            "lock",
            0.49,
            0.49,
            3.4,
            14.2,
            "held the pricing lock in 96 % of the instants others waited",
        ),
        ("discount", "shop/pricing.py", 52, "cpu", 0.076, 0.56, 0.53, 0.53, ""),
        ("execute", "shop/db.py", 88, "socket", 0.0, 0.19, 0.42, 1.3, "waits on 127.0.0.1:5432"),
        ("list_items", "shop/views.py", 44, "cpu", 0.117, 0.72, 0.81, 0.81, "in jinja2 render"),
        ("checkout", "shop/views.py", 90, "cpu", 0.04, 0.21, 0.28, 0.28, "in json dumps"),
    )
    return tuple(
        Finding(
            rank=i + 1,
            function=f,
            file=file,
            line=line,
            category=cls,
            self_share=own_share,
            total_share=total_share,
            own=_interval(own, 0.09, 1600),
            total=_interval(own * 1.6, 0.08, 1600),
            blamed=_interval(blamed, 0.12, 1600),
            grew=_interval(own * 0.3, 0.5, 1600) if i == 0 else None,
            via="jinja2 render" if f == "list_items" else "",
            evidence=evidence,
            what_if=what_if if i == 0 else None,
        )
        for i, (f, file, line, cls, own_share, total_share, own, blamed, evidence) in enumerate(
            rows
        )
    )


def question() -> Question:
    """What was asked of the shop; the header and the body hold secrets."""
    slo = Slo(
        (
            Objective(Measure.LATENCY, "p95", "<=", 0.12),
            Objective(Measure.LATENCY, "p99", "<=", LIMIT),
            Objective(Measure.ERRORS, "http_5xx", "<", 0.001),
            Objective(Measure.THROUGHPUT, "sustained", ">=", 120.0, 60.0),
            Objective(Measure.RESOURCES, "memory", "<", 0.8),
            Objective(Measure.LATENCY, "p99", "<=", 0.4, None, "checkout"),
        ),
        at_load=120.0,
    )
    traffic = (
        RequestTemplate(
            "list", "GET", "/items?page={page}", 7.0, feed=Feed("pages.csv", ("page",), "ab" * 32)
        ),
        RequestTemplate("item", "GET", "/items/{page}", 2.0),
        RequestTemplate(
            "checkout",
            "POST",
            "/checkout",
            1.0,
            (("Authorization", "Bearer ${SHOP_TOKEN}"),),
            '{"sku":"A1"}',
            None,
            Expect((200, 201)),
        ),
    )
    target = Target("http://127.0.0.1:8000", "local", ProcessSelector(port=8000), name="shop")
    return Question(target, traffic, slo, Ramp(budget=420.0), seed=7, source="perfhunt.toml")


def _judged(asked: Question) -> tuple[Judged, ...]:
    values = (
        (0.0712, 7080, "MET"),
        (0.1143, 7080, "MET"),
        (0.0, 7080, "MET"),
        (119.8, 7080, "MISSED"),
        (0.033, 60, "MET"),
        (None, 0, "UNKNOWN"),
    )
    return tuple(
        Judged(o, value, n, Judgement(verdict), "no data" if value is None else "")
        for o, (value, n, verdict) in zip(asked.slo.objectives, values, strict=True)
    )


def sample_run() -> Run:
    """The whole Run."""
    asked = question()
    knee = Knee(KNEE, 134.2, 147.9, 0.95, P99, LIMIT, SHARPNESS, "sharp", 9.1, 3, 286.0)
    command = ("gunicorn", "-w", "1", "--threads", "4", "-b", "127.0.0.1:8000", "shop.app:app")
    processes = (
        Process(
            4242,
            1,
            8123.4,
            "/usr/bin/python3.11",
            command,
            "/srv/shop",
            1000,
            1,
            "cpython",
            "3.11.9",
        ),
        Process(
            4243,
            4242,
            8124.0,
            "/usr/bin/python3.11",
            command,
            "/srv/shop",
            1000,
            5,
            "cpython",
            "3.11.9",
        ),
    )
    listeners = (Listener("127.0.0.1", 8000, (4242, 4243), 2048),)
    return Run(
        id="20261123T043000Z-1f3a9c",
        kind="investigate",
        started="2026-11-23T04:30:00Z",
        perfhunt="0.1.0",
        question=asked,
        environment=Environment(
            host="bench-1",
            kernel="6.8.0",
            cpu_model="AMD EPYC 7B13",
            cores=2,
            memory=8_589_934_592,
            virtualised="kvm",
            load_average=0.4,
            perfhunt="0.1.0",
            python="3.11.9",
            tools={"py-spy": "0.4.1", "locust": "2.43.1"},
            pinning="generator on core 1, target on core 0",
            git_revision="3f9c1d2ab44e",
            git_dirty=True,
            git_diff_sha256="cd" * 32,
            distributions={"gunicorn": "23.0.0"},
            env_sha256="ef" * 32,
            variables={"PORT": "9f31"},
        ),
        target=TargetProcess(
            4242,
            processes,
            listeners,
            (4243,),
            "cpython",
            "3.11.9",
            "gunicorn gthread",
            2.0,
            "affinity",
        ),
        verdict=Judgement.MISSED,
        judged=_judged(asked),
        judged_at=120.0,
        knee=knee,
        knees=(
            knee,
            replace(
                knee,
                criterion="latency.p99[checkout]",
                rate=149.0,
                low=138.0,
                high=161.0,
                limit=0.4,
                label="soft",
                sharpness=3.1,
            ),
            NoKnee("below-max-rate", "errors stayed below 0.1 % up to 205/s", 205.0, None),
        ),
        capacity=Capacity(CAPACITY, 158.9, 165.8, 205.1),
        baseline=trial(Phase.BASELINE, 10.0, 15, 2.0),
        trials=trials(),
        drains=(Drained(3.2, True), Drained(6.1, True)),
        bottleneck=Bottleneck(
            "lock",
            0.86,
            (
                "Threads waited for a lock 41 % of the time at the knee, 2 % at baseline.",
                "In 96 % of those instants the holder was in load_rules (shop/pricing.py:71).",
                "The CPU was not the limit: 0.86 of 2.0 cores.",
            ),
            "gil",
            0.31,
        ),
        findings=findings(),
        states={
            "baseline": _states("baseline", 0.02, 0.004, 0.005, 0.01),
            "knee": _states("knee", 0.21, 0.09, 0.41, 0.08),
        },
        profiles={"baseline": profile(0.25, 8.0), "knee": profile(1.0, 15.0)},
        probe_effect=ProbeEffect(0.998, 1.021, 1.012, 1.004, (0.2461, 0.2533)),
        cautions=(
            Caution(
                CautionCode.UNDETERMINED,
                "latency.p99[checkout] has no verdict: only 0 of 100 requests were seen.",
                "Give checkout more weight, or: perfhunt investigate --pid 4242 --budget 10m",
            ),
            Caution(
                CautionCode.VERSION,
                "The working tree held changes that are in no commit.",
                "git stash or git commit, then investigate again",
            ),
        ),
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
        whole.id,
        whole.kind,
        whole.started,
        whole.perfhunt,
        whole.question,
        Environment(),
        None,
        Judgement.UNKNOWN,
        trials=whole.trials[:1],
        ended="stopped: Ctrl-C during ramp",
        exit_code=105,
    )
