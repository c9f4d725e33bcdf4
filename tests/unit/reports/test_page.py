"""What the page says in words, on its first screen, and along time."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from perfhunt.analysis.diagnosis.cautions import about_probe
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.interval import Interval
from perfhunt.model.knee import NoKnee, NoKneeCode, RouteKnee
from perfhunt.model.latency import PROBED
from perfhunt.model.profile import Frame, ProfileMode
from perfhunt.model.slo import Judgement, Measure, Objective
from perfhunt.model.trial import Phase, SecondRow, Trial
from perfhunt.reports.format import FORMATS
from perfhunt.reports.html.first_screen import more_objectives, strip, suspects, trust_box
from perfhunt.reports.html.over_time import merged, over_time, phases_words, seconds_per_point
from perfhunt.reports.html.plain_words import objective_words, plain, use_words
from perfhunt.reports.html.rows import routes
from perfhunt.reports.pictures.waterfall_words import added_words
from perfhunt.reports.words import ms_interval, rate_range
from tests.sample_run import aborted_run, sample_run

WHOLE = sample_run()
RAW = re.compile(r"\b(?:latency|errors|throughput|resources)\.[a-z]\w*")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "SLO missed: latency.p50 <= 60 ms was asked",
            "SLO missed: p50 latency at most 60 ms was asked",
        ),
        (
            "latency.p99.9[GET /a] held at every rate tried",
            "p99.9 latency of GET /a held at every rate tried",
        ),
        ("5 beyond latency.p99.", "5 beyond p99 latency."),
        ("throughput.sustained >= 200/s", "throughput at least 200/s"),
        ("errors.http_5xx < 0.1 %", "server errors (5xx) below 0.1 %"),
        ("in resources.py:12, a -> b", "in resources.py:12, a -> b"),
    ],
)
def test_names_of_objectives_and_signs_are_words(said: str, words: str) -> None:
    assert plain(said) == words


@pytest.mark.parametrize("run", [WHOLE, aborted_run()], ids=["whole", "aborted"])
def test_no_name_of_the_test_file_is_on_the_page(run: object) -> None:
    page = FORMATS["html"].render(run)  # type: ignore[arg-type]
    seen = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    assert RAW.findall(seen) == []


def test_an_objective_of_a_route_names_it() -> None:
    objective = Objective(Measure.LATENCY, "p99", "<=", 0.4, route="checkout")
    assert objective_words(objective) == "p99 latency of checkout"


def test_an_interval_without_width_is_one_number() -> None:
    assert added_words(Interval(-0.00132, -0.00132, -0.00132, 9)) == "−1.32"
    assert added_words(Interval(-0.00132, -0.002, -0.001, 9)) == "−1.32 (−2 to −1)"
    assert ms_interval(Interval(0.0142, 0.0142, 0.0142, 1)) == "14.2"
    assert rate_range(120.0, 120.2) == "120/s"


def test_the_strip_has_what_missed_first_and_says_what_is_left_out() -> None:
    many = replace(WHOLE, judged=WHOLE.judged * 2)
    shown = strip(many)
    assert [row["word"] for row in shown][:2] == ["missed", "missed"]
    assert more_objectives(many) == "6 more objectives, all met"
    assert more_objectives(WHOLE) == ""


def test_before_and_after_stand_side_by_side_where_there_are_two_runs() -> None:
    slower = tuple(replace(j, value=j.value and 2 * j.value) for j in WHOLE.judged)
    (p95,) = (row for row in strip(WHOLE, replace(WHOLE, judged=slower)) if "p95" in str(row))
    assert (p95["then"], p95["measured"]) == ("142 ms", "71.2 ms")


def test_what_holds_for_every_suspect_is_said_once() -> None:
    unknown = [replace(f, what_if=None, withheld="nothing explains it") for f in WHOLE.findings]
    fixes = [row["fix"] for row in suspects(replace(WHOLE, findings=tuple(unknown)))]
    assert len(fixes) > 1
    assert fixes[0] == "No prediction: nothing explains it." and not any(fixes[1:])


def test_a_suspect_says_what_its_fix_brings_only_where_there_is_a_knee() -> None:
    assert suspects(WHOLE)[0]["fix"] == (
        "Without it the knee would be about 228/s (204 to 251/s); then the pool of 4 connections"
        " would be the limit."
    )
    none = replace(WHOLE, knee=NoKnee(NoKneeCode.BUDGET, "the budget ended"))
    assert {row["fix"] for row in suspects(none)} == {""}


def test_trust_is_doubtful_where_a_caution_says_so_and_unknown_where_nobody_looked() -> None:
    words = {item.name: item.word for item in trust_box(WHOLE)}
    assert words == {
        "Profiling": "no caution",
        "Other work on the host": "not known",
        "Load generator": "no caution",
        "What was lost": "no caution",
    }
    busy = Caution(CautionCode.GENERATOR_BUSY, "the generator was late")
    doubted = {item.name: item.word for item in trust_box(replace(WHOLE, cautions=(busy,)))}
    assert doubted["Load generator"] == "doubtful"
    assert trust_box(replace(aborted_run(), trials=())) == []


def test_samples_of_two_kinds_are_counted_apart() -> None:
    knee = WHOLE.profiles["knee"]
    waits = replace(knee, mode=ProfileMode.WALL, stacks={(Frame("f", "a.py"),): 298.0})
    one = replace(knee, mode=ProfileMode.CPU, stacks={(Frame("f", "a.py"),): 1.0})
    run = replace(WHOLE, profiles={"knee": one, "knee-waits": waits, "above-waits": waits})
    lost = trust_box(run)[-1]
    assert (
        "1 sample of threads on a CPU and 596 samples of all threads, running and waiting in"
        " 3 profiles; " in lost.words
    )


def test_a_probe_effect_within_the_noise_of_quiet_spans_is_not_called_none() -> None:
    assert WHOLE.probe_effect is not None
    noisy = replace(WHOLE.probe_effect, p99=1.4, note="the quiet spans' own p99 go from 1 to 2 s")
    probe = trust_box(replace(WHOLE, probe_effect=noisy))[0]
    assert probe.word == "not known"
    assert probe.words.endswith(
        "CPU per request by +1.2 % (−11.0 to +15.1 %, n=4)."
        " The quiet spans' own p99 go from 1 to 2 s."
    )


def test_no_report_calls_cpu_that_looking_took_no_caution() -> None:
    assert WHOLE.probe_effect is not None
    taken = Interval(1.379, 1.22, 1.56, 4)
    dear = replace(
        WHOLE.probe_effect, cpu=1.379, between={**WHOLE.probe_effect.between, "cpu": taken}
    )
    doubts = tuple(about_probe(dear))
    assert [doubt.code for doubt in doubts] == [CautionCode.PROBE_EFFECT]
    run = replace(WHOLE, probe_effect=dear, cautions=doubts)
    for name in ("terminal", "markdown", "html"):
        said = " ".join(FORMATS[name].render(run).split())
        assert "+37.9 % (+22.0 to +56.0 %, n=4)" in said, name
        assert "37.9 % more CPU while profiled (22 % to 56 %, n=4)" in said, name
    assert trust_box(run)[0].word == "doubtful"


def row(second: int, done: int, p99: float | None) -> SecondRow:
    return SecondRow(
        second=second,
        due=done,
        sent=done,
        done=done,
        failed=1,
        shed=0,
        exceed=(0,),
        in_flight=1.0,
        p50=p99,
        p99=p99,
        lag_p99=None,
        generator_cpu=0.1,
    )


def test_merged_seconds_add_counts_and_keep_the_highest_percentile() -> None:
    rows = [row(0, 10, 0.1), row(1, 20, 0.3), row(2, 5, None)]
    (first, one), (second, two) = merged(rows, 2)
    assert (first, one.done, one.failed, one.p99) == (1.0, 30, 2, 0.3)
    assert (second, two.done, two.p99) == (3.0, 5, None)


def test_a_run_of_hours_is_drawn_with_as_many_points_as_there_are_pixels() -> None:
    hour = tuple(row(second, 10, 0.1) for second in range(3600))
    trial = replace(WHOLE.trials[0], rows=hour, seconds=3600.0, started=0.0)
    assert seconds_per_point([trial]) == 6
    pictures = over_time(replace(WHOLE, baseline=None, trials=(trial,)))
    longest = max(points.count(",") for points in re.findall(r'points="([^"]*)"', pictures[0]))
    assert 500 < longest <= 600


def test_phases_are_said_in_words_for_who_sees_no_stripes() -> None:
    assert phases_words(WHOLE).startswith("Phases: baseline from 2 s, climb from 20 s, search from")
    assert phases_words(replace(WHOLE, baseline=None, trials=())) == ""


def of(phase: Phase, **told: str) -> Trial:
    trial = WHOLE.trials[0]
    return replace(trial, step=replace(trial.step, phase=phase), **told)  # type: ignore[arg-type]


def test_every_trial_says_why_it_counts_or_not() -> None:
    assert use_words(of(Phase.PASS)) == "counts: the knee is fitted to it"
    assert use_words(of(Phase.HOLD)) == "not in the knee: a profiler was attached"
    assert use_words(of(Phase.PASS, invalid="sent late")) == "not counted: sent late"
    assert use_words(of(Phase.PASS, overload="the backlog grew")).endswith(
        "; overloaded: the backlog grew"
    )
    assert all(use_words(of(phase, invalid="", overload="")) for phase in Phase)


def test_the_probe_of_our_own_has_no_knee() -> None:
    known = RouteKnee(route="list", share=0.6, n=9, rate=90.0, low=80.0, high=99.0)
    ours = replace(known, route=PROBED)
    quiet = of(Phase.QUIET, invalid="")
    both = {"list": quiet.routes["list"], PROBED: quiet.routes["list"]}
    run = replace(WHOLE, trials=(replace(quiet, routes=both),), route_knees=(known, ours))
    knees = {str(each["name"]): each["knee"] for each in routes(run)[1]}
    assert knees == {"list": "90/s (80 to 99/s at 95%)", PROBED: ""}


def test_the_verdict_of_the_slo_is_not_told_by_colour_alone() -> None:
    assert {j.verdict for j in WHOLE.judged} == set(Judgement)
    page = FORMATS["html"].render(WHOLE)
    for word in ("met", "missed", "unknown"):
        assert f'<i class="pill {word}">{word}</i>' in page
