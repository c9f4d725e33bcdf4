"""The one sentence that a run comes down to."""

from __future__ import annotations

from perfhunt.model.finding import BottleneckClass
from perfhunt.model.knee import Knee, KneeLabel, NoKnee
from perfhunt.model.run import Run, RunEnd, RunKind
from perfhunt.model.slo import Judgement
from perfhunt.model.units import format_rate
from perfhunt.reports.words import (
    bottleneck_words,
    criterion_words,
    knee_words,
    measured,
    place,
    plural,
)


def verdict_sentence(run: Run) -> str:
    """One or two sentences: did the SLO hold and where, where does it break, and what stops it
    there.
    """
    if run.ended not in (RunEnd.COMPLETE, RunEnd.RUNNING):
        return _cut_short(run)
    if run.ended == RunEnd.RUNNING:
        return "The run is still going: what follows is what was measured so far."
    if run.kind == RunKind.PROFILE:
        return _profiled(run)
    return f"{_slo(run)} {_knee(run)}"


def headline(run: Run) -> str:
    """The verdict as two or three words: `SLO MISSED`, `STOPPED`."""
    word = run.ended.partition(":")[0]
    if word in ("stopped", "aborted", "failed", "running"):
        return word.upper()
    return "PROFILED" if run.kind == RunKind.PROFILE else f"SLO {run.verdict.value}"


def _slo(run: Run) -> str:
    at = f" at {format_rate(run.judged_at)}" if run.judged_at else ""
    missed = [j for j in run.judged if j.verdict is Judgement.MISSED]
    unknown = [j for j in run.judged if j.verdict is Judgement.UNKNOWN]
    if run.verdict is Judgement.MET:
        return f"SLO met{at}: {_all(len(run.judged))}."
    if run.verdict is Judgement.MISSED and missed:
        first = missed[0]
        more = f" ({plural(len(missed) - 1, 'more objective')} missed)" if len(missed) > 1 else ""
        return f"SLO missed{at}: {first.objective} was asked, {measured(first)} was measured{more}."
    if run.verdict is Judgement.MISSED:
        return f"SLO missed{at}."
    if not unknown:
        return f"SLO unknown{at}: nothing was judged."
    first, count = unknown[0], len(unknown)
    which = (
        f"{first.objective.name} has"
        if count == 1
        else f"{count} of {len(run.judged)} objectives have"
    )
    return f"SLO unknown{at}: {which} no verdict ({first.note.rstrip('.') or 'no data'})."


def _all(count: int) -> str:
    return "its one objective holds" if count == 1 else f"all {count} objectives hold"


def _knee(run: Run) -> str:
    if isinstance(run.knee, NoKnee):
        return f"No knee: {run.knee.reason}."
    knee = run.knee
    until = {"soft": "up to about", "bracket": "up to somewhere near"}.get(knee.label, "up to")
    what = (
        "It answers without errors"
        if knee.label == KneeLabel.ERRORS
        else f"It keeps {criterion_words(knee)}"
    )
    gradual = ", then gives way gradually" if knee.label == KneeLabel.SOFT else ""
    return f"{what} {until} {knee_words(knee)}{gradual}{_because(run)}."


def _because(run: Run) -> str:
    if run.bottleneck is None:
        return ""
    top = run.findings[0] if run.findings else None
    where = (
        f", first of all in {top.function}" + (f" ({place(top)})" if place(top) else "")
        if top
        else ""
    )
    if run.bottleneck.category == BottleneckClass.UNDETERMINED:
        return f"; what stops it is undetermined{where}"
    return f"; what stops it is {bottleneck_words(run.bottleneck.category)}{where}"


def _cut_short(run: Run) -> str:
    word, _, why = run.ended.partition(":")
    said = {"stopped": "Stopped before an answer", "aborted": "Cut off before an answer"}.get(
        word, "Failed"
    )
    reason = f": {why.strip()}" if why.strip() else ""
    if isinstance(run.knee, Knee):
        return f"{said}{reason}. Until then the knee was at {knee_words(run.knee)}."
    low = run.knee.low
    known = (
        f"it held up to {format_rate(low)}" if low else f"{plural(len(run.trials), 'trial')} ended"
    )
    return f"{said.removesuffix('.')}{reason.rstrip('.')}. Until then {known}; no verdict."


def _profiled(run: Run) -> str:
    if not run.findings:
        return "Profiled under the load there was: nothing stood out."
    top = run.findings[0]
    where = f" ({place(top)})" if place(top) else ""
    return (
        f"Profiled under the load there was: {top.function}{where} leads with {top.self_share:.1%}"
        " of samples its own."
    )
