"""What was attached during a trial is part of what makes trials alike: an edit that does nothing is
never kept, nor taken out, because one side was looked at and the other was not.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfhunt.analysis.verdict.comparable import attachment_differences, was_looked_at
from perfhunt.analysis.verdict.rerun import compare, judge_rerun
from perfhunt.model.run import Run
from perfhunt.model.trial import AttachedTool, Phase
from perfhunt.model.verdict.verdict import Verdict, Word
from tests.sample_run import moved, sample_run

STATES, PEERS = AttachedTool("thread states"), AttachedTool("peers")
PY_SPY, PERF = AttachedTool("py-spy", 100.0), AttachedTool("perf", 100.0)
TOOLS = (STATES, PEERS, PY_SPY, PERF, AttachedTool("py-spy", 20.0))


def attached(run: Run, always: tuple[AttachedTool, ...], held: tuple[AttachedTool, ...]) -> Run:
    """The run with tools attached in all of its trials, and more of them in its holds."""
    trials = tuple(
        replace(t, attached=(*always, *(held if t.step.phase is Phase.HOLD else ())))
        for t in run.trials
    )
    baseline = run.baseline and replace(run.baseline, attached=always)
    return replace(run, trials=trials, baseline=baseline)


BARE = attached(replace(sample_run(), profiles={}, states={}, peers={}), (), ())
LOOKED_AT = attached(sample_run(), (STATES, PEERS), (PY_SPY,))


def test_the_sample_has_holds_and_others() -> None:
    assert {t.step.phase is Phase.HOLD for t in sample_run().trials} == {True, False}


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.4, 1.5])
@pytest.mark.parametrize(("before", "after"), [(LOOKED_AT, BARE), (BARE, LOOKED_AT)])
def test_an_edit_is_never_judged_when_one_side_was_profiled(
    before: Run, after: Run, factor: float
) -> None:
    verdict = judge_rerun(before, moved(after, factor))
    assert verdict.word is Word.INVALID
    assert "profilers looked at the service in the" in verdict.reason
    assert "--profile" in verdict.reason
    stored = compare(before, moved(after, factor))
    assert isinstance(stored, Verdict) and stored.word is Word.INVALID


@pytest.mark.parametrize("run", [BARE, LOOKED_AT, sample_run()])
def test_runs_that_were_looked_at_alike_are_judged_as_before(run: Run) -> None:
    assert judge_rerun(run, moved(run, 1.5)).word is Word.KEEP
    assert judge_rerun(run, moved(run, 1.0)).word is not Word.INVALID


def test_a_run_that_did_not_keep_what_was_attached_is_told_by_what_was_seen() -> None:
    old = sample_run()
    assert {t.attached for t in old.trials} == {None} and was_looked_at(old)
    assert attachment_differences(old, LOOKED_AT) == ()
    assert attachment_differences(old, BARE) != ()


def test_another_rate_and_another_tool_are_told_by_name() -> None:
    slow = attached(sample_run(), (STATES, PEERS), (AttachedTool("py-spy", 20.0),))
    (told,) = attachment_differences(LOOKED_AT, slow)
    assert told == (
        "py-spy looked at the service at 100 Hz in the holds in the first run, at 20 Hz in the"
        " holds in the second"
    )
    assert len(attachment_differences(LOOKED_AT, attached(sample_run(), (STATES, PEERS), (PERF,))))


@given(
    *(st.sets(st.sampled_from(TOOLS)).map(lambda tools: tuple(sorted(tools, key=str))),) * 4,
)
def test_only_equal_attachments_are_compared(
    always: tuple[AttachedTool, ...],
    held: tuple[AttachedTool, ...],
    always_then: tuple[AttachedTool, ...],
    held_then: tuple[AttachedTool, ...],
) -> None:
    run = sample_run()
    before, after = attached(run, always, held), attached(run, always_then, held_then)
    holds = (set(always) | set(held), set(always_then) | set(held_then))
    unlike = set(always) != set(always_then) or holds[0] != holds[1]
    names = {t.name for t in always} != {t.name for t in always_then}
    told = bool(attachment_differences(before, after))
    assert told or not (names or holds[0] != holds[1])
    assert unlike or not told
