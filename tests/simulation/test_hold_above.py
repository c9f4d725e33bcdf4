"""The hold above the knee, in virtual time: a limiter that is quiet at its knee."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.analysis.blame.evidence import Span
from perfhunt.analysis.knee.goal import goal_of
from perfhunt.analysis.knee.observed import baselines_before
from perfhunt.analysis.knee.search import replay, search
from perfhunt.model.knee import Knee, KneeLabel
from perfhunt.model.question import Safety
from perfhunt.model.run import Began, Event, Run
from perfhunt.model.trial import Phase, Trial
from perfhunt.reports.terminal import terminal
from perfhunt.stories.investigation import investigate
from perfhunt.testing import QueueEngine, Service, exponential
from tests.simulation.test_investigate import SEARCHED, Blind, lab, question_of
from tests.unit.scenes import profile, used

REFUSED_ABOVE = 120.0


class Watching(Blind):
    """Probes that see a page rendered, and where requests are refused, the function that does."""

    def span_of(self, trial: Trial) -> Span:
        refused = trial.outcomes.get("status", 0)
        stacks = profile(render=4.0 * trial.step.rate, turn_away=refused / 20)
        return Span.of(trial, replace(stacks, ticks=800), resources=used(0.4))


def held(tmp_path: Path, most: float = 5000.0) -> tuple[Run, list[Event]]:
    events: list[Event] = []
    question = replace(question_of(), safety=replace(Safety(), max_rate=most))
    bench = lab(tmp_path, question, Watching(), events=events)
    limiter = Service(exponential(0.002), refuse_above=REFUSED_ABOVE)
    bench.engine = QueueEngine(limiter, question.slo.criteria(), seed=3)
    return investigate(question, bench), events


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[Event]]:
    return held(tmp_path_factory.mktemp("limiter"))


def test_it_is_held_once_just_above_what_held_and_that_is_announced(
    told: tuple[Run, list[Event]],
) -> None:
    run, events = told
    assert isinstance(run.knee, Knee) and run.knee.label == KneeLabel.ERRORS
    (above,) = [t for t in run.trials if t.step.phase is Phase.ABOVE]
    assert run.knee.high < above.step.rate <= 1.5 * run.knee.high + 1e-9
    assert above == run.trials[-1]  # nothing is measured of a service that was just pushed over
    assert "above" in [event.stage for event in events if isinstance(event, Began)]


def test_knee_class_and_first_sentence_say_limiter_and_who_refuses(
    told: tuple[Run, list[Event]],
) -> None:
    run, _ = told
    assert run.bottleneck is not None and run.bottleneck.category == "limiter"
    assert isinstance(run.knee, Knee) and "a limiter, not a bottleneck" in run.knee.note
    assert run.findings[0].function == "turn_away"
    text = " ".join(terminal(run).split())
    assert "what stops it is a rate limiter, first of all in turn_away" in text
    assert "above" in run.profiles


def test_the_hold_above_is_not_in_the_fit(told: tuple[Run, list[Event]]) -> None:
    run, _ = told
    assert run.baseline is not None
    question = replace(question_of(), safety=Safety())
    again = replay(
        search(goal_of(question, question.slo.criteria()), run.baseline,
               baselines_before(run.trials, run.baseline)),
        [t for t in run.trials if t.step.phase in SEARCHED],
        run.drains,
    )  # fmt: skip
    assert again.knee == run.knee


def test_no_rate_above_what_is_allowed_is_sent(tmp_path: Path) -> None:
    run, _ = held(tmp_path, most=130.0)
    assert max(t.step.rate for t in run.trials) <= 130.0
