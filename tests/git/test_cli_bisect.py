"""`perfhunt bisect` in a real repository, with a jury that knows which commit was the slow one."""

import json
from pathlib import Path

import pytest

from perfhunt.analysis.verdict.rounds import DEFAULT_ANALYSIS
from perfhunt.change.git.repository import find_repository
from perfhunt.errors import StoreError, UsageError
from perfhunt.jobs import bisect as bisecting_rounds
from perfhunt.jobs.bisect import JUDGED, BisectSearch, Judgements, hunt
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


def jury(
    monkeypatch: pytest.MonkeyPatch, judge: dict[str, str], default: str = "good"
) -> list[str]:
    """Judges by the book; returns whom it was asked about."""
    asked: list[str] = []

    def said(_: object, commit: str) -> str:
        asked.append(commit)
        return judge.get(commit, default)

    monkeypatch.setattr(bisecting_rounds.Jury, "judge", said)
    return asked


def test_the_first_slower_commit_is_found_in_log2_comparisons(
    commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = jury(monkeypatch, dict.fromkeys(commits[6:], "bad"))
    found = hunt(BisectSearch(commits[0], "HEAD", ("serve",)), as_json=True, quiet=True)
    assert found.bisected.first_bad == (commits[6],)
    assert len(asked) == 1 + 3  # the bad end once, then 8 commits halved
    assert found.lines()[0].startswith(f"FIRST SLOWER COMMIT {commits[6][:12]}  change 6")


def test_a_second_bisection_asks_nobody_again(
    commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    jury(monkeypatch, dict.fromkeys(commits[3:], "bad"))
    hunt(BisectSearch(commits[0], "HEAD", ("serve",)), as_json=True, quiet=True)
    asked = jury(monkeypatch, {}, "bad")
    assert hunt(
        BisectSearch(commits[0], "HEAD", ("serve",)), as_json=True, quiet=True
    ).bisected.first_bad == (commits[3],)
    assert asked == []
    hunt(BisectSearch(commits[0], "HEAD", ("serve",), again=True), as_json=True, quiet=True)
    assert asked


def test_a_commit_that_cannot_be_told_is_skipped_and_named_among_the_suspects(
    commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = dict.fromkeys(commits[6:], "bad") | {commits[5]: "skip"}
    jury(monkeypatch, judge)
    found = hunt(BisectSearch(commits[0], "HEAD", ("serve",)), as_json=True, quiet=True)
    assert set(found.bisected.first_bad) == {commits[5], commits[6]}
    assert found.lines()[0].startswith("NOT DECIDED")
    assert any("--budget" in line for line in found.lines())


def test_an_end_that_is_not_slower_is_refused(
    commits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    jury(monkeypatch, {})
    with pytest.raises(UsageError, match="no slower"):
        hunt(BisectSearch(commits[0], "HEAD", ("serve",)), as_json=True, quiet=True)


def test_ends_in_the_wrong_order_are_refused(commits: list[str]) -> None:
    with pytest.raises(UsageError, match="does not come before"):
        hunt(BisectSearch("HEAD", commits[0], ("serve",)), as_json=True, quiet=True)


def test_every_word_of_a_verdict_has_a_judgement_and_only_a_regression_is_bad() -> None:
    assert set(JUDGED) == set(Word)
    assert [word for word, judged in JUDGED.items() if judged == "bad"] == [Word.REVERT]


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
    monkeypatch.setattr(bisecting_rounds, "versions", lambda *_: pytest.fail("it was started"))
    said: list[Event] = []
    repository = find_repository(root)
    question = read_question(None, root, {})
    judge = bisecting_rounds.Jury(
        BisectSearch(good, cosmetic, ("serve",)),
        repository,
        question,
        good,
        60.0,
        DEFAULT_ANALYSIS,
        said.append,
    )
    assert judge.judge(cosmetic) == "good"
    assert any(
        "nothing was measured" in event.sentence for event in said if isinstance(event, Noted)
    )
