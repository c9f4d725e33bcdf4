"""Numbers and words of one report do not contradict each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.cli.view.lines import trial_line
from perfhunt.model.finding import Caution, CautionCode, Waterfall
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee, KneeLabel, NoKnee, NoKneeCode
from perfhunt.model.slo import Judgement
from perfhunt.model.trial import Count, Phase
from perfhunt.model.units import format_share
from perfhunt.reports.format import FORMATS
from perfhunt.reports.pictures.waterfall_words import added_words, change_words, totals_words
from perfhunt.reports.verdict_sentence import verdict_sentence
from perfhunt.reports.words import RANKED_BY, criterion_words, ms
from tests.sample_run import sample_run
from tests.unit.trials import HELD

NOISE = -6.94e-18  # seconds, as sums of latencies leave


def test_a_request_over_several_limits_is_over_once() -> None:
    counts = {"latency.p95": Count(100, 4), "latency.p99": Count(100, 7), "errors": Count(100, 0)}
    assert trial_line(replace(HELD, counts=counts)).endswith("7 over")
    assert trial_line(replace(HELD, counts={})).endswith("0 over")


@pytest.mark.parametrize(("seconds", "words"), [(NOISE, "0"), (0.0, "0"), (0.0317, "31.7")])
def test_what_rounding_leaves_is_nothing(seconds: float, words: str) -> None:
    assert ms(seconds) == words


def test_a_change_of_nothing_has_no_minus() -> None:
    assert (change_words(NOISE), change_words(-0.002)) == ("+0", "−2")
    assert added_words(Interval(NOISE, NOISE, 0.001, 9)) == "+0 (0 to 1)"


def test_an_error_knee_names_errors_and_not_a_latency() -> None:
    knee = Knee(22.9, 20.0, 25.0, 0.95, "latency.p99[pay]", 0.3, 6.0, KneeLabel.ERRORS)
    assert criterion_words(knee) == "errors no more than may be on pay"
    run = replace(sample_run(), knee=replace(knee, criterion="latency.p99"))
    said = FORMATS["terminal"].render(run)
    assert "22.9/s" in said and "p99 <= 300 ms  [error knee" not in said
    assert "No more of its answers are errors than may be up to about 22.9/s" in " ".join(
        said.split()
    )


def test_without_a_knee_nothing_is_said_to_be_at_it() -> None:
    whole = sample_run()
    assert isinstance(whole.waterfall, Waterfall)
    none = replace(whole, knee=NoKnee(NoKneeCode.BELOW_MAX_RATE, "held up to 20/s"))
    for form in ("terminal", "markdown", "html"):
        with_knee, without = (FORMATS[form].render(run) for run in (whole, none))
        assert "ms at the knee (" in with_knee and "ms at the rate held (" in without
        assert "ms at the knee (" not in without


def test_a_latency_that_profilers_made_is_not_told_as_that_of_the_knee() -> None:
    quiet = replace(HELD, step=replace(HELD.step, phase=Phase.QUIET))
    swamped = replace(HELD, overload="more in flight than it had answered")
    whole = sample_run()
    assert isinstance(whole.waterfall, Waterfall)
    run = replace(whole, trials=(quiet, swamped))
    assert ", 12 ms at the knee, 24 ms with profilers as well (" in totals_words(
        whole.waterfall, run
    )
    # Where it was too much without them, or held with them, it is the knee's.
    for trials in ((replace(quiet, overload="too much"), swamped), (quiet, swamped, HELD)):
        assert "ms at the knee (" in totals_words(whole.waterfall, replace(run, trials=trials))


def test_a_list_that_is_not_in_the_order_of_its_numbers_says_of_what() -> None:
    run = sample_run()
    falling = sorted(run.findings, key=lambda f: -f.blamed.value)
    render = FORMATS["terminal"].render
    assert RANKED_BY not in render(replace(run, findings=tuple(falling)))
    assert RANKED_BY in render(replace(run, findings=tuple(reversed(falling))))


@pytest.mark.parametrize(
    ("share", "words"), [(2.65e-15, "0 %"), (-3e-17, "0 %"), (1e-6, "0.0001 %"), (0.381, "38.1 %")]
)
def test_a_share_that_rounding_leaves_is_nothing(share: float, words: str) -> None:
    assert format_share(share) == words


def test_a_verdict_that_is_met_names_answers_that_may_be_errors() -> None:
    doubt = Caution(CautionCode.SHORTER_ANSWERS, "From 80/s on, 62 % are short.", "Look at one.")
    met = replace(sample_run(), verdict=Judgement.MET, cautions=(doubt,))
    assert doubt.sentence in verdict_sentence(met)
    assert doubt.sentence not in verdict_sentence(replace(met, verdict=Judgement.UNKNOWN))
