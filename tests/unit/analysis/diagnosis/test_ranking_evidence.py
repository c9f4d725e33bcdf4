"""The pieces under the ranking: exact states against instants, locks shared between functions, CPU
that the GIL's holder hides.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.frames import Code, awaits, in_event_loop
from perfhunt.analysis.blame.raked import raked
from perfhunt.model.profile import Frame, Instants, ProfileMode
from perfhunt.model.states import States, ThreadTime
from perfhunt.model.trial import Interference
from tests.unit.scenes import instant, profile, ranked, series, used
from tests.unit.trials import HELD


def states(**totals: float) -> States:
    return States("knee", 10.0, (ThreadTime(1, 1, "all", totals),), 500)


def test_looks_take_the_amounts_of_the_exact_states_and_keep_where_each_belongs() -> None:
    instants = series(
        *[["serve>view>load sleep"]] * 6,
        *[["serve>view>load run_queue"]] * 14,
        *[["serve>view>render on_cpu"]] * 20,
    )
    # The truth: 0.4 asleep, 0.5 on a CPU, 0.1 waiting for one. Sleep was only ever seen in load.
    after = raked(instants, states(sleep=0.4, on_cpu=0.5, run_queue=0.1))
    found = [(t.stack[-1].function, t.state) for i in after for t in i.threads]
    assert found.count(("load", "sleep")) == pytest.approx(16, abs=1)
    assert found.count(("load", "run_queue")) == pytest.approx(4, abs=1)
    assert found.count(("render", "on_cpu")) == 20


def test_looks_are_left_alone_when_the_exact_states_are_not_all_known() -> None:
    instants = series(["serve>view>load sleep"])
    assert raked(instants, None) == instants
    assert raked(instants, replace(states(on_cpu=1.0), source="schedstat")) == instants


def test_one_lock_taken_in_two_functions_is_one_lock() -> None:
    moments = [
        ["serve>view>buy sleep", "serve>view>sell lock@A", "serve>view>buy lock@A"],
        ["serve>view>sell sleep", "serve>view>sell lock@A", "serve>view>buy lock@A"],
    ] * 16
    findings = ranked(Evidence(Span(100.0, instants=series(*moments))))
    # Each holds half of the time, and both waiters wait for whoever holds.
    assert {f.function: round(f.blamed.value, 6) for f in findings} == {"buy": 0.015, "sell": 0.015}


def test_a_lock_of_one_process_is_not_held_by_another() -> None:
    there = instant("serve>view>pay sleep", pid=2).threads
    moments = [
        replace(i, threads=i.threads + there)
        for i in series(*[["serve>view>pay lock@A", "serve>view>hold disk"]] * 24)
    ]
    findings = ranked(Evidence(Span(100.0, instants=Instants(2.4, tuple(moments)))))
    assert findings[0].function == "hold"


def test_c_code_that_let_the_gil_go_is_found_beside_a_profile_of_its_holders() -> None:
    # The GIL held for 0.4 of the time, and 1.2 threads that run without it: three quarters of 1.6
    # cores at 160/s.
    held = replace(profile(render=400), mode=ProfileMode.GIL, ticks=1000)
    hashing, holding = "serve>view>hash_password on_cpu", "serve>view>render on_cpu*"
    moments = [[hashing, holding], [hashing, holding], [hashing], [hashing], [hashing, hashing]] * 8
    findings = ranked(
        Evidence(Span(160.0, profile=held, instants=series(*moments), resources=used(1.6)))
    )
    cpu = {f.function: f.own.value for f in findings}
    assert findings[0].function == "hash_password"
    assert cpu["hash_password"] == pytest.approx(0.0075)
    assert cpu["render"] == pytest.approx(0.0025)


def test_the_wait_for_a_cpu_that_other_processes_keep_is_not_charged_to_the_service() -> None:
    moments = [["serve>view>a on_cpu", "serve>view>b run_queue", "serve>view>b run_queue"]] * 24
    crowded = replace(used(0.5), host_cpu_share=1.0)
    alone = replace(used(0.5), host_cpu_share=0.25)
    charged = [
        ranked(
            Evidence(Span(100.0, profile=profile(a=500), instants=series(*moments), resources=r))
        )[0].blamed.value
        for r in (crowded, alone)
    ]
    # Two threads wait at 100 requests/s: 20 ms, of which a quarter is the target's own doing on the
    # crowded host.
    assert charged == [pytest.approx(0.005 + 0.005), pytest.approx(0.005 + 0.020)]


def test_work_on_cores_that_the_service_may_not_use_keeps_none_from_it() -> None:
    moments = [["serve>view>a on_cpu", "serve>view>b run_queue", "serve>view>b run_queue"]] * 24
    # One of two cores is its own, and half used by it; the other is full.
    confined = replace(used(0.5, limit=1.0), host_cpu_share=0.75)
    trial = replace(HELD, interference=Interference(10.0, cores=2.0, target_busy=0.5))
    span = Span(
        100.0,
        profile=profile(a=500),
        instants=series(*moments),
        resources=confined,
        trial=trial,
    )
    assert ranked(Evidence(span))[0].blamed.value == pytest.approx(0.005 + 0.020)


def test_a_loop_is_what_runs_one_and_not_what_calls_into_it() -> None:
    base = "/usr/lib/python3.11/asyncio/base_events.py"
    runs = (Frame("BaseEventLoop._run_once", base), Frame("fetch", "/srv/app.py"))
    calls = (
        Frame("work", "/srv/app.py"),
        Frame("BaseEventLoop.call_soon_threadsafe", "/usr/lib/python3.11/asyncio/base_events.py"),
    )
    assert in_event_loop(runs)
    assert not in_event_loop(calls)
    streams = Frame("open_connection", "/usr/lib/python3.11/asyncio/streams.py")
    assert awaits((*runs, streams), runs[1])
    assert not awaits(runs, runs[1])
    assert Code().owner((*runs, streams)) is not None


def test_a_pool_whose_code_never_had_the_cpu_is_charged_all_the_same() -> None:
    # Four threads asleep, 20 requests in flight; the profile knows of other code only.
    knee = Span(
        80.0,
        service=0.250,
        profile=profile(render=200, nap=0.0),
        instants=series(*[["serve>view>nap sleep"] * 4] * 32),
        resources=used(0.25),
    )
    findings = ranked(Evidence(knee))
    assert findings[0].function == "nap"
    assert findings[0].blamed.value == pytest.approx(0.250, rel=0.01)
