"""Locks whose holders the runtime names: nothing is inferred there."""

from __future__ import annotations

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from tests.unit.scenes import ranked, series

# `render` is busy whenever somebody waits, on the waiters' own way; the lock is held elsewhere.
_WAITS = ("serve>view>pay lock@A", "serve>view>pay lock@A", "serve>view>pay>render on_cpu")


def evidence(holder: str, *others: str) -> Evidence:
    return Evidence(Span(100.0, instants=series(*[(*_WAITS, holder, *others)] * 30)))


def test_the_wait_is_charged_to_who_is_known_to_hold_the_lock() -> None:
    inferred = ranked(evidence("report>export sleep"))[0]
    assert inferred.function == "render"
    told = ranked(evidence("report>export sleep+A"))[0]
    assert told.function == "export"


def test_a_holder_of_another_lock_has_no_part_in_it() -> None:
    assert ranked(evidence("report>export sleep+B"))[0].function == "render"


def test_one_known_holder_is_a_lock_and_several_are_a_pool() -> None:
    one = evidence("report>export sleep+A")
    several = evidence("report>export sleep+A", "report>export sleep+A")
    for seen, is_pool in ((one, False), (several, True)):
        (contention,) = read_evidence(seen).knee.account.graph.contentions
        assert contention.told and contention.is_pool == is_pool
