"""A tangled edit as patches: each applies alone, all together make the edit. The judge is `git
apply`.
"""

import subprocess
from pathlib import Path

import pytest

from perfhunt.analysis.change.one_change import pieces_of
from perfhunt.change.git.repository import Repository
from perfhunt.change.git.split import Patch, split
from perfhunt.change.read import read_change
from tests.git.diffs.case import Case
from tests.git.diffs.replay import CASES, edit_worktree, profile_of
from tests.git.repositories import IDENTITY, git, project_repository, write_files

TANGLED = [c for c in CASES if not c.passes and c.expect != "nothing"]


def applied(root: Path, patch: Patch, *, check: bool) -> None:
    how = ["--check"] if check else []
    done = subprocess.run(
        ["git", "apply", *how, *patch.options, "-"],
        cwd=root,
        env=IDENTITY,
        input=patch.text,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode() + patch.text.decode()


def files_of(root: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in root.rglob("*")
        if p.is_file() and ".git" not in p.parts
    }


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name.replace(" ", "-")) for c in TANGLED])
def test_every_patch_applies_to_the_base_alone_and_together_they_make_the_edit(
    case: Case, tmp_path: Path
) -> None:
    pytest.importorskip("tree_sitter_go")
    base = project_repository(tmp_path, dict(case.project))
    edit_worktree(case, tmp_path)
    repository = Repository(tmp_path)
    change = read_change(repository, base)
    patches = split(repository, change, pieces_of(change.atoms, profile_of(case)))
    edited = files_of(tmp_path)
    git(tmp_path, "add", "--all")
    git(tmp_path, "reset", "--hard", "--quiet", base)
    for patch in patches:
        applied(tmp_path, patch, check=True)
    for patch in reversed(patches):
        applied(tmp_path, patch, check=False)
    assert files_of(tmp_path) == edited


def split_of(tmp_path: Path, before: str, after: str) -> tuple[Patch, ...]:
    base = project_repository(tmp_path, {"app.py": before})
    write_files(tmp_path, {"app.py": after})
    repository = Repository(tmp_path)
    change = read_change(repository, base)
    return split(repository, change, pieces_of(change.atoms))


def test_an_import_goes_with_the_one_piece_that_uses_it(tmp_path: Path) -> None:
    before = "import json\n\n\ndef one():\n    return 1\n\n\ndef two():\n    return 2\n"
    after = (
        "import json\nimport math\n\n\ndef one():\n    return math.pi\n\n\ndef two():\n   "
        " return 3\n"
    )
    one, two = split_of(tmp_path, before, after)
    assert (b"import math" in one.text, b"import math" in two.text) == (True, False)


def test_comments_go_to_a_patch_that_measures_nothing(tmp_path: Path) -> None:
    before = "# old\n\n\ndef one():\n    return 1\n\n\ndef two():\n    return 2\n"
    rest, one, two = split_of(
        tmp_path, before, before.replace("# old", "# new").replace("1", "10").replace("2", "20")
    )
    assert (rest.pieces, rest.name) == ((), "00-not-measured.patch")
    assert [p.name for p in (one, two)] == ["01-code-one.patch", "02-code-two.patch"]


def test_edits_on_neighbouring_lines_are_cut_apart_and_say_what_git_needs(tmp_path: Path) -> None:
    one, two = split_of(tmp_path, "A = 1\nB = 1\nC = 1\n", "A = 2\nB = 2\nC = 1\n")
    assert one.options == two.options == ("--unidiff-zero",)


def test_a_file_without_a_newline_at_its_end_is_cut_too(tmp_path: Path) -> None:
    before = "def one():\n    return 1\n\n\ndef two():\n    return 2"
    _, two = split_of(tmp_path, before, before.replace("1", "10").replace("return 2", "return 20"))
    assert b"No newline at end of file" in two.text
    git(tmp_path, "checkout", "--quiet", "app.py")
    applied(tmp_path, two, check=False)
    assert (tmp_path / "app.py").read_bytes().endswith(b"return 20")


def test_pieces_that_cannot_be_told_apart_share_a_patch_and_say_why(tmp_path: Path) -> None:
    base = project_repository(tmp_path, {"a.txt": ""})
    write_files(tmp_path, {"m/2.sql": "CREATE INDEX a ON x (y);\nCREATE INDEX b ON z (y);\n"})
    repository = Repository(tmp_path)
    change = read_change(repository, base)
    (patch,) = split(repository, change, pieces_of(change.atoms))
    assert (len(patch.pieces), "m/2.sql" in patch.note) == (2, True)
