"""From samples to rows and trials: counted by hand."""

import math
from typing import TypeAlias

import numpy as np
import pytest

from perfhunt.load.messages import StepDone
from perfhunt.load.tally import (
    ClosedTally,
    GeneratorSecond,
    StepTally,
    failures,
    response_and_service,
    sizes,
    statuses,
)
from perfhunt.load.trials import StepEnd, build_trial
from perfhunt.load.wire import WireAccount
from perfhunt.model.latency import SAMPLE, UNCAUSED, RequestOutcome, RouteFailure
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Count, Phase, Step, Trial

P99 = Criterion("latency.p99", 0.4, 0.01)
ERRORS = Criterion("errors", math.inf, 0.001)
ON_B = Criterion("latency.p99[b]", 0.1, 0.01, "b")

Sample: TypeAlias = tuple[float, float, float, int, int, int, int, float]  # a record of SAMPLE


def sample(
    due: float,
    service: float,
    outcome: RequestOutcome = RequestOutcome.OK,
    lag: float = 0.0,
    wait: float = 0.0,
    endpoint: int = 0,
) -> Sample:
    status = {RequestOutcome.OK: 200, RequestOutcome.STATUS: 500}.get(outcome, 0)
    return (due, lag, service, 10, status, endpoint, int(outcome), wait)


def tally_of(
    *samples: Sample, due: list[float] | None = None, endpoints: list[int] | None = None
) -> StepTally:
    dues = np.array(due if due is not None else [s[0] for s in samples])
    made = StepTally(
        dues,
        np.array(endpoints or [s[5] for s in samples] or [0] * len(dues), dtype=np.uint16),
        (P99, ERRORS, ON_B),
        ("a", "b"),
        10.0,
    )
    made.add(np.array(list(samples), dtype=SAMPLE))
    return made


def test_each_kind_of_exceedance_is_counted_by_hand() -> None:
    tally = tally_of(
        sample(0.1, 0.05),
        sample(0.2, 0.5),
        sample(0.3, 0.01, RequestOutcome.STATUS),
        sample(0.4, 0.0, RequestOutcome.SHED, lag=2.0),
        sample(0.5, 0.2, RequestOutcome.CUT),
        sample(0.6, 0.3, lag=0.2),
        sample(0.7, 0.2, endpoint=1),
        sample(0.8, 0.05, endpoint=1),
    )
    counts = tally.counts(slice(0, 8))
    assert counts["latency.p99"] == Count(8, 5)  # slow, failed, shed, cut, late
    assert counts["errors"] == Count(8, 1)  # the 500: a request shed or cut off has not failed
    assert counts["latency.p99[b]"] == Count(2, 1)
    assert tally.over("a", slice(0, 8)) == {"latency.p99": 5, "errors": 1}
    assert tally.over("b", slice(0, 8)) == {"latency.p99": 0, "errors": 0}


def test_a_request_counts_as_late_the_moment_its_age_passes_the_limit() -> None:
    tally = tally_of(due=[0.1, 0.2, 0.9], endpoints=[0, 0, 0])
    assert tally.row(0, 0.45, GeneratorSecond()).exceed == (0, 0, 0)
    assert tally.row(0, 0.55, GeneratorSecond()).exceed[0] == 1
    assert tally.row(0, 0.65, GeneratorSecond()).exceed[0] == 2
    assert tally.row(0, math.inf, GeneratorSecond()).exceed[0] == 3


def test_in_flight_is_the_time_average_of_what_is_due_but_not_answered() -> None:
    # 0.5 s of one request and all of another that never ends, from 0.25 on
    tally = tally_of(sample(0.0, 0.5), due=[0.0, 0.25], endpoints=[0, 0])
    assert tally.row(0, 1.0, GeneratorSecond()).in_flight == pytest.approx(0.5 + 0.75)


def test_rows_count_ends_by_when_they_happened_and_exceedances_by_when_they_were_due() -> None:
    tally = tally_of(sample(0.9, 0.6), sample(1.2, 0.1), sample(1.3, 0.1, RequestOutcome.RESET))
    first, second = (
        tally.row(0, math.inf, GeneratorSecond()),
        tally.row(1, math.inf, GeneratorSecond()),
    )
    assert (first.due, first.done, first.exceed[0]) == (1, 0, 1)
    assert (second.due, second.done, second.failed, second.exceed[0]) == (2, 3, 1, 1)


def test_a_refusal_counts_at_the_timeout_however_quick_it_was() -> None:
    samples = np.array(
        [sample(0.0, 0.001, RequestOutcome.CONNECT), sample(0.1, 0.02)], dtype=SAMPLE
    )
    response, service = response_and_service(samples, 10.0)
    assert (response.p50, response.max) == pytest.approx((0.02, 10.0))
    assert response.censored == 1
    assert service.max == 10.0


def test_what_was_never_sent_has_a_response_but_no_service() -> None:
    samples = np.array(
        [sample(0.0, 0.0, RequestOutcome.SHED, lag=2.5), sample(0.1, 0.02)], dtype=SAMPLE
    )
    response, service = response_and_service(samples, 10.0)
    assert (response.n, service.n) == (2, 1)
    assert response.max == 2.5
    assert (response.censored, service.censored) == (1, 0)


def test_statuses_leave_out_what_was_not_answered() -> None:
    samples = np.array(
        [
            sample(0, 0.1),
            sample(1, 0.1, RequestOutcome.STATUS),
            sample(2, 0.1, RequestOutcome.TIMEOUT),
        ],
        dtype=SAMPLE,
    )
    assert statuses(samples) == {200: 1, 500: 1}


def trial_of(
    tally: StepTally,
    seconds: float = 2.0,
    settle: float = 0.0,
    overload: str = "",
) -> Trial:
    step = Step(Phase.RAMP, 10.0, 2.0, 1, settle)
    rows = tuple(tally.row(second, math.inf, GeneratorSecond()) for second in range(2))
    return build_trial(step, tally, rows, StepEnd(seconds, overload), "x", {})


def test_the_settling_is_sent_but_not_counted() -> None:
    trial = trial_of(tally_of(*(sample(i / 10, 0.01) for i in range(20))), settle=1.0)
    assert trial.n == 10
    assert trial.achieved == pytest.approx(10.0)
    assert trial.counts["latency.p99"].n == 10


def test_requests_without_a_sample_make_the_trial_invalid() -> None:
    trial = trial_of(tally_of(sample(0.1, 0.01), due=[0.1, 0.2], endpoints=[0, 0]))
    assert trial.invalid == "the generator lost 1 of 2 requests"


def test_a_late_generator_is_told_from_a_slow_service() -> None:
    late = trial_of(tally_of(*(sample(i / 100, 0.01, lag=0.6) for i in range(100))))
    assert "the generator, not your service" in late.invalid
    slow = trial_of(tally_of(*(sample(i / 100, 0.6) for i in range(100))))
    assert slow.invalid == ""
    # too much in flight: the request waited for the service to finish others
    queued = trial_of(tally_of(*(sample(i / 100, 0.01, lag=0.6, wait=0.6) for i in range(100))))
    assert queued.invalid == ""
    assert queued.counts["latency.p99"].exceed == 100


def test_an_overloaded_trial_is_not_an_invalid_one() -> None:
    trial = trial_of(
        tally_of(*(sample(i / 100, 3.0, RequestOutcome.CUT) for i in range(100))),
        overload="too much",
    )
    assert (trial.overload, trial.invalid) == ("too much", "")


def test_ports_that_ran_out_are_the_hosts_doing() -> None:
    trial = trial_of(
        tally_of(*(sample(i / 100, 0.0, RequestOutcome.GENERATOR) for i in range(100)))
    )
    assert "no descriptor or port left" in trial.invalid


def test_a_closed_loop_learns_what_was_due_from_what_has_ended() -> None:
    tally = ClosedTally(np.empty(0), np.empty(0, dtype=np.uint16), (P99,), ("GET /",), 10.0)
    assert tally.row(0, 1.0, GeneratorSecond()).due == 0
    tally.add(np.array([sample(0.5, 0.7)], dtype=SAMPLE))
    tally.add(np.array([sample(0.2, 0.1), sample(0.2, 0.2)], dtype=SAMPLE))
    assert tally.due.tolist() == [0.2, 0.2, 0.5]
    assert tally.row(0, 2.0, GeneratorSecond()).exceed == (1,)
    assert tally.missing(slice(0, 3)) == 0


@pytest.mark.parametrize(("took", "noted"), [(0.21, True), (0.001, False), (None, False)])
def test_a_name_that_took_long_to_resolve_is_noted(took: float | None, noted: bool) -> None:
    done = StepDone(seconds=1.0, wire=WireAccount(resolution=took))
    trial = build_trial(
        Step(Phase.RAMP, 10.0, 1.0, 1),
        tally_of(sample(0.1, 0.01)),
        (),
        StepEnd(1.0, done=done),
        "",
        {},
    )
    assert any("took 210 ms to resolve" in note for note in trial.generator.notes) is noted
    assert trial.wire is not None and trial.wire.resolution == took


def test_requests_that_are_there_are_those_sent_and_unanswered() -> None:
    shed = sample(0.0, 9.0, RequestOutcome.SHED)
    tally = tally_of(shed, sample(0.1, 0.5), sample(0.2, 0.5, lag=0.2), sample(0.3, 0.05))
    moments = np.array([0.05, 0.15, 0.32, 0.38, 0.45, 0.65, 0.95])
    assert tally.in_service_at(moments).tolist() == [0, 1, 2, 1, 2, 1, 0]


def uncaused() -> StepTally:
    """Three arrivals, and two requests that none of them caused, one of which failed."""
    tally = StepTally(
        np.array([0.1, 0.2, 0.3]),
        np.zeros(3, dtype=np.uint16),
        (P99, ERRORS),
        ("a", UNCAUSED),
        10.0,
    )
    late = [sample(0.25, 0.05, RequestOutcome.STATUS, endpoint=1), sample(0.15, 0.1, endpoint=1)]
    for each in (sample(0.2, 0.3), late[0], late[1], sample(0.1, 0.02), sample(0.3, 0.02)):
        tally.add(np.array([each], dtype=SAMPLE))
    return tally


def test_requests_of_no_arrival_count_in_every_criterion_and_in_no_rate() -> None:
    tally = uncaused()
    span = tally.counted(0.0, 1.0)
    assert tally.counts(span) == {"latency.p99": Count(5, 1), "errors": Count(5, 1)}
    assert tally.offered(span) == 3 and tally.missing(span) == 0
    assert tally.sent_within(0.0, 1.0) == (3, 3)
    assert tally.completed(0.0, 1.0) == 5
    # 20 ms, 300 ms and 20 ms of the arrivals; the others were there as well, and not waited for.
    assert tally.in_flight(0.0, 1.0) == pytest.approx(0.34)
    assert tally.in_service_at(np.array([0.22, 0.28])).tolist() == [2, 2]
    assert [float(due) for due in tally.due] == [0.1, 0.15, 0.2, 0.25, 0.3]


def test_a_trial_tells_of_requests_of_no_arrival() -> None:
    trial = build_trial(
        Step(Phase.RAMP, 3.0, 1.0, 1), uncaused(), (), StepEnd(1.0, done=StepDone(1.0)), "", {}
    )
    assert (trial.n, trial.achieved, trial.outcomes) == (5, 3.0, {"ok": 4, "status": 1})
    assert any("2 of 5" in note and UNCAUSED in note for note in trial.generator.notes)
    assert not trial.invalid


def test_failures_are_counted_by_their_kind_with_the_first_that_was_due() -> None:
    ended = [
        sample(0.4, 0.002, RequestOutcome.STATUS),
        sample(0.1, 0.05),
        sample(0.3, 0.001, RequestOutcome.STATUS),
        sample(0.2, 10.0, RequestOutcome.TIMEOUT),
        sample(0.5, 0.7, RequestOutcome.CUT),
        sample(0.6, 0.0, RequestOutcome.SHED),
    ]
    assert failures(np.array(ended, dtype=SAMPLE)) == (
        RouteFailure("status", 500, 2, 0.3, 0.001),
        RouteFailure("timeout", 0, 1, 0.2, 10.0),
    )
    assert failures(np.array(ended[1:2], dtype=SAMPLE)) == ()


def test_sizes_are_those_of_successes_by_powers_of_two() -> None:
    ended = np.array([sample(0.1 * n, 0.01) for n in range(6)], dtype=SAMPLE)
    ended["bytes"] = [0, 1, 1023, 1024, 2047, 2048]
    failed = np.array([sample(0.7, 0.01, RequestOutcome.STATUS)], dtype=SAMPLE)
    bare = np.array([sample(0.8, 0.01), sample(0.9, 0.01)], dtype=SAMPLE)
    bare["status"] = [204, 304]  # which have no content, whatever was asked for
    assert sizes(np.concatenate([ended, failed, bare])) == {0: 1, 9: 1, 10: 2, 11: 1}


def test_later_steps_count_in_every_criterion_and_rate_and_not_in_the_pattern_of_arrivals() -> None:
    tally = StepTally(
        np.array([0.1, 0.2]), np.zeros(2, dtype=np.uint16), (P99, ERRORS, ON_B), ("a", "b"), 10.0, 1
    )
    # Two of them were due at one moment, in two load processes.
    later = [sample(0.3, 0.2, endpoint=1), sample(0.3, 0.05, endpoint=1)]
    tally.add(np.array([sample(0.1, 0.2), *later], dtype=SAMPLE))
    tally.add(np.array([sample(0.2, 0.5), sample(0.7, 0.1, endpoint=1)], dtype=SAMPLE))
    span = tally.counted(0.0, 1.0)
    assert tally.counts(span) == {
        "latency.p99": Count(5, 1),
        "errors": Count(5, 0),
        "latency.p99[b]": Count(3, 2),
    }
    assert tally.missing(span) == 0
    assert (tally.offered(span), tally.sent_within(0.0, 1.0)) == (5, (5, 5))
    assert tally.completed(0.0, 1.0) == 5
    assert tally.in_flight(0.0, 1.0) == pytest.approx(0.2 + 0.5 + 0.2 + 0.05 + 0.1)
    every = tally.of_span(0.0, 1.0)
    assert np.sort(tally.of_schedule(every)["due"]).tolist() == [0.1, 0.2]
