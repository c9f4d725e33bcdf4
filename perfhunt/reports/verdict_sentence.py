"""The one sentence that a run comes down to."""

from __future__ import annotations

from math import inf

from perfhunt.model.finding import ON_THE_WIRE, BottleneckClass, CautionCode, Finding
from perfhunt.model.knee import Knee, KneeLabel, NoKnee, NoKneeCode
from perfhunt.model.run import Run, RunEnd, RunKind
from perfhunt.model.slo import Judged, Judgement, Measure
from perfhunt.model.units import format_rate
from perfhunt.reports.requests.failures import failed_requests
from perfhunt.reports.words import (
    accused,
    bottleneck_words,
    busy_words,
    criterion_words,
    knee_words,
    measured,
    place,
    plural,
    set_aside_words,
)

_OF_ANSWERS = (CautionCode.REDIRECTED, CautionCode.SHORTER_ANSWERS)
_ENDINGS = {
    RunEnd.STOPPED: "Stopped before an answer",
    RunEnd.ABORTED: "Cut off before an answer",
}


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
    if run.kind == RunKind.SMOKE:
        n = run.baseline.n if run.baseline else 0
        return f"{_slo(run)} Judged by {plural(n, 'request')}{_because(run)}."
    return f"{_slo(run)} {_knee(run)}{_doubtful(run)}{_set_aside(run)}"


def headline(run: Run) -> str:
    """The verdict as two or three words: `SLO MISSED`, `STOPPED`."""
    if run.ending is not RunEnd.COMPLETE:
        return run.ending.upper()
    return "PROFILED" if run.kind == RunKind.PROFILE else f"SLO {run.verdict.value}"


def _slo(run: Run) -> str:
    at = f" at {format_rate(run.judged_at)}" if run.judged_at else ""
    if run.verdict is Judgement.MET:
        return f"SLO met{at}: {_all(len(run.judged))}."
    if run.verdict is Judgement.MISSED:
        return f"SLO missed{at}{_missed(run)}."
    return f"SLO unknown{at}: {_unknown(run)}."


def _all(count: int) -> str:
    return "its one objective holds" if count == 1 else f"all {count} objectives hold"


def _missed(run: Run) -> str:
    missed = [j for j in run.judged if j.verdict is Judgement.MISSED]
    if not missed:
        return ""
    first, others = missed[0], len(missed) - 1
    more = f" ({plural(others, 'more objective')} missed)" if others else ""
    return f": {first.objective} was asked, {_instead(run, first)}{more}"


def _instead(run: Run, missed: Judged) -> str:
    """What came of an objective that is missed: its value; of a latency the failures, where it is
    made of them: some are answered quickly, the others count as long as may be waited.
    """
    of_latency = missed.objective.measure is Measure.LATENCY
    failed = failed_requests(run, run.judged_at or inf) if of_latency else ()
    if failed and 2 * failed[0].count > failed[0].n:
        return f"and {failed[0].sentence}"
    if missed.value is None or not missed.objective.holds(missed.value):
        return f"{measured(missed)} was measured"
    return f"and {failed[0].sentence if failed else missed.note.rstrip('.')}"


def _unknown(run: Run) -> str:
    unknown = [j for j in run.judged if j.verdict is Judgement.UNKNOWN]
    if not unknown:
        return "nothing was judged"
    first = unknown[0]
    which = f"{len(unknown)} of {len(run.judged)} objectives have"
    if len(unknown) == 1:
        which = f"{first.objective.name} has"
    return f"{which} no verdict ({first.note.rstrip('.') or 'no data'})"


def _knee(run: Run) -> str:
    if isinstance(run.knee, NoKnee):
        other = _of_host(run)
        at_any_load = run.bottleneck is not None and run.bottleneck.category in ON_THE_WIRE
        missed = run.knee.code is NoKneeCode.MISSED_AT_BASELINE
        why = _because(run) if missed and at_any_load else ""
        return f"No knee{other and f' found{other}'}: {run.knee.reason}{why}."
    knee = run.knee
    until = {
        KneeLabel.SOFT: "up to about",
        KneeLabel.ERRORS: "up to about",
        KneeLabel.BRACKET: "up to somewhere near",
    }.get(knee.label, "up to")
    kept = f"It keeps {criterion_words(knee)}"
    errors = "No more of its answers are errors than may be"
    what = errors if knee.label == KneeLabel.ERRORS else kept
    gradual = ", then gives way gradually" if knee.label == KneeLabel.SOFT else ""
    return f"{what} {until} {knee_words(knee)}{_of_host(run)}{gradual}{_because(run)}."


def _of_host(run: Run) -> str:
    """Whose knee it is, where no quiet time was to be had."""
    other = run.disturbance
    if other is None or not other.used:
        return ""
    return f" on this host while it was {busy_words(other)}"


def _set_aside(run: Run) -> str:
    other = run.disturbance
    return "" if other is None or not other.set_aside else f" {set_aside_words(other)}."


def _doubtful(run: Run) -> str:
    """That answers may be no success, where the verdict does not say so."""
    doubts = (c.sentence for c in run.cautions if c.code in _OF_ANSWERS)
    return f" {next(doubts, '')}".rstrip() if run.verdict is Judgement.MET else ""


def _because(run: Run) -> str:
    if run.bottleneck is None:
        return ""
    if run.bottleneck.category == BottleneckClass.UNDETERMINED:
        most = f" (most of its time goes to {_named(run.findings[0])})" if run.findings else ""
        return f"; what stops it is undetermined{most}"
    where = f", first of all in {_named(run.findings[0])}" if run.findings else ""
    return (
        f"; what stops it is {bottleneck_words(run.bottleneck.category)}"
        f"{where if accused(run) else ''}"
    )


def _named(finding: Finding) -> str:
    where = place(finding)
    return f"{finding.function} ({where})" if where else finding.function


def _cut_short(run: Run) -> str:
    ended, why = _ENDINGS.get(run.ending, "Failed"), run.ended.partition(":")[2].strip()
    reason = f": {why}" if why else ""
    if run.kind == RunKind.PROFILE:
        return f"{ended}{reason.rstrip('.')}. What follows was seen until then."
    if isinstance(run.knee, Knee):
        return f"{ended}{reason}. Until then the knee was at {knee_words(run.knee)}."
    low = run.knee.low
    held = f"it held up to {format_rate(low)}" if low else ""
    until = held or f"{plural(len(run.trials), 'trial')} ended"
    return f"{ended}{reason.rstrip('.')}. Until then {until}; no verdict."


def _profiled(run: Run) -> str:
    if any(caution.code == CautionCode.IDLE for caution in run.cautions):
        return "The service was idle while it was profiled: no function leads."
    if not run.findings:
        return "Profiled under the load there was: nothing stood out."
    top = run.findings[0]
    if top.leaves:
        inside = f"{top.total_share:.1%} of samples in it"
        return f"Profiled under the load there was: {_named(top)} leads with {inside}."
    share = f"{top.self_share:.1%} of samples its own"
    return f"Profiled under the load there was: {_named(top)} leads with {share}."
