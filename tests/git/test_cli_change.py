"""`perfhunt change`, `split` and the way back, on the command line, in a repository of a user's."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from perfhunt.change.git.kept import code_state
from perfhunt.change.git.repository import Repository
from perfhunt.change.read import read_change
from perfhunt.cli.app import app, split_command
from perfhunt.errors import ChangeRefused, UsageError
from perfhunt.jobs.verify.edit_patch import edit_patch
from perfhunt.jobs.verify.request import VerifyRequest
from perfhunt.jobs.verify.stored import base_revision
from perfhunt.model.run import Run
from tests.git.repositories import git, write_files
from tests.sample_run import sample_run

FILES = {
    "shop/pages.py": (
        "def price(cents):\n    return cents / 100\n\n\ndef title(name):\n    return name.title()\n"
    ),
    "shop/stock.py": "def level(sku):\n    return ask(sku)\n\n\ndef ask(sku):\n    return 3\n",
    "README.md": "A shop.\n",
}
FASTER = FILES["shop/stock.py"].replace("return 3", "return 4")
OTHER = FILES["shop/pages.py"].replace("name.title()", "name.upper()")


def run(*words: str) -> tuple[int, str, object]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.output, done.exception


def test_words_after_two_dashes_are_the_users_command_and_not_a_run() -> None:
    line = ["verify", "--base", "HEAD", "--", "gunicorn", "--bind", "x", "--", "app:app"]
    assert split_command(line) == (
        ["verify", "--base", "HEAD"],
        ("gunicorn", "--bind", "x", "--", "app:app"),
    )


def test_verbs_that_take_no_command_keep_the_usual_meaning_of_two_dashes() -> None:
    assert split_command(["report", "--", "-odd-name"]) == (["report", "--", "-odd-name"], ())


def test_one_edit_is_one_change(shop: Path) -> None:
    write_files(shop, {"shop/stock.py": FASTER})
    code, said, _ = run("change")
    assert code == 0
    assert said.startswith("ONE CHANGE")
    assert "ask" in said
    assert "shop/stock.py" in said


def test_two_edits_that_have_nothing_to_do_with_each_other_are_refused_and_both_listed(
    shop: Path,
) -> None:
    write_files(shop, {"shop/stock.py": FASTER, "shop/pages.py": OTHER})
    _, _, error = run("change")
    assert isinstance(error, ChangeRefused)
    assert int(error.exit_code) == 92
    assert "shop/stock.py" in error.message
    assert "shop/pages.py" in error.message
    assert "perfhunt split" in error.hint


def test_a_reason_lets_several_through_and_says_that_nothing_is_attributable(shop: Path) -> None:
    write_files(shop, {"shop/stock.py": FASTER, "shop/pages.py": OTHER})
    code, said, _ = run("change", "--compound", "released together")
    assert code == 0
    assert "not attributable: released together" in said


def test_an_edited_comment_is_nothing_to_measure(shop: Path) -> None:
    write_files(shop, {"shop/stock.py": FILES["shop/stock.py"] + "# counted nightly\n"})
    _, _, error = run("change")
    assert isinstance(error, ChangeRefused)
    assert "Nothing to measure" in error.message


def test_json_says_in_one_word_whether_it_is_one(shop: Path) -> None:
    write_files(shop, {"shop/stock.py": FASTER, "shop/pages.py": OTHER})
    code, said, _ = run("change", "--json")
    assert code == 92
    found = json.loads(said)
    assert found["one"] is False
    assert len(found["pieces"]) == 2


def test_split_writes_patches_that_apply_to_the_base_alone(shop: Path) -> None:
    write_files(shop, {"shop/stock.py": FASTER, "shop/pages.py": OTHER})
    code, said, _ = run("split")
    assert code == 0
    patches = sorted((shop / "perfhunt-patches").glob("*.patch"))
    assert len(patches) == 2
    git(shop, "checkout", "--", ".")
    for patch in patches:
        assert (
            subprocess.run(
                ["git", "apply", "--check", str(patch)], cwd=shop, check=False
            ).returncode
            == 0
        )
    assert "perfhunt verify" in said


def test_the_way_back_takes_out_the_edit_and_leaves_documents_and_untracked_files(
    shop: Path,
) -> None:
    write_files(shop, {"shop/stock.py": FASTER, "README.md": "A quick shop.\n", "notes.txt": "x\n"})
    repository = Repository(shop)
    change = read_change(repository, "HEAD")
    patch = edit_patch(repository, change)
    said = patch.take_out()
    assert (shop / "shop/stock.py").read_text() == FILES["shop/stock.py"]
    assert (shop / "README.md").read_text() == "A quick shop.\n"
    assert "README.md" in said
    assert "git apply -R" in patch.command(shop / "change.patch")


def test_an_edit_that_was_edited_again_meanwhile_is_not_taken_out(shop: Path) -> None:
    write_files(shop, {"shop/stock.py": FASTER})
    repository = Repository(shop)
    patch = edit_patch(repository, read_change(repository, "HEAD"))
    write_files(shop, {"shop/stock.py": FASTER.replace("return 4", "return 5")})
    with pytest.raises(ChangeRefused, match="git apply"):
        patch.take_out()
    assert "return 5" in (shop / "shop/stock.py").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_checkout_of_another_user_is_refused_in_gits_words_and_read_when_trusted(
    shop: Path,
) -> None:
    write_files(shop, {"shop/stock.py": FASTER})
    for place in (shop, shop / ".git"):
        os.chown(place, 1000, 1000)
    _, _, error = run("change")
    assert isinstance(error, ChangeRefused)
    assert "dubious ownership" in error.message
    assert "--trust-repository" in error.hint
    code, said, _ = run("change", "--trust-repository")
    assert (code, said.splitlines()[0]) == (0, "ONE CHANGE")


def measured(snapshot: str = "") -> Run:
    whole = sample_run()
    return replace(
        whole,
        environment=replace(
            whole.environment, git_dirty=False, git_revision="HEAD", git_snapshot=snapshot
        ),
    )


def test_uncommitted_work_that_was_measured_is_what_the_next_edit_is_counted_from(
    shop: Path,
) -> None:
    write_files(shop, {"shop/pages.py": OTHER})
    kept = code_state(str(shop), shop / ".perfhunt").snapshot
    write_files(shop, {"shop/stock.py": FASTER})
    repository = Repository(shop, store=shop / ".perfhunt")
    base = base_revision(repository, measured(snapshot=kept), VerifyRequest())
    assert [a.name for a in read_change(repository, base).atoms] == ["ask"]
    assert git(shop, "for-each-ref", "refs/perfhunt") == ""


def test_a_clean_tree_is_kept_by_its_own_commit(shop: Path) -> None:
    assert code_state(str(shop), shop / ".perfhunt").snapshot == ""


def test_a_run_of_uncommitted_work_that_was_not_kept_is_refused_with_what_to_do(shop: Path) -> None:
    run_ = measured()
    run_ = replace(run_, environment=replace(run_.environment, git_dirty=True))
    with pytest.raises(ChangeRefused, match="uncommitted work") as refused:
        base_revision(Repository(shop), run_, VerifyRequest())
    assert "Commit" in refused.value.hint


def test_a_commit_that_this_clone_lacks_is_told_with_how_to_fetch_it(shop: Path) -> None:
    run_ = measured()
    run_ = replace(run_, environment=replace(run_.environment, git_revision="2" * 40))
    with pytest.raises(UsageError, match=r"2{12}, is not in this clone") as refused:
        base_revision(Repository(shop), run_, VerifyRequest())
    assert "git fetch" in refused.value.hint


def test_a_snapshot_that_git_tidied_away_is_refused_with_what_to_do(shop: Path) -> None:
    with pytest.raises(ChangeRefused, match="tidied away"):
        base_revision(Repository(shop), measured(snapshot="1" * 40), VerifyRequest())
