"""What the load engine can do: speed beside its peers, pacing, truth against arithmetic, memory.
See scripts/bench-load.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from load_peers import CONNECTIONS, PEERS, Speed, build, measure, missing, tool

from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.latency import SAMPLE
from perfhunt.model.question import Question, RequestTemplate, Target
from perfhunt.model.slo import Criterion, Slo
from perfhunt.model.trial import Phase, Step

ROOT = Path(__file__).resolve().parent.parent
RATES = (1000, 5000, 20000)
NGINX = """
daemon off; master_process off; worker_processes 1; pid {dir}/pid; error_log {dir}/err;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path {dir}; proxy_temp_path {dir};
  fastcgi_temp_path {dir}; uwsgi_temp_path {dir}; scgi_temp_path {dir};
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "hello perfhunt\\n"; }} }}
}}
"""


def main() -> None:
    """Runs the benchmark and prints its tables and the JSON line."""
    options = _options()
    if options.build:
        build()
    if not tool("nginx"):
        sys.exit("nginx, the sink of this benchmark, is not installed: apt-get install nginx")
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as directory, _sink(Path(directory), cores[0]) as url:
        work = Path(directory)
        speeds = _speeds(url, work, cores[-1], options)
        pacing = {str(rate): _pacing(url, work / f"pace{rate}", rate, options) for rate in RATES}
        stall = _stall(work / "stall", options)
        if options.memory:
            _memory(url, work / "memory", options.memory)
    print(json.dumps(_summary(speeds, pacing, stall)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="under 50 s: fewer peers, shorter runs"
    )
    parser.add_argument(
        "--build", action="store_true", help="first build or install the peers that can be had"
    )
    parser.add_argument(
        "--memory",
        type=int,
        default=0,
        metavar="REQUESTS",
        help="also send this many and watch the child's memory",
    )
    options = parser.parse_args()
    options.repeats = 3
    options.seconds = 1 if options.quick else 3
    options.pace_seconds = 2.5 if options.quick else 6.0
    return options


@contextlib.contextmanager
def _sink(directory: Path, core: int) -> Iterator[str]:
    with _free_port() as port:
        pass
    (directory / "nginx.conf").write_text(NGINX.format(dir=directory, port=port))
    process = subprocess.Popen(
        [tool("nginx"), "-c", str(directory / "nginx.conf")],
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@contextlib.contextmanager
def _free_port() -> Iterator[int]:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@contextlib.contextmanager
def _engine(url: str, directory: Path) -> Iterator[LocustEngine]:
    engine = LocustEngine(run="bench")
    criterion = Criterion("latency.p99", 0.4, 0.01)
    try:
        engine.open(
            Question(Target(url.rstrip("/")), (RequestTemplate("root", "GET", "/"),), Slo(())),
            (criterion,),
            directory,
        )
        yield engine
    finally:
        engine.close()


def _speeds(url: str, work: Path, core: int, options: argparse.Namespace) -> dict[str, Speed]:
    """Medians of interleaved repeats: what disturbs the machine for a while disturbs everyone."""
    found: dict[str, list[Speed]] = {}
    peers = [p for p in PEERS if not options.quick or p.name in ("wrk", "fasthttp", "hey")]
    for peer in peers:
        if reason := missing(peer.name):
            print(f"skipped: {reason}")
    peers = [p for p in peers if not missing(p.name)]
    with _engine(url, work / "speed") as engine:
        os.sched_setaffinity(engine.child_pid, {core})
        for repeat in range(options.repeats):
            flood = engine.flood(CONNECTIONS, options.seconds)
            found.setdefault("perfhunt", []).append(Speed(flood.rate, flood.cpu * 1e6))
            for peer in peers:
                if options.quick and repeat and peer.name not in ("wrk",):
                    continue  # each start of Locust alone takes a second
                found.setdefault(peer.name, []).append(
                    measure(peer, url, options.seconds, core, work)
                )
    medians = {name: _median(speeds) for name, speeds in found.items()}
    print(
        f"\nfull speed, {CONNECTIONS} connections, one core, nginx on another; medians of"
        f" {options.repeats}"
    )
    print(f"{'':12} {'requests/s':>12} {'CPU us/request':>15}")
    for name, speed in sorted(medians.items(), key=lambda item: -item[1].rate):
        print(f"{name:12} {speed.rate:12,.0f} {speed.cpu_us:15.1f}")
    return medians


def _median(speeds: list[Speed]) -> Speed:
    return Speed(
        statistics.median(s.rate for s in speeds), statistics.median(s.cpu_us for s in speeds)
    )


def _pacing(url: str, directory: Path, rate: int, options: argparse.Namespace) -> dict[str, float]:
    step = Step(Phase.FIXED, rate, options.pace_seconds, seed=1, settle=0.5, stop_on_overload=False)
    with _engine(url, directory) as engine:
        trial = engine.run(step)
    due = np.fromfile(directory / trial.samples, dtype=SAMPLE)
    counted = due[due["due"] >= step.settle]
    sent = due["due"] + due["lag"]
    achieved = np.count_nonzero((sent >= step.settle) & (sent < step.duration)) / len(counted)
    lag = np.percentile(counted["lag"], [50, 99]) * 1e6
    print(
        f"{rate:6}/s poisson: achieved/offered {achieved:.5f}, lag p50 {lag[0]:.0f} us, p99"
        f" {lag[1]:.0f} us  {trial.invalid}"
    )
    return {
        "achieved_ratio": round(achieved, 5),
        "lag_p50_us": round(lag[0], 1),
        "lag_p99_us": round(lag[1], 1),
    }


def _stall(directory: Path, options: argparse.Namespace) -> dict[str, float]:
    """One second of stall in six at 100/s: (1 - t)/6 of requests take longer than t, so p90 is 0.4
    s and p95 0.7 s.
    """
    with _server("stall") as url, _engine(url, directory) as engine:
        trial = engine.run(
            Step(
                Phase.FIXED,
                100,
                6.0 if options.quick else 12.0,
                1,
                stop_on_overload=False,
                arrivals="uniform",
            )
        )
    p90, p95 = (trial.response.p90 or 0) * 1e3, (trial.response.p95 or 0) * 1e3
    print(
        f"\n1 s of stall in 6 s, 100/s: p90 {p90:.0f} ms (theory 400), p95 {p95:.0f} ms (theory"
        " 700)"
    )
    if not options.quick:
        _known(directory)
    return {"p90_ms": round(p90, 1), "p95_ms": round(p95, 1)}


def _known(directory: Path) -> None:
    """A constant service time, and the waiting in an M/D/1 queue (Pollaczek-Khinchine)."""
    with _server("constant", "0.02") as url, _engine(url, directory / "constant") as engine:
        trial = engine.run(Step(Phase.FIXED, 50, 10.0, 1))
    print(f"constant 20 ms: p50 {_ms(trial.response.p50)}, p99 {_ms(trial.response.p99)}")
    with _server("queue", "0.01") as url, _engine(url, directory / "queue") as engine:
        trial = engine.run(Step(Phase.FIXED, 60, 30.0, 1))
    theory = 0.01 + 0.6 * 0.01 / (2 * 0.4)
    print(
        f"M/D/1, 10 ms, 60 % busy: mean {_ms(trial.response.mean)} (theory {_ms(theory)}),"
        f" n={trial.n}"
    )


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.2f} ms"


@contextlib.contextmanager
def _server(*mode: str) -> Iterator[str]:
    command = [sys.executable, str(ROOT / "tests" / "live" / "load_targets" / "timed.py"), *mode]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().split()[1]}"
    finally:
        process.kill()
        process.wait()


def _memory(url: str, directory: Path, requests: int) -> None:
    with _engine(url, directory) as engine:
        child = psutil.Process(engine.child_pid)
        sent, marks = 0.0, []
        while sent < requests:
            sent += engine.flood(CONNECTIONS, 10).rate * 11
            marks.append((sent, child.memory_info().rss / 1e6))
    print(
        f"\nmemory of the child: {marks[0][1]:.1f} MB after {marks[0][0]:,.0f} requests,"
        f" {marks[-1][1]:.1f} MB after {sent:,.0f}"
    )


def _summary(
    speeds: dict[str, Speed], pacing: dict[str, Any], stall: dict[str, float]
) -> dict[str, Any]:
    rate = {name: round(speed.rate) for name, speed in speeds.items()}
    wrk, fast = rate.get("wrk"), rate.get("fasthttp")
    return {
        "perfhunt_rps": rate["perfhunt"],
        "wrk_rps": wrk,
        "fasthttp_rps": fast,
        "ratio_wrk": round(rate["perfhunt"] / wrk, 3) if wrk else None,
        "ratio_fasthttp": round(rate["perfhunt"] / fast, 2) if fast else None,
        "cpu_us_per_request": round(speeds["perfhunt"].cpu_us, 2),
        "pacing": pacing,
        "stall": stall,
        "peers": {name: value for name, value in rate.items() if name != "perfhunt"},
    }


if __name__ == "__main__":
    main()
