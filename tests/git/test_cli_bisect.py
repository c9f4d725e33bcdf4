"""`perfhunt bisect` in a real repository, with a test that knows which commit was the slow one."""

import json
from pathlib import Path

import pytest

from perfhunt.analysis.verdict.rounds import DEFAULT_ANALYSIS
from perfhunt.change.git.repository import find_repository
from perfhunt.cli.verbs.bisect import bisection_lines
from perfhunt.errors import StoreError, UsageError
from perfhunt.jobs import bisect as jobs_bisect
from perfhunt.jobs.bisect import LABELS, BisectRequest, CommitTest, Judgements, run_bisection
from perfhunt.model.run import Event, Noted
from perfhunt.model.verdict.verdict import Word
from perfhunt.store.testfile import read_question
from tests.git.repositories import commit_all, project_repository, write_files

TOML = 'schema = 1\n[target]\nurl = "http://127.0.0.1:1"\n[slo]\nlatency = { p99 = "<= 100ms" }\n'


@pytest.fixture
def commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    root = tmp_path / "shop"
    made = [project_repository(root, {"app.py": "X = 0\n", "perfhunt.toml": TOML})]
    for number in range(1, 9):
        write_files(root, {"app.py": f"X = {number}\n"})
        made.append(commit_all(root, f"change {number}"))
    monkeypatch.chdir(root)
    return made


def labelled(
    monkeypatch: pytest.MonkeyPatch, labels: dict[str, str], default: str = "good"
) -> list[str]:
    """Labels commits by the book instead of by measuring; returns which were tested, in order."""
    tested: list[str] = []

    def label(_: object, commit: str) -> str:
        tested.append(commit)
        return labels.get(commit, default)

    monkeypatch.setattr(CommitTest, "label", label)
    return tested


def test_the_first_slower_commit_is_found_in_log2_comparisons(
    commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tested = labelled(monkeypatch, dict.fromkeys(commits[6:], "bad"))
    result = run_bisection(BisectRequest(commits[0], "HEAD", ("serve",)))
    assert result.bisected.first_bad == (commits[6],)
    assert len(tested) == 1 + 3  # the bad end once, then 8 commits halved
    assert bisection_lines(result)[0].startswith(f"FIRST SLOWER COMMIT {commits[6][:12]}  change 6")


def test_a_second_bisection_tests_nothing_again(
    commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    labelled(monkeypatch, dict.fromkeys(commits[3:], "bad"))
    run_bisection(BisectRequest(commits[0], "HEAD", ("serve",)))
    tested = labelled(monkeypatch, {}, "bad")
    assert run_bisection(BisectRequest(commits[0], "HEAD", ("serve",))).bisected.first_bad == (
        commits[3],
    )
    assert tested == []
    run_bisection(BisectRequest(commits[0], "HEAD", ("serve",), again=True))
    assert tested


def test_a_commit_that_cannot_be_told_is_skipped_and_named_among_the_suspects(
    commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = dict.fromkeys(commits[6:], "bad") | {commits[5]: "skip"}
    labelled(monkeypatch, labels)
    result = run_bisection(BisectRequest(commits[0], "HEAD", ("serve",)))
    assert set(result.bisected.first_bad) == {commits[5], commits[6]}
    assert bisection_lines(result)[0].startswith("NOT DECIDED")
    assert any("--budget" in line for line in bisection_lines(result))


def test_an_end_that_is_not_slower_is_refused(
    commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    labelled(monkeypatch, {})
    with pytest.raises(UsageError, match="no slower"):
        run_bisection(BisectRequest(commits[0], "HEAD", ("serve",)))


def test_ends_in_the_wrong_order_are_refused(commits: list[str]) -> None:
    with pytest.raises(UsageError, match="does not come before"):
        run_bisection(BisectRequest("HEAD", commits[0], ("serve",)))


def test_every_word_of_a_verdict_has_a_judgement_and_only_a_regression_is_bad() -> None:
    assert set(LABELS) == set(Word)
    assert [word for word, label in LABELS.items() if label == "bad"] == [Word.REVERT]


def test_judgements_are_on_disk_as_soon_as_they_are_made(tmp_path: Path) -> None:
    path = tmp_path / "bisect" / "a.json"
    kept = Judgements(path)
    kept["abc"] = "bad"
    assert json.loads(path.read_text()) == {"abc": "bad"}
    assert dict(Judgements(path)) == {"abc": "bad"}
    assert dict(Judgements(path, fresh=True)) == {}


def test_damaged_judgements_are_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("[")
    with pytest.raises(StoreError, match="cannot be read"):
        Judgements(path)


def test_a_commit_that_differs_in_comments_only_is_good_and_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "shop"
    good = project_repository(root, {"app.py": "X = 0\n", "perfhunt.toml": TOML})
    write_files(root, {"app.py": "# the one setting\nX = 0\n", "NOTES.md": "read me\n"})
    cosmetic = commit_all(root, "comments")
    monkeypatch.chdir(root)
    monkeypatch.setattr(jobs_bisect, "versions", lambda *_: pytest.fail("it was started"))
    events: list[Event] = []
    repository = find_repository(root)
    question = read_question(None, root, {})
    test = CommitTest(
        request=BisectRequest(good, cosmetic, ("serve",)),
        repository=repository,
        question=question,
        good=good,
        analysis=DEFAULT_ANALYSIS,
        watch=events.append,
    )
    assert test.label(cosmetic) == "good"
    assert any(
        "nothing was measured" in event.sentence for event in events if isinstance(event, Noted)
    )
