"""What it costs a service on tokio that its calls are watched: throughput and CPU, watched and not
in turn.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median

from perfhunt.profilers.native.image import ProcessImage
from perfhunt.profilers.tokio.following import TokioCalls
from tests.live.native_targets.build import built_with_tokio
from tests.live.profiler_targets.launch import running
from tests.live.zoo.keeper import start_drive

_USERS = 12  # of a closed loop, of whom two at a time have one of two permits for 8 ms
_LATER = 0.5  # seconds after which a window begins: until its load is there
_NANOSECONDS = 1e9


def watched(repeats: int, window: float) -> dict[str, float]:
    """Ratio of the throughput, calls a second, and microseconds of the service's CPU for each."""
    ratios, costs, rates = list[float](), list[float](), list[float]()
    with running("", "pool", "0", program=built_with_tokio(console=False)) as target:
        for _ in range(repeats):
            before, cpu, _ = _window(target.pid, target.told["port"], window, follow=False)
            after, more, calls = _window(target.pid, target.told["port"], window, follow=True)
            ratios.append(after / before)
            rates.append(calls * after)
            costs.append((more - cpu) / calls * 1e6 if calls else 0.0)
    row = {
        "throughput_ratio": median(ratios),
        "calls_per_s": median(rates),
        "cpu_us_per_call": median(costs),
    }
    words = "  ".join(f"{name} {value:.3g}" for name, value in row.items())
    print(f"tokio, watched       {words}", flush=True)
    return row


def _window(pid: int, port: int, seconds: float, *, follow: bool) -> tuple[float, float, float]:
    """(requests a second, CPU seconds of one, calls of one that were watched)."""
    load = start_drive(port, seconds + _LATER, "users", _USERS)
    with ExitStack() as stack:
        calls = stack.enter_context(closing(TokioCalls(pid, ProcessImage(pid)))) if follow else None
        time.sleep(_LATER)
        began = time.monotonic()
        cpu, came = _cpu(pid), calls.came if calls is not None else 0
        time.sleep(seconds - _LATER)
        ran, took = _cpu(pid) - cpu, time.monotonic() - began
        came = calls.came - came if calls is not None else 0
        said = json.loads(load.communicate()[0])
    requests = said["completed"] * took
    return said["completed"], ran / requests, came / requests


def _cpu(pid: int) -> float:
    """Seconds that all threads of a process ran so far: none of them ends."""
    ran = (path.read_text().split()[0] for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(map(int, ran)) / _NANOSECONDS
