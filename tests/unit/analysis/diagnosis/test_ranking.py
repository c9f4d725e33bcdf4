"""Who is ranked first, against answers worked out by hand from queueing laws."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.blame.charge import Cause
from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.model.finding import BottleneckClass, Finding
from perfhunt.model.profile import Frame, Instants
from perfhunt.model.trial import Wire
from tests.unit.scenes import APP, SERVER, instant, profile, ranked, series, stack, used
from tests.unit.trials import HELD

SERVER_IDLE = "serve_forever!get lock@I"


def found(findings: tuple[Finding, ...], function: str) -> Finding:
    return next(f for f in findings if f.function == function)


def test_waiters_for_a_lock_are_charged_to_the_function_that_holds_it() -> None:
    moment = ["serve>view>pay sleep", *["serve>view>pay lock@A"] * 4, "serve>view>render on_cpu*"]
    findings = ranked(Evidence(Span(100.0, instants=series(*[moment] * 24))))
    # Little: 1 thread holding and 4 waiting at 100 requests/s are 10 ms and 40 ms per request.
    assert findings[0].function == "pay"
    assert findings[0].own.value == pytest.approx(0.010)
    assert findings[0].blamed.value == pytest.approx(0.050)
    assert findings[0].category == "lock"


def test_a_lock_held_over_a_call_blames_the_call_and_not_the_waiting_function() -> None:
    moment = ["serve>view>pay>ask_bank socket@10.0.0.5:443", *["serve>view>pay lock@A"] * 3]
    first, *others = ranked(Evidence(Span(100.0, instants=series(*[moment] * 24))))
    assert (first.function, round(first.blamed.value, 6)) == ("ask_bank", 0.040)
    assert "pay" not in [f.function for f in others]


def test_a_wait_for_the_gil_is_charged_to_its_holder() -> None:
    moment = ["serve>view>crunch on_cpu*", "serve>view>render gil", "serve>view>render gil"]
    findings = ranked(Evidence(Span(100.0, instants=series(*[moment] * 24))))
    assert [f.function for f in findings] == ["crunch"]
    assert findings[0].blamed.value == pytest.approx(0.030)


def test_a_chain_of_waits_is_followed_to_its_end() -> None:
    moment = ["serve>view>crunch on_cpu*", "serve>view>pay gil", *["serve>view>pay lock@A"] * 3]
    findings = ranked(Evidence(Span(100.0, instants=series(*[moment] * 24))))
    assert findings[0].function == "crunch"
    assert findings[0].blamed.value == pytest.approx(0.050)


def test_threads_waiting_for_a_cpu_are_charged_to_those_that_have_one() -> None:
    moment = ["serve>view>a on_cpu", "serve>view>b on_cpu", "serve>view>c run_queue"]
    findings = ranked(Evidence(Span(100.0, instants=series(*[moment] * 24))))
    assert {f.function: round(f.blamed.value, 6) for f in findings} == {"a": 0.015, "b": 0.015}


def test_requests_handed_to_one_worker_thread_blame_what_that_thread_does() -> None:
    idle = series(*[["work!get lock@Q", SERVER_IDLE]] * 8)
    moments = [
        ["work>transcode sleep", *[f"serve>view>submit!wait lock@{n}" for n in range(4)]]
        for _ in range(24)
    ]
    for moment in moments[::2]:
        moment.append(
            "serve>view>render on_cpu*"
        )  # often there while others wait, as any busy function is
    findings = ranked(Evidence(Span(100.0, instants=series(*moments)), idle=idle))
    assert findings[0].function == "transcode"
    assert findings[0].blamed.value == pytest.approx(0.050)


def test_waiters_for_a_pool_blame_those_that_keep_its_connections() -> None:
    moments = []
    for n in range(30):
        moment = ["serve>view>cart>load socket@db:5432"] * 2 + [
            f"serve>view>cart>checkout!get lock@{k}" for k in range(5)
        ]
        moments.append(moment + ["serve>view>render on_cpu*"] * (n % 3))
    findings = ranked(Evidence(Span(100.0, instants=series(*moments))))
    assert findings[0].function == "load"
    assert findings[0].blamed.value == pytest.approx(0.070)


def test_idle_threads_are_nobodys_cost() -> None:
    idle = series(*[["work!get lock@Q", "serve_forever!select poll", "tick sleep"]] * 8)
    moment = [
        "work!get lock@Q",
        "serve_forever!select poll",
        "tick sleep",
        "serve>view>render on_cpu*",
    ]
    findings = ranked(Evidence(Span(100.0, instants=series(*[moment] * 24)), idle=idle))
    assert [f.function for f in findings] == ["render"]


def test_a_function_that_idles_and_works_is_told_apart_by_its_state() -> None:
    idle = series(*[["work socket@queue:1"]] * 8)
    findings = ranked(Evidence(Span(100.0, instants=series(*[["work disk"]] * 24)), idle=idle))
    assert [(f.function, f.category) for f in findings] == [("work", "disk")]


def test_waiting_for_work_that_was_never_seen_without_load_is_known_by_not_following_the_load() -> (
    None
):
    base = Span(
        10.0,
        instants=series(*[["tick sleep", "serve>view>render on_cpu*"], *[["tick sleep"]] * 9] * 3),
    )
    knee = Span(90.0, instants=series(*[["tick sleep", "serve>view>render on_cpu*"]] * 30))
    assert [f.function for f in ranked(Evidence(knee, base))] == ["render"]


def test_a_constant_wait_on_a_neighbour_does_not_outrank_the_cpu_that_saturates() -> None:
    # 50 ms at a neighbour at any load; 8 ms of CPU that at 115 requests/s leave little of one GIL.
    calm = (
        [["serve>view>ask socket@n:1"]] * 20
        + [["serve>view>crunch on_cpu*"]] * 3
        + [[SERVER_IDLE]] * 17
    )
    busy = [
        ["serve>view>ask socket@n:1"] * 6
        + ["serve>view>crunch on_cpu*"]
        + ["serve>view>crunch gil"] * 4
    ] * 40
    base = Span(
        10.0,
        service=0.060,
        profile=profile(crunch=80),
        instants=series(*calm),
        resources=used(0.08),
    )
    knee = Span(
        115.0,
        service=0.100,
        profile=profile(crunch=920),
        instants=series(*busy),
        resources=used(0.92),
    )
    findings = ranked(Evidence(knee, base))
    assert findings[0].function == "crunch"
    assert found(findings, "ask").rank > 1


def test_cpu_alone_ranks_by_demand_per_request_from_exact_cpu_time() -> None:
    knee = Span(200.0, profile=profile(score=600, render=200), resources=used(1.6))
    first, second = ranked(Evidence(knee))
    # Utilisation law: 1.6 cores at 200 requests/s are 8 ms of CPU each; three quarters of it in
    # score.
    assert (first.function, second.function) == ("score", "render")
    assert first.own.value == pytest.approx(0.006)
    assert second.own.value == pytest.approx(0.002)
    assert first.own.low < 0.006 < first.own.high


def test_requests_that_no_thread_had_are_charged_to_what_keeps_the_threads() -> None:
    # Four workers, all taken; 20 requests in flight, so 16 wait outside: 20 / 80 s each = 250 ms.
    waiting = ["serve>view>ask socket@n:1"] * 4
    computing = ["serve>view>ask socket@n:1"] * 3 + ["serve>view>render on_cpu*"]
    span = Span(
        80.0,
        service=0.250,
        instants=series(*[waiting, waiting, waiting, computing] * 8),
        resources=used(0.25),
    )
    findings = ranked(Evidence(span))
    assert findings[0].function == "ask"
    assert sum(f.blamed.value for f in findings) == pytest.approx(0.250, rel=0.01)


def test_nothing_captured_means_no_suspects() -> None:
    assert ranked(Evidence(Span(100.0))) == ()
    assert (
        ranked(Evidence(Span(0.0, instants=Instants(1.0, (instant("serve>view on_cpu"),))))) == ()
    )


def test_what_costs_another_kind_of_time_than_what_stops_the_service_comes_after() -> None:
    moment = ["serve>view>nap sleep"] * 3 + ["serve>view>pay on_cpu"]
    evidence = Evidence(Span(100.0, instants=series(*[moment] * 40)))
    reading = read_evidence(evidence)
    suspects = suspects_of(reading)
    assert [f.function for f in rank(reading, suspects)][:2] == ["nap", "pay"]
    cpu = rank(reading, suspects, BottleneckClass.CPU)
    assert [f.function for f in cpu][:2] == ["pay", "nap"]
    assert [f.rank for f in cpu][:2] == [1, 2]


def test_who_sends_an_answer_in_pieces_is_charged_with_its_wait() -> None:
    """Where the language's own code has no frame, the line says that it sends."""
    trial = replace(HELD, completed=100.0, wire=Wire(answers=100, held=90, held_total=3.6))
    stacks = {
        stack("serve>view>render"): 90.0,
        stack("serve>view>reply"): 5.0,
        (*stack("serve>view>finish"), Frame("_SocketWriter.write", SERVER)): 15.0,
    }
    line = replace(stack("reply")[0], line=2)
    stacks[(*stack("serve>view"), line)] = stacks.pop(stack("serve>view>reply"))
    seen = replace(profile(), stacks=stacks)
    span = Span.of(trial, seen, resources=used(1.0))
    evidence = Evidence(span, sources={APP: "def reply(s):\n    s.sendall(b'x')\n"})
    suspects = suspects_of(read_evidence(evidence))
    held = {key[0]: s.knee.queued(Cause.ACK) for key, s in suspects.by_function.items()}
    assert held["finish"] == pytest.approx(3 * held["reply"])
    assert sum(held.values()) == pytest.approx(0.036)
    assert held["render"] == 0.0
