"""Tasks that requests leave behind are told from a queue, and from what merely varies."""

from __future__ import annotations

from collections.abc import Sequence

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.known.left_behind import left_behind
from tests.unit.scenes import series

LOOKS = 40  # a tenth of a second apart
FORGOTTEN, REQUEST = "task work>send lock@channel:A", "task serve>view>render sleep"


def said(base: Sequence[int], knee: Sequence[int], rates: tuple[float, float]) -> list[str]:
    """The sentences, where so many wait at each look of the two spans."""

    def span(counts: Sequence[int], rate: float) -> Span:
        return Span(rate, instants=series(*[[*[FORGOTTEN] * n, REQUEST] for n in counts]))

    evidence = Evidence(span(knee, rates[1]), span(base, rates[0]))
    return [each.sentence for each in left_behind(read_evidence(evidence))]


def test_one_of_two_requests_that_leaves_a_task_behind_is_told_with_where_it_waits() -> None:
    # At 10/s and 100/s, half a task a request: 0.5 and 5 more at each look.
    base = [3 + n // 2 for n in range(LOOKS)]
    knee = [400 + 5 * n for n in range(LOOKS)]
    (sentence,) = said(base, knee, rates=(10.0, 100.0))
    assert "grows by 500 with every 1,000 requests" in sentence
    assert "from 3 at the baseline to 595 at the knee" in sentence
    assert "they wait in send (/srv/shop/app.py)" in sentence


def test_a_queue_that_grows_at_the_knee_is_left_by_whoever_gets_his_turn() -> None:
    knee = [5 * n for n in range(LOOKS)]
    assert not said([0, 1] * (LOOKS // 2), knee, rates=(10.0, 100.0))


def test_what_comes_and_goes_was_not_left_behind() -> None:
    base, knee = [n % 12 for n in range(LOOKS)], [(n * 7) % 60 for n in range(LOOKS)]
    assert not said(base, knee, rates=(10.0, 100.0))


def test_what_grows_by_time_alone_is_no_doing_of_requests() -> None:
    # Ten more a second at either rate.
    base, knee = list(range(LOOKS)), list(range(100, 100 + LOOKS))
    assert not said(base, knee, rates=(10.0, 100.0))
