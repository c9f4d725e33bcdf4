"""What each room may do, and what only it may do. Enforces docs/architecture.md, "Rooms"."""

from __future__ import annotations

import ast
import subprocess
import sys

from tests.architecture.source import LOAD_CHILD, ROOT, imports, modules, room_of, tree, where

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


def test_broad_excepts_stand_only_at_the_child_process_boundary() -> None:
    wrong = [
        where(path, node.lineno)
        for path in modules()
        if not path.is_relative_to(LOAD_CHILD)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    ]
    assert not wrong, "\n".join(wrong)


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    code = f"import sys, perfhunt.cli.app; print([m for m in {HEAVY} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert loaded.stdout.strip() == "[]"
