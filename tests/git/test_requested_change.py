"""The change of a pull request, from the merge that Actions checks out, and what is said beside
it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.cli.view.ci import tell_run
from perfhunt.errors import UsageError
from perfhunt.jobs.ci.requested import requested_change
from tests.git.repositories import commit_all, git, project_repository, write_files
from tests.sample_run import sample_run

ACTIONS = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request"}
RULES = "def load_rules():\n    rules = []\n    return rules\n"
BEFORE = {"shop/pricing.py": "\n" * 69 + RULES, "shop/other.py": "A = 1\n"}


@pytest.fixture
def merged(tmp_path: Path) -> Path:
    """A merge of a request that edits `load_rules`, into a target that went on meanwhile."""
    root = tmp_path / "shop"
    root.mkdir()
    project_repository(root, BEFORE)
    target = git(root, "rev-parse", "--abbrev-ref", "HEAD")
    git(root, "checkout", "-q", "-b", "request")
    write_files(root, {"shop/pricing.py": BEFORE["shop/pricing.py"].replace("[]", "[1]")})
    commit_all(root, "the request")
    git(root, "checkout", "-q", target)
    write_files(root, {"shop/other.py": "A = 2\n"})
    commit_all(root, "the target goes on")
    git(root, "merge", "-q", "--no-ff", "-m", "merged", "request")
    return root


def test_the_change_is_the_requests_and_not_what_its_target_did(merged: Path) -> None:
    change = requested_change(merged, ACTIONS)
    assert change is not None
    assert [(atom.file, atom.name) for atom in change.atoms] == [("shop/pricing.py", "load_rules")]


@pytest.mark.parametrize("environ", [{}, {**ACTIONS, "GITHUB_EVENT_NAME": "push"}])
def test_a_job_for_no_request_has_no_change(merged: Path, environ: dict[str, str]) -> None:
    assert requested_change(merged, environ) is None


def test_a_checkout_of_one_commit_says_what_to_fetch(merged: Path, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{merged}", str(shallow))
    with pytest.raises(UsageError) as raised:
        requested_change(shallow, ACTIONS)
    assert "fetch-depth: 2" in raised.value.hint


def test_two_commits_are_enough(merged: Path, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "2", f"file://{merged}", str(shallow))
    assert requested_change(shallow, ACTIONS) is not None


def test_a_run_is_told_of_beside_the_hot_lines_of_the_request(
    merged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(merged)
    for name, value in ACTIONS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    tell_run(sample_run())  # load_rules is at line 71 there
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("::error file=shop/pricing.py,line=71,title=perfhunt%3A SLO MISSED")
    assert "of the samples are here; load_rules costs 14.2 (12.5 to 15.9) ms a request" in line


def test_without_a_profile_nothing_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in ACTIONS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    tell_run(replace(sample_run(), profiles={}))
    assert capsys.readouterr() == ("", "")
