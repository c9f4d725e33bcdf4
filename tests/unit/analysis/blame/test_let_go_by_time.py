"""Waits that nobody's work ends: a rate limiter lets one after the other go."""

from __future__ import annotations

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from tests.unit.scenes import classified, ranked, series, used


def evidence(*moment: str) -> Evidence:
    return Evidence(Span(100.0, instants=series(*[moment] * 30), resources=used(0.1)))


def paced(seen: Evidence) -> bool:
    (contention,) = read_evidence(seen).knee.account.graph.contentions
    return contention.paced


@pytest.mark.parametrize(
    "moment",
    [
        # Each was given a time of its own; what those do that were let go holds nobody up.
        (*["task serve>view>take lock@paced:A"] * 6, *["task serve>view>render sleep"] * 2),
        # Nobody else is at anything while they wait at a channel.
        ("task serve>view>take lock@channel:A",) * 6,
    ],
)
def test_a_limiter_is_the_class_and_where_they_wait_comes_first(moment: tuple[str, ...]) -> None:
    seen = evidence(*moment)
    (contention,) = read_evidence(seen).knee.account.graph.contentions
    assert contention.paced and not contention.holders
    assert classified(seen).category == "limiter"
    assert (ranked(seen)[0].function, ranked(seen)[0].category) == ("take", "limiter")


def test_who_has_what_others_wait_for_at_a_channel_is_there_meanwhile() -> None:
    waits = ["task serve>view>take lock@channel:A"] * 6
    assert not paced(evidence(*waits, *["task serve>view>take>query read"] * 2))


def test_a_mutex_is_held_by_somebody_even_where_nobody_was_seen() -> None:
    assert not paced(evidence(*["task serve>view>take lock@A"] * 6))
