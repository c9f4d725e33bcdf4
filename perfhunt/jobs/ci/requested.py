"""What the pull request edits that a job of GitHub Actions is for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from perfhunt.analysis.verdict.attributed.hot import hot_lines
from perfhunt.change.git.repository import find_repository
from perfhunt.change.read import read_change
from perfhunt.errors import UsageError
from perfhunt.jobs.ci.step_summary import in_actions
from perfhunt.model.run import Run
from perfhunt.model.verdict.attribution import HotLine
from perfhunt.model.verdict.change import Change
from perfhunt.reports.phases import main_phase


def requested_lines(run: Run, place: Path, environ: Mapping[str, str]) -> tuple[HotLine, ...]:
    """The hot lines of the pull request in the profile that a run took; none without a request or a
    profile. Raises what `requested_change` does.
    """
    phase = main_phase(run)
    change = requested_change(place, environ) if phase else None
    return () if change is None else hot_lines(change, run.profiles[phase])


def requested_change(place: Path, environ: Mapping[str, str]) -> Change | None:
    """Every edit of the pull request, from the checkout at `place`; None where the job is for none.

    Actions checks out the merge of the request into its target: the first parent is the target.
    Raises UsageError where that parent was not fetched, and ChangeRefused outside of git.
    """
    if not in_actions(environ) or environ.get("GITHUB_EVENT_NAME") != "pull_request":
        return None
    repository = find_repository(place)
    try:
        for parent in ("HEAD^1", "HEAD^2"):
            repository.resolve(parent)
    except UsageError as error:
        raise UsageError(
            "the checkout does not hold what the pull request is merged into",
            "Fetch one commit more: uses: actions/checkout, with: fetch-depth: 2",
        ) from error
    return read_change(repository, "HEAD^1", "HEAD")
