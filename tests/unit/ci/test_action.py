"""The GitHub Action, its steps run by a stand-in for the runner; `gh` and perfhunt are stand-ins
too.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.architecture.source import ROOT
from tests.unit.ci.runner import ActionRun, run_action

ACTIONS = ROOT / ".github" / "actions"
EVIL = "x\"; touch owned; $(touch owned) `touch owned` '; touch owned #"
COMMENT = "<!-- perfhunt shop -->\n## perfhunt: SLO MET\n"
# Writes down its words, one a line, leaves a comment where it was told to, and ends as it is asked.
PERFHUNT = """#!/usr/bin/env bash
printf '%s\\n' "$@" >words
mkdir -p artifacts
printf '%s' "$COMMENT" >artifacts/comment.md
exit "${ENDS:-0}"
"""
# Writes down every call and the body it was given; answers what a file says.
GH = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$CALLS"
for word in "$@"; do case "$word" in body=@*) cat "${word#body=@}" >"$CALLS.body" ;; esac; done
case "$*" in
  *run\\ download*) cp -RP "$KEPT/." "${@: -1}" ;;
  *pulls*) printf '%s' "${PULL:-}" ;;
  *PATCH* | *POST*) ;;
  *comments*) printf '%s' "${THERE:-}" ;;
esac
"""
# `-m venv DIR`: with a pip that writes down its words, and perfhunt.
PYTHON = """#!/usr/bin/env bash
mkdir -p "$3/bin"
cat >"$3/bin/pip" <<'END'
#!/bin/sh
echo "$@" >pip-words
END
chmod +x "$3/bin/pip"
cp "$(command -v perfhunt)" "$3/bin/perfhunt"
"""
OWN = {
    "event_name": "pull_request",
    "repository": "o/r",
    "token": "t",
    "event": {"pull_request": {"number": 7, "head": {"repo": {"full_name": "o/r"}}}},
}
FORK = {**OWN, "event": {"pull_request": {"number": 7, "head": {"repo": {"full_name": "x/r"}}}}}
AFTER = {
    "event_name": "workflow_run",
    "repository": "o/r",
    "token": "t",
    "event": {
        "workflow_run": {
            "id": 99,
            "event": "pull_request",
            "head_branch": EVIL,
            "head_sha": "c0ffee",
            "head_repository": {"owner": {"login": "x"}},
        }
    },
}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    place = tmp_path / "work"
    (tmp_path / "bin").mkdir()
    place.mkdir()
    for name, text in (("perfhunt", PERFHUNT), ("gh", GH)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    return place


def measured(
    work: Path,
    given: Mapping[str, str] | None = None,
    github: Mapping[str, Any] = OWN,
    ends: int = 0,
) -> ActionRun:
    inputs = {"install": "none", **(given or {})}
    environ = {**_environ(work), "ENDS": str(ends), "COMMENT": COMMENT}
    return run_action(ACTIONS / "perfhunt", inputs, github, work, environ)


def _environ(work: Path) -> dict[str, str]:
    path = f"{work.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(work), "CALLS": str(work / "calls")}


def calls(work: Path) -> list[str]:
    file = work / "calls"
    return file.read_text().splitlines() if file.exists() else []


def test_each_input_is_words_of_the_verb(work: Path) -> None:
    given = {
        "verb": "verify",
        "against": "base file.tar",
        "exit-zero-on": "90,91",
        "arguments": "--budget\n10m\n\n",
        "command": "gunicorn\n-b\n127.0.0.1:{port}\napp:app",
    }
    measured(work, given)
    head = ["verify", "--artifacts", "artifacts", "--against", "base file.tar"]
    rest = ["--exit-zero-on", "90,91", "--budget", "10m"]
    command = ["--", "gunicorn", "-b", "127.0.0.1:{port}", "app:app"]
    assert (work / "words").read_text().splitlines() == [*head, *rest, *command]


@pytest.mark.parametrize(
    "name", ["verb", "url", "pid", "file", "against", "arguments", "command", "exit-zero-on"]
)
def test_no_input_is_read_as_a_script(work: Path, name: str) -> None:
    measured(work, {name: EVIL})
    assert EVIL in (work / "words").read_text().splitlines()
    assert not (work / "owned").exists()


def test_the_exit_code_is_an_output_and_ends_the_job(work: Path) -> None:
    run = measured(work, ends=99)
    assert run.failed
    assert run.outputs == {"exit-code": "99", "artifacts": "artifacts"}


def test_what_was_measured_is_kept_and_told_of_however_it_ended(work: Path) -> None:
    run = measured(work, ends=99)
    ((action, given),) = run.used
    assert action.startswith("actions/upload-artifact@v")
    assert given["path"] == "artifacts"
    assert any("POST repos/o/r/issues/7/comments" in call for call in calls(work))
    assert (work / "calls.body").read_text() == COMMENT


def test_a_comment_that_is_there_is_written_anew(work: Path, monkeypatch: Any) -> None:
    environ = {**_environ(work), "COMMENT": COMMENT, "THERE": "123\n456\n"}
    run_action(ACTIONS / "perfhunt", {"install": "none"}, OWN, work, environ)
    assert any("PATCH repos/o/r/issues/comments/123 " in call for call in calls(work))
    assert not any("POST" in call for call in calls(work))


@pytest.mark.parametrize("github", [FORK, {**OWN, "event_name": "push"}], ids=["fork", "push"])
def test_a_fork_or_a_push_gets_no_comment(work: Path, github: Mapping[str, Any]) -> None:
    run = measured(work, github=github)
    assert not run.failed
    assert calls(work) == []


def from_fork(work: Path, kept: Mapping[str, str], pull: str = "7") -> ActionRun:
    (work / "kept").mkdir()
    for name, text in kept.items():
        (work / "kept" / name).write_text(text)
    environ = {**_environ(work), "KEPT": str(work / "kept"), "PULL": pull}
    return run_action(ACTIONS / "comment", {}, AFTER, work, environ)


def test_a_fork_is_commented_on_from_a_workflow_of_its_own(work: Path) -> None:
    run = from_fork(work, {"comment.md": f"{COMMENT}@team, look\n"})
    assert not run.failed, run.printed
    asked = calls(work)
    assert f"head=x:{EVIL}" in asked[0]
    assert any("POST repos/o/r/issues/7/comments" in call for call in asked)
    assert (work / "calls.body").read_text() == f"{COMMENT}@<!-- -->team, look\n"
    assert not (work / "owned").exists()


def test_the_artifact_does_not_say_which_request_is_commented_on(work: Path) -> None:
    from_fork(work, {"comment.md": COMMENT, "number": "1", "pr": "1"}, pull="7")
    assert not [call for call in calls(work) if "issues/1/" in call]


def test_where_no_request_is_at_the_measured_commit_nothing_is_written(work: Path) -> None:
    run = from_fork(work, {"comment.md": COMMENT}, pull="")
    assert not run.failed
    assert len(calls(work)) == 1


@pytest.mark.parametrize(
    "body",
    [
        "no mark\n",
        "<!-- perfhunt a --> <b>\n",
        "<!-- perfhunt $(id) -->\n",
        "",
        f"{COMMENT}{'x' * 65_536}",
    ],
)
def test_a_body_that_perfhunt_did_not_write_is_refused(work: Path, body: str) -> None:
    run = from_fork(work, {"comment.md": body})
    assert run.failed
    assert not [call for call in calls(work) if "POST" in call or "PATCH" in call]


def test_a_link_in_the_artifact_is_not_followed(work: Path) -> None:
    (work / "secret").write_text(COMMENT)
    (work / "kept").mkdir()
    (work / "kept" / "comment.md").symlink_to(work / "secret")
    environ = {**_environ(work), "KEPT": str(work / "kept"), "PULL": "7"}
    run = run_action(ACTIONS / "comment", {}, AFTER, work, environ)
    assert not run.failed
    assert not [call for call in calls(work) if "POST" in call]


def test_perfhunt_is_installed_from_the_actions_own_checkout(work: Path) -> None:
    """`python` is a stand-in that makes an environment of stand-ins."""
    python = work.parent / "bin" / "python-stand-in"
    python.write_text(PYTHON)
    python.chmod(0o755)
    run = measured(work, {"install": "", "python": "python-stand-in"})
    assert not run.failed, run.printed
    spec = (work / "pip-words").read_text().split()[-1]
    assert Path(spec).resolve() == ROOT


@pytest.mark.parametrize("folder", ["perfhunt", "comment"])
def test_no_expression_stands_in_a_script(folder: str) -> None:
    """There it would be pasted in before bash reads it (GitHub, "Security hardening")."""
    action = yaml.safe_load((ACTIONS / folder / "action.yml").read_text())
    scripts = [step["run"] for step in action["runs"]["steps"] if "run" in step]
    assert scripts
    assert not [script for script in scripts if "${{" in script]
    assert json.dumps(action["inputs"])  # plain values


def test_a_script_uses_no_variable_that_its_step_does_not_give() -> None:
    """An unset one would be an empty word."""
    given = {"GITHUB_ACTION_PATH", "GITHUB_OUTPUT", "GITHUB_PATH", "RUNNER_TEMP"}
    for folder in ("perfhunt", "comment"):
        action = yaml.safe_load((ACTIONS / folder / "action.yml").read_text())
        for step in action["runs"]["steps"]:
            if "run" not in step:
                continue
            name = step["run"].removesuffix('"').rpartition("/")[2]
            script = (ACTIONS / ("comment" if name == "post.sh" else folder) / name).read_text()
            used = {*re.findall(r"\$\{?([A-Z][A-Z_]+)", script)}
            own = {*re.findall(r"\b([A-Z][A-Z_]+)=", script), "BASH_SOURCE", "AUTHOR"}
            assert used - own <= {*step["env"]} | given, name
