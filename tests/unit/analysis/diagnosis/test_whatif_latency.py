"""Waits that each answer has and that hold no resource: they move a knee that latency sets, and no
capacity. What is said of them agrees with the class and the advice beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, log

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.diagnosis.diagnosis import Diagnosis, diagnose
from perfhunt.analysis.diagnosis.prediction.curve import HeldBack, shift
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.finding import BottleneckClass, WhatIf
from perfhunt.model.knee import Capacity, Knee, KneeLabel
from perfhunt.model.latency import Latency
from perfhunt.model.profile import Frame
from perfhunt.model.run import Run
from perfhunt.model.trial import Phase, Resources, Step, Trial, Wire
from perfhunt.reports.format import FORMATS
from perfhunt.reports.html.first_screen import suspects as suspects_of_page
from perfhunt.reports.html.rows import what_if as what_if_of_page
from perfhunt.reports.markdown import suspects as suspects_of_markdown
from tests.sample_run import sample_run
from tests.unit.analysis.diagnosis.agreement import between_advice_and_predictions
from tests.unit.scenes import profile, series, stack, used
from tests.unit.trials import HELD

ACK = 0.040  # seconds
LOCKED = 0.008  # seconds asleep under the one lock
CAPACITY, LIMIT = 1 / LOCKED, 0.1
# Of M/M/1 under the lock beside a wait of 40 ms: log(100) / (C - rate) = 60 ms, then 100 ms.
BEFORE, AFTER = CAPACITY - log(100) / (LIMIT - ACK), CAPACITY - log(100) / LIMIT


def settling(rate: float, ack: float = ACK, phase: Phase = Phase.PASS, asks: float = 0.0) -> Trial:
    """A trial of a service that keeps one lock for 8 ms, and whose answers come in two pieces, or
    that asks a neighbour for so long.
    """
    mean = 1 / (CAPACITY - rate)
    answers = int(rate * 10)
    spread = Latency(
        n=answers,
        p50=mean * log(2) + ack + asks,
        p90=mean * log(10) + ack + asks,
        p95=mean * log(20) + ack + asks,
        p99=mean * log(100) + ack + asks,
        mean=mean + ack + asks,
        max=1.0,
    )
    held = answers if ack else 0
    wire = Wire(
        answers, in_pieces=answers, held=held, held_total=held * ack, hurried=80, hurried_gap=1e-4
    )
    return replace(
        HELD,
        step=Step(phase, rate, 10.0, seed=1),
        completed=rate,
        achieved=rate,
        response=spread,
        service=spread,
        outcomes={"ok": answers},
        wire=wire,
        resources=Resources(10.0, cpu=rate * 2e-3),
    )


TRIALS = (
    settling(20.0, phase=Phase.BASELINE),
    *(settling(rate) for rate in (30.0, 40.0, 46.0, 50.0, 60.0)),
)
KNEE = Knee(BEFORE, BEFORE - 3, BEFORE + 3, 0.95, "latency.p99", LIMIT, 8.0, KneeLabel.SHARP)
BURST = Capacity(CAPACITY, CAPACITY - 1, CAPACITY + 1, 150.0)


def seen(knee: Knee = KNEE, sends: bool = True, ack: float = ACK) -> Evidence:
    """What is seen at the knee: who keeps the lock, who waits for it, and who sends."""
    rate = knee.rate
    threads = rate * LOCKED  # one of which sleeps under the lock so much of the time
    looks = []
    for n in range(200):
        asleep = (n * 7) % 100 < 100 * threads
        queue = asleep and n % 2 == 0
        looks.append(
            ["serve>view>settle sleep"] * asleep
            + ["serve>view>settle lock@L"] * queue
            + ["serve!get lock@Q"] * (2 - asleep - queue)
        )
    sampled = profile(settle=10, render=40)
    if sends:
        socket = Frame("_SocketWriter.write", "/usr/lib/python3.11/socketserver.py")
        sampled = replace(
            sampled, stacks={**sampled.stacks, (*stack("serve>view>reply"), socket): 3.0}
        )
    trial = replace(settling(rate, ack, Phase.HOLD), resources=used(rate * 2e-3))
    span = Span.of(trial, sampled, series(*looks), resources=trial.resources)
    base = Span.of(
        settling(20.0, ack), profile(settle=1, render=4), series(*[["serve!get lock@Q"] * 2] * 8)
    )
    return Evidence(span, base, idle=series(*[["serve!get lock@Q"] * 2] * 8), cpu_limit=2.0)


def diagnosed(evidence: Evidence, knee: Knee = KNEE, trials: Sequence[Trial] = TRIALS) -> Diagnosis:
    climb = SearchResult(knee, (knee,), BURST, tuple(trials), ())
    return diagnose(evidence, climb, None, trials)


def run_of(done: Diagnosis) -> Run:
    return replace(
        sample_run(),
        knee=KNEE,
        capacity=BURST,
        findings=done.findings,
        bottleneck=done.bottleneck,
        next_step=done.next_step,
    )


def prediction_of(done: Diagnosis, function: str) -> WhatIf:
    finding = next(f for f in done.findings if f.function == function)
    assert finding.what_if is not None, finding.withheld
    return finding.what_if


def test_a_wait_for_acknowledgements_moves_the_knee_and_no_capacity() -> None:
    done = diagnosed(seen())
    assert done.bottleneck is not None
    assert done.bottleneck.category is BottleneckClass.DELAYED_ACK
    assert done.findings[0].function == "reply"
    without = prediction_of(done, "reply")
    assert without.rate == pytest.approx(AFTER, rel=0.03)
    assert without.low < AFTER < without.high
    assert without.saturated == pytest.approx(CAPACITY)
    assert not without.at_least
    # The lock is another matter: without it nothing holds the capacity where it is.
    assert prediction_of(done, "settle").rate > 3 * BEFORE
    assert list(between_advice_and_predictions(done, KNEE)) == []


def test_class_prediction_and_advice_say_one_thing_in_every_report() -> None:
    done = diagnosed(seen())
    run = run_of(done)
    said = (
        "the capacity would stay at 125/s, which the lock that settle waits for sets",
        "It takes 40.1 ms off an answer, which the SLO then leaves to the queue for the lock that"
        " settle waits for.",
    )
    screen = " ".join(FORMATS["terminal"].render(run).split())
    page = str(suspects_of_page(run)[0]["fix"])
    assert page.startswith("Without it the knee would be about ")
    assert page.endswith(f"; {said[0]}.")
    assert f"; {said[0]}" in screen
    assert " ".join(said[1].split()) in what_if_of_page(run)
    assert said[1] in suspects_of_markdown(run)
    for text in (screen, page, what_if_of_page(run), suspects_of_markdown(run)):
        assert "would not move" not in text
        assert "would still be the limit" not in text
    assert done.next_step.startswith("Write headers and body in one send")


def test_where_no_function_is_seen_to_send_the_class_itself_is_predicted() -> None:
    done = diagnosed(seen(sends=False))
    assert done.bottleneck is not None
    assert done.bottleneck.category is BottleneckClass.DELAYED_ACK
    last = done.bottleneck.evidence[-1]
    assert last.startswith("Without that wait the knee would be near ")
    assert last.endswith(
        "; the capacity would stay at 125/s, which the lock that settle waits for sets."
    )


def test_what_would_not_move_the_knee_is_not_what_stops_the_service() -> None:
    # 40 ms of a second and a half: the knee is where the lock is full.
    knee = replace(KNEE, rate=121.5, low=121.0, high=122.0, limit=1.5)
    done = diagnosed(seen(knee), knee, [settling(rate) for rate in (60.0, 100.0, 118.0)])
    assert done.bottleneck is None or done.bottleneck.category is not BottleneckClass.DELAYED_ACK
    assert list(between_advice_and_predictions(done, knee)) == []


def test_a_wait_of_the_code_that_holds_nothing_moves_the_knee_as_well() -> None:
    # 40 ms of each answer in a call to a neighbour, by threads that are made for each request.
    asked, rate = 0.04, KNEE.rate
    there = rate * asked
    calls = series(
        *[
            ["serve>view>ask socket@far:1"] * (int(there) + ((n * 7) % 100 < 100 * (there % 1)))
            + ["serve>view>settle sleep"] * ((n * 7) % 100 < 100 * rate * LOCKED)
            + ["serve>view>settle lock@L"] * ((n * 7) % 100 < 19)
            for n in range(200)
        ]
    )
    trials = [settling(each.step.rate, 0.0, each.step.phase, asked) for each in TRIALS]
    held = replace(settling(rate, 0.0, Phase.HOLD, asked), resources=used(rate * 2e-3))
    evidence = seen(ack=0.0)
    knee = replace(evidence.knee, instants=calls, trial=held)
    ask = prediction_of(diagnosed(replace(evidence, knee=knee), trials=trials), "ask")
    assert ask.rate == pytest.approx(AFTER, rel=0.03)
    assert "off an answer" in ask.caveat and not ask.at_least


def test_few_trials_leave_a_lower_bound() -> None:
    without = prediction_of(diagnosed(seen(), trials=TRIALS[:1]), "reply")
    assert without.at_least
    assert BEFORE < without.rate < AFTER
    assert "it may be more" in without.caveat


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 1.0])
def test_a_quantile_loses_what_the_answers_above_it_wait(share: float) -> None:
    # Of an exponential with a share held back by 40 ms: solved for the quantile, then shifted.
    mean, beyond = 0.02, 0.01
    queued = mean * log(1 / beyond)

    def over(limit: float) -> float:
        return share * min(1.0, exp(-(limit - ACK) / mean)) + (1 - share) * exp(-limit / mean)

    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if over(middle) > beyond else (low, middle)
    assert shift(HeldBack(share, ACK), queued, beyond) == pytest.approx(low - queued, abs=2e-4)


def test_a_wait_that_fewer_have_than_may_be_late_hardly_counts() -> None:
    assert shift(HeldBack(0.001, 10.0), 0.02 * log(100), 0.01) < 0.003
    assert shift(HeldBack(0.0, ACK), 0.1, 0.01) == 0.0
