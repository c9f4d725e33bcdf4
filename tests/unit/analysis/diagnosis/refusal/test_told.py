"""What is said of the function that refuses, and how surely."""

from __future__ import annotations

from dataclasses import replace

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.diagnosis.answer.refusing import READ, UNSETTLED
from perfhunt.analysis.diagnosis.diagnosis import Diagnosis, diagnose
from perfhunt.model.knee import KneeLabel
from tests.unit.analysis.diagnosis.field import KNEE, climb, trial
from tests.unit.analysis.diagnosis.test_settled import below
from tests.unit.scenes import APP

LIMITS = "/shop/limits.py"
OVER = "import limits\ndef view():\n    if limits.over():\n        return 'x', 503\n"
OF_LIMITS = "def over():\n    return N > 3\n"
HEALTH = "@app.get('/healthz')\ndef healthz():\n    if DB.broken > 3: abort(503)\n"
GATE = "def gate():\n    if M > 3: abort(503)\n"
INLINE = "def render():\n    if N > 3: abort(503)\n"


def told(evidence: Evidence) -> Diagnosis:
    failing = trial(150.0, 0.011, {200: 700, 503: 300})
    return diagnose(
        evidence, climb(replace(KNEE, label=KneeLabel.ERRORS), failing), None, (failing,)
    )


def test_a_limiter_in_a_file_that_no_look_met_is_named_as_read() -> None:
    done = told(replace(below(), sources={APP: OVER}, imported={LIMITS: OF_LIMITS}))
    first = done.findings[0]
    assert (first.function, first.file, first.category) == ("over", LIMITS, "limiter")
    assert done.bottleneck is not None and done.bottleneck.score <= READ
    assert "which was read and not seen at work" in done.next_step


def test_a_finding_of_the_function_that_refuses_stays_beside_it() -> None:
    before = {f.function: f for f in told(below()).findings}
    assert before["render"].blamed.value > 0
    done = told(replace(below(), sources={APP: INLINE}))
    assert [f.rank for f in done.findings] == [*range(1, len(done.findings) + 1)]
    refusing, *others = done.findings
    assert (refusing.function, refusing.category) == ("render", "limiter")
    assert done.bottleneck is not None
    assert done.bottleneck.evidence[1].endswith(f"render ({APP}:2), by the code: it answers 503.")
    kept = next(f for f in others if f.function == "render")
    assert replace(kept, rank=before["render"].rank) == before["render"]


def test_candidates_are_said_with_their_places_and_none_comes_first() -> None:
    plain = told(below())
    done = told(replace(below(), sources={APP: INLINE}, imported={LIMITS: GATE}))
    assert done.findings == plain.findings
    assert done.bottleneck is not None and done.bottleneck.score == UNSETTLED
    sentence = done.bottleneck.evidence[1]
    assert "not settled" in sentence and f"render ({APP}:2)" in sentence
    assert f"gate ({LIMITS}:2)" in done.next_step and "or" in done.next_step


def test_a_limit_of_the_servers_own_is_a_candidate_for_503() -> None:
    evidence = replace(below(), server_limits=("--limit-concurrency",))
    assert "--limit-concurrency of the server's command" in told(evidence).next_step
    done = told(replace(evidence, sources={APP: INLINE}))
    assert done.findings[0].category != "limiter"
    assert f"render ({APP}:2) or --limit-concurrency" in done.next_step


def test_what_could_not_be_read_is_said() -> None:
    done = told(replace(below(), sources={APP: INLINE}, imported={LIMITS: None}))
    assert done.bottleneck is not None
    assert f"{LIMITS} could not be read" in done.bottleneck.evidence[1]
    assert done.findings[0].category != "limiter"


def test_only_the_route_that_was_refused_counts() -> None:
    sources = {APP: INLINE + HEALTH}
    asked = replace(below(), sources=sources, paths={"GET /": "/healthz"})
    assert told(asked).findings[0].category != "limiter"
    home = replace(asked, paths={"GET /": "/shop"})
    assert told(home).findings[0].function == "render"


def test_nothing_is_read_of_what_does_not_refuse() -> None:
    evidence = replace(below(), sources={APP: INLINE})
    done = diagnose(evidence, climb(KNEE, trial(130.0, 0.011)), None, ())
    assert done.findings and all(f.category != "limiter" for f in done.findings)
