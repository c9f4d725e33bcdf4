"""`from perfhunt import investigate, smoke, verify, load_run`: callables that do what the verbs do,
for scripts and notebooks.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import perfhunt
from perfhunt import api, investigate, load_run, smoke, verify
from perfhunt.errors import ChangeRefused, PerfhuntError, QuestionError, StoreError, UsageError
from perfhunt.jobs.request import InvestigateRequest
from perfhunt.jobs.verify.request import VerifyRequest
from perfhunt.model.profile import ProfilePolicy
from perfhunt.model.run import Event, Noted, Run
from tests.sample_run import keep, sample_run


def in_a_new_process(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_four_names_are_functions_whatever_was_imported_before() -> None:
    said = in_a_new_process(
        "import perfhunt.stories.verification, perfhunt.stories.investigation\n"
        "import perfhunt.jobs.investigate, perfhunt.jobs.verify\n"
        "from perfhunt import investigate, smoke, verify, load_run\n"
        "print(all(map(callable, (investigate, smoke, verify, load_run))))"
    )
    assert said == "True"


def test_importing_perfhunt_imports_nothing_else_of_it() -> None:
    said = in_a_new_process(
        "import sys, perfhunt; print(sorted(m for m in sys.modules if m.startswith('perfhunt')))"
    )
    assert said == "['perfhunt', 'perfhunt.version']"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'bogus'"):
        perfhunt.bogus  # noqa: B018


def test_every_public_function_says_what_it_gives_and_shows_it() -> None:
    for function in (investigate, smoke, verify, load_run):
        assert "Raises PerfhuntError" in (function.__doc__ or "")
        assert f"{function.__name__}(" in (function.__doc__ or "")


def test_a_stored_run_is_loaded_by_id_by_its_beginning_by_path_and_as_the_newest(
    tmp_path: Path,
) -> None:
    run = sample_run()
    path = keep(tmp_path, run)
    for name in (run.id, run.id[:12], path, "last"):
        assert load_run(name, store=tmp_path).id == run.id
    assert load_run(store=str(tmp_path)).knee == run.knee


def test_a_run_that_is_not_there_raises_what_the_command_line_would_print(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no finished run"):
        load_run(store=tmp_path)
    with pytest.raises(UsageError, match="no run under"):
        load_run("2026", store=tmp_path)


def test_an_investigation_without_a_test_file_is_refused_and_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QuestionError) as refused:
        investigate(port=1)
    assert isinstance(refused.value, PerfhuntError)
    assert int(refused.value.exit_code) == 104
    assert capsys.readouterr() == ("", "")


def test_what_is_asked_of_investigate_reaches_the_job_and_events_reach_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[InvestigateRequest] = []

    def job(request: InvestigateRequest, watch: object) -> Run:
        asked.append(request)
        watch(Noted("as it happens"))  # type: ignore[operator]
        return sample_run()

    monkeypatch.setattr(api, "run_investigation", job)
    events: list[Event] = []
    run = investigate(
        pid=42,
        file="perfhunt.toml",
        store=tmp_path,
        budget=60.0,
        profile="off",
        watch=events.append,
    )
    (request,) = asked
    assert run.id == sample_run().id
    assert (request.pid, request.budget, request.profile) == (42, 60.0, ProfilePolicy.OFF)
    assert (request.file, request.store) == (Path("perfhunt.toml"), tmp_path)
    assert events == [Noted("as it happens")]


def test_what_is_asked_of_smoke_reaches_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[InvestigateRequest] = []
    monkeypatch.setattr(api, "run_smoke", lambda request, _: asked.append(request))
    smoke(port=8000, profile="off", seed=7, store="runs")
    (request,) = asked
    assert (request.port, request.profile, request.seed) == (8000, ProfilePolicy.OFF, 7)
    assert request.store == Path("runs")


def test_a_mode_that_is_not_known_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="bogus is not auto, required or off"):
        investigate(pid=1, profile="bogus")
    with pytest.raises(UsageError, match="required is not auto or off"):
        verify(pid=1, profile="required")


def test_a_command_as_one_text_and_a_budget_of_no_time_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="command is a text") as refused:
        verify(command="serve --port 80")
    assert refused.value.hint == "Split it: command=['serve', '--port', '80']"
    with pytest.raises(UsageError, match="prepare is a text"):
        verify(command=["serve"], prepare="make all")
    with pytest.raises(UsageError, match="--budget: -1 s"):
        verify(command=["serve"], budget=-1.0)


def test_verify_takes_a_run_as_it_is_and_the_words_of_a_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[VerifyRequest] = []
    monkeypatch.setattr(api, "run_verification", lambda request, _: asked.append(request))
    run = sample_run()
    verify(run, command=["serve", "--port", "{port}"], base="HEAD~1", budget=300.0)
    (request,) = asked
    assert request.run is run
    assert request.command == ("serve", "--port", "{port}")
    assert (request.base, request.budget) == ("HEAD~1", 300.0)


def test_verifying_an_interrupted_run_is_refused_without_a_look_at_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cut = replace(sample_run(), ended="stopped: ^C")
    with pytest.raises(UsageError, match="was cut short"):
        verify(cut, pid=1, store=tmp_path / "none")


def test_verifying_where_nothing_was_edited_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    words = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(
        ["git", *words, "commit", "-q", "--allow-empty", "-m", "empty"], cwd=tmp_path, check=True
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ChangeRefused, match="no edit") as refused:
        verify(command=["serve"], base="HEAD")
    assert int(refused.value.exit_code) == 92
