"""What a job of GitHub Actions is told besides: its step's summary, and notes beside lines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from perfhunt.cli import console
from perfhunt.errors import PerfhuntError, StoreError

if TYPE_CHECKING:
    from perfhunt.model.run import Run
    from perfhunt.reports.ci.judged_change import JudgedChange


def tell_run(run: Run) -> None:
    """Add the run's report to the step's summary, and say beside the hot lines of the pull request
    what they take; nothing elsewhere than in GitHub Actions.
    """
    from perfhunt.jobs.ci.step_summary import in_actions

    if in_actions(os.environ):
        from perfhunt.reports.format import FORMATS

        _annotate(run)
        _summarise(FORMATS["markdown"].render(run))


def tell_verdict(judged: JudgedChange) -> None:
    """Add the verdict to the step's summary, and say beside the hot lines of the change what they
    take; nothing elsewhere than in GitHub Actions.
    """
    from perfhunt.jobs.ci.step_summary import in_actions

    if in_actions(os.environ):
        from perfhunt.reports.ci.annotations import annotation_text
        from perfhunt.reports.ci.comment import verdict_comment

        console.ordered(annotation_text(judged))
        _summarise(verdict_comment(judged))


def _annotate(run: Run) -> None:
    from perfhunt.jobs.ci.requested import requested_lines
    from perfhunt.reports.ci.annotations import run_annotation_text

    try:
        hot = requested_lines(run, Path.cwd(), os.environ)
    except PerfhuntError as error:
        console.note(f"perfhunt: no notes beside lines: {error.message}. {error.hint}".rstrip())
        return
    console.ordered(run_annotation_text(run, hot))


def _summarise(text: str) -> None:
    from perfhunt.jobs.ci.step_summary import add_summary

    try:
        add_summary(text, os.environ)
    except StoreError as error:
        console.note(f"perfhunt: the step has no summary: {error.message}")
