"""Where the test file is looked for, and what is read beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perfhunt.errors import LoadFailed, QuestionError
from perfhunt.load.messages import OpenLoad, RunStep, frame
from perfhunt.model.trial import Phase, Step
from perfhunt.store.listing import find_test_file
from perfhunt.store.testfile import read_question
from tests.unit.model.testfiles import SLO


def test_perfhunt_toml_wins_over_pyproject_and_parents_are_searched_to_the_repository_root(
    tmp_path: Path,
) -> None:
    (tmp_path / "perfhunt.toml").write_text(SLO)
    repository = tmp_path / "repository"
    inner = repository / "a" / "b"
    inner.mkdir(parents=True)
    (repository / ".git").mkdir()
    assert find_test_file(inner) is None  # the file above belongs to another project
    (repository / "pyproject.toml").write_text("[project]\n")
    assert find_test_file(inner) is None
    (repository / "pyproject.toml").write_text('[tool.perfhunt.slo]\nlatency = { p99 = "<= 1s" }\n')
    assert find_test_file(inner) == repository / "pyproject.toml"
    assert read_question(None, inner, {}).slo.objectives[0].limit == 1.0
    (repository / "perfhunt.toml").write_text(SLO)
    assert find_test_file(inner) == repository / "perfhunt.toml"


def test_a_key_of_pyproject_is_told_with_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.perfhunt]\nsede = 1\n")
    with pytest.raises(QuestionError, match=r"tool\.perfhunt\.sede: "):
        read_question(None, tmp_path, {})


def test_a_missing_test_file_is_refused_with_the_command_for_that_pid(tmp_path: Path) -> None:
    with pytest.raises(QuestionError) as caught:
        read_question(None, tmp_path, {}, pid=4242)
    assert "nothing was sent" in caught.value.message
    assert "perfhunt init --pid 4242" in caught.value.hint


def test_feeds_are_found_beside_the_file_and_pinned_by_content(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id\n1\n")
    file = tmp_path / "perfhunt.toml"
    file.write_text(SLO + '[[traffic]]\nrequest = "GET /{id}"\nfeed = "rows.csv"')
    first = read_question(file, Path("/"), {})
    assert first.traffic[0].feed is not None
    assert first.traffic[0].feed.path == str(tmp_path / "rows.csv")
    (tmp_path / "rows.csv").write_text("id\n2\n")
    assert read_question(file, Path("/"), {}).fingerprint() != first.fingerprint()


def test_a_test_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "perfhunt.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(QuestionError, match="UTF-8"):
        read_question(None, tmp_path, {})


def test_a_directory_whose_name_is_not_utf_8_is_worked_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    home.mkdir()
    (home / "perfhunt.toml").write_text(
        '[target]\nurl = "http://127.0.0.1:1"\n[slo]\nlatency = { p99 = "<= 1s" }\n'
        '[[traffic]]\nrequest = "GET /?u={u}"\nfeed = "u.csv"\n'
    )
    (home / "u.csv").write_text("u\n1\n")
    monkeypatch.chdir(home)
    question = read_question(None, home, {})
    assert question.traffic[0].feed is not None
    assert frame(OpenLoad(question=question, run="r", deadline=1.0, in_flight=1, limit=1.0))
    with pytest.raises(LoadFailed, match="not UTF-8"):
        frame(RunStep(step=Step(Phase.FIXED, 1.0, 1.0, 1), samples=str(home / "a"), grace=1.0))
