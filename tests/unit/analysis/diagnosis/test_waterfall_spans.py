"""Which spans the waterfall is made from, and when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import nan

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.diagnosis.diagnosis import joined
from tests.unit.analysis.diagnosis.test_waterfall import REST, calm, told
from tests.unit.scenes import profile, series, used


@pytest.mark.parametrize(
    ("knee", "base", "why"),
    [
        (Span(10.0, service=0.1, instants=series([REST])), None, "one load only"),
        (Span(10.0, service=0.1), calm(REST, service=0.1), "not seen at the knee"),
        (
            Span(10.0, service=0.1, instants=series([REST])),
            Span(5.0, service=0.1),
            "not seen at the baseline",
        ),
        (Span(0.0, instants=series([REST])), calm(REST, service=0.1), "No request was answered"),
    ],
)
def test_without_evidence_of_both_spans_there_is_none_and_the_reason_is_said(
    knee: Span, base: Span | None, why: str
) -> None:
    assert why in told(Evidence(knee, base)).missing


def test_latency_that_did_not_grow_has_parts_and_no_closure() -> None:
    base = calm("serve>view>ask socket@n:1", service=0.020)
    knee = Span(50.0, service=0.020, instants=series(*[["serve>view>ask socket@n:1"]] * 40))
    answer = told(Evidence(knee, base))
    assert answer.closure is None
    assert answer.parts


def test_a_latency_that_is_no_number_is_no_waterfall() -> None:
    base = calm("serve>view>ask socket@n:1", service=0.020)
    knee = Span(50.0, service=nan, instants=series(*[["serve>view>ask socket@n:1"]] * 40))
    assert "no number" in told(Evidence(knee, base)).missing


def test_parts_of_twice_the_latency_are_no_waterfall() -> None:
    # Four wait at the baseline, where there is a third of a request: for something else.
    waits = ["serve>view>ask socket@n:1"]
    base = Span(10.0, service=0.030, instants=series(*[waits * 4] * 40))
    knee = Span(100.0, service=0.080, instants=series(*[waits * 8] * 40))
    answer = told(Evidence(knee, base))
    assert "at the baseline is 400 ms for a request of 30 ms" in answer.missing


def test_looks_at_threads_while_no_request_counted_are_left_out() -> None:
    looks = series(*[[REST]] * 10, *[["serve>view>ask socket@n:1"] * 4] * 40, *[[REST]] * 5)
    begin, end = looks.instants[10].at, looks.instants[50].at

    def requests_at(moments: Sequence[float]) -> list[int | None]:
        return [4 if begin <= at < end else None for at in moments]

    span = Span(40.0, instants=looks).while_requests_counted(requests_at)
    assert span.instants is not None
    assert [len(look.threads) for look in span.instants] == [4] * 40
    assert span.in_service == (4,) * 40
    unknown = Span(40.0, instants=looks)
    assert unknown.while_requests_counted(lambda _: ()) is unknown


def test_the_latency_is_that_of_the_pass_whose_threads_are_counted() -> None:
    slowed = Span(40.0, service=0.100, instants=series(*[["serve>view>ask socket@n:1"] * 4] * 40))
    quicker = Span(40.0, service=0.050, profile=profile(view=300), resources=used(0.1))
    evidence = Evidence(joined(quicker, slowed), calm("serve>view>ask socket@n:1", service=0.020))
    answer = told(evidence.of_waits)
    assert answer.knee == 0.100
    assert answer.closure == pytest.approx(0.0, abs=1e-9)
    assert evidence.of_waits.knee.profile is quicker.profile


def test_looks_at_less_of_a_queue_than_there_was_are_put_right() -> None:
    """Two are served at a time (20 ms each), the rest wait: six were there on average, and the
    looks met four and a half.
    """
    served, waits = "serve>view>ask socket@n:1", "serve>view>take!acquire lock@P"
    there = [2, 3, 4, 5, 6, 7] * 10
    moments = [[served] * min(n, 2) + [waits] * max(0, n - 2) for n in there]
    base = Span(10.0, service=0.020, instants=series(*[[served], *[[REST]] * 4] * 10))
    knee = Span(100.0, service=0.060, instants=series(*moments), in_service=tuple(there))
    blind = told(Evidence(replace(knee, in_service=()), base))
    seeing = told(Evidence(knee, base))
    assert seeing.closure == pytest.approx(0.0, abs=1e-9)
    assert seeing.parts[0].added.value == pytest.approx(0.040, abs=1e-3)
    # What looks did not meet is guessed to be a queue, or not at all.
    assert sum(part.inferred for part in blind.parts) == pytest.approx(0.015, abs=1e-3)
    assert sum(part.inferred for part in seeing.parts) == pytest.approx(0.0, abs=1e-9)


def test_looks_at_sockets_are_put_right_for_the_requests_that_there_were() -> None:
    # Four threads; who comes while they are taken lies in a socket. The looks met ten requests on
    # average where there were eight, and one more look is of before the requests counted.
    there = [4, 16, 8, 12] * 10
    unread = tuple((float(at), count - 4) for at, count in enumerate(there))
    span = Span(80.0, service=0.1, resources=used(0.5), unread=(*unread, (-1.0, 50)))
    seen = span.while_requests_counted(
        lambda moments: [None if at < 0 else there[int(at)] for at in moments]
    ).resources
    assert seen is not None
    assert seen.unread == pytest.approx(4.0)
    assert seen.unread_error < 0.05  # what came and went with the requests is no doubt


def test_looks_at_sockets_of_a_load_whose_requests_nobody_knows_stay_as_they_are() -> None:
    span = Span(80.0, resources=replace(used(0.5), unread=3.0), unread=((1.0, 3),))
    assert span.while_requests_counted(lambda _: ()).resources == span.resources
