"""What each room may do, and what only it may do. Enforces docs/architecture.md, "Rooms"."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from tests.architecture.source import (
    IN_A_SERVICE,
    LOAD_CHILD,
    ROOT,
    imports,
    modules,
    room_of,
    tree,
    where,
)

IMPURE = {  # a clock, files, processes, a network, chance without a seed
    "asyncio",
    "datetime",
    "gevent",
    "glob",
    "locust",
    "multiprocessing",
    "os",
    "pathlib",
    "psutil",
    "random",
    "secrets",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "urllib.request",
}
SPEAKING = {  # to a person, or for the last time
    "exit",
    "input",
    "os._exit",
    "print",
    "quit",
    "sys.exit",
    "sys.stderr.write",
    "sys.stdout.write",
}
HEAVY = ("numpy", "scipy", "rich", "jinja2", "locust", "gevent", "psutil")


def test_model_and_analysis_touch_no_clock_file_process_or_network() -> None:
    wrong = [
        f"{where(path, line)}: {name}"
        for path in modules()
        if room_of(path) in ("model", "analysis")
        for line, name in imports(path)
        if any(name == impure or name.startswith(f"{impure}.") for impure in IMPURE)
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_load_child_imports_locust_or_gevent() -> None:
    wrong = [
        f"{where(path, line)}: {name}"
        for path in modules()
        if not path.is_relative_to(LOAD_CHILD)
        for line, name in imports(path)
        if name.split(".")[0] in ("locust", "gevent", "geventhttpclient")
    ]
    assert not wrong, "\n".join(wrong)


def test_only_cli_prints_or_exits() -> None:
    wrong = [
        where(path, node.lineno)
        for path in modules()
        # A child process speaks on its own pipes; the command line is where people are spoken to.
        if room_of(path) not in ("cli", "__main__") and not path.is_relative_to(LOAD_CHILD)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in SPEAKING
    ]
    assert not wrong, "\n".join(wrong)


GIT = "perfhunt/change/git"


def starts_git(node: ast.AST) -> bool:
    """Whether git stands where a program does: in a list of words, or as what is called for."""
    words = (
        node.elts
        if isinstance(node, ast.List | ast.Tuple)
        else node.args
        if isinstance(node, ast.Call)
        else []
    )
    said = [word.value for word in words if isinstance(word, ast.Constant)]
    return any(
        isinstance(word, str) and re.fullmatch(r"(.*/)?git(-[\w-]+)?", word) for word in said
    )


def test_only_one_module_starts_git() -> None:
    places = [
        where(path, node.lineno)
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.List | ast.Tuple | ast.Call) and starts_git(node)
    ]
    assert [place.rpartition(":")[0] for place in places] == [f"{GIT}/program.py"], places


def test_no_command_is_given_to_a_shell() -> None:
    """There, a program's name could hide in a sentence."""
    wrong = [
        where(path, node.lineno)
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and (
            any(word.arg == "shell" for word in node.keywords)
            or ast.unparse(node.func) in ("os.system", "os.popen", "subprocess.getoutput")
        )
    ]
    assert not wrong, "\n".join(wrong)


def test_only_the_folder_of_git_asks_the_module_that_starts_it() -> None:
    asking = {
        str(path.parent.relative_to(ROOT))
        for path in modules()
        for _, name in imports(path)
        if name in (f"{GIT.replace('/', '.')}.program.{word}" for word in ("run", "streaming"))
    }
    assert asking == {GIT}


@pytest.mark.parametrize(
    ("code", "starts"),
    [
        ("run(['git', 'status'])", True),
        ("('/usr/bin/git', *words)", True),
        ("which('git')", True),
        ("['git-upload-pack']", True),
        ("hint = 'git status'", False),
        ("{'git': version}", False),
    ],
)
def test_a_place_that_starts_git_is_seen(code: str, starts: bool) -> None:
    assert any(starts_git(node) for node in ast.walk(ast.parse(code))) == starts


def test_broad_excepts_stand_only_at_the_child_process_boundary() -> None:
    wrong = [
        where(path, node.lineno)
        for path in modules()
        if not path.is_relative_to(LOAD_CHILD) and path != IN_A_SERVICE
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    ]
    assert not wrong, "\n".join(wrong)


def test_our_own_modules_are_started_without_the_directory_we_are_in() -> None:
    """A repository's `json.py` is none of ours (Python's -P)."""
    started = [
        (where(path, node.lineno), [ast.unparse(word) for word in node.elts])
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.List | ast.Tuple)
    ]
    ours = [
        (place, words)
        for place, words in started
        if "'-m'" in words and any(word.startswith("'perfhunt") for word in words)
    ]
    assert len(ours) >= 4
    assert not [place for place, words in ours if "'-P'" not in words]


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    code = f"import sys, perfhunt.cli.app; print([m for m in {HEAVY} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert loaded.stdout.strip() == "[]"
