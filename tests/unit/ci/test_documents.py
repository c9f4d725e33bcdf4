"""The examples of docs/ci.md: each is what the system it is for reads, and names what is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from perfhunt.cli.verbs.table import VERBS
from perfhunt.jobs.ci.verdict_files import KEPT
from perfhunt.jobs.publish import STORED
from perfhunt.reports.format import FOR_CI, FORMATS
from tests.architecture.source import ROOT

PAGE = (ROOT / "docs" / "ci.md").read_text()
SHOWN = PAGE[PAGE.index("## What CI shows") :]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", SHOWN, re.MULTILINE | re.DOTALL)


WORKFLOWS = [text for text in blocks("yaml") if "runs-on" in text]
(PIPELINE,) = (text for text in blocks("yaml") if "include" in text)


def inputs_of(folder: str) -> set[str]:
    action = yaml.safe_load((ROOT / ".github" / "actions" / folder / "action.yml").read_text())
    return set(action["inputs"])


def test_every_file_that_is_written_stands_in_the_table() -> None:
    table = SHOWN[: SHOWN.index("`verify --pid`")]
    written = {FORMATS[name].file_name for name in (*STORED, *FOR_CI)} | set(KEPT)
    assert not [name for name in written if f"`{name}`" not in table]


def test_the_two_workflows_use_actions_and_inputs_that_there_are() -> None:
    assert len(WORKFLOWS) == 2
    for text in WORKFLOWS:
        (job,) = yaml.safe_load(text)["jobs"].values()
        (ours,) = (s for s in job["steps"] if "perfhunt" in s.get("uses", ""))
        folder = re.fullmatch(r"OWNER/perfhunt/\.github/actions/(\w+)@v1", ours["uses"])
        assert folder is not None
        assert set(ours.get("with", {})) <= inputs_of(folder[1])


def test_every_input_of_the_action_is_told() -> None:
    assert not [name for name in inputs_of("perfhunt") if f"`{name}`" not in SHOWN]


def test_the_workflow_of_forks_has_no_secret_and_checks_nothing_out() -> None:
    measuring, commenting = WORKFLOWS
    assert yaml.safe_load(measuring)[True] == "pull_request"  # YAML 1.1 reads `on` so
    assert "secrets." not in measuring + commenting
    assert "checkout" not in commenting
    assert "pull_request_target" not in PAGE


def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    tool = shutil.which("actionlint")
    if tool is None:
        pytest.skip("actionlint is not installed: go install .../rhysd/actionlint/cmd/actionlint")
    shutil.copytree(ROOT / ".github" / "actions", tmp_path / ".github" / "actions")
    (tmp_path / ".git").mkdir()
    place = tmp_path / ".github" / "workflows"
    place.mkdir()
    for number, text in enumerate(WORKFLOWS):
        local = re.sub(r"OWNER/perfhunt/(\S+)@v1", r"./\1", text)
        (place / f"{number}.yml").write_text(local)
    done = subprocess.run(
        [tool, "-no-color"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    broken = (place / "0.yml").read_text().replace("url:", "no-such-input:")
    (place / "0.yml").write_text(broken)
    done = subprocess.run([tool], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "no-such-input" in done.stdout  # it has read the action


def test_the_pipeline_sets_variables_that_the_template_has() -> None:
    pipeline: dict[str, Any] = yaml.safe_load(PIPELINE)
    template = yaml.safe_load((ROOT / ".gitlab" / "perfhunt.yml").read_text())
    (included,) = pipeline["include"]
    assert (ROOT / included["file"]).exists()
    job = pipeline["smoke"]
    assert set(job["variables"]) <= set(template[job["extends"]]["variables"])


def test_what_a_shell_runs_is_bash() -> None:
    (pipeline,) = blocks("groovy")
    scripts = [*blocks("bash"), *re.findall(r"sh '''(.*?)'''", pipeline, re.DOTALL)]
    assert len(scripts) == 2
    for script in scripts:
        subprocess.run(["bash", "-n", "-c", script], check=True)
        verbs = re.findall(r"perfhunt (\w+) --", script)
        assert verbs
        assert set(verbs) <= set(VERBS)
