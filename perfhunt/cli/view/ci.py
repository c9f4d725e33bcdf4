"""What a job of GitHub Actions is told besides: its step's summary, and notes beside lines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from perfhunt.cli import console
from perfhunt.errors import StoreError

if TYPE_CHECKING:
    from perfhunt.model.run import Run
    from perfhunt.reports.ci.judged_change import JudgedChange


def tell_run(run: Run) -> None:
    """Add the run's report to the step's summary; nothing elsewhere than in GitHub Actions."""
    from perfhunt.jobs.ci.step_summary import in_actions

    if in_actions(os.environ):
        from perfhunt.reports.format import FORMATS

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


def _summarise(text: str) -> None:
    from perfhunt.jobs.ci.step_summary import add_summary

    try:
        add_summary(text, os.environ)
    except StoreError as error:
        console.note(f"perfhunt: the step has no summary: {error.message}")
