"""Every report of every kind of run: whole, cut short, hostile; nothing secret, nothing from the
network.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from perfhunt.model.finding import Bottleneck, BottleneckClass
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee, KneeLabel, NoKnee, NoKneeCode
from perfhunt.model.profile import Frame, FrameKind
from perfhunt.model.question import RequestTemplate
from perfhunt.model.run import Run, RunKind
from perfhunt.model.slo import Judgement
from perfhunt.model.traffic.parts import Expect
from perfhunt.model.trial import Disturbance
from perfhunt.reports.format import FORMATS
from perfhunt.reports.html.first_screen import suspects
from perfhunt.reports.html.rows import question as question_rows
from perfhunt.reports.terminal import LINES
from perfhunt.reports.verdict_sentence import verdict_sentence
from tests.sample_run import aborted_run, sample_run

WHOLE = sample_run()
RUNS = {
    "whole": WHOLE,
    "aborted": aborted_run(),
    "without profile": replace(
        WHOLE, profiles={}, findings=(), bottleneck=None, states={}, probe_effect=None
    ),
    "no knee": replace(
        WHOLE,
        knee=NoKnee(NoKneeCode.BELOW_MAX_RATE, "p99 held up to 5,000/s", 5000.0),
        knees=(),
        capacity=None,
    ),
    "profile only": replace(
        WHOLE,
        kind=RunKind.PROFILE,
        trials=(),
        baseline=None,
        judged=(),
        knees=(),
        knee=NoKnee(NoKneeCode.STOPPED, "not asked"),
    ),
    "no trial": replace(aborted_run(), trials=()),
    "failed": replace(aborted_run(), ended="failed: the load child ended with status -9"),
}
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "]]><script>alert(1)</script>",
    "a\x1b[31mb\x00c\u202ed\ufffe",
    "| pipe ` tick\nnewline",
    "'\"><svg/onload=alert(1)>",
    "{{ 7*7 }}{% raw %}",
    "&lt;b&gt;",
)


def hostile(name: str) -> Run:
    """The sample run of a service whose every name is an attack."""
    run = WHOLE
    frame = Frame(name, name, 1)
    stacks = {(frame, *stack): weight for stack, weight in run.profiles["knee"].stacks.items()}
    traffic = (
        replace(run.question.traffic[0], name=name, path="/" + name),
        *run.question.traffic[1:],
    )
    trials = tuple(
        replace(t, overload=name if t.overload else "", routes={name: t.routes["list"]})
        for t in run.trials
    )
    return replace(
        run,
        question=replace(
            run.question, traffic=traffic, target=replace(run.question.target, name=name)
        ),
        findings=tuple(
            replace(f, function=name, file=name, evidence=name, via=name) for f in run.findings
        ),
        bottleneck=Bottleneck(BottleneckClass.LOCK, 0.9, (name,), BottleneckClass.GIL, 0.2),
        cautions=tuple(replace(c, sentence=name, next=name) for c in run.cautions),
        profiles={"knee": replace(run.profiles["knee"], stacks=stacks, tool=name)},
        environment=replace(run.environment, host=name, tools={name: name}),
        trials=trials,
        next_step=name,
        knee=NoKnee(NoKneeCode.BUDGET, name),
        judged=tuple(replace(j, note=name) for j in run.judged),
    )


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_every_format_renders_every_run(name: str, run: Run) -> None:
    text = FORMATS[name].render(run)
    assert text or not run.profiles
    assert "NaN" not in text
    assert re.search(r"\bnan\b|\binf\b", text.replace("infer", "")) is None


@pytest.mark.parametrize("attack", HOSTILE)
def test_names_from_the_target_stay_text_in_the_page(attack: str) -> None:
    page = FORMATS["html"].render(hostile(attack))
    assert page.count("<script>") == 1
    assert page.count("</script>") == 1
    assert "<img" not in page
    assert "onload=alert(1)>" not in page
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", page)


@pytest.mark.parametrize("attack", HOSTILE)
@pytest.mark.parametrize("name", ["flamegraph", "junit"])
def test_names_from_the_target_stay_text_in_xml(name: str, attack: str) -> None:
    root = ET.fromstring(FORMATS[name].render(hostile(attack)))
    scripts = [e for e in root.iter() if e.tag.endswith("script")]
    assert len(scripts) == (1 if name == "flamegraph" else 0)
    assert not [e for e in root.iter() for a in e.attrib if a.startswith("on")]


@pytest.mark.parametrize("attack", HOSTILE)
def test_names_from_the_target_cannot_steer_a_terminal(attack: str) -> None:
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f\u202e]", FORMATS["terminal"].render(hostile(attack))
    )


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_name_cannot_break_a_markdown_table(attack: str) -> None:
    (first,) = re.findall(r"^\| 1 \|.*$", FORMATS["markdown"].render(hostile(attack)), re.MULTILINE)
    assert len(re.findall(r"(?<!\\)\|", first)) == 8


def test_the_question_of_a_report_shows_the_steps_of_a_journey_and_what_rates_are() -> None:
    then = (RequestTemplate("pay", "POST", "/pay/{id}", think=1.0),)
    journey = RequestTemplate("cart", "POST", "/cart", 2.0, then=then)
    run = replace(WHOLE, question=replace(WHOLE.question, traffic=(journey,)))
    shown = [(row["name"], row["value"]) for row in question_rows(run)]
    assert shown[2:5] == [
        ("traffic", "cart: POST /cart ×2"),
        ("traffic", "then 1 s pay: POST /pay/{id}"),
        ("rates", run.question.rates_said),
    ]
    assert "50 journeys a second" in run.question.rates_said


CANARIES = [f"canary{n}x{n * 7919:05d}" for n in range(12)]


def with_secrets() -> Run:
    """The sample run with a secret in every place that could hold one."""
    c = iter(CANARIES)
    endpoint = RequestTemplate(
        "login",
        "POST",
        f"/login?api_key={next(c)}&page=1",
        1.0,
        (
            ("Authorization", f"Bearer {next(c)}"),
            ("Cookie", f"sid={next(c)}"),
            ("X-Api-Key", next(c)),
        ),
        json.dumps({"password": next(c)}),
        None,
        Expect((200,), f"hello {next(c)}"),
    )
    endpoint = replace(endpoint, then=(replace(endpoint, name="after"),))
    assert WHOLE.target is not None
    command = (
        "/usr/bin/python3",
        "app.py",
        f"--password={next(c)}",
        "--token",
        next(c),
        f"--dsn=postgres://u:{next(c)}@db/x",
        f"SECRET={next(c)}",
    )
    processes = tuple(replace(p, cmdline=command) for p in WHOLE.target.processes)
    target = replace(WHOLE.question.target, url=f"http://user:{next(c)}@127.0.0.1:8000")
    killswitch = replace(
        WHOLE.question.safety.killswitch, url=f"https://status.example/ok?sig={next(c)}"
    )
    question = replace(
        WHOLE.question,
        traffic=(endpoint,),
        target=target,
        safety=replace(WHOLE.question.safety, killswitch=killswitch),
    )
    shown = Frame(f'process 4242:"{" ".join(command)}"', kind=FrameKind.THREAD)
    profiles = {
        phase: replace(p, stacks={(shown, *stack): w for stack, w in p.stacks.items()})
        for phase, p in WHOLE.profiles.items()
    }
    return replace(
        WHOLE,
        question=question,
        target=replace(WHOLE.target, processes=processes),
        profiles=profiles,
    )


@pytest.mark.parametrize("name", FORMATS)
def test_no_report_holds_a_secret(name: str) -> None:
    run = with_secrets()
    assert [canary for canary in CANARIES if canary not in repr(run)] == []
    text = FORMATS[name].render(run)
    assert [canary for canary in CANARIES if canary in text] == []


def test_the_page_asks_the_network_for_nothing_and_its_policy_forbids_it() -> None:
    page = FORMATS["html"].render(WHOLE)
    assert re.findall(r'(?:src|action|data|poster|srcset)="([^"]*)"', page) == []
    leads = re.findall(r'href="(?!#)([^"]*)"', page)
    assert leads == ["run.json", "trials.jsonl", "events.jsonl", *WHOLE.artifacts.values()]
    assert "url(" not in page
    assert "@import" not in page
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    rules = policy[1].replace("&#39;", "'")
    assert rules.startswith("default-src 'none'; ")
    for tag in ("script", "style"):
        inside = re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert inside is not None
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in rules
    assert " style=" not in page


@pytest.mark.parametrize("name", ["javascript:alert(1)", "//evil/x", "../run.json", "a b", ""])
def test_a_file_name_of_a_run_that_leads_elsewhere_is_no_link(name: str) -> None:
    page = FORMATS["html"].render(replace(WHOLE, artifacts={"html": name}))
    leads = re.findall(r'href="(?!#)([^"]*)"', page)
    assert leads == ["run.json", "trials.jsonl", "events.jsonl"]


def test_the_page_says_the_answer_before_anything_else() -> None:
    text = re.sub(r"<(style|script)>.*?</\1>", "", FORMATS["html"].render(WHOLE), flags=re.DOTALL)
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
    order = [
        "SLO missed at 120/s",
        "141/s",
        "Where it breaks",
        "Where the added latency went",
        "What stops it",
        "How far to trust it",
        "The run along time",
        "Flame graph",
        "Every trial, and why it counts",
    ]
    places = [words.index(word) for word in order]
    assert places == sorted(places)


def test_the_terminal_fits_one_screen() -> None:
    crowded = replace(
        WHOLE, cautions=WHOLE.cautions * 9, judged=WHOLE.judged * 4, findings=WHOLE.findings * 9
    )
    lines = FORMATS["terminal"].render(crowded).splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= 120
    assert any(line.startswith("next") for line in lines)


def test_markdown_stays_below_what_a_comment_takes() -> None:
    long = replace(WHOLE, trials=WHOLE.trials * 60)
    text = FORMATS["markdown"].render(long)
    assert len(text.encode()) < 64_000
    assert "More is in report.html" in text


def test_junit_counts_what_was_missed_and_what_is_unknown() -> None:
    suites = ET.fromstring(FORMATS["junit"].render(WHOLE))
    assert suites.attrib | {"time": ""} == {
        "name": "perfhunt",
        "tests": "6",
        "failures": "1",
        "errors": "1",
        "time": "",
    }
    cases = {case.get("name"): case for case in suites.iter("testcase")}
    missed = cases["throughput.sustained >= 120/s for 60 s"].find("failure")
    assert missed is not None
    assert (
        missed.text
        == missed.get("message")
        == "throughput.sustained was 119.8/s at 120/s, >= 120/s for 60 s asked, n=7080"
    )
    assert cases["latency.p99[checkout] <= 400 ms"].find("error") is not None
    assert len({case.get("name") for case in suites.iter("testcase")}) == 6
    assert {case.get("classname") for case in suites.iter("testcase")} == {"perfhunt.slo"}


def test_a_run_that_was_cut_short_is_an_error_for_ci() -> None:
    suites = ET.fromstring(FORMATS["junit"].render(aborted_run()))
    assert suites.get("errors") == "1"
    assert "Ctrl-C during ramp" in "".join(suites.itertext())


SHARP = WHOLE.knee
assert isinstance(SHARP, Knee)
SOFT = replace(SHARP, label=KneeLabel.SOFT)
OUTSIDE = "aborted: perfhunt was ended from outside during ramp"
ASIDE = Disturbance(trials=24, set_aside=3, used=0, busy=0.6, names=("postgres", "node"))
SENTENCES: dict[str, tuple[Callable[[], Run], str]] = {
    "met": (
        lambda: replace(WHOLE, verdict=Judgement.MET, judged=WHOLE.judged[:2]),
        "SLO met at 120/s: all 2 objectives hold. "
        "It keeps p99 <= 250 ms up to 141/s (134 to 148/s at 95%); "
        "what stops it is a lock, first of all in load_rules (shop/pricing.py:71).",
    ),
    "soft": (
        lambda: replace(
            WHOLE, verdict=Judgement.MET, judged=WHOLE.judged[:1], knee=SOFT, bottleneck=None
        ),
        "SLO met at 120/s: its one objective holds. "
        "It keeps p99 <= 250 ms up to about 141/s (134 to 148/s at 95%), then gives way gradually.",
    ),
    "other work set trials aside": (
        lambda: replace(
            WHOLE,
            judged=WHOLE.judged[:1],
            verdict=Judgement.MET,
            bottleneck=None,
            disturbance=ASIDE,
        ),
        "SLO met at 120/s: its one objective holds. "
        "It keeps p99 <= 250 ms up to 141/s (134 to 148/s at 95%). 3 trials of 24 were set aside:"
        " other work on this host (postgres, node) disturbed them.",
    ),
    "never quiet": (
        lambda: replace(
            WHOLE,
            judged=WHOLE.judged[:1],
            verdict=Judgement.MET,
            bottleneck=None,
            disturbance=replace(ASIDE, set_aside=0, used=24),
        ),
        "SLO met at 120/s: its one objective holds. "
        "It keeps p99 <= 250 ms up to 141/s (134 to 148/s at 95%) on this host while it was 60 %"
        " busy with other work (postgres, node).",
    ),
    "unknown without knee": (
        lambda: replace(
            WHOLE,
            verdict=Judgement.UNKNOWN,
            judged=WHOLE.judged[-1:],
            knee=NoKnee(NoKneeCode.BUDGET, "the budget ran out"),
        ),
        "SLO unknown at 120/s: latency.p99[checkout] has no verdict (no data). "
        "No knee: the budget ran out.",
    ),
    "stopped": (
        aborted_run,
        "Stopped before an answer: Ctrl-C during ramp. Until then 1 trial ended; no verdict.",
    ),
    "aborted": (
        lambda: replace(WHOLE, ended=OUTSIDE, knee=NoKnee(NoKneeCode.STOPPED, "x", 75.9, None)),
        "Cut off before an answer: perfhunt was ended from outside during ramp. "
        "Until then it held up to 75.9/s; no verdict.",
    ),
    "failed": (
        lambda: RUNS["failed"],
        "Failed: the load child ended with status -9. Until then 1 trial ended; no verdict.",
    ),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_the_verdict_sentence(name: str) -> None:
    make, expected = SENTENCES[name]
    assert verdict_sentence(make()) == expected


def test_a_finding_with_an_endless_interval_is_shown_and_not_a_crash() -> None:
    wide = Interval(0.01, 0.0, float("inf"), 3)
    run = replace(WHOLE, findings=(replace(WHOLE.findings[0], blamed=wide),))
    for form in FORMATS.values():
        assert "inf ms" not in form.render(run)


def test_what_a_fix_brings_is_said_of_the_function_that_is_gone() -> None:
    first = WHOLE.findings[0]
    assert first.what_if is not None
    fixes = {row["function"]: row["fix"] for row in suspects(WHOLE)}
    assert str(fixes[first.function]).startswith("Without it the knee would be about 228/s")
