"""What is said of a criterion that held: that another breaks first only where one does."""

from types import SimpleNamespace
from typing import Any

from perfhunt.analysis.knee.answers.answer import _not_reached
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Phase


def searched(*rates: tuple[Phase, float]) -> Any:
    trials = [SimpleNamespace(step=SimpleNamespace(phase=p, rate=r)) for p, r in rates]
    return SimpleNamespace(valid=lambda: trials, goal=SimpleNamespace(start=10.0))


def test_a_search_that_ended_while_all_held_says_so_with_the_highest_rate_of_its_ramp() -> None:
    state = searched((Phase.COARSE, 40.0), (Phase.RAMP, 304.0))
    criterion = Criterion("latency.p99", 0.2, 0.01)
    alone = _not_reached(state, criterion, False)
    assert "up to 304/s: the search ended before it broke" in alone.reason
    beside = _not_reached(state, criterion, True)
    assert "up to 40/s: another criterion breaks first" in beside.reason
