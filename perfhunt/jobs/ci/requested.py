"""What the pull request edits that a job of GitHub Actions is for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from perfhunt.change.git.repository import find_repository
from perfhunt.change.read import read_change
from perfhunt.errors import UsageError
from perfhunt.jobs.ci.step_summary import in_actions
from perfhunt.model.verdict.change import Change


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
