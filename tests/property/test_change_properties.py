"""What must hold for every edit, whatever it is."""

import ast
import subprocess
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from perfhunt.change.git.bisect import Commit, bisect
from perfhunt.change.git.patches import file_patch, hunks_of, lines_of, needs_no_context
from perfhunt.change.readers.python.atoms import python_atoms
from perfhunt.change.readers.texts import FileTexts

LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"\n", b"c\n", b"def f():\n"]), max_size=14)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LINES, LINES, st.data())
def test_any_choice_of_hunks_applies_and_the_rest_completes_it(
    old: list[bytes], new: list[bytes], data: st.DataObject
) -> None:
    hunks = hunks_of(old, new)
    assume(hunks and old)
    chosen = data.draw(st.sets(st.sampled_from(range(len(hunks)))))
    rest = set(range(len(hunks))) - chosen
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "f"
        path.write_bytes(b"".join(old))
        for part in (p for p in (chosen, rest) if p):
            patch = file_patch("f", old, new, hunks, part)
            flags = ["--unidiff-zero"] if needs_no_context(hunks, part, len(old)) else []
            done = subprocess.run(
                ["git", "apply", "--check", *flags, "-"],
                cwd=directory,
                input=patch,
                capture_output=True,
            )
            assert done.returncode == 0, (done.stderr, patch)
        if not rest:
            flags = ["--unidiff-zero"] if needs_no_context(hunks, chosen, len(old)) else []
            subprocess.run(
                ["git", "apply", *flags, "-"],
                cwd=directory,
                input=file_patch("f", old, new, hunks, chosen),
                check=True,
            )
            assert path.read_bytes() == b"".join(new)


@given(st.binary(max_size=200))
def test_lines_put_together_are_the_content(content: bytes) -> None:
    assert b"".join(lines_of(content)) == content


@given(st.integers(1, 60), st.data())
def test_bisection_names_the_first_bad_commit_of_any_line(count: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, count - 1))
    skipped = data.draw(st.sets(st.integers(0, count - 2))) if count > 1 else set()
    commits = [Commit(str(i), (str(i - 1),)) for i in reversed(range(count))]
    found = bisect(
        commits, lambda c: "skip" if int(c) in skipped else "bad" if int(c) >= first else "good"
    )
    assert str(first) in found.first_bad
    # Every other candidate is there only because skips lie between it and the culprit.
    assert all(
        int(c) in skipped or int(c) == min(i for i in range(first, count) if i not in skipped)
        for c in found.first_bad
    )


def functions_of(module: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in module.body if isinstance(node, ast.FunctionDef)]


PYTHON_FILES = sorted((Path(__file__).parents[2] / "perfhunt").rglob("*.py"))
FILES_WITH_FUNCTIONS = [f for f in PYTHON_FILES if functions_of(ast.parse(f.read_text()))]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(PYTHON_FILES))
def test_a_real_module_printed_anew_by_the_parser_is_the_same_code(path: Path) -> None:
    text = path.read_text()
    found = python_atoms((FileTexts("m.py", text, ast.unparse(ast.parse(text))),))
    assert found.atoms == ()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FILES_WITH_FUNCTIONS), st.data())
def test_one_statement_added_to_one_function_of_a_real_module_is_one_atom(
    path: Path, data: st.DataObject
) -> None:
    tree = ast.parse(path.read_text())
    function = data.draw(st.sampled_from(functions_of(tree)))
    function.body.append(ast.parse("print(1)").body[0])
    found = python_atoms((FileTexts("m.py", path.read_text(), ast.unparse(tree)),))
    assert [a.name for a in found.atoms] == [function.name]
