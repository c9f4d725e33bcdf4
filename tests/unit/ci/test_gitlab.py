"""The GitLab template: its shape, and its job run in bash as the runner does it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from perfhunt.reports.format import FOR_CI, FORMATS
from tests.architecture.source import ROOT
from tests.unit.ci.test_action import EVIL

TEMPLATE = ROOT / ".gitlab" / "perfhunt.yml"
LINES = {"type": "array", "items": {"type": "string"}, "minItems": 1}
TEXT = {"type": "string"}
# Of a job's keywords those that the template uses (docs.gitlab.com/ci/yaml), and no others.
JOB = {
    "type": "object",
    "required": ["script"],
    "additionalProperties": False,
    "properties": {
        "image": TEXT,
        "stage": TEXT,
        "variables": {"type": "object", "additionalProperties": TEXT},
        "before_script": LINES,
        "script": LINES,
        "artifacts": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "when": {"enum": ["on_success", "on_failure", "always"]},
                "expose_as": {"type": "string", "pattern": "^[\\w -]+$"},
                "paths": LINES,
                "reports": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"junit": TEXT, "metrics": TEXT, "load_performance": TEXT},
                },
            },
        },
    },
}
WRITES_WORDS = "#!/bin/sh\nprintf '%s\\n' \"$@\" >words\nexit ${ENDS:-0}\n"


def job() -> dict[str, Any]:
    template: dict[str, Any] = yaml.safe_load(TEMPLATE.read_text())
    (name,) = template
    assert name == ".perfhunt"  # hidden: it runs only where a job extends it
    return dict(template[name])


def run(work: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """The job's lines as one script that ends at the first that fails."""
    (work / "bin").mkdir()
    (work / "bin" / "perfhunt").write_text(WRITES_WORDS)
    (work / "bin" / "perfhunt").chmod(0o755)
    path = f"{work / 'bin'}{os.pathsep}{os.environ['PATH']}"
    script = "\n".join((*job()["before_script"], *job()["script"]))
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        env={"PATH": path, **job()["variables"], **variables},
        cwd=work,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def test_the_template_has_the_shape_of_a_job() -> None:
    jsonschema.validate(job(), JOB)


def test_the_reports_it_names_are_files_that_perfhunt_writes() -> None:
    reports = job()["artifacts"]["reports"]
    names = {f"artifacts/{FORMATS[form].file_name}" for form in FOR_CI}
    assert {reports["metrics"], reports["load_performance"]} <= names
    assert Path(f"artifacts/{FORMATS['junit'].file_name}").match(reports["junit"])
    assert job()["variables"]["PERFHUNT_ARTIFACTS"] == "artifacts"


def test_each_variable_is_words_of_the_verb(tmp_path: Path) -> None:
    variables = {
        "PERFHUNT_VERB": "verify",
        "PERFHUNT_AGAINST": "base file",
        "PERFHUNT_EXIT_ZERO_ON": "90,91",
        "PERFHUNT_ARGUMENTS": "--budget\n10m\n",
        "PERFHUNT_COMMAND": "gunicorn\napp:app",
    }
    done = run(tmp_path, variables)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "words").read_text().splitlines() == [
        *("verify", "--artifacts", "artifacts", "--against", "base file"),
        *("--exit-zero-on", "90,91", "--budget", "10m", "--", "gunicorn", "app:app"),
    ]


@pytest.mark.parametrize("name", [n for n in job()["variables"] if n != "PERFHUNT_SPEC"])
def test_no_variable_is_read_as_a_script(tmp_path: Path, name: str) -> None:
    done = run(tmp_path, {name: EVIL})
    assert done.returncode == 0, done.stderr
    assert EVIL in (tmp_path / "words").read_text().splitlines()
    assert not (tmp_path / "owned").exists()


def test_the_job_ends_as_perfhunt_does(tmp_path: Path) -> None:
    assert run(tmp_path, {"ENDS": "99"}).returncode == 99


def test_gitlabs_own_schema_takes_it(tmp_path: Path) -> None:
    """`gitlab-ci-local` (npm) checks a pipeline against the schema that GitLab ships."""
    if shutil.which("gitlab-ci-local") is None or shutil.which("git") is None:
        pytest.skip("gitlab-ci-local is not installed: npm install --global gitlab-ci-local")
    for words in (["init", "-q"], ["remote", "add", "origin", "git@gitlab.com:g/p.git"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "perfhunt.yml").write_text(TEMPLATE.read_text())
    (tmp_path / ".gitlab-ci.yml").write_text(
        "include: {local: perfhunt.yml}\nsmoke: {extends: .perfhunt}\n"
    )
    subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
    done = subprocess.run(
        ["gitlab-ci-local", "--preview"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "load_performance: artifacts/load-performance.json" in done.stdout
