"""A baseline: the run that another one is held against, from a store or a pack."""

from __future__ import annotations

from pathlib import Path

from perfhunt.analysis.verdict.comparable import question_differences
from perfhunt.errors import QuestionError, UsageError
from perfhunt.jobs.stored.pack import packed_run
from perfhunt.model.question import Question
from perfhunt.model.redact import TWO_KEYS
from perfhunt.model.run import SEARCHED, Run, RunEnd
from perfhunt.store.digest_key import KEY_FILE

_OTHER = (
    "Take the edit out of the test file (git diff shows it), or make a new baseline:"
    " perfhunt investigate, then perfhunt pack last > FILE"
)
_KEYS = (
    f"Give this store the key of the one that made the baseline, .perfhunt/{KEY_FILE} (mode 600,"
    " from a secret of CI), before the run: docs/ci.md"
)


def packed_baseline(file: Path) -> Run:
    """The run of a pack, when others can be held against it. Raises StoreError, UsageError."""
    run = packed_run(file)
    require_whole(run)
    return run


def require_whole(run: Run) -> None:
    """Raises UsageError for a run that looked for no knee, or was cut short."""
    if run.kind not in SEARCHED:
        raise UsageError(
            f"run {run.id} is a {run.kind}: it looked for no knee",
            "Name an investigation: perfhunt history",
        )
    if run.ended != RunEnd.COMPLETE:
        raise UsageError(
            f"run {run.id} was cut short ({run.ended})",
            "Name a whole one; they are listed by: perfhunt history",
        )


def require_same_question(baseline: Run, question: Question) -> None:
    """Raises QuestionError, with every difference, when a baseline was asked something else."""
    unlike = question_differences(baseline.question, question)
    if not unlike:
        return
    lines = "\n".join(f"  {difference}" for difference in unlike)
    raise QuestionError(
        f"the baseline, run {baseline.id}, was asked something else than {question.source}"
        f" asks:\n{lines}",
        _KEYS if any(TWO_KEYS in difference for difference in unlike) else _OTHER,
    )
