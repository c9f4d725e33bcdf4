"""Classes that no profile shows: told from what the load client and the kernel counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.answer.limit_doubts import about_limits
from perfhunt.analysis.diagnosis.cautions import cautions
from perfhunt.analysis.diagnosis.diagnosis import diagnose
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.finding import Bottleneck, BottleneckClass, Caution
from perfhunt.model.knee import NoKnee, NoKneeCode
from perfhunt.model.latency import Latency
from perfhunt.model.profile import Instants
from perfhunt.model.trial import Count, Interference, Neighbour, Resources, Trial, Wire
from tests.unit.scenes import classified, instant, series, used
from tests.unit.trials import HELD

REST = "serve_forever!get lock@I"
# 95 of 100 answers wait 41 ms for an acknowledgement; their requests take 3 ms otherwise.
WAITING = Latency(n=1000, p50=0.044, p90=0.045, p95=0.046, p99=0.06, mean=0.043, max=0.1)
HELD_BACK = Wire(
    answers=1000,
    in_pieces=950,
    head_first=950,
    gap_p50=0.041,
    held=950,
    held_total=950 * 0.041,
    hurried=80,
    hurried_gap=0.0001,
)
IDLE = Instants(1.0, tuple(instant(REST, REST, at=n / 10) for n in range(20)))
BUSY_A_LITTLE = series(*[["serve>view run", REST]] * 3, *[[REST, REST]] * 7)
ROOM = used(0.3)


def seen(trial: Trial, resources: Resources = ROOM, base: Trial | None = None) -> Evidence:
    trial = replace(trial, resources=resources)
    baseline = Span.of(base or trial, instants=BUSY_A_LITTLE)
    return Evidence(
        knee=Span.of(trial, instants=BUSY_A_LITTLE, resources=resources),
        baseline=baseline,
        idle=IDLE,
    )


def waiting(wire: Wire) -> Trial:
    return replace(HELD, response=WAITING, service=WAITING, wire=wire)


def test_answers_held_back_until_the_acknowledgement_are_a_class_at_any_load() -> None:
    found = classified(seen(waiting(HELD_BACK)))
    assert found.category is BottleneckClass.DELAYED_ACK
    assert (
        "95 % of answers came in pieces, with the headers alone in the first" in found.evidence[0]
    )
    assert "41 ms" in found.evidence[0]
    assert "90.6 % of the mean latency (43 ms)" in found.evidence[1]
    assert found.evidence[2] == (
        "Acknowledged at once, the rest came 100 us after the first piece (median, n=80)."
    )


def test_without_a_hurried_answer_it_is_less_certain() -> None:
    sure = classified(seen(waiting(HELD_BACK)))
    unproven = classified(seen(waiting(replace(HELD_BACK, hurried=0, hurried_gap=None))))
    assert unproven.category is BottleneckClass.DELAYED_ACK
    assert unproven.score < sure.score
    assert len(unproven.evidence) == 2


@pytest.mark.parametrize(
    "wire",
    [
        None,
        replace(HELD_BACK, held=0, held_total=0.0),  # they pause of their own accord
        replace(HELD_BACK, held=30, held_total=30 * 0.041),  # 3 % of the mean
    ],
    ids=["nobody looked", "streaming", "rare"],
)
def test_pieces_that_wait_for_nothing_are_no_class(wire: Wire | None) -> None:
    found = classified(seen(replace(HELD, response=WAITING, service=WAITING, wire=wire)))
    assert found.category is not BottleneckClass.DELAYED_ACK


def test_a_service_that_uses_its_whole_cpu_is_stopped_by_that() -> None:
    found = classified(seen(waiting(HELD_BACK), used(1.98)))
    assert found.category is not BottleneckClass.DELAYED_ACK


def test_the_wait_for_acknowledgements_is_no_queue_before_the_threads() -> None:
    """At the baseline connections are too slow for acknowledgements to be delayed: all of it would
    be latency that load added where no thread has the request.
    """
    quick = replace(HELD, wire=Wire(answers=1000))
    found = classified(seen(waiting(HELD_BACK), base=quick))
    assert found.category is BottleneckClass.DELAYED_ACK
    assert found.runner_up_score < 0.2, found


def test_where_the_slo_is_missed_at_the_floor_the_class_and_its_fix_are_told() -> None:
    trial = waiting(HELD_BACK)
    none = NoKnee(NoKneeCode.MISSED_AT_BASELINE, "p99 is over 30 ms at 1/s already")
    climb = SearchResult(none, (), None, (), ())
    found = diagnose(Evidence(knee=Span.of(replace(trial, resources=ROOM))), climb, None, (trial,))
    assert found.bottleneck is not None and found.bottleneck.category is BottleneckClass.DELAYED_ACK
    assert found.next_step.startswith("Write headers and body in one send, or set TCP_NODELAY")
    assert "perfhunt verify" in found.next_step


CHURN = Wire(answers=1000, connects=1100, new_connections=1000, connect_p50=0.006, connect_p99=0.02)


def test_a_connection_per_request_is_a_class_where_connecting_is_most_of_the_latency() -> None:
    found = classified(seen(replace(HELD, wire=CHURN)))  # the median latency is 10 ms
    assert found.category is BottleneckClass.CONNECTIONS
    assert "1,000 connections were made for 1,000 answers" in found.evidence[0]


def test_a_connection_per_request_that_is_made_quickly_is_normal() -> None:
    found = classified(seen(replace(HELD, wire=replace(CHURN, connect_p50=0.0002))))
    assert found.category is not BottleneckClass.CONNECTIONS


def test_ports_that_run_out_are_the_connections_doing() -> None:
    generator = replace(HELD.generator, ports_share=0.97)
    trial = replace(HELD, wire=replace(CHURN, connect_p50=0.0002), generator=generator)
    found = classified(seen(trial))
    assert found.category is BottleneckClass.CONNECTIONS
    assert "97 % of this host's local ports" in found.evidence[1]
    few = replace(trial, wire=replace(CHURN, new_connections=20, connect_p50=0.0002))
    assert classified(seen(few)).category is not BottleneckClass.CONNECTIONS


LATE = {"latency.p99": Count(1000, 12)}
DROPPED = replace(
    ROOM, accept_queue=6, accept_backlog=5, listen_overflows=14, listen_drops=14, syn_retransmits=14
)
SLOW = Wire(answers=1000, connects=1000, new_connections=1000, connect_p50=0.0002, slow_connects=11)


def queued(wire: Wire = SLOW, resources: Resources = DROPPED) -> Bottleneck:
    return classified(seen(replace(HELD, counts=LATE, wire=wire), resources))


def test_an_accept_queue_that_overflows_while_there_is_room_is_a_class() -> None:
    found = queued()
    assert found.category is BottleneckClass.BACKLOG
    assert found.evidence == (
        "The accept queue takes 5 connections; the longest seen was 6, and 14 found it full.",
        "11 of 1,000 connections took a second or more, as one does whose SYN is dropped and sent"
        " again; 12 requests were over the limit.",
    )


def test_a_client_that_takes_itself_for_connected_is_told_by_the_queue() -> None:
    assert queued(replace(SLOW, slow_connects=0)).category is BottleneckClass.BACKLOG
    elsewhere = replace(DROPPED, accept_queue=0)  # the queue of some other service overflowed
    assert queued(replace(SLOW, slow_connects=0), elsewhere).category is not BottleneckClass.BACKLOG


def test_slow_connections_that_explain_few_of_the_late_requests_are_no_class() -> None:
    many = {"latency.p99": Count(1000, 120)}
    trial = replace(HELD, counts=many, wire=replace(SLOW, slow_connects=2))
    resources = replace(DROPPED, listen_overflows=2)
    assert classified(seen(trial, resources)).category is not BottleneckClass.BACKLOG


def test_syns_that_no_queue_dropped_were_lost_on_the_way_and_count_half() -> None:
    lost = queued(resources=replace(ROOM, listen_overflows=0, listen_drops=0, accept_queue=0))
    assert lost.score <= 0.5


def test_an_overflow_beside_a_full_cpu_is_its_consequence() -> None:
    found = queued(resources=replace(DROPPED, cpu=1.98, cpu_limit=2.0))
    assert found.category is not BottleneckClass.BACKLOG


FULL = replace(ROOM, fds_most=40, fds_limit=40)


def test_a_process_that_may_open_no_more_files_while_there_is_room_is_a_class() -> None:
    found = queued(replace(SLOW, slow_connects=0), FULL)
    assert found.category is BottleneckClass.DESCRIPTORS
    assert "40 of the 40 files open" in found.evidence[0]
    for other in (replace(FULL, cpu=1.98, cpu_limit=2.0), replace(FULL, fds_limit=1024)):
        found = queued(replace(SLOW, slow_connects=0), other)
        assert found.category is not BottleneckClass.DESCRIPTORS


def test_files_that_were_used_up_beside_what_stops_the_service_are_told_once() -> None:
    def told(resources: Resources, category: BottleneckClass) -> list[str]:
        trial, stops = replace(HELD, resources=resources), Bottleneck(category, 0.9, ("It is.",))
        return [c.sentence for c in about_limits((trial,), stops) if c.code == "files-limit"]

    (sentence,) = told(FULL, BottleneckClass.CPU)
    assert "40 of the 40 files" in sentence
    assert not told(FULL, BottleneckClass.DESCRIPTORS)
    assert not told(replace(FULL, fds_limit=1024), BottleneckClass.CPU)


def cautioned(trial: Trial, resources: Resources, category: BottleneckClass) -> dict[str, Caution]:
    reading = read_evidence(seen(trial, resources))
    none = NoKnee(NoKneeCode.BUDGET, "too little was asked")
    bottleneck = Bottleneck(category, 0.9, ("It is.",))
    return {c.code: c for c in cautions(reading, none, (), bottleneck, None, (trial,))}


def test_what_does_not_stop_the_service_is_told_beside_what_does() -> None:
    trial = waiting(replace(HELD_BACK, held=30, held_total=30 * 0.041))
    told = cautioned(trial, DROPPED, BottleneckClass.CPU)
    assert told["delayed-ack"].sentence.startswith("3 % of answers wait 41 ms")
    assert "TCP_NODELAY" in told["delayed-ack"].next
    assert "full 14 times (it takes 5)" in told["accept-queue"].sentence
    quiet = cautioned(waiting(replace(HELD_BACK, held=3)), ROOM, BottleneckClass.CPU)
    assert not {"delayed-ack", "accept-queue"} & quiet.keys()


def test_what_stops_the_service_is_not_told_twice() -> None:
    told = cautioned(waiting(HELD_BACK), ROOM, BottleneckClass.DELAYED_ACK)
    assert "delayed-ack" not in told
    assert "accept-queue" not in cautioned(HELD, DROPPED, BottleneckClass.BACKLOG)


def test_other_work_on_the_host_is_not_why_an_acknowledgement_comes_late() -> None:
    others = Interference(
        10.0,
        cores=2,
        target_ran=0.1,
        target_waited=0.4,
        others=1.8,
        busiest=(Neighbour("cc", 1.8),),
    )
    crowded = replace(HELD, interference=others, wire=replace(HELD_BACK, held=0, held_total=0.0))
    assert classified(seen(crowded)).category is BottleneckClass.HOST
    assert (
        classified(seen(replace(waiting(HELD_BACK), interference=others))).category
        is BottleneckClass.DELAYED_ACK
    )
