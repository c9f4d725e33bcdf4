"""A night's work on a service that has its environment to itself: the whole search, a soak, and a
word on what became of the baseline.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path

from perfhunt.analysis.verdict.rerun import compare
from perfhunt.errors import ExitCode, UnsafeTarget, UsageError
from perfhunt.jobs.ci.verdict_files import write_verdict
from perfhunt.jobs.investigate import run_asked, soak_time
from perfhunt.jobs.request import InvestigateRequest
from perfhunt.jobs.setup import aimed, question_of
from perfhunt.jobs.stored.baseline import packed_baseline, require_same_question, require_whole
from perfhunt.jobs.stored.run import host_noise, load_run
from perfhunt.model.question import Question, TargetEnvironment
from perfhunt.model.run import EventWatcher, Noted, Run, RunEnd, RunKind, unwatched
from perfhunt.model.units import Seconds
from perfhunt.model.verdict.verdict import Verdict
from perfhunt.reports.ci.judged_change import JudgedChange
from perfhunt.store import ledger

OTHER_HOST = "the baseline is of another host, so that only the SLO can be judged"
SOAK: Seconds = 1800.0  # what grows by a tenth in a day shows in half an hour of blocks


@dataclass(frozen=True, slots=True)
class NightlyRequest:
    """What to investigate, and against what: a packed baseline, or a run of the store (its id, the
    beginning of one, a directory; "": the newest that was asked the same).
    """

    investigate: InvestigateRequest
    baseline: str = ""
    against: Path | None = None


@dataclass(frozen=True, slots=True)
class NightlyResult:
    """The night's run, the baseline and the verdict; both None where there was none to compare
    with.
    """

    run: Run
    baseline: Run | None = None
    verdict: Verdict | None = None

    @property
    def exit_codes(self) -> tuple[int, ...]:
        """All that the night says, the gravest first: the SLO missed (99), worse than the baseline
        (90), one of them not known (91); (0,) for good news alone.
        """
        slo = int(self.run.exit_code)
        worse = int(self.verdict.exit_code) if self.verdict is not None else int(ExitCode.OK)
        order = (ExitCode.SLO_MISSED, ExitCode.REGRESSION, ExitCode.INCONCLUSIVE)
        told = tuple(int(code) for code in order if code in (slo, worse))
        return told or (int(ExitCode.OK),)

    @property
    def judged(self) -> JudgedChange | None:
        """The verdict as reports show it; None where there is none."""
        return None if self.verdict is None else JudgedChange.of_run(self.run, self.verdict)


def run_nightly(request: NightlyRequest, watch: EventWatcher = unwatched) -> NightlyResult:
    """The night's run, stored, and the verdict on it. Nobody is asked anything.

    Raises UnsafeTarget for production, whatever consent there is; QuestionError when a named
    baseline was asked something else, before anything is sent; and what an investigation raises.
    """
    asked = request.investigate
    asked = replace(asked, soak=soak_time(SOAK if asked.soak is None else asked.soak))
    with aimed(asked, question_of(asked)) as (question, target):
        _require_dedicated(question)
        baseline = baseline_for(request, question, watch)
        if baseline is not None and baseline.environment.host not in ("", platform.node()):
            hosts = f"({baseline.environment.host}, and this is {platform.node()})"
            watch(Noted(f"{OTHER_HOST} {hosts}"))
        run = run_asked(asked, question, target, watch)
    if baseline is None:
        return NightlyResult(run)
    verdict = compare(baseline, run, host_noise(asked.store, watch))
    if isinstance(verdict, tuple):
        raise UsageError(f"run {run.id} and its baseline do not compare: {'; '.join(verdict)}")
    return _handed_out(NightlyResult(run, baseline, verdict), asked.artifacts, watch)


def _handed_out(
    result: NightlyResult, artifacts: Path | None, watch: EventWatcher
) -> NightlyResult:
    """The result, with the verdict's files among the run's in `artifacts`, if that is given; what
    could not be written is noted.
    """
    judged = result.judged
    if artifacts is not None and judged is not None:
        refused = write_verdict(judged, None, artifacts, os.environ)
        if refused:
            why = "; ".join(dict.fromkeys(refused.values()))
            watch(Noted(f"copies in {artifacts} are missing ({', '.join(refused)}): {why}"))
    return result


def _require_dedicated(question: Question) -> None:
    if question.target.environment == TargetEnvironment.PRODUCTION:
        raise UnsafeTarget(
            "a nightly run takes the service beyond its limits and holds it there, which is not"
            " for production",
            'Aim it at what serves nobody else: [target] environment = "staging", and its url.',
        )


def baseline_for(
    request: NightlyRequest, question: Question, watch: EventWatcher = unwatched
) -> Run | None:
    """The run that the night is held against; None, which is noted, where none was named and none
    of the store was asked the same. Raises UsageError, StoreError, QuestionError.
    """
    if request.against is not None and request.baseline:
        raise UsageError("--against FILE and RUN both name the baseline", "Give one of them.")
    store = request.investigate.store
    if request.against is None and not request.baseline:
        return _newest_alike(store, question, watch)
    if request.against is not None:
        baseline = packed_baseline(request.against)
    else:
        baseline = load_run(request.baseline, store)
        require_whole(baseline)
    require_same_question(baseline, question)
    return baseline


def _newest_alike(store: Path, question: Question, watch: EventWatcher) -> Run | None:
    fingerprint = question.fingerprint()
    for row in ledger.history(store, kind=RunKind.INVESTIGATE):
        if row.fingerprint == fingerprint and row.ended == RunEnd.COMPLETE:
            watch(Noted(f"the baseline is run {row.id}"))
            return load_run(str(store / row.path), store)
    watch(Noted("no run here was asked the same: this one is the baseline of the next"))
    return None
