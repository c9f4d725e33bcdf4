"""A service that runs a command for each request: the command has the CPU, and is gone before
anybody looks at it.
"""

from __future__ import annotations

from dataclasses import replace

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.model.profile import Instants
from perfhunt.model.states import States, ThreadTime
from perfhunt.model.trial import Interference, Resources
from tests.unit.scenes import THREADING, classified, profile, ranked, series
from tests.unit.trials import HELD

SUBPROCESS = "/usr/lib/python3.11/subprocess.py"
WAITS = "serve>view>pack!communicate poll"
REST = "serve_forever!get lock@I"


def running(moments: Instants) -> Instants:
    """The same with what of the standard library waits in `subprocess`."""
    looks = []
    for look in moments:
        threads = []
        for each in look.threads:
            frames = tuple(
                replace(f, file=SUBPROCESS) if f.file == THREADING else f for f in each.stack
            )
            threads.append(replace(each, stack=frames) if each.state == "poll" else each)
        looks.append(replace(look, threads=tuple(threads)))
    return replace(moments, instants=tuple(looks))


def span(rate: float, service: float, waiting: int, cpu: float, busy: float) -> Span:
    """So many of eight threads wait for a command, of `cpu` cores that the service's processes
    used its threads used a tenth, and `busy` cores were busy.
    """
    seen = Interference(10.0, cores=2.0, target_ran=cpu / 10, target_busy=busy)
    return Span(
        rate,
        service=service,
        trial=replace(HELD, interference=seen),
        profile=profile(pack=200),
        instants=running(series(*[[WAITS] * waiting + [REST] * (8 - waiting)] * 32)),
        states=States("knee", 10.0, (ThreadTime(1, 1, "main", {"on_cpu": cpu / 10}),), 1000),
        resources=Resources(10.0, cpu=cpu, cpu_limit=2.0),
    )


def evidence(cpu: float, busy: float) -> Evidence:
    return Evidence(
        span(80.0, 0.300, 8, cpu, busy), span(10.0, 0.020, 1, cpu / 10, 0.3), cpu_limit=2.0
    )


def test_commands_that_fill_the_cores_are_cpu_of_who_runs_them_and_no_want_of_workers() -> None:
    full = evidence(cpu=1.5, busy=1.98)
    found = classified(full)
    assert found.category == "cpu"
    first, *_ = ranked(full)
    assert (first.function, first.category) == ("pack", "cpu")


def test_commands_that_wait_are_no_cpu() -> None:
    assert classified(evidence(cpu=0.05, busy=0.4)).category != "cpu"
