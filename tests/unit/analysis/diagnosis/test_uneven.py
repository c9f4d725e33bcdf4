"""Processes that do not share the work are told from those that have as much as comes by chance."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.known.uneven import uneven
from perfhunt.model.states import States, ThreadState, ThreadTime


def said(shares: Sequence[float], runtime: str = "node", *parents: int) -> list[str]:
    """The sentences, where the main thread of each process is on a CPU for so much of the time;
    they are numbered from 100.
    """
    threads = tuple(
        ThreadTime(pid, pid, "node", {ThreadState.ON_CPU: share, ThreadState.POLL: 1 - share})
        for pid, share in enumerate(shares, 100)
    )
    knee = Span(50.0, states=States("knee", 10.0, threads, 500))
    evidence = Evidence(knee, runtime=runtime, parents=dict(enumerate(parents, 100)))
    return [each.sentence for each in uneven(read_evidence(evidence))]


def test_a_process_that_rests_beside_one_that_has_all_the_work_is_told() -> None:
    (sentence,) = said([0.95, 0.01])
    assert (
        "Of the service's 2 processes one had next to nothing to do (1 % of the time)" in sentence
    )
    assert "another was at work 95 % of it" in sentence


@pytest.mark.parametrize("shares", [[0.95], [0.95, 0.6], [0.05, 0.0]], ids=str)
def test_processes_that_all_have_work_or_none_are_not(shares: list[float]) -> None:
    assert not said(shares)


def test_nor_are_processes_of_a_runtime_whose_threads_share_what_comes() -> None:
    assert not said([0.95, 0.01], runtime="go")


def test_what_the_busy_one_started_itself_is_there_for_other_work() -> None:
    assert not said([0.95, 0.01], "node", 1, 100)
    assert said([0.95, 0.01, 0.02], "node", 50, 50, 100)[0].startswith("Of the service's 2 proc")
