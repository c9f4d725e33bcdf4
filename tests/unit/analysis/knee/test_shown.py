"""What trials clearly show, and answers that contradict it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.knee.answers.shown import Shown, contradicts, shown
from perfhunt.model.knee import Knee, KneeLabel
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Count, Phase, Trial
from tests.unit.trials import CALM_SECOND, HELD

P99 = Criterion("latency.p99", 0.25, 0.01)
SECONDS = 20
FAILED, FINE, STALLED = [40] * SECONDS, [1, 2] * (SECONDS // 2), [0] * (SECONDS - 1) + [400]
NOTHING = Shown(0.0, float("inf"))


def trial(rate: float, late: list[int], phase: Phase = Phase.PASS) -> Trial:
    """A trial with so many requests over the limit in its seconds, of 500 each."""
    rows = tuple(
        replace(CALM_SECOND, second=second, due=500, exceed=(many,))
        for second, many in enumerate(late)
    )
    counts = {P99.name: Count(500 * len(late), sum(late))}
    step = replace(HELD.step, rate=rate, phase=phase, duration=float(len(late)))
    return replace(HELD, step=step, rows=rows, counts=counts)


def knee(low: float, high: float) -> Knee:
    return Knee(
        rate=(low + high) / 2,
        low=low,
        high=high,
        confidence=0.95,
        criterion=P99.name,
        limit=P99.limit,
        sharpness=None,
        label=KneeLabel.SHARP,
    )


def test_two_failures_show_that_the_higher_rate_fails() -> None:
    assert shown([trial(640, FAILED), trial(1280, FAILED)], P99) == Shown(0.0, 1280)


def test_two_holds_show_that_the_lower_rate_holds() -> None:
    assert shown([trial(80, FINE), trial(100, FINE)], P99) == Shown(80, float("inf"))


@pytest.mark.parametrize(
    "trials",
    [
        pytest.param([trial(640, FAILED)], id="one trial"),
        pytest.param([trial(640, STALLED), trial(1280, STALLED)], id="single stalls"),
        pytest.param(
            [trial(100, FAILED), trial(100, FAILED), trial(120, FINE)], id="a third disagrees"
        ),
        pytest.param(
            [trial(80, FINE, Phase.RAMP), trial(90, FINE, Phase.RAMP)], id="holds of the ramp"
        ),
        pytest.param(
            [replace(trial(100, FAILED), invalid="lost"), trial(100, FAILED)], id="an invalid one"
        ),
        pytest.param(
            [trial(100, FAILED, Phase.CAPACITY), trial(100, FAILED)], id="overloaded on purpose"
        ),
    ],
)
def test_nothing_is_shown_by(trials: list[Trial]) -> None:
    assert shown(trials, P99) == NOTHING


def test_failures_that_outnumber_the_holds_above_them_by_two_still_show() -> None:
    trials = [*(trial(100, FAILED) for _ in range(3)), trial(120, FINE)]
    assert shown(trials, P99).failed == 100


@pytest.mark.parametrize(
    ("low", "high", "astray"),
    [(1886, 4913, True), (500, 4913, False), (20, 79, True), (20, 90, False), (200, 400, False)],
)
def test_an_answer_contradicts_when_all_of_it_lies_beyond_what_is_shown(
    low: float, high: float, astray: bool
) -> None:
    trials = [trial(rate, FINE) for rate in (80, 100)]
    trials += [trial(rate, FAILED, Phase.RAMP) for rate in (640, 1280, 2560)]
    assert contradicts(knee(low, high), trials, P99) is astray
